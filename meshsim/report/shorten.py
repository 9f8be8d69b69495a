"""Names from files on one printable line, and lists of names in a sentence."""

from __future__ import annotations

from collections.abc import Sequence


def short(text: str, length: int = 30) -> str:
    """Return one printable line of at most ``length`` characters.

    Examples
    --------
    >>> short("control plane of the first region is lost", 20)
    'control plane of th…'
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def listed(names: Sequence[str], most: int | None = None) -> str:
    """Return names as a person lists them; of more than ``most`` the first, and how many more there are.

    Examples
    --------
    >>> listed(["a", "b", "c"]), listed(["a", "b", "c", "d"], 2)
    ('a, b and c', 'a, b and 2 more')
    """
    named = list(names[:most])
    if len(named) < len(names):
        named.append(f"{len(names) - len(named)} more")
    return f"{', '.join(named[:-1])} and {named[-1]}" if len(named) > 1 else "".join(named)
