"""The scenarios that come with meshsim: in a checkout beside the package, in an installed wheel inside it."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from meshsim.errors import ScenarioError
from meshsim.scenario.reader import read_mapping

#: Folders of scenarios that belong together, in the order in which they are listed after the others.
COLLECTIONS = ("questions", "failures", "incidents")


def bundled() -> dict[str, Path]:
    """Return the files of the bundled scenarios by name, in alphabetical order; those in folders come last.

    Examples
    --------
    >>> all(path.suffix == ".yaml" and path.stem == name.rpartition("/")[2] for name, path in bundled().items())
    True
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_scenarios", package.parent / "scenarios"):
        if folder.is_dir():
            inside = (sorted(folder.glob(f"{name}/*.yaml")) for name in COLLECTIONS)
            paths = [*sorted(folder.glob("*.yaml")), *chain.from_iterable(inside)]
            return {path.relative_to(folder).with_suffix("").as_posix(): path for path in paths}
    return {}


def describe() -> list[tuple[str, str]]:
    """Return name and first line of the description of each bundled scenario, without validating it.

    Examples
    --------
    >>> [name for name, _ in describe()] == list(bundled())
    True
    """
    return [(name, _first_line(path)) for name, path in bundled().items()]


def _first_line(path: Path) -> str:
    try:
        node = read_mapping(str(path)).child("description")
    except ScenarioError:
        return ""
    text = node.value if node is not None and isinstance(node.value, str) else ""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
