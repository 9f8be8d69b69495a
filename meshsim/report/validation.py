"""What there is to say about a scenario file: problems, warnings and lints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from meshsim.errors import Problem, ScenarioError
from meshsim.lint import Lint, lint, untold
from meshsim.scenario import Scenario
from meshsim.scenario.variants import variants


@dataclass(frozen=True, slots=True)
class Checked:
    """What checking a scenario found.

    Parameters
    ----------
    name
        As it was asked for.
    problems
        What makes it invalid.
    warnings
        What is allowed and has no effect, without what a lint says too.
    lints
        What does not do what its author may think.
    """

    name: str
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    lints: tuple[Lint, ...] = ()

    def lines(self) -> list[str]:
        """Return what to print, problems first."""
        lines = [*map(str, self.problems), *(f"warning: {warning}" for warning in self.warnings)]
        for found in self.lints:
            lines += [str(found), f"    fix: {found.fix}"]
        return lines

    def to_json(self) -> dict[str, Any]:
        """Return it as ``meshsim validate --json`` prints it."""
        return {
            "scenario": self.name,
            "valid": not self.problems,
            "problems": [_as_json(problem) for problem in self.problems],
            "warnings": list(self.warnings),
            "lints": [found.to_json() for found in self.lints],
        }


def checked(name: str, load: Callable[[str], Scenario]) -> Checked:
    """Check a scenario, and lint it if it is valid.

    Parameters
    ----------
    name
        A file or a bundled scenario.
    load
        Reads it.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> checked("three-tier", load)
    Checked(name='three-tier', problems=(), warnings=(), lints=())
    """
    try:
        scenario = load(name)
    except ScenarioError as error:
        return Checked(name, error.problems)
    lints = tuple(_lints(scenario))
    return Checked(name, warnings=untold(scenario.warnings, lints), lints=lints)


def _lints(scenario: Scenario) -> Iterator[Lint]:
    """Yield the lints of a scenario, then those that only its variants have."""
    own = lint(scenario)
    yield from own
    for one in variants(scenario):
        for found in lint(one.scenario):
            if found not in own:
                yield replace(found, message=f"{found.message} (variant '{one.name}')")


def _as_json(problem: Problem) -> dict[str, Any]:
    return {"file": problem.file, "line": problem.line or None, "path": problem.path, "message": problem.message}
