"""The seventh section: what the answer depends on, from sensitivity studies of the same scenario."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meshsim.errors import ResultsError
from meshsim.report.page.parts import NAME, Figure, Section
from meshsim.report.page.study import Study
from meshsim.report.panels import picture_of
from meshsim.report.shorten import short

#: Pictures of one study.
_PICTURES = 6


def sensitivity(study: Study) -> Section:
    """Return the section.

    Raises
    ------
    ResultsError
        If a folder that was named holds no sensitivity study.
    """
    figures: list[Figure] = []
    lead: list[str] = []
    for number, folder in enumerate(study.sensitivity):
        facts = _facts(folder)
        if facts.get("scenario_hash") != study.manifest.get("scenario_hash"):
            lead.append(f"The study {folder.name} was made of another state of this scenario: its base differs.")
        figures += _pictures(folder, facts, number)
    if not figures:
        name = short(study.document.name, NAME)
        lead.append("No sensitivity study of this scenario was found. This command makes one; report again after it:")
        command = f"meshsim sensitivity {name} --vary load.scale=0.5..2 --metric latency_p99"
        return Section("sensitivity", "What it depends on", tuple(lead), tail=(command,))
    lead.append("Each field is moved to its two ends, all others stay as they are in the scenario.")
    return Section("sensitivity", "What it depends on", tuple(lead), figures=tuple(figures))


def found_beside(run: Path) -> tuple[Path, ...]:
    """Return the newest sensitivity study that lies beside a run, if there is one."""
    studies = sorted(path.parent for path in run.resolve().parent.glob("sensitivity-*/manifest.json"))
    return tuple(studies[-1:])


def _facts(folder: Path) -> dict[str, Any]:
    try:
        facts = json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError) as problem:
        raise ResultsError(f"{folder} holds no sensitivity study: its manifest.json cannot be read") from problem
    if not isinstance(facts, dict) or "sensitivity" not in facts or not (folder / "sensitivity.parquet").is_file():
        raise ResultsError(f"{folder} holds no sensitivity study; meshsim sensitivity saves one")
    return facts


def _pictures(folder: Path, facts: Mapping[str, Any], number: int) -> list[Figure]:
    import pandas as pd

    from meshsim.report import sweep_pictures

    frame = pd.read_parquet(folder / "sensitivity.parquet")
    method = str(facts["sensitivity"].get("method", "tornado"))
    pairs = list(frame[["deployment", "metric"]].drop_duplicates().itertuples(index=False, name=None))
    return [
        Figure(
            f"{method}-{number + 1}-{at + 1}",
            picture_of(sweep_pictures.sensitivity(frame, method, str(deployment), str(metric))),
            f"What {short(str(metric), NAME)} depends on under {short(str(deployment), NAME)}. See the longest bars:"
            " only these fields are worth measuring better. Whiskers are 95 % intervals; a bar inside its whisker may"
            " be nothing.",
            f"{method.capitalize()} of {short(str(metric), NAME)}, {short(str(deployment), NAME)}; sensitivity.csv of"
            f" {folder.name} has the numbers.",
        )
        for at, (deployment, metric) in enumerate(pairs[:_PICTURES])
    ]
