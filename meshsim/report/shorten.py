"""Names from files on one printable line."""

from __future__ import annotations


def short(text: str, length: int = 30) -> str:
    """Return one printable line of at most ``length`` characters.

    Examples
    --------
    >>> short("control plane of the first region is lost", 20)
    'control plane of th…'
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= length else line[: length - 1] + "…"
