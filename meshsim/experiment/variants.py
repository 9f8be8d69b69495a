"""What an experiment sets side by side: deployments of one scenario, or variants of one deployment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from meshsim.errors import Problem, ScenarioError
from meshsim.results.words import Words
from meshsim.scenario import Scenario
from meshsim.scenario.checks.what_if import base_of
from meshsim.scenario.tree import format_path


class Arm(NamedTuple):
    """One of what is compared.

    Parameters
    ----------
    name
        Heads its column: a deployment or a variant.
    scenario
        What is run.
    deployment
        Which deployment of it.
    changes
        What a variant changes, in words; nothing for a deployment.
    """

    name: str
    scenario: Scenario
    deployment: str
    changes: tuple[str, ...] = ()

    def labelled(self, tables: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the tables of a run under its name; they are not copied.

        Examples
        --------
        >>> from meshsim.scenario import load
        >>> arm = Arm("two gateways", load("three-tier"), "hybrid")
        >>> found = arm.labelled({"totals": {"deployment": ["hybrid"], "value": [1.0]}})
        >>> list(found["totals"]["deployment"]), found["totals"]["value"]
        (['two gateways'], [1.0])
        """
        if self.name == self.deployment:
            return tables
        return {
            name: {
                **{str(column): columns[column] for column in columns},
                "deployment": Words.same(self.name, len(columns["deployment"])),
            }
            for name, columns in tables.items()
        }


def deployed(scenario: Scenario, deployments: Sequence[str] = ()) -> dict[str, Arm]:
    """Return deployments of a scenario, all by default, by name.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> list(deployed(load("three-tier"), ["hybrid"]))
    ['hybrid']
    """
    names = dict.fromkeys(deployments) or scenario.document.deployments
    return {name: Arm(name, scenario, name) for name in names}


def arms(scenario: Scenario, deployments: Sequence[str] = ()) -> dict[str, Arm]:
    """Return the deployment that ``what_if`` names, as it is, and its variants, by name.

    Parameters
    ----------
    scenario
        The scenario.
    deployments
        Must be empty: the scenario names the one.

    Raises
    ------
    ScenarioError
        If there are no variants, deployments are given, or variants are wrong.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> more = {"variants": {"third pod": {"set": {"services.web.replicas": 3}}}}
    >>> [(one.name, one.deployment) for one in arms(load({**EXAMPLE, "what_if": more})).values()]
    [('multi-primary', 'multi-primary'), ('third pod', 'multi-primary')]
    """
    from meshsim.analysis import expectations
    from meshsim.mesh import checks
    from meshsim.mesh.deployment import control_planes
    from meshsim.scenario.variants import variants

    document, file = scenario.document, scenario.file
    if document.what_if is None:
        message = "is missing, so there are no variants to compare; see docs/what-if.md"
        raise ScenarioError([Problem(message, "what_if", file)])
    if deployments:
        message = "--what-if takes the one that the scenario names; change it with --set what_if.deployment=NAME"
        raise ScenarioError([Problem(message, file="--deployment")])
    base = base_of(document)
    found = {base: Arm(base, scenario, base)}
    for one in variants(scenario, (*checks.CHECKS, *expectations.CHECKS), control_planes):
        found[one.name] = Arm(one.name, one.scenario, one.deployment, one.changes)
    _told_alike(scenario, found)
    return found


def _told_alike(scenario: Scenario, found: Mapping[str, Arm]) -> None:
    """See to it that all are told in the same time buckets, which depend on the size of very large meshes.

    Raises
    ------
    ScenarioError
        If a variant is not.
    """
    from meshsim.engine.simulation import bucket_edges

    edges, problems = bucket_edges(scenario), []
    for one in found.values():
        if one.scenario is not scenario and bucket_edges(one.scenario) != edges:
            path = ("what_if", "variants", one.name)
            place = scenario.root.locate(path)
            message = "makes a mesh of so many more calls that its run is told in fewer time buckets than the base's"
            problems.append(Problem(message, format_path(path), place.file, place.line))
    if problems:
        raise ScenarioError(problems)


def described(compared: Mapping[str, Arm]) -> dict[str, Any]:
    """Return what the manifest says of variants, so that each can be read again from it alone.

    ``deployment`` is what they are variants of, and the name under which that stands as it is; each of ``variants``
    has its ``name``, ``description``, ``changes`` in words, ``scenario`` resolved, and ``scenario_hash``.
    """
    base = next(iter(compared.values()))
    what_if = base.scenario.document.what_if
    about = {name: one.description for name, one in what_if.variants.items()} if what_if is not None else {}
    return {
        "deployment": base.deployment,
        "variants": [
            {
                "name": one.name,
                "description": about.get(one.name, ""),
                "changes": list(one.changes),
                "scenario_hash": one.scenario.hash,
                "scenario": one.scenario.resolved(),
            }
            for one in list(compared.values())[1:]
        ],
    }
