"""What a check finds: something wrong, or something that is probably not meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from meshsim.errors import did_you_mean
from meshsim.scenario.tree import Path


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing, and where.

    Parameters
    ----------
    path
        Where in the document.
    message
        What, and the way out.
    warning
        The scenario can be simulated as it is.
    """

    path: Path
    message: str
    warning: bool = False


def unknown(path: Path, kind: str, name: str, known: Iterable[str], owner: str = "") -> Finding:
    """Return the finding that a name is not there.

    Examples
    --------
    >>> unknown(("a",), "cluster", "eu1", ["eu-1"]).message
    "unknown cluster 'eu1'; did you mean 'eu-1'? (one of eu-1)"
    """
    of = f" of {owner}" if owner else ""
    return Finding(path, f"unknown {kind} {shortened(name)}{of}{did_you_mean(name, known)}")


def shortened(text: str, most: int = 80) -> str:
    """Return a text in quotes as a message shows it, not too long.

    Examples
    --------
    >>> shortened("cart"), shortened("abcdef", 5)
    ("'cart'", "'ab'...")
    """
    return repr(text) if len(text) <= most else repr(text[: most - 3]) + "..."


def twice(path: Path, kind: str, names: Iterable[str]) -> Iterator[Finding]:
    """Yield a finding for each name that stands more than once in a list.

    Examples
    --------
    >>> [finding.message for finding in twice(("zones",), "zone", ["a", "b", "a"])]
    ["the zone 'a' is given twice"]
    """
    ordered = sorted(names)
    for name in dict.fromkeys(one for one, other in pairwise(ordered) if one == other):
        yield Finding(path, f"the {kind} {shortened(name)} is given twice")
