"""What sweeps, searches and sensitivity studies leave in the results folder."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshsim.experiment import sweep
from meshsim.report import sweep_pictures
from meshsim.report.panels import picture_of
from meshsim.report.style import Picture, render
from meshsim.results.manifest import describe
from meshsim.results.store import write_files
from meshsim.scenario.own_balancers import mentioned

if TYPE_CHECKING:
    import pandas as pd

    from meshsim.analysis.wanted import Wanted
    from meshsim.experiment.breaking import Breaking
    from meshsim.experiment.find import Search
    from meshsim.experiment.points import Landed, Watch
    from meshsim.experiment.sensitivity import Study
    from meshsim.report.sweep_frame import Sweep
    from meshsim.scenario import Scenario


@dataclass(slots=True)
class Cost:
    """What it takes to get the units of a sweep, a search or a study: a watch that counts.

    Parameters
    ----------
    began
        When it was asked for, on the clock of `time.perf_counter`.
    computed, found
        Units that were computed, and units that the folder had.
    seconds
        That the computed ones took, all processes together.
    """

    began: float = field(default_factory=time.perf_counter)
    computed: int = 0
    found: int = 0
    seconds: float = 0.0

    def watching(self, watch: Watch | None) -> Watch:
        """Return a watch that counts and tells another one."""

        def count(unit: Landed) -> None:
            self.found += unit.found
            self.computed += not unit.found
            self.seconds += 0.0 if unit.found else unit.seconds
            if watch is not None:
                watch(unit)

        return count

    def described(self) -> dict[str, Any]:
        """Return what a manifest says of it."""
        units = {"computed": self.computed, "found": self.found, "seconds": self.seconds}
        return {"wall_time": time.perf_counter() - self.began, "units": units}


def save_sweep(
    found: Sweep,
    folder: Path,
    metrics: Sequence[Wanted],
    command: Sequence[str] = (),
    *,
    summary: pd.DataFrame | None = None,
    cost: Cost | None = None,
) -> Path:
    """Save a sweep in a new folder below ``folder``, and return it.

    Parameters
    ----------
    found
        The whole sweep.
    folder
        Where results are.
    metrics
        What is drawn.
    command
        What was asked for, as the words of a command line.
    summary
        As `meshsim.experiment.sweep.summary` returns it of the sweep and the metrics, where it is there already.
    cost
        What it took; None where nobody has counted.

    Raises
    ------
    ResultsError
        If it cannot be written.
    """
    import pandas as pd

    planned = found.plan
    if planned is None:
        raise ValueError("this is a part of a sweep: save the whole")
    summary = sweep.summary(pd.DataFrame(found), metrics) if summary is None else summary
    files = {"sweep.parquet": _parquet(pd.DataFrame(found)), "summary.parquet": _parquet(summary)}
    files["summary.csv"] = _plain(summary).to_csv(index=False).encode()
    for metric in metrics:
        figure = picture_of(sweep_pictures.picture(summary, found.varied, metric, planned.design))
        files |= _drawn(_file_name(str(metric)), figure)
    aim = "how the metrics depend on what `sweep` says varies, at each of its points"
    facts = _facts(
        planned.scenario,
        planned.deployments,
        planned.replications,
        command,
        cost=cost,
        aim=aim,
        sweep=planned.described(),
    )
    return write_files(folder, files, facts, "sweep")


def save_search(
    found: Sequence[Breaking], search: Search, folder: Path, command: Sequence[str] = (), *, cost: Cost | None = None
) -> Path:
    """Save a search in a new folder below ``folder``, and return it; see `save_sweep`."""
    from meshsim.report.sweep import breaking_json

    answer = breaking_json(found, search)
    files = {"find.json": json.dumps(answer, indent=2, ensure_ascii=False).encode() + b"\n"}
    files |= _drawn("find", picture_of(sweep_pictures.breaking(found, search)))
    most = max(look.n for one in found for look in one.looks)
    aim = "the point of a range at which each deployment breaks: `find`"
    facts = _facts(search.checked.scenario, search.deployments, most, command, cost=cost, aim=aim, find=answer)
    facts["stress"]["4.2 run length"]["stopping"] = (
        "sequential: a point gets more replications until its interval lies on one side of the bound, see `find`"
    )
    return write_files(folder, files, facts, "find")


def save_study(
    frame: pd.DataFrame,
    study: Study,
    scenario: Scenario,
    folder: Path,
    command: Sequence[str] = (),
    *,
    cost: Cost | None = None,
) -> Path:
    """Save a sensitivity study in a new folder below ``folder``, and return it; see `save_sweep`."""
    files = {"sensitivity.parquet": _parquet(frame), "sensitivity.csv": frame.to_csv(index=False).encode()}
    for deployment in study.deployments:
        for metric in study.metrics:
            name = f"{study.method}-{deployment}-{_file_name(str(metric))}"
            figure = picture_of(sweep_pictures.sensitivity(frame, study.method, deployment, str(metric)))
            files |= _drawn(name, figure)
    said = {
        "method": study.method,
        "vary": [one.path for one in study.axes],
        "points": [list(at) for at in study.points],
    }
    aim = "how much of each metric depends on each field that `sensitivity` says varies"
    facts = _facts(scenario, study.deployments, study.replications, command, cost=cost, aim=aim, sensitivity=said)
    return write_files(folder, files, facts, "sensitivity")


def _facts(
    scenario: Scenario,
    deployments: Sequence[str],
    replications: int,
    command: Sequence[str],
    *,
    cost: Cost | None,
    aim: str,
    **more: Any,
) -> dict[str, Any]:
    """Return the manifest, with what a simulation study has to report; ``more`` is what was varied, and how."""
    from meshsim.experiment.stress import reporting

    study = reporting(scenario, deployments, replications)
    study["1.3 aims of experimentation"] |= {"experiment": aim}
    facts = describe(
        scenario.resolved(),
        scenario_hash=scenario.hash,
        seed=scenario.document.seed,
        deployments=list(deployments),
        replications_asked=replications,
        replications_finished=replications,
        wall_time=0.0,
        command=command,
        study=study,
    )
    del facts["wall_time"]
    facts["load_balancers"] |= {one.name: one.hash for one in mentioned(json.dumps(more, default=str))}
    return {**facts, **(cost.described() if cost is not None else {}), **more}


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame in which lists are words."""
    nested = [
        name for name in frame.columns if frame[name].map(lambda value: isinstance(value, (list, tuple, dict))).any()
    ]
    return frame.assign(**{name: frame[name].map(_word) for name in nested})


def _word(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple, Mapping)) else str(value)


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    _plain(frame).to_parquet(buffer, engine="pyarrow", compression="zstd", index=False)
    return buffer.getvalue()


def _drawn(name: str, figure: Picture) -> dict[str, bytes]:
    return {f"{name}.{form}": render(figure, form) for form in ("png", "svg")}


def _file_name(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in ".-_" else "-" for letter in text)
