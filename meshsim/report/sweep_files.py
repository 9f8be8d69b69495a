"""What sweeps, searches and sensitivity studies leave in the results folder."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshsim.report import sweep_pictures
from meshsim.report.style import Picture, render
from meshsim.results.manifest import describe
from meshsim.results.store import write_files

if TYPE_CHECKING:
    import pandas as pd

    from meshsim.experiment.breaking import Breaking
    from meshsim.experiment.find import Search
    from meshsim.experiment.sensitivity import Study
    from meshsim.experiment.wanted import Wanted
    from meshsim.report.sweep_frame import Sweep
    from meshsim.scenario import Scenario


def save_sweep(found: Sweep, folder: Path, metrics: Sequence[Wanted], command: Sequence[str] = ()) -> Path:
    """Save a sweep in a new folder below ``folder``, and return it.

    Raises
    ------
    ResultsError
        If it cannot be written.
    """
    import pandas as pd

    planned = found.plan
    if planned is None:
        raise ValueError("this is a part of a sweep: save the whole")
    summary = found.summary()
    files = {"sweep.parquet": _parquet(pd.DataFrame(found)), "summary.parquet": _parquet(summary)}
    files["summary.csv"] = _plain(summary).to_csv(index=False).encode()
    for metric in metrics:
        figure = sweep_pictures.picture(summary, found.varied, metric, planned.design)
        files |= _drawn(_file_name(str(metric)), figure)
    facts = _facts(planned.scenario, planned.deployments, planned.replications, command, sweep=planned.described())
    return write_files(folder, files, facts, "sweep")


def save_search(found: Sequence[Breaking], search: Search, folder: Path, command: Sequence[str] = ()) -> Path:
    """Save a search in a new folder below ``folder``, and return it."""
    import json

    from meshsim.report.sweep import breaking_json

    answer = breaking_json(found, search)
    files = {"find.json": json.dumps(answer, indent=2, ensure_ascii=False).encode() + b"\n"}
    files |= _drawn("find", sweep_pictures.breaking(found, search))
    most = max(look.n for one in found for look in one.looks)
    facts = _facts(search.checked.scenario, search.deployments, most, command, find=answer)
    return write_files(folder, files, facts, "find")


def save_study(
    frame: pd.DataFrame, study: Study, scenario: Scenario, folder: Path, command: Sequence[str] = ()
) -> Path:
    """Save a sensitivity study in a new folder below ``folder``, and return it."""
    files = {"sensitivity.parquet": _parquet(frame), "sensitivity.csv": frame.to_csv(index=False).encode()}
    draw = sweep_pictures.tornado if study.method == "tornado" else sweep_pictures.indices
    for deployment in study.deployments:
        for metric in study.metrics:
            name = f"{study.method}-{deployment}-{_file_name(str(metric))}"
            files |= _drawn(name, draw(frame, deployment, str(metric)))
    said = {
        "method": study.method,
        "vary": [one.path for one in study.axes],
        "points": [list(at) for at in study.points],
    }
    facts = _facts(scenario, study.deployments, study.replications, command, sensitivity=said)
    return write_files(folder, files, facts, "sensitivity")


def _facts(
    scenario: Scenario, deployments: Sequence[str], replications: int, command: Sequence[str], **more: Any
) -> dict[str, Any]:
    facts = describe(
        scenario.resolved(),
        scenario_hash=scenario.hash,
        seed=scenario.document.seed,
        deployments=list(deployments),
        replications_asked=replications,
        replications_finished=replications,
        wall_time=0.0,
        command=command,
    )
    del facts["wall_time"]  # what was found in the folder took no time, so there is none to tell
    return {**facts, **more}


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
