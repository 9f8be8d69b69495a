"""Durations, rates, sizes and probabilities as people write them, in seconds, per second, bytes and fractions."""

from __future__ import annotations

import math
import re

from meshsim.errors import cut

# Small units are divided by: a thousandth has no exact float, a thousand has, so that 200us is 0.0002 to the last bit.
_PER_SECOND = {"ns": 1e9, "us": 1e6, "ms": 1e3}
# Go, and so Istio, takes both characters that look like a micro sign: U+00B5 and the Greek letter U+03BC.
_PER_SECOND |= {"\u00b5s": 1e6, "\u03bcs": 1e6}
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PERIODS = {"ms": 1e-3, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "hour": 3600.0, "d": 86400.0}
_BYTES = {
    "B": 1,
    "kB": 1_000,
    "KB": 1_000,
    "MB": 1_000_000,
    "GB": 1_000_000_000,
    "TB": 1_000_000_000_000,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}
# As Kubernetes writes them.
_BYTES |= {"k": 1_000, "M": 1_000_000, "G": 1_000_000_000, "T": 1_000_000_000_000}
_BYTES |= {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
_NUMBER = r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_DURATION_PART = re.compile(rf"({_NUMBER})(ns|us|\u00b5s|\u03bcs|ms|s|m|h|d)")
#: Longer texts are none of these; the bound keeps the patterns above from being fed a whole file.
_LONGEST = 100
#: Whole seconds below this are exact, and so are their sums of hours, minutes and seconds.
_EXACT = 2**53
#: Longest duration, in seconds: a century. More adds nothing but rounding errors to a simulated clock.
MAX_DURATION = 3.2e9
#: Highest rate, per second.
MAX_RATE = 1e9
#: Largest size of one message, and of memory, in bytes.
MAX_SIZE, MAX_MEMORY = 1 << 30, 1 << 40
#: Most cores of one container.
MAX_CORES = 1024
_RATE = re.compile(rf"({_NUMBER})\s*/\s*(ms|sec|s|min|m|hour|h|d)")
_SIZE = re.compile(rf"({_NUMBER})\s*([A-Za-z]+)")
_CORES = re.compile(rf"({_NUMBER})(m?)")
_PERCENT = re.compile(rf"({_NUMBER})\s*%")
_LEADING_ZERO = re.compile(r"([-+]?)0+([0-9]+)(\.[0-9]*)?")


def leading_zero(text: object) -> str:
    """Return what to say of a number that begins with a 0 too many, and is text therefore; empty for all else.

    Examples
    --------
    >>> leading_zero("010")
    '010 has a leading 0, and is octal to some and decimal to others; write 8 or 10'
    >>> leading_zero("02"), leading_zero("10")
    ('02 has a leading 0, and is octal to some and decimal to others; write 2', '')
    """
    match = _LEADING_ZERO.fullmatch(text) if isinstance(text, str) and len(text) <= _LONGEST else None
    if match is None:
        return ""
    sign, digits, fraction = match[1].strip("+"), match[2], match[3] or ""
    octal = not fraction and not set(digits) & set("89")
    meant = dict.fromkeys([*([int(digits, 8)] if octal else []), int(digits)])
    written = " or ".join(f"{sign}{one}{fraction}" for one in meant)
    return f"{text} has a leading 0, and is octal to some and decimal to others; write {written}"


def parse_duration(text: object) -> float:
    """Return the seconds in an Istio-style duration.

    Parameters
    ----------
    text
        A duration such as ``"250ms"`` or ``"1m30s"``.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    ValueError
        If it is not a duration, or longer than 100 years; a bare number is refused and the message shows the fix.

    Examples
    --------
    >>> parse_duration("1m30s")
    90.0
    """
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        raise ValueError(f"{_shown(text)} is not a duration; write it like 250ms, 10s or 1m30s")
    if not isinstance(text, str):
        raise ValueError(f"{text} has no unit; write {text}s or {text}ms")
    bare = text.strip()
    parts = _DURATION_PART.findall(bare) if len(bare) <= _LONGEST else []
    if not parts or "".join(number + unit for number, unit in parts) != bare:
        if bare.startswith("-"):
            raise ValueError(f"{_shown(text)} is negative; a duration is 0s or more")
        hint = f"; write {bare}s or {bare}ms" if len(bare) <= _LONGEST and re.fullmatch(_NUMBER, bare) else ""
        raise ValueError(f"{_shown(text)} is not a duration{hint or '; write it like 250ms, 10s or 1m30s'}")
    return _at_most(MAX_DURATION, _total(parts), text, "a duration is at most 3.2e9s (100 years)")


def _total(parts: list[tuple[str, str]]) -> float:
    """Return the seconds of numbers with their units; the sum of huge ones is infinite, as each of them may be."""
    seconds = [_seconds(float(number), unit) for number, unit in parts]
    return math.fsum(seconds) if max(seconds) <= MAX_DURATION else sum(seconds)


def _seconds(number: float, unit: str) -> float:
    return number / _PER_SECOND[unit] if unit in _PER_SECOND else number * _SECONDS[unit]


def format_duration(seconds: float) -> str:
    """Return a duration that `parse_duration` reads back to the same number.

    Parameters
    ----------
    seconds
        0 or more; `parse_duration` reads back up to 100 years.

    Examples
    --------
    >>> format_duration(90.0), format_duration(0.25), format_duration(0.0002)
    ('1m30s', '250ms', '200us')
    """
    if seconds >= _EXACT:
        return f"{float(seconds)!r}s"
    if seconds >= 60 and seconds == int(seconds):
        hours, rest = divmod(int(seconds), 3600)
        minutes, left = divmod(rest, 60)
        return "".join(f"{n}{unit}" for n, unit in ((hours, "h"), (minutes, "m"), (left, "s")) if n)
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)):
        # Scaling rounds, so the shortest text that is read back exactly may need all of a float's 17 digits.
        for digits in (12, 15, 17) if seconds * scale >= 1 else ():
            shown = f"{seconds * scale:.{digits}g}{unit}"
            if _total(_DURATION_PART.findall(shown)) == seconds:
                return shown
    return f"{float(seconds)!r}s" if seconds else "0s"


