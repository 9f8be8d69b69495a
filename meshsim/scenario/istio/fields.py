"""The notation of Istio's field tables, and the check of a resource against one.

A table says what a field is called, what it holds and whether it changes anything in a simulation::

    table({
        "host!": STRING.to("host"),             # required; sets a policy setting
        "interval": DURATION.to("interval"),    # a modelled field
        "tls": table({"mode": STRING}),         # known to Istio, not modelled: one warning for all of it
        "name": STRING.inert(),                 # known, and right to ignore: it changes nothing that is simulated
    })
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeAlias

from meshsim.errors import did_you_mean
from meshsim.scenario.tree import Path, format_path
from meshsim.units import leading_zero, parse_duration

NO_EFFECT = "has no effect in meshsim yet"

_WRONG = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Meaning:
    """What a field does.

    Parameters
    ----------
    sets
        The setting that the field's value becomes; empty for none.
    modelled
        Whether the field, or one below it, changes a simulation.
    note
        The warning given where it is not modelled.
    harmless
        Values that are as good as leaving the field away, so they need no warning.
    verify
        Returns what is wrong with a value whose parts are right, or nothing.
    """

    sets: str = ""
    modelled: bool = False
    note: str = NO_EFFECT
    harmless: tuple[Any, ...] = ()
    verify: Callable[[Any], str] | None = None

    def to(self, setting: str) -> Self:
        """Return the type of a field that becomes a setting."""
        return replace(self, sets=setting, modelled=True)

    def inert(self) -> Self:
        """Return the type of a field that needs no warning: it changes nothing simulated, or is used elsewhere."""
        return replace(self, modelled=True)

    def kept(self, setting: str) -> Self:
        """Return the type of a field that becomes a setting which nothing uses yet."""
        return replace(self, sets=setting, modelled=False)

    def unused(self, note: str = NO_EFFECT) -> Self:
        """Return the type of a field that is checked and has no effect, whatever stands below it."""
        return replace(self, sets="", modelled=False, note=note)

    def unless(self, *values: object) -> Self:
        """Return the type of a field that needs no warning when it has one of these values."""
        return replace(self, harmless=values)

    def checked(self, verify: Callable[[Any], str]) -> Self:
        """Return the type with one more check of the whole value."""
        return replace(self, verify=verify)


@dataclass(frozen=True, slots=True)
class Scalar(_Meaning):
    """One value; ``convert`` returns it as meshsim uses it, or raises ValueError with what is wrong."""

    name: str
    convert: Callable[[object], Any]


@dataclass(frozen=True, slots=True)
class Table(_Meaning):
    """A mapping with known fields."""

    fields: Mapping[str, FieldType]
    required: tuple[str, ...] = ()
    others: FieldType | None = None


@dataclass(frozen=True, slots=True)
class ListOf(_Meaning):
    """A list of one type."""

    item: FieldType


@dataclass(frozen=True, slots=True)
class MapOf(_Meaning):
    """A mapping from any text to one type."""

    item: FieldType


FieldType: TypeAlias = Scalar | Table | ListOf | MapOf


def table(fields: Mapping[str, FieldType], others: FieldType | None = None) -> Table:
    """Return the type of a mapping; a field whose name ends in ``!`` is required, other names are of type ``others``.

    Examples
    --------
    >>> table({"host!": STRING, "name": STRING}).required
    ('host',)
    """
    plain = {name.removesuffix("!"): kind for name, kind in fields.items()}
    required = tuple(name.removesuffix("!") for name in fields if name.endswith("!"))
    return Table(plain, required, others, modelled=any(kind.modelled for kind in plain.values()))


def list_of(item: FieldType) -> ListOf:
    """Return the type of a list.

    Examples
    --------
    >>> list_of(STRING).item.name
    'text'
    """
    return ListOf(item, modelled=item.modelled)


def map_of(item: FieldType) -> MapOf:
    """Return the type of a mapping with free keys.

    Examples
    --------
    >>> map_of(COUNT).item.name
    'a whole number from 0'
    """
    return MapOf(item, modelled=item.modelled)


# --- scalars --------------------------------------------------------------------------------------------------


def described(value: object) -> str:
    """Return a value as a message names it.

    Examples
    --------
    >>> described(True), described([1, 2]), described("x" * 100)[-6:]
    ('true', 'a list', "xx...'")
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "nothing (null)"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:56] + "...'"


