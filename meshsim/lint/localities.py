"""Lints about localities: failover and weights that do nothing, or less than they seem to."""

from __future__ import annotations

from collections.abc import Iterator

from meshsim.errors import did_you_mean
from meshsim.lint.facts import Facts, Upstream, is_set, title
from meshsim.lint.registry import Found, listed, rule
from meshsim.scenario.istio.balancing import (
    CLUSTER_LABEL,
    HOSTNAME_LABEL,
    NETWORK_LABEL,
    REGION_LABEL,
    SUBZONE_LABEL,
    ZONE_LABEL,
)
from meshsim.scenario.istio.policy import Policy

_TOPOLOGY = {CLUSTER_LABEL, NETWORK_LABEL, REGION_LABEL, ZONE_LABEL, SUBZONE_LABEL, HOSTNAME_LABEL}
_ON_GATEWAYS = {CLUSTER_LABEL, NETWORK_LABEL}


def _written(policy: Policy) -> str:
    """Return the part of the locality settings that asks for failover, or nothing."""
    parts = (("failover", policy.locality.failover), ("failover_priority", policy.locality.failover_priority))
    return next((name for name, value in parts if value), "")


@rule(
    "MS101",
    "Locality failover without outlierDetection does nothing.",
    spec="2.9",
    fix="add outlierDetection to the DestinationRule's trafficPolicy; {} is enough",
    replaces="has no effect without outlierDetection",
)
def failover_without_outlier_detection(facts: Facts) -> Iterator[Found]:
    """Istio sets priorities only where outlier detection is on."""
    somewhere = any(policy.locality_failover for _, policy in facts.policies)
    for upstream, policy in facts.policies:
        locality = policy.locality
        if policy.outlier_detection or policy.zone_aware or locality.distribute or not locality.enabled:
            continue
        name = _written(policy) or ("enabled" if is_set(policy, "locality.enabled") else "")
        source = policy.sources.get(f"locality.{name}", "")
        if not name or locality.forced or (source.startswith("MeshConfig") and (somewhere or name == "enabled")):
            continue
        word = {"failover": "failover", "failover_priority": "failoverPriority"}.get(name, "localityLbSetting")
        of = "any service" if source.startswith("MeshConfig") else title(upstream)
        yield source, f"{word} does nothing for {of}: without outlierDetection there are no locality priorities"


@rule(
    "MS102",
    "Outlier detection of the whole mesh ejects hosts, but switches no locality failover on.",
    spec="1",
    fix="write outlierDetection in the DestinationRule of the service",
)
def failover_by_mesh_default(facts: Facts) -> Iterator[Found]:
    """Endpoints get priorities by the DestinationRule's own outlier detection alone."""
    for upstream, policy in facts.policies:
        name = _written(policy)
        if name and policy.outlier_detection_by_mesh and policy.locality.enabled and not policy.locality_failover:
            source = policy.sources[f"locality.{name}"]
            yield (
                source,
                (
                    f"failover does nothing for {title(upstream)}: "
                    "outlierDetection of meshConfig.defaultTrafficPolicy sets no locality priorities"
                ),
            )


@rule(
    "MS103",
    "distribute leaves no failover: localities that it does not name get nothing, even when all others fail.",
    spec="2.9",
    fix="name every locality in distribute, or use failover with outlierDetection in place of it",
)
def distribute_and_failover(facts: Facts) -> Iterator[Found]:
    """Distribute takes the place of priorities."""
    for upstream, policy in facts.policies:
        if not policy.locality.distribute or not policy.locality.enabled or policy.zone_aware:
            continue
        source = policy.sources["locality.distribute"]
        if policy.locality.failover_priority:
            yield source, f"failoverPriority does nothing for {title(upstream)}: distribute takes its place"
        left = list(_left_out(facts, upstream))
        if left and policy.outlier_detection is not None:
            yield (
                source,
                (
                    f"clients in {listed(left)} do not fail over to all of {title(upstream)}: "
                    "localities that distribute does not name get no requests, even when all others are ejected"
                ),
            )


def _left_out(facts: Facts, upstream: Upstream) -> Iterator[str]:
    """Yield the regions whose clients do not see all localities."""
    everywhere = {(pod.region, pod.zone) for pod in facts.pods(upstream)}
    for client in facts.clients(upstream):
        seen = {(view.region, view.zone) for view in facts.views(upstream, client)}
        if seen and len(seen) < len(everywhere) and not facts.policy(upstream).cluster_local:
            yield client.region


@rule(
    "MS104",
    "A locality of failover or distribute matches nothing.",
    spec="2.9",
    fix="write the names of the node labels topology.kubernetes.io/region and zone, as in the scenario's regions",
)
def unknown_localities(facts: Facts) -> Iterator[Found]:
    """Localities are compared as text."""
    regions = facts.document.regions
    places = {(name, zone) for name, region in regions.items() for zone in region.zones}
    for upstream, policy in facts.policies:
        for name, pattern in _localities(policy):
            region, zone, subzone = (*pattern.split("/"), "", "", "")[:3]
            source, shown = policy.sources[f"locality.{name}"], f"{name}: '{pattern}'"
            if region not in {*regions, "*"}:
                yield source, f"{shown} is no region of the scenario{did_you_mean(region, regions)}"
            elif not any(region in {"*", known[0]} and zone in {"", "*", known[1]} for known in places):
                zones = [known for home, known in places if home == region]
                yield source, f"{shown} is no zone of the scenario{did_you_mean(zone, zones)}"
            elif subzone not in {"", "*"}:
                yield source, f"{shown} matches nothing: nodes of a scenario have no subzones"
        yield from _empty_targets(facts, upstream, policy)


