"""What istiod sends to one proxy for one service: hosts, east-west gateways, weights and locality priorities."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from meshsim.scenario.istio.policy import Policy


class Endpoint(NamedTuple):
    """A ready pod of the service, as the API servers know it."""

    pod: int
    cluster: str
    network: str
    region: str
    zone: str
    weight: int = 1


class Client(NamedTuple):
    """Where the proxy that asks is."""

    cluster: str
    network: str
    region: str
    zone: str


class GatewayAddress(NamedTuple):
    """One address of an east-west gateway: what a client sees as one host, whatever the replicas behind it."""

    gateway: int
    cluster: str
    network: str


class HostView(NamedTuple):
    """A host of the proxy's upstream: ``host`` is a pod, or a `GatewayAddress.gateway` if ``is_gateway``.

    ``weight`` is a whole number; ``region`` and ``zone`` are those of the pods it stands for.
    """

    host: int
    is_gateway: bool
    priority: int
    weight: int
    region: str
    zone: str


@dataclass(frozen=True, slots=True)
class Gateways:
    """All east-west gateway addresses of the mesh, arranged for look-up.

    Parameters
    ----------
    by_network, by_cluster
        Addresses by network, and by network and cluster.
    scale
        Weights are multiplied by it, so that they divide by every number of gateways.
    """

    by_network: Mapping[str, tuple[int, ...]]
    by_cluster: Mapping[tuple[str, str], tuple[int, ...]]
    scale: int

    @classmethod
    def of(cls, addresses: Iterable[GatewayAddress]) -> Gateways:
        """Arrange gateway addresses.

        Source: spec §4.3 (Istio pilot/pkg/model/network.go): the scale is the least common multiple of the numbers of
        gateways per network and per network and cluster.

        Examples
        --------
        >>> Gateways.of([GatewayAddress(0, "eu-1", "eu"), *(GatewayAddress(n, "us-1", "us") for n in (1, 2))]).scale
        2
        """
        by_network: dict[str, list[int]] = {}
        by_cluster: dict[tuple[str, str], list[int]] = {}
        for address in addresses:
            by_network.setdefault(address.network, []).append(address.gateway)
            by_cluster.setdefault((address.network, address.cluster), []).append(address.gateway)
        counts = [len(group) for group in (*by_network.values(), *by_cluster.values())]
        return cls(
            {network: tuple(group) for network, group in by_network.items()},
            {key: tuple(group) for key, group in by_cluster.items()},
            math.lcm(*counts),
        )

    def towards(self, endpoint: Endpoint, client: Client) -> tuple[int, ...]:
        """Return the gateways a client reaches an endpoint through; none means directly.

        Examples
        --------
        >>> gateways = Gateways.of([GatewayAddress(7, "us-1", "us")])
        >>> gateways.towards(Endpoint(0, "us-1", "us", "us", "a"), Client("eu-1", "eu", "eu", "a"))
        (7,)
        """
        if endpoint.network == client.network or not endpoint.network or not client.network:
            return ()
        return self.by_cluster.get((endpoint.network, endpoint.cluster)) or self.by_network.get(endpoint.network, ())


def host_views(
    endpoints: Sequence[Endpoint], gateways: Gateways, client: Client, policy: Policy, *, gateway_dedup: bool = True
) -> tuple[HostView, ...]:
    """Return the hosts of one service as one proxy sees them, by priority, then locality.

    Source: spec §2.9 (a), §4.3 (Istio pilot/pkg/xds/endpoints: ep_filters.go, endpoint_builder.go; loadbalancer.go).

    Parameters
    ----------
    endpoints
        The service's ready pods, in a fixed order.
    gateways
        East-west gateways of the mesh.
    client
        The proxy.
    policy
        The service's policy; locality priorities exist only if ``policy.locality_failover``.
    gateway_dedup
        True: of a gateway listed for several localities Envoy keeps the first, with that locality's weight only
        (istio#56355). False: weights of the copies within a priority are added up.

    Returns
    -------
    tuple of HostView
        Priorities count from 0; one whose only hosts were removed as copies stays empty.

    Examples
    --------
    >>> pods = [Endpoint(0, "eu-1", "eu", "eu", "a"), *(Endpoint(n, "us-1", "us", "us", "ab"[n - 1]) for n in (1, 2))]
    >>> gateways = Gateways.of([GatewayAddress(0, "us-1", "us")])
    >>> client = Client("eu-1", "eu", "eu", "a")
    >>> [(view.is_gateway, view.weight) for view in host_views(pods, gateways, client, Policy())]
    [(False, 1), (True, 1)]
    >>> views = host_views(pods, gateways, client, Policy(), gateway_dedup=False)
    >>> [(view.is_gateway, view.weight) for view in views]
    [(False, 1), (True, 2)]
    """
    groups = _by_locality(endpoints)
    priorities = _priorities([group[0] for group in groups], client, policy)
    views: list[HostView] = []
    for priority, group in sorted(zip(priorities, groups, strict=True), key=lambda pair: pair[0]):
        views.extend(_group_views(group, priority, gateways, client))
    return tuple(_one_per_gateway(views, summed=not gateway_dedup))


def _by_locality(endpoints: Sequence[Endpoint]) -> list[list[Endpoint]]:
    """Group by locality, in the alphabetical order of Istio's locality string."""
    groups: dict[tuple[str, str], list[Endpoint]] = {}
    for endpoint in endpoints:
        key = (endpoint.region, endpoint.zone)
        group = groups.get(key)
        if group is None:
            groups[key] = [endpoint]
        else:
            group.append(endpoint)
    return [groups[key] for key in sorted(groups, key=lambda key: f"{key[0]}/{key[1]}")]


def _priorities(localities: Sequence[Endpoint], client: Client, policy: Policy) -> list[int]:
    """Priority of each locality: its rank by distance, ranks compacted to 0, 1, … (spec §2.9 (a))."""
    if not policy.locality_failover:
        return [0] * len(localities)
    preferred = next((to for source, to in policy.locality.failover if source == client.region), None)
    ranks = [_rank(locality, client, preferred) for locality in localities]
    order = sorted(set(ranks))
    return [order.index(rank) for rank in ranks]


def _rank(locality: Endpoint, client: Client, preferred: str | None) -> int:
    """Distance of a locality; rank 1 (same zone, other subzone) cannot occur: meshsim has no subzones."""
    if locality.region != client.region:
        return 3 if preferred is None or locality.region == preferred else 4
    return 0 if locality.zone == client.zone else 2


def _group_views(group: Sequence[Endpoint], priority: int, gateways: Gateways, client: Client) -> list[HostView]:
    """Hosts of one locality: reachable pods as they are, the others behind one entry per gateway."""
    views = []
    scale = gateways.scale
    behind: dict[int, int] = {}
    paths: dict[tuple[str, str], tuple[int, ...]] = {}
    for endpoint in group:
        pod, cluster, network, region, zone, weight = endpoint
        via = paths.get((cluster, network))
        if via is None:
            via = paths[cluster, network] = gateways.towards(endpoint, client)
        if not via:
            views.append(HostView(pod, False, priority, weight * scale, region, zone))
            continue
        for gateway in via:
            behind[gateway] = behind.get(gateway, 0) + weight * scale // len(via)
    region, zone = group[0].region, group[0].zone
    views.extend(HostView(gateway, True, priority, behind[gateway], region, zone) for gateway in sorted(behind))
    return views


def _one_per_gateway(views: Sequence[HostView], *, summed: bool) -> list[HostView]:
    """Remove copies of a gateway: the first stays (spec §0.4), or, summed, one per priority with all the weight."""
    kept: list[HostView] = []
    places: dict[tuple[int, int], int] = {}
    for view in views:
        if not view.is_gateway:
            kept.append(view)
            continue
        key = (view.host, view.priority if summed else -1)
        place = places.get(key)
        if place is None:
            places[key] = len(kept)
            kept.append(view)
        elif summed:
            kept[place] = kept[place]._replace(weight=kept[place].weight + view.weight)
    return kept
