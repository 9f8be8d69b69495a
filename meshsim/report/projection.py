"""What an experiment will take, as a line for whoever waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshsim.experiment.projection import Projection

_TIMES = ((86_400.0, "day"), (3_600.0, "h"), (60.0, "min"))
_COUNTS = ((1e9, "billion"), (1e6, "million"), (1e3, "thousand"))


def line(found: Projection, *, each: bool = False, elsewhere: bool = False) -> str:
    """Return one line that says how long it will take.

    Parameters
    ----------
    found
        What it will take.
    each
        Whether that is for one replication, and nobody knows how many there will be.
    elsewhere
        Whether other machines compute.

    Examples
    --------
    >>> from meshsim.experiment.projection import Projection
    >>> line(Projection(1020.0, 1.04e9, 1, 1, 40.0))
    'about 17 min on this machine (1.0 billion calls); with load around events only, 40 s: see docs/sampling.md'
    """
    what = f"{_count(found.calls)} calls"
    if found.runs > 1:
        what += f" in {found.runs} runs" + (f", {found.at_once} at once" if found.at_once > 1 else "")
    where = "of one processor like this machine's" if elsewhere else "on this machine"
    said = f"about {about(found.seconds)} {where} ({what})" + (" for each replication" if each else "")
    if found.in_windows is None:
        return said
    return f"{said}; with load around events only, {about(found.in_windows)}: see docs/sampling.md"


def about(seconds: float) -> str:
    """Return a time with two digits.

    Examples
    --------
    >>> about(42.3), about(312.0), about(8_000.0), about(200_000.0)
    ('42 s', '5.2 min', '2.2 h', '2.3 days')
    """
    for size, word in _TIMES:
        if seconds >= 1.5 * size:
            return f"{float(f'{seconds / size:.2g}'):g} {word}" + "s" * (word == "day")
    return f"{float(f'{seconds:.2g}'):g} s"


def _count(number: float) -> str:
    for size, word in _COUNTS:
        if number >= 0.95 * size:
            shown = number / size
            return f"{shown:.1f} {word}" if shown < 9.95 else f"{float(f'{shown:.2g}'):g} {word}"
    return f"{number:.0f}"
