"""All pictures of a comparison, shown in a notebook or saved as PNG and SVG."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from meshsim.errors import ResultsError
from meshsim.report.style import Picture, render
from meshsim.scenario.schema import Document

if TYPE_CHECKING:
    import pandas as pd


class Compared(Protocol):
    """What pictures are made from: the tables of a run and the scenario it was made from."""

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Every table of `meshsim.results.tables.TABLES`."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """As `meshsim.results.manifest.describe` returns it."""


@dataclass(frozen=True)
class Plots:
    """The pictures of one comparison; each method returns a matplotlib figure.

    Parameters
    ----------
    document
        The scenario.
    tables
        Every table of `meshsim.results.tables.TABLES`.

    Examples
    --------
    >>> from meshsim.results.frames import concatenate
    >>> document = Document.model_validate({
    ...     "name": "one", "regions": {"eu": {}}, "clusters": {"eu-1": {"region": "eu"}},
    ...     "load": {"web": {"rate": "1/s"}}, "services": {"web": {"endpoints": {"GET /": {}}}}})
    >>> len(Plots(document, concatenate([])).topology().axes)
    3
    """

    document: Document
    tables: Mapping[str, pd.DataFrame]

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Every metric of every run and phase, see `meshsim.analysis.summary.summarize`."""
        from meshsim.analysis.summary import phases, summarize

        return summarize(self.tables, phases(self.document))

    @cached_property
    def comparison(self) -> pd.DataFrame:
        """Means, intervals and paired differences, see `meshsim.analysis.summary.compare`."""
        from meshsim.analysis.summary import compare

        return compare(self.summary)

    @cached_property
    def deployments(self) -> tuple[str, ...]:
        """The deployments that were compared, in order; those of the scenario where nothing was run."""
        from meshsim.analysis.grid import runs

        found = dict.fromkeys(name for name, _ in runs(self.tables))
        return tuple(found or self.document.deployments)

    def topology(self) -> Picture:
        """Draw who controls whom."""
        from meshsim.mesh.graph import build
        from meshsim.report.topology import topology

        return topology({name: build(self.document, name) for name in self.deployments})

    def timeline(self) -> Picture:
        """Draw what happened when."""
        from meshsim.analysis.summary import timeline as over_time
        from meshsim.report.timeline import timeline

        return timeline(over_time(self.tables), self.document)

    def distributions(self, phase: str = "during") -> Picture:
        """Draw the distribution of latency and its tail in a phase; of the whole run where there is no such phase."""
        from meshsim.analysis.summary import distributions as distributed
        from meshsim.analysis.summary import phases
        from meshsim.report.distributions import distributions

        spans = phases(self.document)
        whole = type(spans[0])("after the warm-up", spans[0].start, spans[-1].end)
        span = next((span for span in spans if span.name == phase), whole)
        return distributions(distributed(self.tables, span.start, span.end), span)

    def bars(self) -> Picture:
        """Draw the summary, by phase, with intervals."""
        from meshsim.report.bars import bars

        return bars(self.comparison)

    def save(self, folder: Path) -> list[Path]:
        """Write every picture as PNG and SVG into a folder, which is created; the same pictures make the same bytes.

        Raises
        ------
        ResultsError
            If the disk refuses.
        """
        drawn = {
            "topology": self.topology,
            "timeline": self.timeline,
            "latency": self.distributions,
            "summary": self.bars,
        }
        written = []
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            for name, draw in drawn.items():
                figure = draw()
                for form in ("png", "svg"):
                    path = Path(folder) / f"{name}.{form}"
                    _replace(path, render(figure, form))
                    written.append(path)
        except OSError as problem:
            raise ResultsError(f"cannot save pictures in {folder}: {problem.strerror or problem}") from problem
        return written


def save_all(results: Compared | Plots, folder: Path) -> list[Path]:
    """Write every picture of a run as PNG (150 dpi) and SVG, and return the files.

    Parameters
    ----------
    results
        A run, such as `meshsim.results.store.read` returns.
    folder
        Where to write; created where missing, files of the same name are replaced.

    Raises
    ------
    ResultsError
        If the disk refuses, or the run's scenario is not one that this version reads.

    Examples
    --------
    >>> from pathlib import Path
    >>> try:
    ...     save_all(Plots(None, {}), Path("/dev/null/pictures"))
    ... except ResultsError as problem:
    ...     print(problem)
    cannot save pictures in /dev/null/pictures: Not a directory
    """
    return (results if isinstance(results, Plots) else plots_of(results)).save(folder)


def plots_of(results: Compared) -> Plots:
    """Return the pictures of a run as read from disk.

    Raises
    ------
    ResultsError
        If the manifest holds no scenario that this version reads.

    Examples
    --------
    >>> import types
    >>> try:
    ...     plots_of(types.SimpleNamespace(tables={}, manifest={"scenario": {}}))
    ... except ResultsError as problem:
    ...     print(problem)
    the run's scenario cannot be read by this version: name, regions, clusters, services, load
    """
    from pydantic import ValidationError

    try:
        document = Document.model_validate(results.manifest.get("scenario"))
    except ValidationError as problem:
        places = ", ".join(".".join(map(str, error["loc"])) or error["msg"] for error in problem.errors()[:5])
        raise ResultsError(f"the run's scenario cannot be read by this version: {places}") from problem
    return Plots(document, results.tables)


def _replace(path: Path, content: bytes) -> None:
    """Write a file in one step, so that a picture is whole or the old one."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
