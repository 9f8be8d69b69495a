"""All pictures of a comparison, shown in a notebook or saved as PNG and SVG."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from meshsim.errors import ResultsError
from meshsim.report.panels import Panels
from meshsim.report.style import render
from meshsim.report.what_if import by_document, documents_of
from meshsim.results.files import put_all
from meshsim.scenario.scenario import document_of
from meshsim.scenario.schema import Document

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes

    from meshsim.analysis.phases import Phase


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
    """The pictures of one comparison; each method returns its matplotlib Axes, which a notebook shows.

    All take ``ax``: a plot of one panel draws in it, one of several takes its place. In a figure of your own give those
    room: ``plt.subplots(2, layout="constrained")``.

    Parameters
    ----------
    document
        The scenario.
    tables
        Every table of `meshsim.results.tables.TABLES`.
    documents
        Of variants (``what_if``), by name: the scenario with the changes of each made, and a deployment of its name.

    Examples
    --------
    >>> from meshsim.results.frames import concatenate
    >>> document = Document.model_validate({
    ...     "name": "one", "regions": {"eu": {}}, "clusters": {"eu-1": {"region": "eu"}},
    ...     "load": {"web": {"rate": "1/s"}}, "services": {"web": {"endpoints": {"GET /": {}}}}})
    >>> len(Plots(document, concatenate([])).topology())
    3
    """

    document: Document
    tables: Mapping[str, pd.DataFrame]
    documents: Mapping[str, Document] = field(default_factory=dict)

    def document_of(self, deployment: str) -> Document:
        """Return the scenario that was run under this name: that of a variant, or else that of all deployments."""
        return self.documents.get(deployment, self.document)

    def each(self, made: Callable[[Mapping[str, pd.DataFrame], Document], pd.DataFrame]) -> pd.DataFrame:
        """Return a frame that is made of tables and their scenario; of variants one by one, each with its own."""
        return by_document(self.tables, self.document, self.documents, made)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Every metric of every run and phase, see `meshsim.analysis.summary.summarize`."""
        from meshsim.analysis.summary import phases, summarize

        spans = phases(self.document)
        return self.each(lambda tables, document: summarize(tables, spans, document))

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

    def topology(self, ax: Axes | None = None) -> Panels:
        """Draw who controls whom, a panel a deployment."""
        from meshsim.mesh.graph import build
        from meshsim.report.topology import topology

        return topology({name: build(self.document_of(name), name) for name in self.deployments}, ax)

    def timeline(self, ax: Axes | None = None) -> Panels:
        """Draw what happened when, all panels over one time axis."""
        from meshsim.analysis.summary import timeline as over_time
        from meshsim.report.timeline import timeline
        from meshsim.scenario.sampling import windows

        return timeline(over_time(self.tables, windows=windows(self.document)), self.document, ax)

    def distributions(self, phase: str = "during", ax: Axes | None = None) -> Panels:
        """Draw the distribution of latency and its tail in a phase; of the whole run where there is no such phase."""
        from meshsim.analysis.summary import distributions as distributed
        from meshsim.report.distributions import distributions

        span = self._span(phase)
        return distributions(distributed(self.tables, span.start, span.end, span.windows), span, ax)

    def bars(self, ax: Axes | None = None) -> Panels:
        """Draw the summary, by phase, with intervals."""
        from meshsim.report.bars import bars

        return bars(self.comparison, ax)

    def metric(self, metric: str, flow: str = "all", ax: Axes | None = None) -> Axes:
        """Draw one metric by phase, a bar a deployment, with its interval.

        Raises
        ------
        ValueError
            If the run has no value of it.
        """
        from meshsim.report.bars import metric as draw

        return draw(self.comparison, metric, flow, ax)

    def flags(self, ax: Axes | None = None) -> Panels:
        """Draw what failed by response flag, a row a phase."""
        from meshsim.report.flags import flags

        return flags(self.comparison, ax)

    def heat_map(self, ax: Axes | None = None) -> Panels:
        """Draw latency over time, a panel a deployment."""
        from meshsim.analysis.over_time import latency_over_time
        from meshsim.report.heat_map import heat_map

        return heat_map(latency_over_time(self.tables), self.document, ax)

    def flow_matrix(self, phase: str = "during", ax: Axes | None = None) -> Panels:
        """Draw calls, bytes and their cost from cluster to cluster in a phase, or the whole run where it is not."""
        from meshsim.analysis.over_time import flow_matrix as measured
        from meshsim.report.flow_matrix import flow_matrix

        span = self._span(phase)
        frame = self.each(lambda tables, document: measured(tables, span, document))
        return flow_matrix(frame, tuple(self.document.clusters), ax)

    def waterfalls(self, phase: str = "during", ax: Axes | None = None) -> Panels:
        """Draw where the time of a typical and of a p99 request went in a phase, or the whole run where it is not.

        Raises
        ------
        ValueError
            If no request that succeeded was traced.
        """
        from meshsim.analysis.critical_path import paths
        from meshsim.report.waterfall import waterfalls

        return waterfalls(paths(self.tables, self._span(phase)), ax)

    def cost(self, phase: str = "all", ax: Axes | None = None) -> Axes:
        """Draw what a month like a phase costs, a bar a deployment, stacked by part."""
        from meshsim.report.cost_bars import cost_bars

        return cost_bars(self.comparison, phase, ax)

    def _span(self, phase: str) -> Phase:
        """Return a phase by its name; the whole run where there is no such phase."""
        from meshsim.analysis.phases import phases, whole

        spans = phases(self.document)
        return next((one for one in spans if one.name == phase and one.counted), whole(spans, "after the warm-up"))

    def decision(self, ax: Axes | None = None) -> Panels:
        """Draw what speaks for which deployment, by the scenario's criteria and weights (docs/decision.md)."""
        from meshsim.analysis.decision import decide
        from meshsim.report.decision_picture import picture

        return picture(decide(self.summary, self.document), ax)

    def save(self, folder: Path) -> list[Path]:
        """Write every picture as PNG and SVG into a folder, which is created; the same pictures make the same bytes.

        Raises
        ------
        ResultsError
            If the disk refuses.
        """
        drawn: dict[str, Callable[[], Panels]] = {
            "topology": self.topology,
            "timeline": self.timeline,
            "latency": self.distributions,
            "summary": self.bars,
        }
        figures = ((name, draw().figure) for name, draw in drawn.items())
        files = ((f"{name}.{form}", render(figure, form)) for name, figure in figures for form in ("png", "svg"))
        return put_all(folder, files, "save pictures")


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
        document = document_of(results.manifest.get("scenario"))
        documents = documents_of(results.manifest)
    except ValidationError as problem:
        places = ", ".join(".".join(map(str, error["loc"])) or error["msg"] for error in problem.errors()[:5])
        raise ResultsError(f"the run's scenario cannot be read by this version: {places}") from problem
    return Plots(document, results.tables, documents)
