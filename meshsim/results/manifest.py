"""What a run was made from and with: the manifest that makes it repeatable."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from typing import Any

from meshsim.scenario.own_balancers import used

#: Raised when files of older meshsim versions can no longer be read.
FORMAT = 5

_PACKAGES = (
    "meshsim",
    "matplotlib",
    "networkx",
    "numba",
    "numpy",
    "pandas",
    "pyarrow",
    "pydantic",
    "PyYAML",
    "scipy",
    "simpy",
)


def describe(
    document: Mapping[str, Any],
    *,
    scenario_hash: str,
    seed: int,
    deployments: Sequence[str],
    replications_asked: int,
    replications_finished: int,
    wall_time: float,
    command: Sequence[str] = (),
    complete: bool = True,
    precision: Mapping[str, Any] | None = None,
    study: Mapping[str, Any] | None = None,
    what_if: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the manifest of a run; `store.write` adds the tables' row counts and checksums.

    ``load_balancers`` are those of the user's own that the scenario names, and a hash of what each does.

    Parameters
    ----------
    document
        The scenario as resolved, with its ``name``.
    scenario_hash
        Of the resolved scenario.
    wall_time
        Seconds the simulation took.
    command
        What was asked for, as the words of a command line.
    complete
        False for a run that was interrupted and holds only the replications that had finished.
    precision
        What was wanted of replications that went on until the numbers were known well enough, and what ended them.
    study
        What a simulation study has to report (STRESS-DES).
    what_if
        Where variants were compared: their base, and what each changes and comes to
        (`meshsim.experiment.variants.described`).

    Examples
    --------
    >>> facts = describe({"name": "tiny"}, scenario_hash="ab12", seed=1, deployments=["hybrid"],
    ...                  replications_asked=5, replications_finished=3, wall_time=0.5, complete=False)
    >>> facts["scenario"]["name"], facts["replications"], facts["complete"]
    ('tiny', {'asked': 5, 'finished': 3}, False)
    """
    return {
        "format": FORMAT,
        "complete": complete,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(command),
        "scenario_hash": scenario_hash,
        "seed": seed,
        "deployments": list(deployments),
        "replications": {"asked": replications_asked, "finished": replications_finished},
        "precision": None if precision is None else dict(precision),
        "wall_time": wall_time,
        "versions": versions(),
        "platform": {
            "system": platform.system(),
            "release": platform.release(),
            "machine": platform.machine(),
            "processors": os.cpu_count(),
        },
        "stress": dict(study or {}),
        "what_if": None if what_if is None else dict(what_if),
        "load_balancers": used([document, what_if]),
        "scenario": dict(document),
    }


def versions() -> dict[str, str]:
    """Return the versions of Python, meshsim and what its numbers depend on.

    Examples
    --------
    >>> sorted(versions())[:3]
    ['PyYAML', 'matplotlib', 'meshsim']
    """
    return {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}}


@cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # run from a checkout that nobody installed
        return "not installed"
