"""What a proxy sees of a destination, read from the data plane."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from meshsim.dataplane.gateway import address_of
from meshsim.explain.model import EndpointView, PriorityView, UpstreamView
from meshsim.explain.shares import shares_of
from meshsim.mesh.endpoints import GatewayAddress, Gateways, pods_behind
from meshsim.scenario.istio.policy import UNLIMITED, Policy
from meshsim.scenario.istio.routes import Destination
from meshsim.scenario.own_balancers import TAKEN

if TYPE_CHECKING:
    from meshsim.engine.mesh import Proxy
    from meshsim.engine.simulation import Simulation

_BALANCERS = {
    "LEAST_REQUEST": ("the less busy of two random hosts", "least request by weight / (active + 1)"),
    "ROUND_ROBIN": ("round robin", "round robin by weight"),
}


def upstream_of(simulation: Simulation, proxy: Proxy, end: Destination) -> UpstreamView:
    """Return a destination as a proxy sees it at this instant of a run."""
    plane, number = simulation.mesh.plane, configuration_of(simulation, proxy)
    row = plane.plan.known_as[number].get((end.service, end.subset), -1)
    upstream = plane.upstream(proxy.number, row) if row >= 0 else -1
    if upstream < 0:
        return _not_there(simulation, number, end)
    policy = simulation.mesh.prepared.policies[row]
    up = plane.world.upstreams[upstream]
    breaker = policy.circuit_breaker
    used = (
        ("connections", int(up.connections), breaker.max_connections),
        ("pending requests", int(up.pending), breaker.max_pending_requests),
        ("requests", int(up.active), breaker.max_requests),
        ("retries", int(up.retrying), breaker.max_retries),
    )
    limits = tuple((name, count, None if limit == UNLIMITED else limit) for name, count, limit in used)
    levels = tuple(_priorities(simulation, upstream, policy))
    slots = tuple(_slots(simulation, upstream, end.service, _behind(simulation, proxy, upstream, end.service, row)))
    return UpstreamView(end, policy, True, True, levels, slots, limits, int(up.ejected))


def configuration_of(simulation: Simulation, proxy: Proxy) -> int:
    """Return the number of the configuration that a proxy has at this instant of a run."""
    return int(simulation.mesh.plane.proxies[proxy.number].configuration)


def _not_there(simulation: Simulation, configuration: int, end: Destination) -> UpstreamView:
    """Return a destination that the proxy does not know, with its policy if there is such a subset."""
    rules = simulation.mesh.plane.plan.rules[configuration]
    try:
        return UpstreamView(end, rules.policy_of(end.service, end.subset), live=False, exists=True)
    except KeyError:
        return UpstreamView(end, rules.policy_of(end.service, ""), live=False, exists=False)


def _priorities(simulation: Simulation, upstream: int, policy: Policy) -> Iterator[PriorityView]:
    from meshsim.dataplane.load_balancing import BY_LOCALITY, BY_ZONE, WEIGHTED

    world = simulation.mesh.plane.world
    for number in range(int(world.upstreams[upstream].priorities)):
        level = world.priorities[number, upstream]
        plain, weighted = _BALANCERS.get(policy.load_balancer, (_named(policy.load_balancer),) * 2)
        balancer = weighted if level.mode == WEIGHTED else plain
        balancer = {BY_LOCALITY: "a locality by weight, then ", BY_ZONE: "the own zone first, then "}.get(
            int(level.mode), ""
        ) + balancer
        yield PriorityView(number, int(level.total), int(level.healthy), int(level.load), bool(level.panic), balancer)


def _named(balancer: str) -> str:
    """Return Istio's name of a balancer as a word; one of the user's own as it is."""
    return balancer.lower() if balancer in TAKEN else balancer


def _slots(simulation: Simulation, upstream: int, service: str, behind: Mapping[int, int]) -> Iterator[EndpointView]:
    """Yield the hosts of an upstream by priority, in the order of the control plane's list."""
    world = simulation.mesh.plane.world
    up = world.upstreams[upstream]
    returns = _returns(simulation, upstream)
    shares = shares_of(world, upstream)
    for slot in sorted(_taken(world, upstream), key=lambda one: int(world.slots[one].priority)):
        host = world.slots[slot]
        pools = world.pools[int(host.pools) : int(host.pools + up.threads)]
        state = "ejected" if host.ejected else "unready" if host.unhealthy else "failing" if host.failing else "healthy"
        name, cluster, region, zone = _place(simulation, int(host.host), service)
        gateway = address_of(int(host.host)) if int(host.host) < -1 else None
        yield EndpointView(
            name=name, cluster=cluster, region=region, zone=zone, gateway=gateway is not None,
            behind=0 if gateway is None else behind.get(gateway, 0),
            priority=int(host.priority), locality=int(host.locality), weight=float(host.weight),
            locality_weight=float(host.locality_weight), share=shares.get(slot, 0.0), status=state,
            told=bool(host.level == host.priority and (host.shown == 1) == (state == "healthy") and not host.changed),
            returns=returns.get((int(host.host), int(host.ejections))) if host.ejected else None,
            errors=int(host.errors), ejections=int(host.ejections), active=int(host.active),
            connections=int(pools.connections.sum()), waiting=int(pools.waiting.sum()),
        )  # fmt: skip


