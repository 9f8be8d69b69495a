"""What a lint is, and the list of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from meshsim.lint.facts import Facts
from meshsim.lint.sources import placed

#: Where something stands (as `Policy.sources` writes it, or a path of the scenario), and what it does not do.
Found = tuple[str, str]
Check = Callable[[Facts], Iterator[Found]]

#: Messages of one code about one place.
MOST = 3


@dataclass(frozen=True, slots=True)
class Lint:
    """A configuration that does not do what its author may think.

    Parameters
    ----------
    code
        ``MS`` and a number; it never changes its meaning.
    message
        What does not happen, and why; one line.
    where
        The resource, or a path of the scenario.
    file, line
        Where that stands; line 0 where no line is known.
    spec
        Paragraph of the modelling specification.
    fix
        What to write instead.

    Examples
    --------
    >>> str(Lint("MS101", "failover is inert", "DestinationRule shop/cart", "mesh.yaml", 3, "2.9"))
    'mesh.yaml:3: MS101: DestinationRule shop/cart: failover is inert (spec §2.9)'
    """

    code: str
    message: str
    where: str = ""
    file: str = ""
    line: int = 0
    spec: str = ""
    fix: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as ``meshsim validate --json`` prints it.

        Examples
        --------
        >>> Lint("MS101", "failover is inert", line=0).to_json()["line"] is None
        True
        """
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"line": self.line or None}

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return (
            ": ".join(part for part in (place, self.code, self.where, self.message) if part) + f" (spec §{self.spec})"
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of lint.

    Parameters
    ----------
    code, spec, fix
        As of `Lint`.
    title
        One sentence for the list of codes.
    check
        Finds it.
    replaces
        Part of the warnings that reading a scenario gives of the same thing; empty = there are none.
    """

    code: str
    title: str
    spec: str
    fix: str
    check: Check
    replaces: str = ""

    def lints(self, facts: Facts) -> Iterator[Lint]:
        """Yield what it finds in a scenario, each once; of one place, as of a wildcard host, not too much."""
        by_source: dict[str, dict[str, None]] = {}
        for source, message in self.check(facts):
            by_source.setdefault(source, {})[message] = None
        for source, messages in by_source.items():
            where, file, line = placed(source, facts.scenario.file)
            more = len(messages) - MOST
            for number, message in enumerate(list(messages)[:MOST]):
                tail = f" (and {more} more like it)" if more > 0 and number == MOST - 1 else ""
                yield Lint(self.code, message + tail, where, file, line, self.spec, self.fix)

    def told(self, lint: Lint, warning: str) -> bool:
        """Tell whether a warning says the same as a lint of this rule."""
        place = f"{lint.file}:{lint.line}: " if lint.line else ""
        return bool(self.replaces) and self.replaces in warning and warning.startswith(place)


#: Every rule by its code.
RULES: dict[str, Rule] = {}


def rule(code: str, title: str, *, spec: str, fix: str, replaces: str = "") -> Callable[[Check], Check]:
    """Register a check under a code.

    Parameters
    ----------
    code, title, spec, fix, replaces
        As of `Rule`.

    Raises
    ------
    ValueError
        If the code is taken.

    Examples
    --------
    >>> rule("MS101", "again", spec="0", fix="")(lambda facts: iter(()))
    Traceback (most recent call last):
    ValueError: MS101 is taken
    """

    def register(check: Check) -> Check:
        if code in RULES:
            raise ValueError(f"{code} is taken")
        RULES[code] = Rule(code, title, spec, fix, check, replaces)
        return check

    return register


def listed(names: Iterable[str], limit: int = 4) -> str:
    """Return names as a message shows them: in their order, each once, not too many.

    Parameters
    ----------
    names
        At least one.
    limit
        How many are named.

    Examples
    --------
    >>> listed(["a", "b", "a"]), listed("abcdef")
    ('a and b', 'a, b, c, d and 2 more')
    """
    known = list(dict.fromkeys(names))
    shown, more = known[:limit], len(known) - limit
    parts = [*shown, f"{more} more"] if more > 0 else shown
    return " and ".join(part for part in (", ".join(parts[:-1]), parts[-1]) if part)
