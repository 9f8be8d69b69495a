"""What varies in a sweep, and which points are looked at: grid, list, random, Sobol' sequence or Latin hypercube."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from meshsim.errors import Problem, ScenarioError, did_you_mean, gathering

#: Designs, and whether they draw points from ranges.
DESIGNS = {"grid": False, "list": False, "random": True, "sobol": True, "lhs": True}

FILE = "--vary"
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_UNIT = r"[A-Za-zµ%]*(?:/[A-Za-z]+)?"
_RANGE = re.compile(
    rf"(?P<low>{_NUMBER}?)(?P<first>{_UNIT})\.\.(?P<high>{_NUMBER})(?P<unit>{_UNIT}?)(?:/(?P<count>\d+))?(?P<log>/log)?"
)


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing that varies.

    Parameters
    ----------
    path
        Of the field, as for ``--set``.
    listed
        The values of a list, as they were written; empty for a range.
    low, high
        Ends of a range, in ``unit``.
    unit
        Written after each number.
    count
        How many values a grid takes; 0 where the range does not say.
    log
        Whether values lie evenly on a logarithmic scale.
    whole
        Whether the field takes whole numbers only.
    """

    path: str
    listed: tuple[str, ...] = ()
    low: float = math.nan
    high: float = math.nan
    unit: str = ""
    count: int = 0
    log: bool = False
    whole: bool = False

    def at(self, share: float) -> str:
        """Return the value at a share of the way, 0 to 1.

        Examples
        --------
        >>> axis("load.web.rate=100/s..400/s").at(0.5), axis("load.scale=1..100/3/log").at(0.5), axis("x=a,b").at(0.5)
        ('250/s', '10', 'b')
        """
        if self.listed:
            return self.listed[min(int(share * len(self.listed)), len(self.listed) - 1)]
        if self.log:
            return self.text(math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low))))
        return self.text(self.low + share * (self.high - self.low))

    def text(self, number: float) -> str:
        """Return a number of a range as it is written in a scenario."""
        number = round(number) if self.whole else float(f"{number:.12g}")
        if number == int(number) and abs(number) < 1e15:
            return f"{int(number)}{self.unit}"
        from decimal import Decimal

        return f"{Decimal(repr(number)):f}{self.unit}"  # 0.00001, which YAML would not read as a number from 1e-05

    def texts(self) -> tuple[str, ...]:
        """Return the values that a grid takes, each once."""
        if self.listed:
            return self.listed
        steps = max(self.count - 1, 1)
        return tuple(dict.fromkeys(self.at(step / steps) for step in range(self.count)))


def number(text: str) -> tuple[float, str] | None:
    """Return a value as number and unit; None for what is none.

    Examples
    --------
    >>> number("250ms"), number("400/s"), number("hybrid")
    ((250.0, 'ms'), (400.0, '/s'), None)
    """
    match = re.fullmatch(rf"({_NUMBER})({_UNIT})", text)
    return (float(match[1]), match[2]) if match else None


def axes(vary: Sequence[str] | Mapping[str, Any]) -> tuple[Axis, ...]:
    """Return what varies.

    Parameters
    ----------
    vary
        ``path=a,b,c``, ``path=low..high/count`` or ``path=low..high/count/log`` each; or values by path: a list, or a
        range as text.

    Raises
    ------
    ScenarioError
        With everything that cannot be read.

    Examples
    --------
    >>> [found.texts() for found in axes({"gateways.eu.replicas": [1, 2, 4], "load.scale": "0.5..2.0/4"})]
    [('1', '2', '4'), ('0.5', '1', '1.5', '2')]
    """
    given = [f"{path}={_joined(values)}" for path, values in vary.items()] if isinstance(vary, Mapping) else vary
    found: list[Axis] = []
    problems: list[Problem] = []
    for one in given:
        with gathering(problems):
            found.append(axis(one))
    paths = [one.path for one in found]
    problems += [Problem("is varied twice", path, FILE) for path in dict.fromkeys(paths) if paths.count(path) > 1]
    if not given:
        problems.append(Problem("is missing: what is to vary? write path=values, such as load.scale=1,2,4", "", FILE))
    if problems:
        raise ScenarioError(problems)
    return tuple(found)


def _joined(values: Any) -> str:
    if isinstance(values, str):
        return values
    parts = values if isinstance(values, Sequence) else [values]
    return ",".join(part if isinstance(part, str) else json.dumps(part) for part in parts)


def axis(text: str) -> Axis:
    """Return one thing that varies.

    Raises
    ------
    ScenarioError
        If it cannot be read.

    Examples
    --------
    >>> axis("services.web.replicas=2,{eu-1: 3, us-1: 1}").listed
    ('2', '{eu-1: 3, us-1: 1}')
    """
    path, equals, said = text.partition("=")
    path, said = path.strip(), said.strip()
    if not equals or not path or not said:
        message = f"{text!r} is no variation; write path=values, such as load.scale=1,2,4 or load.scale=0.5..2/7"
        raise ScenarioError([Problem(message, "", FILE)])
    if ".." not in said:
        return _list(path, said)
    match = _RANGE.fullmatch(said)
    if match is None:
        message = f"{said!r} is no range; write low..high/count or low..high/count/log, such as 100/s..400/s/4"
        raise ScenarioError([Problem(message, path, FILE)])
    return _range(path, match)