def _taken(world: Any, upstream: int) -> list[int]:
    """Return the slots of an upstream that hold a host."""
    up = world.upstreams[upstream]
    return [slot for slot in range(int(up.first_slot), int(up.first_slot + up.capacity)) if world.slots[slot].present]


def _returns(simulation: Simulation, upstream: int) -> dict[tuple[int, int], float]:
    """Return when ejections end, by host and number of the ejection: they stand in the calendar."""
    from meshsim.dataplane.calendar import RELEASE, events

    world = simulation.mesh.plane.world
    found = events(world)
    own = found[(found.kind == RELEASE) & (found.subject == upstream)]
    return {(int(event.generation), int(event.extra)): float(event.time) for event in own}


def _behind(simulation: Simulation, proxy: Proxy, upstream: int, service: str, row: int) -> Mapping[int, int]:
    """Return how many of a destination's pods each gateway address stands for, a former one as if it still were one."""
    mesh, world = simulation.mesh, simulation.mesh.plane.world
    seen = {address_of(int(world.slots[slot].host)) for slot in _taken(world, upstream) if world.slots[slot].host < -1}
    addresses = list(mesh.truth.gateways())
    for number in sorted(seen - {address.gateway for address in addresses}):
        cluster = mesh.clusters[int(world.gateways[number].cluster)]
        addresses.append(GatewayAddress(number, cluster, mesh.document.clusters[cluster].network))
    pods = (pod for shard in mesh.truth.shards(service) for pod in shard.endpoints)
    policy, labels = mesh.prepared.policies[row], mesh.prepared.labels[row]
    return pods_behind(pods, Gateways.of(addresses), proxy.client, policy, labels=labels)


def _place(simulation: Simulation, host: int, service: str) -> tuple[str, str, str, str]:
    """Return name, cluster, region and zone of a host."""
    mesh = simulation.mesh
    if host < -1:
        number = address_of(host)
        cluster = mesh.clusters[int(mesh.plane.world.gateways[number].cluster)]
        addresses = mesh.gateways[cluster].addresses
        which = f"/{addresses.index(number)}" if number in addresses else "/former address"
        name = f"gateway@{cluster}" + (which if len(addresses) > 1 or number not in addresses else "")
        return name, cluster, mesh.document.clusters[cluster].region, ""
    pod = mesh.plane.pods[host]
    region, zone = mesh.zones[int(pod.zone)]
    known = {one.number: one.name for body in simulation.clusters.values() for one in body.pods.values()}
    cluster = mesh.clusters[int(pod.cluster)]
    return known.get(host, f"{cluster}/{service} (gone)"), cluster, region, zone