def _string(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        raise ValueError(f"{described(value)} is not text; write it in quotes: '{described(value)}'")
    raise ValueError(f"{described(value)} is not text")


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{described(value)} is not true or false")
    return value


def _whole(low: int | None, high: int) -> Callable[[object], int]:
    def convert(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            hint = f"; write {value} without quotes" if isinstance(value, str) and value.isdecimal() else ""
            raise ValueError(leading_zero(value) or f"{described(value)} is not a whole number{hint}")
        if (low is not None and value < low) or value > high:
            raise ValueError(f"{value} is not between {low} and {high}" if low is not None else f"{value} is too large")
        return value

    return convert


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(leading_zero(value) or f"{described(value)} is not a number")
    return float(value)


def _percentage(value: object) -> float:
    number = _number(value)
    if not 0 <= number <= 100:
        raise ValueError(f"{value} is not between 0 and 100")
    return number


def _duration(*, zero: bool) -> Callable[[object], float]:
    def convert(value: object) -> float:
        if value == "0":
            value = "0s"
        seconds = parse_duration(value)
        if isinstance(value, str) and "d" in value:
            raise ValueError(
                f"{described(value)} is no duration to Istio, which has no days; write {seconds / 3600:g}h"
            )
        if seconds < 0.001 and not (zero and seconds == 0.0):
            raise ValueError(f"{value} is shorter than 1ms, the shortest that Istio takes{' besides 0s' * zero}")
        return seconds

    return convert


def enum(*names: str) -> Scalar:
    """Return the type of a field that takes one of these words.

    Examples
    --------
    >>> enum("ALLOW", "DENY").convert("DENI")
    Traceback (most recent call last):
    ValueError: 'DENI' is not a value of this field; did you mean 'DENY'? (one of ALLOW, DENY)
    """

    def convert(value: object) -> str:
        if value not in names:
            hint = did_you_mean(value.upper().replace("-", "_") if isinstance(value, str) else "", names)
            raise ValueError(f"{described(value)} is not a value of this field{hint}")
        return str(value)

    return Scalar("one of " + ", ".join(names), convert)


def _anything(value: object) -> object:
    return value


ANY = Scalar("anything", _anything)
STRING = Scalar("text", _string)
STRINGS = list_of(STRING)
LABELS = map_of(STRING)
BOOL = Scalar("true or false", _boolean)
COUNT = Scalar("a whole number from 0", _whole(0, 2**32 - 1))
INTEGER = Scalar("a whole number", _whole(None, 2**63 - 1))
PERCENT = Scalar("a whole number from 0 to 100", _whole(0, 100))
PERCENTAGE = Scalar("a number from 0 to 100", _percentage)
NUMBER = Scalar("a number", _number)
#: Istio takes no duration below a millisecond (spec §8) …
DURATION = Scalar("a duration", _duration(zero=False))
#: … except where zero means off.
DURATION_OR_ZERO = Scalar("a duration, or 0s", _duration(zero=True))


# --- the check ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """A setting as it stands in a resource."""

    name: str
    value: Any
    path: Path


@dataclass(slots=True)
class Check:
    """What the check of one resource found.

    Parameters
    ----------
    root
        The table of the whole resource, to say where a misplaced field belongs.
    problems
        (path, message) of everything that Istio would refuse.
    unmodelled
        (path, note) of what Istio knows and meshsim does not simulate: the topmost field of each such part.
    settings
        Modelled values.
    harmless
        Paths that need neither.
    """

    root: Table
    problems: list[tuple[Path, str]] = field(default_factory=list)
    unmodelled: list[tuple[Path, str]] = field(default_factory=list)
    settings: list[Found] = field(default_factory=list)
    harmless: list[Path] = field(default_factory=list)

    def run(self, value: object, path: Path = ()) -> Check:
        """Check a resource, or the part of it that the table describes, and return the check itself."""
        self._value(self.root, value, path, quiet=False)
        return self

    def _value(self, kind: FieldType, value: object, path: Path, *, quiet: bool) -> Any:
        before = len(self.problems)
        quiet_below = quiet
        if not quiet and path:
            quiet_below = self._account(kind, value, path)
        converted = self._parts(kind, value, path, quiet=quiet_below)
        if len(self.problems) > before:
            return _WRONG
        if kind.verify is not None and (wrong := kind.verify(converted)):
            self.problems.append((path, wrong))
            return _WRONG
        if kind.sets and not quiet:
            self.settings.append(Found(kind.sets, converted, path))
        return converted

    def _account(self, kind: FieldType, value: object, path: Path) -> bool:
        """Note what becomes of a field, and tell whether nothing below it needs a note of its own."""
        if value in kind.harmless or value == [] or (value == {} and kind.modelled):
            self.harmless.append(path)
        elif not kind.modelled:
            self.unmodelled.append((path, kind.note))
        elif not kind.sets and not any(inner.modelled for _, inner in _below((), kind)):
            self.harmless.append(path)
        else:
            return bool(kind.sets) and not isinstance(kind, Table)
        return True

    def _parts(self, kind: FieldType, value: object, path: Path, *, quiet: bool) -> Any:
        match kind:
            case Scalar():
                try:
                    return kind.convert(value)
                except ValueError as error:
                    self.problems.append((path, str(error)))
            case Table() if isinstance(value, Mapping):
                return self._table(kind, value, path, quiet=quiet)
            case MapOf() if isinstance(value, Mapping):
                return {
                    str(key): self._value(kind.item, inner, (*path, key), quiet=quiet)
                    for key, inner in value.items()
                    if inner is not None
                }
            case ListOf() if isinstance(value, (list, tuple)):
                return [self._value(kind.item, inner, (*path, i), quiet=quiet) for i, inner in enumerate(value)]
            case _:
                wanted = "a list" if isinstance(kind, ListOf) else "a mapping"
                self.problems.append((path, f"{described(value)} is not {wanted}"))
        return _WRONG

    def _table(self, kind: Table, value: Mapping[Any, Any], path: Path, *, quiet: bool) -> dict[str, Any]:
        converted = {}
        for key, inner in value.items():
            known = kind.fields.get(str(key), kind.others)
            if known is None:
                self.problems.append(((*path, key), f"unknown field '{key}'{self._hint(kind, str(key))}"))
            elif inner is not None:
                converted[str(key)] = self._value(known, inner, (*path, key), quiet=quiet)
        for name in kind.required:
            if value.get(name) is None:
                self.problems.append((path, f"{name} is required"))
        return converted

    def _hint(self, kind: Table, key: str) -> str:
        """Return the nearest field of the table, or the table where a field of this name belongs."""
        camel = re.sub(r"[_-]([a-zA-Z0-9])", lambda match: match[1].upper(), key)
        near = did_you_mean(camel, kind.fields)
        home = None if "did you mean" in near else home_of(key, self.root)
        return f"; it belongs under {format_path(home)}" if home else near


def home_of(key: str, root: Table) -> Path:
    """Return the path of the nearest table below ``root`` that has a field of this name; empty where there is none.

    Examples
    --------
    >>> home_of("interval", table({"spec": table({"outlierDetection": table({"interval": DURATION})})}))
    ('spec', 'outlierDetection')
    """
    level: list[tuple[Path, FieldType]] = [((), root)]
    while level:
        for path, kind in level:
            if isinstance(kind, Table) and key in kind.fields and path:
                return path
        level = [inner for path, kind in level for inner in _below(path, kind)]
    return ()


def _below(path: Path, kind: FieldType) -> list[tuple[Path, FieldType]]:
    if isinstance(kind, Table):
        return [((*path, name), inner) for name, inner in kind.fields.items()]
    return [] if isinstance(kind, Scalar) else [(path, kind.item)]
