"""Numbers as people read them: 99.93 %, 12.3 ms, 1.2 GB, 4m10s, each with its interval in the same unit."""

from __future__ import annotations

import math

#: What is printed where a number does not apply.
NOTHING = "\N{EN DASH}"

_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))


#: A mean of which the interval is so many times is lost in it.
LOST = 10.0


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
    if not math.isfinite(100 * mean):  # what has no percentage is no number that anybody reads
        return NOTHING
    if unit == "fraction":
        return _percent(mean, half_width)
    if unit == "seconds" and (abs(mean) >= 60 or half_width >= 60):
        return _clock_pair(mean, half_width)
    scale, suffix = _scale(unit, mean, half_width)
    return f"{_pair(mean / scale, half_width / scale)} {suffix}".rstrip()


def bounded(unit: str, mean: float, bound: float) -> str:
    """Return a mean with the end of its interval that matters, where the other end is no news.

    Examples
    --------
    >>> bounded("fraction", 1.0, 0.999975), bounded("fraction", 0.00002, 0.00011), bounded("count", 0.0, 0.61)
    ('100 (>99.9975) %', '0.0020 (<0.0110) %', '0 (<0.61)')
    >>> bounded("seconds", 0.011, 0.0243), bounded("seconds", 41.0, 117.0)
    ('11 (<25) ms', '41s (<1m57s)')
    """
    sign = "<" if bound > mean else ">"
    if unit == "seconds" and max(abs(mean), abs(bound)) >= 60:
        return f"{_clock(mean) if mean else 0} ({sign}{_clock(bound)})"
    scale, suffix = (0.01, "%") if unit == "fraction" else _scale(unit, mean, bound)
    mean, bound = mean / scale, bound / scale
    decimals = _decimals(abs(mean - bound))
    outward = math.ceil if bound > mean else math.floor
    # Rounded to the side that promises less; the little that is taken off is an error of floating point.
    edge = outward(bound * 10**decimals - (1e-6 if bound > mean else -1e-6)) / 10**decimals
    shown = f"{mean:,.0f}" if mean == round(mean) else f"{mean:,.{decimals}f}"
    return f"{shown} ({sign}{edge:,.{decimals}f}) {suffix}".rstrip()


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


def _percent(mean: float, half_width: float) -> str:
    shown = _pair(100 * mean, 100 * half_width)
    # 99.9996 % is not 100 %: whoever reads 100 % believes that nothing failed.
    if 0 < mean < 1 and float(shown.split(" ")[0].replace(",", "")) in (0.0, 100.0):
        digits = min(6, 2 - math.floor(math.log10(100 * min(mean, 1 - mean))))
        known = math.isfinite(half_width) and half_width > 0
        wide = f" ± {max(100 * half_width, 10.0**-digits):.{digits}f}" if known else ""
        shown = f"{100 * mean:.{digits}f}{wide}"
    return f"{shown} %"


def _pair(mean: float, half_width: float) -> str:
    """Return both numbers with as many decimals as the interval deserves.

    That is one digit of the interval, two where it begins with 1 or 2 (rounding 0.14 to 0.1 would lose too much of it),
    and at most five digits of the mean.
    """
    if not math.isfinite(half_width) or half_width <= 0:
        return _plain(mean)
    digit, exponent = f"{half_width:.0e}".split("e")
    wanted = -int(exponent) + (digit in "12")
    affordable = 4 - math.floor(math.log10(max(abs(mean), half_width)))
    decimals = max(0, min(wanted, affordable, 6))
    if mean == round(mean) and half_width == round(half_width):
        decimals = 0
    # One that is narrower than the digits shown is written as one of the last digit.
    return f"{mean:,.{decimals}f} ± {max(half_width, 10.0**-decimals):,.{decimals}f}"


def _plain(value: float) -> str:
    """Return a number with three digits, or all of a whole number, or four near 100 (99.93)."""
    if abs(value) >= 1000 or value == round(value):
        return f"{value:,.0f}"
    if 90 <= abs(value) < 100:
        return f"{value:.2f}"
    return digits(value)


def digits(value: float, most: int = 3) -> str:
    """Return a number with so many digits, never as a power of ten, and no zeros at its end.

    Examples
    --------
    >>> digits(8710.4), digits(999.6), digits(0.00002), digits(0.04512), digits(2.0), digits(0.0)
    ('8,710', '1,000', '0.00002', '0.0451', '2', '0')
    """
    if not value or not math.isfinite(value):
        return f"{value:g}"
    places = max(0, min(most - 1 - math.floor(math.log10(abs(value))), 15))
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _clock_pair(mean: float, half_width: float) -> str:
    return f"{_clock(mean)} ± {_clock(half_width)}" if math.isfinite(half_width) and half_width > 0 else _clock(mean)


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
