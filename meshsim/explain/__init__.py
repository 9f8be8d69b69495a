"""What one proxy sees of a service and will do with requests for it, at one instant of a run."""

from __future__ import annotations

from collections.abc import Mapping

from meshsim.errors import did_you_mean
from meshsim.experiment import check as check_experiment
from meshsim.explain.asking import flows_of, headers, instant, parsed, proxy_of, requests_of, wrong
from meshsim.explain.model import Asked, EndpointView, Explanation, PriorityView, UpstreamView, retries, settings
from meshsim.scenario import Scenario

__all__ = [
    "Asked",
    "EndpointView",
    "Explanation",
    "PriorityView",
    "UpstreamView",
    "check",
    "explain",
    "headers",
    "instant",
    "retries",
    "settings",
]


def check(scenario: Scenario, source: str, to: str, *, at: float = 0.0, deployment: str | None = None) -> str:
    """Check what an explanation is asked for, as far as it can be told before the run; return the deployment's name.

    Parameters
    ----------
    scenario, source, to, at, deployment
        As of `explain`.

    Raises
    ------
    ScenarioError
        If there is no such deployment, place, service or instant; with the nearest name.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> check(load(EXAMPLE), "ingress@eu-1", "web")
    'multi-primary'
    """
    document = scenario.document
    name = next(iter(document.deployments)) if deployment is None else deployment
    check_experiment(scenario, [name], 1, 1)
    who = parsed(scenario, source)
    if to not in document.services:
        wrong("--to", f"unknown service '{to}'{did_you_mean(to, document.services)}")
    if not 0.0 <= at <= document.duration:
        wrong("--at", f"{at:g} s is not within the run, which takes {document.duration:g} s")
    flows_of(scenario, who, to)
    return name


def explain(
    scenario: Scenario,
    source: str,
    to: str,
    *,
    at: float = 0.0,
    deployment: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Explanation:
    """Run a scenario to an instant and tell what one proxy then sees of a service and will do.

    Parameters
    ----------
    scenario
        What to run.
    source
        The proxy: ``cluster/service`` (its first pod), ``cluster/service/2`` or ``cluster/service/pod-name``, or
        ``ingress@cluster`` for the ingress gateway.
    to
        The service that it asks.
    at
        Seconds; the state is that of this instant, its events included.
    deployment
        One of the scenario's; the first by default.
    headers
        Of the request; by default what the scenario's requests carry.

    Raises
    ------
    ScenarioError
        If there is no such deployment, proxy, service or instant; with the nearest name.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> explain(load(EXAMPLE), "ingress@eu-2", "web")
    Traceback (most recent call last):
    meshsim.errors.ScenarioError: --from: unknown cluster 'eu-2'; did you mean 'eu-1'? (one of eu-1)
    """
    name = check(scenario, source, to, at=at, deployment=deployment)
    who = parsed(scenario, source)
    flows = flows_of(scenario, who, to)
    from meshsim.engine.simulation import Simulation
    from meshsim.explain.seeing import configuration_of, upstream_of

    simulation = Simulation(scenario, name)
    simulation.env.run(until=simulation.env.at(at, priority=2))  # after all that happens at this instant
    proxy, shown, workload = proxy_of(simulation, who)
    rules = simulation.mesh.plane.plan.rules[configuration_of(simulation, proxy)]
    found = requests_of(scenario, flows, workload, headers, rules.route_of)
    where = proxy.client
    ends = dict.fromkeys(end for one in found for end in one.route.reached if end.service)
    return Explanation(
        scenario=simulation.document.name,
        deployment=simulation.deployment,
        time=at,
        proxy=shown,
        cluster=where.cluster,
        region=where.region,
        zone=where.zone,
        network=where.network,
        service=to,
        requests=found,
        upstreams=tuple(upstream_of(simulation, proxy, end) for end in ends),
        behind=any(end.service in proxy.behind for end in ends),
    )