def needless_count(one: Axis, why: str) -> list[Problem]:
    """Return what is wrong with a range that says how many values it has, where others than those are looked at.

    Parameters
    ----------
    one
        What varies.
    why
        What is done instead.

    Examples
    --------
    >>> [problem.message for problem in needless_count(axis("x=1..8/7/log"), "points are drawn")]
    ['/7 would have no effect: points are drawn; write x=low..high/log']
    """
    if not one.count:
        return []
    message = f"/{one.count} would have no effect: {why}; write {one.path}=low..high{'/log' if one.log else ''}"
    return [Problem(message, one.path, FILE)]


def _list(path: str, said: str) -> Axis:
    values = tuple(_split(said))
    problems = [Problem(f"a value of {said!r} is missing", path, FILE)] if "" in values else []
    problems += [
        Problem(f"has {value} twice", path, FILE)
        for value in dict.fromkeys(values)
        if values.count(value) > 1 and value
    ]
    if problems:
        raise ScenarioError(problems)
    return Axis(path, values)


def _split(said: str) -> Iterator[str]:
    """Yield what stands between commas that are not inside brackets or quotes."""
    depth, quote, start = 0, "", 0
    for at, letter in enumerate(said):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        elif letter == "," and not depth:
            yield said[start:at].strip()
            start = at + 1
    yield said[start:].strip()


def _range(path: str, match: re.Match[str]) -> Axis:
    low, high = float(match["low"] or "nan"), float(match["high"])
    count, log = int(match["count"] or 0), bool(match["log"])
    said = match[0]
    problems: list[str] = []
    if match["first"] and match["first"] != match["unit"]:
        problems.append(f"{said!r} has two units; write both ends in the same")
    if not low < high:
        problems.append(f"{said!r} is empty: its low end is not below its high end")
    if log and not low > 0:
        problems.append(f"{said!r} has no logarithms: its low end is not above 0")
    if match["count"] and count < 2:
        problems.append(f"{said!r} has {count} values; give 2 or more")
    if problems:
        raise ScenarioError([Problem(problem, path, FILE) for problem in problems])
    return Axis(path, low=low, high=high, unit=match["unit"], count=count, log=log)


def points(
    design: str, varied: Sequence[Axis], count: int | None = None, seed: int = 0
) -> tuple[list[tuple[str, ...]], str]:
    """Return the points of a design, a value for each axis, and a note on it where one is due.

    Parameters
    ----------
    design
        One of `DESIGNS`: every combination; the first values of all lists, the second and so on; or points drawn from
        the ranges, evenly (``sobol``, ``lhs``) or not (``random``).
    varied
        What varies.
    count
        How many points are drawn.
    seed
        Of what is drawn; the same seed, the same points.

    Raises
    ------
    ScenarioError
        If the design does not exist or does not go with what varies.

    Examples
    --------
    >>> points("grid", axes(["a=1,2", "b=x,y"]))[0]
    [('1', 'x'), ('1', 'y'), ('2', 'x'), ('2', 'y')]
    >>> points("list", axes(["a=1,2", "b=x,y"]))[0]
    [('1', 'x'), ('2', 'y')]
    """
    problems = _misfits(design, varied, count)
    if problems:
        raise ScenarioError(problems)
    if design == "grid":
        return list(product(*(one.texts() for one in varied))), ""
    if design == "list":
        return list(zip(*(one.texts() for one in varied), strict=True)), ""
    wanted = count or 0
    shares = _drawn(design, len(varied), wanted, seed)
    found = [tuple(one.at(share) for one, share in zip(varied, row, strict=True)) for row in shares]
    note = ""
    if design == "sobol" and wanted & (wanted - 1):
        note = f"{wanted} points of a Sobol' sequence are less even than {2 ** (wanted.bit_length() - 1)} or twice that"
    return list(dict.fromkeys(found)), note


def _misfits(design: str, varied: Sequence[Axis], count: int | None) -> list[Problem]:
    if design not in DESIGNS:
        return [Problem(f"unknown design '{design}'{did_you_mean(design, DESIGNS)}", file="--design")]
    problems = []
    if DESIGNS[design]:
        if count is None or count < 1:
            said = "is missing" if count is None else f"{count} is too few"
            problems.append(Problem(f"{said}; the design {design} needs to know how many", file="--points"))
        why = f"the design {design} draws as many points as --points says"
        return [*problems, *(problem for one in varied for problem in needless_count(one, why))]
    if count is not None:
        problems.append(Problem(f"is for the designs random, sobol and lhs, not for {design}", file="--points"))
    for one in varied:
        if not one.listed and not one.count:
            message = "has no number of values: write low..high/count, or draw points with --design lhs --points 20"
            problems.append(Problem(message, one.path, FILE))
    lengths = {len(one.texts()) for one in varied}
    if design == "list" and len(lengths) > 1 and not problems:
        message = f"the design list takes lists of the same length, not of {' and '.join(map(str, sorted(lengths)))}"
        problems.append(Problem(message, file="--design"))
    return problems


def _drawn(design: str, dimensions: int, count: int, seed: int) -> Any:
    import numpy as np

    random = np.random.default_rng(seed)
    if design == "random":
        return random.random((count, dimensions))
    from scipy.stats import qmc

    if design == "lhs":
        return qmc.LatinHypercube(dimensions, rng=random).random(count)
    # A power of two at least as large, of which the first are taken: scipy warns of any other number.
    return qmc.Sobol(dimensions, rng=random).random_base2(max(count - 1, 0).bit_length())[:count]