def _localities(policy: Policy) -> Iterator[tuple[str, str]]:
    if not policy.locality.enabled or policy.zone_aware:
        return
    for pair in policy.locality.failover:
        yield from (("failover", region) for region in pair)
    for source, shares in policy.locality.distribute:
        yield "distribute", source
        yield from (("distribute", pattern) for pattern, _ in shares)


def _empty_targets(facts: Facts, upstream: Upstream, policy: Policy) -> Iterator[Found]:
    """Find the regions that failover leads to where the service has no pods."""
    homes = {pod.region for pod in facts.pods(upstream)}
    for here, there in policy.locality.failover if policy.locality_failover else ():
        source = policy.sources["locality.failover"]
        local = source.startswith("DestinationRule")
        if local and here in homes and there in facts.document.regions and there not in homes:
            yield (
                source,
                f"failover from '{here}' to '{there}' changes nothing: {title(upstream)} has no pods in '{there}'",
            )


@rule(
    "MS105",
    "A label of failoverPriority that no pod carries tells no endpoints apart.",
    spec="2.9",
    fix="use a label that the pods have, such as topology.istio.io/cluster or one of the workload's own labels",
)
def labels_of_nobody(facts: Facts) -> Iterator[Found]:
    """Two missing labels compare equal."""
    for upstream, policy in facts.policies:
        for name, value in _labels(policy):
            pods = facts.pods(upstream)
            if name in _TOPOLOGY or any(name == key for pod in pods for key, _ in pod.labels):
                continue
            source = policy.sources["locality.failover_priority"]
            if value:
                yield (
                    source,
                    f"failoverPriority '{name}={value}' matches no pod of {title(upstream)}: none has the label",
                )
            elif not _clients_have(facts, upstream, name):
                yield (
                    source,
                    (
                        f"failoverPriority '{name}' ranks nothing: "
                        f"neither {title(upstream)} nor its clients have the label"
                    ),
                )


def _labels(policy: Policy) -> Iterator[tuple[str, str]]:
    if policy.locality_failover and not policy.locality.forced:
        for entry in policy.locality.failover_priority:
            name, _, value = entry.partition("=")
            yield name, value


def _clients_have(facts: Facts, upstream: Upstream, name: str) -> bool:
    callers = facts.callers(upstream)
    return any(name in flow.client.labels for flow in facts.flows if (flow.caller, flow.workload) in callers)


@rule(
    "MS106",
    "Gateways carry only cluster and network labels: others of failoverPriority never match pods beyond a gateway.",
    spec="2.9",
    fix="rank by topology.istio.io/network or topology.istio.io/cluster, which gateways carry (istio#49500)",
)
def labels_that_gateways_lack(facts: Facts) -> Iterator[Found]:
    """A gateway stands for its pods without their labels."""
    for upstream, policy in facts.policies:
        missing = [name for name, _ in _labels(policy) if name not in _ON_GATEWAYS]
        if not missing:
            continue
        seeing = [
            client.cluster
            for client in facts.clients(upstream)
            if any(view.is_gateway for view in facts.views(upstream, client))
        ]
        if seeing:
            yield (
                policy.sources["locality.failover_priority"],
                (
                    f"failoverPriority by {listed(missing)} cannot rank the pods of {title(upstream)} that clients in "
                    f"{listed(seeing)} reach through a gateway: it carries only cluster and network labels"
                ),
            )


@rule(
    "MS107",
    "localityLbSetting does nothing beside zoneAwareLbSetting.",
    spec="2.9",
    fix="keep one of the two",
)
def two_ways_of_localities(facts: Facts) -> Iterator[Found]:
    """Zone-aware routing comes first."""
    for upstream, policy in facts.policies:
        name = _written(policy) or ("distribute" if policy.locality.distribute else "")
        source = policy.sources.get(f"locality.{name}", "")
        if name and policy.zone_aware is not None and source.startswith("DestinationRule"):
            yield source, f"localityLbSetting does nothing for {title(upstream)}: zoneAwareLbSetting takes its place"


@rule(
    "MS108",
    "trafficDistribution of a Service does nothing beside localityLbSetting of its DestinationRule.",
    spec="2.9",
    fix="keep one of the two",
)
def two_ways_of_distribution(facts: Facts) -> Iterator[Found]:
    """The DestinationRule's setting comes first, as a whole."""
    for upstream, policy in facts.policies:
        fields = ("enabled", "failover", "failover_priority", "distribute")
        sources = (policy.sources.get(f"locality.{name}", "") for name in fields)
        source = next((place for place in sources if place.startswith("DestinationRule")), "")
        if source and dict(facts.resources.traffic_distributions).get(facts.identity(upstream[0])):
            yield source, f"trafficDistribution of {title(upstream)} does nothing: localityLbSetting takes its place"
