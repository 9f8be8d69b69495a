"""What a simulation study has to report (STRESS-DES), collected for the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from meshsim.units import format_duration

if TYPE_CHECKING:
    from meshsim.scenario import Scenario


def reporting(
    scenario: Scenario,
    deployments: Sequence[str],
    replications: int,
    precision: Mapping[str, Any] | None = None,
    variants: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Return the items of the STRESS-DES checklist, numbered as there; what a page says better is a pointer to it.

    What the manifest has elsewhere (versions, seed, platform, run time, the scenario itself) is named, not repeated.
    Source: T. Monks et al., Strengthening the reporting of empirical simulation studies: introducing the STRESS
    guidelines, Journal of Simulation 13 (2019) 55.

    Parameters
    ----------
    scenario
        What was run.
    deployments
        Under which deployments.
    replications
        That have finished.
    precision
        As `meshsim.experiment.precision.Sequential.report` returns it; None for a fixed number of replications.
    variants
        What each of them changes, where variants are compared; the first of the deployments is their base.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> found = reporting(load("three-tier"), ["multi-primary"], 5)
    >>> found["1.2 outputs"]["latency_p99"]["unit"], found["4.2 run length"]["replications"]
    ('seconds', 5)
    """
    document = scenario.document
    return {
        "1.1 purpose": document.description or document.name,
        "1.2 outputs": _outputs(),
        "1.3 aims of experimentation": {
            "compared": list(deployments),
            "reference": deployments[0],
            "phases": _phases(scenario),
            "expectations": [expected.model_dump(mode="json", exclude_defaults=True) for expected in document.expect],
        },
        "2.1 diagram": "topology.svg beside this manifest; meshsim.load(…).export_graph(…) for the graph itself",
        "2.2 logic": "docs/life-of-a-request.md, docs/control-plane.md, docs/failures.md",
        "2.3 differences between the scenarios": _differences(scenario, deployments, variants or {}),
        "2.4 algorithms": [f"docs/{page}.md" for page in _ALGORITHMS],
        "2.5 components": "docs/scenario-file.md; those of this study are in `scenario`",
        "3.1 sources of data": "docs/parameters.md for what is shipped; comments of the scenario file for its own",
        "3.2 preparation of data": "none but the conversions that docs/parameters.md names",
        "3.3 input parameters": "`scenario`, every default included",
        "3.4 assumptions": "docs/limitations.md, and Scope and limitations of each page",
        **_experimentation(scenario, replications, precision),
        "5.1 software": "`versions`",
        "5.2 random sampling": {
            "generator": "Philox4x64-10, counter-based",
            "streams": "one for each purpose and component, keyed by seed, replication and name",
            "common random numbers": "all deployments of a replication see the same arrivals, demands and pod deaths",
            "seed": document.seed,
        },
        "5.3 execution": "next-event calendar; SimPy for what is slow, a compiled loop for requests: docs/decisions.md",
        "5.4 machine and run time": "`platform`, `wall_time` (seconds)",
        "6.1 code": "meshsim is free software (Apache-2.0); `versions` has the version, `command` what was asked",
    }


_ALGORITHMS = (
    "load-balancing",
    "locality",
    "outlier-detection",
    "retries-and-timeouts",
    "circuit-breaking",
    "virtual-service",
    "east-west-gateway",
    "control-plane",
    "identity",
    "pods-and-load",
)


def _outputs() -> dict[str, dict[str, Any]]:
    """Return every metric with its meaning; docs/results.md has the formulas."""
    from meshsim.analysis.metrics import METRICS

    return {
        name: {"meaning": known.meaning, "unit": known.unit, "better": known.better, "formula": "docs/results.md"}
        for name, known in METRICS.items()
    }


def _phases(scenario: Scenario) -> list[dict[str, Any]]:
    from meshsim.analysis.phases import phases

    return [
        {"name": span.name, "from": span.start, "to": span.end, "seconds counted": span.counted}
        for span in phases(scenario.document)
    ]


def _differences(
    scenario: Scenario, deployments: Sequence[str], variants: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Return who controls whom under each deployment, and what variants change: all that they differ in."""
    from meshsim.mesh.deployment import control_planes

    if any(variants.values()):
        return {name: list(variants.get(name, ())) or "the scenario as it is" for name in deployments}
    return {
        name: [
            {"control_plane": plane.name, "home": plane.home, "serves": list(plane.serves)}
            for plane in control_planes(scenario.document, name)
        ]
        for name in deployments
    }


def _experimentation(scenario: Scenario, replications: int, precision: Mapping[str, Any] | None) -> dict[str, Any]:
    document = scenario.document
    kind = "terminating: the transient after an event is the result, nothing of it is cut"
    stopping = "a number fixed in advance" if precision is None else "sequential, see `precision`"
    return {
        "4.1 initialisation": {
            "start": "all pods ready and configured, no requests in the system, no connections open",
            "warm_up": format_duration(document.warm_up),
            "type": kind if document.timeline else "steady state, by replication and deletion of the warm-up",
        },
        "4.2 run length": {
            "duration": format_duration(document.duration),
            "replications": replications,
            "stopping": stopping,
        },
        "4.3 estimation": {
            "intervals": "95 % Student t over independent replications; exact binomial bounds where events are few",
            "differences": "paired, replication by replication; Bonferroni over all pairs of a row",
            "definitions": "docs/statistics.md",
        },
    }
