"""Numbers as people read them: 99.93 %, 12.3 ms, 1.2 GB, 4m10s, each with its interval in the same unit."""

from __future__ import annotations

import math
from typing import NamedTuple

#: What is printed where a number does not apply.
NOTHING = "\N{EN DASH}"

_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))


#: A mean of which the interval is so many times is lost in it.
LOST = 10.0


class Parts(NamedTuple):
    """A number as it is printed: the mean, what stands beside it of its interval, and the word behind both."""

    mean: str
    beside: str = ""
    unit: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, self))

    @property
    def alone(self) -> str:
        """The mean with its unit, without its interval."""
        return " ".join(filter(None, (self.mean, self.unit)))


def quantity(unit: str, mean: float, half_width: float = math.nan) -> str:
    """Return ``mean ± half width`` in the unit a person would choose, or the mean alone without an interval.

    An interval of no width is none: there is no ± 0.

    Parameters
    ----------
    unit
        ``"fraction"`` (shown as percent), ``"seconds"``, ``"bytes"``, ``"count"`` or a word that follows the number.
    mean, half_width
        In seconds, bytes, fractions or counts; nan where there is none.

    Examples
    --------
    >>> quantity("fraction", 0.99931, 0.00021), quantity("seconds", 0.01234), quantity("bytes", 1.21e9, 4e7)
    ('99.931 ± 0.021 %', '12.3 ms', '1.21 ± 0.04 GB')
    >>> quantity("seconds", 250.0, 12.0), quantity("count", math.nan) == NOTHING
    ('4m10s ± 12s', True)
    """
    return str(quantity_parts(unit, mean, half_width))


def quantity_parts(unit: str, mean: float, half_width: float = math.nan) -> Parts:
    """Return the parts of `quantity`.

    Examples
    --------
    >>> quantity_parts("seconds", 0.15, 0.02), quantity_parts("seconds", 250.0, 12.0).alone
    (Parts(mean='150', beside='± 20', unit='ms'), '4m10s')
    """
    if not math.isfinite(100 * mean):  # what has no percentage is no number that anybody reads
        return Parts(NOTHING)
    if unit == "fraction":
        return _percent(mean, half_width)
    if unit == "seconds" and (abs(mean) >= 60 or half_width >= 60):
        known = math.isfinite(half_width) and half_width > 0
        return Parts(_clock(mean), f"± {_clock(half_width)}" if known else "")
    scale, suffix = _scale(unit, mean, half_width)
    return _pair(mean / scale, half_width / scale)._replace(unit=suffix)


def bounded_parts(unit: str, mean: float, bound: float) -> Parts:
    """Return the parts of a mean with the end of its interval that matters, where the other end is no news.

    Examples
    --------
    >>> bounded_parts("fraction", 1.0, 0.999975)
    Parts(mean='100', beside='(>99.9975)', unit='%')
    >>> str(bounded_parts("fraction", 0.00002, 0.00011)), str(bounded_parts("count", 0.0, 0.61))
    ('0.0020 (<0.0110) %', '0 (<0.61)')
    >>> str(bounded_parts("seconds", 0.011, 0.0243)), str(bounded_parts("seconds", 41.0, 117.0))
    ('11 (<25) ms', '41s (<1m57s)')
    """
    shown, end, suffix = _bounded(unit, mean, bound)
    return Parts(shown, f"({end})", suffix)


def edge(unit: str, mean: float, bound: float) -> str:
    """Return the end of an interval as `bounded_parts` writes it, in the unit of that.

    Examples
    --------
    >>> edge("fraction", 1.0, 0.999975)
    '>99.9975'
    """
    return _bounded(unit, mean, bound)[1]


def _bounded(unit: str, mean: float, bound: float) -> tuple[str, str, str]:
    """Return the mean, the end of its interval and their unit."""
    sign = "<" if bound > mean else ">"
    if unit == "seconds" and max(abs(mean), abs(bound)) >= 60:
        return _clock(mean) if mean else "0", f"{sign}{_clock(bound)}", ""
    scale, suffix = (0.01, "%") if unit == "fraction" else _scale(unit, mean, bound)
    mean, bound = mean / scale, bound / scale
    decimals = _decimals(abs(mean - bound))
    outward = math.ceil if bound > mean else math.floor
    # Rounded to the side that promises less; the little that is taken off is an error of floating point.
    end = outward(bound * 10**decimals - (1e-6 if bound > mean else -1e-6)) / 10**decimals
    shown = f"{mean:,.0f}" if mean == round(mean) else f"{mean:,.{decimals}f}"
    return shown, f"{sign}{end:,.{decimals}f}", suffix


def _decimals(width: float) -> int:
    """Return how many decimals show two digits of a width."""
    if not width > 0 or not math.isfinite(width):
        return 0
    return max(0, min(1 - math.floor(math.log10(width) + 1e-9), 6))


