"""Finds configurations that do not do what their author thinks."""

from __future__ import annotations

from collections.abc import Sequence

from meshsim.lint import attempts, balancing, ejections, limits, localities, routes, sameness
from meshsim.lint.facts import Facts
from meshsim.lint.registry import RULES, Lint, Rule
from meshsim.scenario import Scenario

__all__ = ["RULES", "TOPICS", "Lint", "Rule", "lint", "untold"]

#: The modules that register rules, in the order of their codes.
TOPICS = (localities, ejections, attempts, routes, limits, balancing, sameness)


def lint(scenario: Scenario) -> tuple[Lint, ...]:
    r"""Return every lint of a scenario, in the order of its files.

    Parameters
    ----------
    scenario
        A valid scenario.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> rule = {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "web"},
    ...         "spec": {"host": "web", "trafficPolicy": {"outlierDetection": {}}}}
    >>> print(*lint(load({**EXAMPLE, "istio": [rule]})), sep="\n")
    MS201: DestinationRule default/web: maxEjectionPercent 10, the default, of the 2 hosts of web that clients in eu-1
    see is none: nothing is ever ejected (spec §3.2)
    """
    facts = Facts(scenario)
    found = dict.fromkeys(one for code in sorted(RULES) for one in RULES[code].lints(facts))
    return tuple(sorted(found, key=lambda one: (one.file, one.line, one.code)))


def untold(warnings: Sequence[str], lints: Sequence[Lint]) -> tuple[str, ...]:
    """Return the warnings of a scenario that none of its lints tells again.

    Examples
    --------
    >>> untold(["mesh.yaml:7: unknown"], [])
    ('mesh.yaml:7: unknown',)
    """
    return tuple(text for text in warnings if not any(RULES[one.code].told(one, text) for one in lints))