def parse_rate(text: object) -> float:
    """Return the per-second value of a rate such as ``"200/s"`` or ``"2/min"``.

    Raises
    ------
    ValueError
        If it is not a rate, or above 1e9/s; a bare number is refused and the message shows the fix.

    Examples
    --------
    >>> parse_rate("120/min")
    2.0
    """
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        raise ValueError(f"{text} has no unit; write {text}/s")
    match = _matched(_RATE, text)
    if match is None:
        if isinstance(text, str) and text.strip().startswith("-"):
            raise ValueError(f"{_shown(text)} is negative; a rate is 0/s or more")
        raise ValueError(f"{_shown(text)} is not a rate; write it like 200/s or 6/min")
    return _at_most(MAX_RATE, float(match[1]) / _PERIODS[match[2]], text, "a rate is at most 1e9/s")


def parse_size(text: object, most: int = MAX_SIZE) -> int:
    """Return the bytes of a size such as ``"2KB"`` or ``"1MiB"``; a bare whole number is bytes.

    Parameters
    ----------
    text
        The size.
    most
        The largest that is allowed: whole GiB, in bytes.

    Raises
    ------
    ValueError
        If it is not a size, or larger.

    Examples
    --------
    >>> parse_size("2KB"), parse_size("1MiB"), parse_size(17)
    (2000, 1048576, 17)
    """
    bound = f"a size is at most {most >> 30}GiB"
    if isinstance(text, int) and not isinstance(text, bool):
        if text < 0:
            raise ValueError(f"{text} is negative; a size is 0 or more bytes")
        return round(_at_most(most, text, text, bound))
    match = _matched(_SIZE, text)
    if match is None or match[2] not in _BYTES:
        if isinstance(text, str) and text.strip().startswith("-"):
            raise ValueError(f"{_shown(text)} is negative; a size is 0 or more bytes")
        raise ValueError(f"{_shown(text)} is not a size; write it like 500B, 2KB or 1MiB")
    return round(_at_most(most, float(match[1]) * _BYTES[match[2]], text, bound))


def parse_cores(text: object) -> float:
    """Return the cores of an amount of CPU as Kubernetes writes it: ``"100m"``, ``1.5``.

    Raises
    ------
    ValueError
        If it is none, or too large.

    Examples
    --------
    >>> parse_cores("100m"), parse_cores(2), parse_cores("1.5")
    (0.1, 2.0, 1.5)
    """
    bound = f"at most {MAX_CORES} cores"
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        if text < 0:
            raise ValueError(f"{text} is negative; an amount of CPU is 0 or more cores")
        return float(_at_most(MAX_CORES, text, text, bound))
    match = _matched(_CORES, text)
    if match is None:
        if isinstance(text, str) and text.strip().startswith("-"):
            raise ValueError(f"{_shown(text)} is negative; an amount of CPU is 0 or more cores")
        raise ValueError(f"{_shown(text)} is no amount of CPU; write it like 500m or 0.5")
    return _at_most(MAX_CORES, float(match[1]) / (1000 if match[2] else 1), text, bound)


def parse_fraction(text: object) -> float:
    """Return a fraction between 0 and 1 from ``"20%"`` or ``0.2``.

    Raises
    ------
    ValueError
        If it is not a fraction, or not between 0 and 1.

    Examples
    --------
    >>> parse_fraction("20%"), parse_fraction(0.5)
    (0.2, 0.5)
    """
    match = _matched(_PERCENT, text)
    if match is not None:
        value = float(match[1]) / 100
    elif isinstance(text, (int, float)) and not isinstance(text, bool):
        value = float(text)
    else:
        raise ValueError(f"{_shown(text)} is not a fraction; write it like 20% or 0.2")
    if not 0 <= value <= 1:
        raise ValueError(f"{text} is not between 0 and 1 (0% and 100%)")
    return value


def _matched(pattern: re.Pattern[str], text: object) -> re.Match[str] | None:
    return pattern.fullmatch(text.strip()) if isinstance(text, str) and len(text) <= _LONGEST else None


def _at_most(most: float, value: float, text: object, bound: str) -> float:
    if not value <= most:
        raise ValueError(f"{_shown(text)} is too large; {bound}")
    return value


def _shown(value: object) -> str:
    """Return a value as a file shows it."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    shown = "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)
    return cut(shown)