def duration(seconds: float) -> str:
    """Return a duration with three digits at most.

    Examples
    --------
    >>> duration(0.0123), duration(2.0), duration(250.0), duration(0.0)
    ('12.3 ms', '2 s', '4m10s', '0 s')
    """
    if not math.isfinite(seconds):
        return NOTHING
    if abs(seconds) >= 60:
        return _clock(seconds)
    scale, suffix = _scale("seconds", seconds, math.nan)
    return f"{seconds / scale:.3g} {suffix}"


def _scale(unit: str, mean: float, half_width: float) -> tuple[float, str]:
    """Return the divisor and the word after the number; one that is lost in its interval takes the unit of that."""
    wide = abs(half_width) if math.isfinite(half_width) else 0.0
    largest = abs(mean) if abs(mean) * LOST > wide else wide
    if unit == "seconds":
        return next(
            (pair for pair in _SECONDS if largest >= pair[0] * 0.9995), _SECONDS[-1] if largest else _SECONDS[0]
        )
    if unit == "bytes":
        return next((pair for pair in _BYTES if largest >= pair[0] * 0.9995), _BYTES[-1])
    return 1.0, "" if unit == "count" else unit


def _percent(mean: float, half_width: float) -> Parts:
    # 99.9996 % is not 100 %: whoever reads 100 % believes that nothing failed.
    if 0 < mean < 1 and round(100 * mean, _places(100 * mean, 100 * half_width)) in (0.0, 100.0):
        wanted = min(6, 2 - math.floor(math.log10(100 * min(mean, 1 - mean))))
        known = math.isfinite(half_width) and half_width > 0
        wide = f"± {max(100 * half_width, 10.0**-wanted):.{wanted}f}" if known else ""
        return Parts(f"{100 * mean:.{wanted}f}", wide, "%")
    return _pair(100 * mean, 100 * half_width)._replace(unit="%")


def _pair(mean: float, half_width: float) -> Parts:
    """Return both numbers with as many decimals as the interval deserves."""
    if not math.isfinite(half_width) or half_width <= 0:
        return Parts(_plain(mean))
    decimals = _places(mean, half_width)
    # One that is narrower than the digits shown is written as one of the last digit.
    return Parts(f"{mean:,.{decimals}f}", f"± {max(half_width, 10.0**-decimals):,.{decimals}f}")


def _places(mean: float, half_width: float) -> int:
    """Return with how many decimals a mean is written: as many as its interval deserves, where it has one.

    That is one digit of the interval, two where it begins with 1 or 2 (rounding 0.14 to 0.1 would lose too much of it),
    and at most five digits of the mean.
    """
    if not math.isfinite(half_width) or half_width <= 0:
        return _plain_places(mean)
    if mean == round(mean) and half_width == round(half_width):
        return 0
    digit, exponent = f"{half_width:.0e}".split("e")
    wanted = -int(exponent) + (digit in "12")
    affordable = 4 - math.floor(math.log10(max(abs(mean), half_width)))
    return max(0, min(wanted, affordable, 6))


def _plain(value: float) -> str:
    """Return a number with three digits, or all of a whole number, or four near 100 (99.93)."""
    whole = abs(value) >= 1000 or value == round(value) or 90 <= abs(value) < 100
    return f"{value:,.{_plain_places(value)}f}" if whole else digits(value)


def _plain_places(value: float) -> int:
    if abs(value) >= 1000 or value == round(value):
        return 0
    return 2 if 90 <= abs(value) < 100 else _significant(value, 3)


def _significant(value: float, most: int) -> int:
    """Return with how many decimals so many digits of a number are shown."""
    return max(0, min(most - 1 - math.floor(math.log10(abs(value))), 15))


def digits(value: float, most: int = 3) -> str:
    """Return a number with so many digits, never as a power of ten, and no zeros at its end.

    Examples
    --------
    >>> digits(8710.4), digits(999.6), digits(0.00002), digits(0.04512), digits(2.0), digits(0.0)
    ('8,710', '1,000', '0.00002', '0.0451', '2', '0')
    """
    if not value or not math.isfinite(value):
        return f"{value:g}"
    text = f"{value:,.{_significant(value, most)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _clock(seconds: float) -> str:
    """Return days, hours, minutes and seconds, the three largest that apply."""
    if abs(seconds) < 59.5:
        return f"{seconds:.2g}s" if abs(seconds) < 9.5 else f"{seconds:.0f}s"
    minutes, left = divmod(round(abs(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (0 if days else left, "s"))
    return ("-" if seconds < 0 else "") + "".join(f"{n}{unit}" for n, unit in parts if n)


def percentage(share: float) -> str:
    """Return a share as a person would write it.

    Examples
    --------
    >>> percentage(0.05), percentage(0.025)
    ('5 %', '2.5 %')
    """
    return f"{100 * share:.3g} %"
