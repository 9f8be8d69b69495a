"""What istiod sends to one proxy for one service: hosts, east-west gateways, weights and locality priorities."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from meshsim.mesh.localities import Group, Host, arranged
from meshsim.mesh.places import OUTSIDE, Client, Endpoint
from meshsim.scenario.istio.policy import Policy


class GatewayAddress(NamedTuple):
    """One address of an east-west gateway: what a client sees as one host, whatever the replicas behind it."""

    gateway: int
    cluster: str
    network: str


class HostView(NamedTuple):
    """A host of the proxy's upstream: ``host`` is a pod, or a `GatewayAddress.gateway` if ``is_gateway``.

    ``weight`` is a whole number; ``region`` and ``zone`` are those of the pods it stands for. ``healthy`` is false for
    a pod that is not ready. ``locality`` numbers the localities of a priority in Envoy's order: the proxy's own first,
    then by region, zone and subzone. ``locality_weight`` is 0 where localities are not drawn by weight.
    """

    host: int
    is_gateway: bool
    priority: int
    weight: int
    region: str
    zone: str
    healthy: bool = True
    locality: int = 0
    locality_weight: int = 0


@dataclass(frozen=True, slots=True)
class Gateways:
    """All east-west gateway addresses of the mesh, arranged for look-up.

    Parameters
    ----------
    by_network, by_cluster
        Addresses by network, and by network and cluster.
    scale
        Weights are multiplied by it, so that they divide by every number of gateways.
    places
        What istiod takes for the labels of each gateway: those of an endpoint that has only cluster and network.
    """

    by_network: Mapping[str, tuple[int, ...]]
    by_cluster: Mapping[tuple[str, str], tuple[int, ...]]
    scale: int
    places: Mapping[int, Endpoint]

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
        places: dict[int, Endpoint] = {}
        for address in addresses:
            places[address.gateway] = Endpoint(-1, address.cluster, address.network, "", "")
            by_network.setdefault(address.network, []).append(address.gateway)
            by_cluster.setdefault((address.network, address.cluster), []).append(address.gateway)
        counts = [len(group) for group in (*by_network.values(), *by_cluster.values())]
        return cls(
            {network: tuple(group) for network, group in by_network.items()},
            {key: tuple(group) for key, group in by_cluster.items()},
            math.lcm(*counts),
            places,
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
    endpoints: Sequence[Endpoint],
    gateways: Gateways,
    client: Client,
    policy: Policy,
    *,
    labels: Mapping[str, str] | None = None,
    own_network: bool = False,
    gateway_dedup: bool = True,
) -> tuple[HostView, ...]:
    """Return the hosts of one service as one proxy sees them, by priority, then in the order of istiod's message.

    Source: spec §2.9, §4.2, §4.3 (Istio pilot/pkg/xds/endpoints: ep_filters.go, endpoint_builder.go; loadbalancer.go).

    Parameters
    ----------
    endpoints
        The service's pods, in a fixed order.
    gateways
        East-west gateways of the mesh.
    client
        The proxy.
    policy
        The policy of the service, or of one of its subsets.
    labels
        Those of the subset: pods without them are left out. None = the whole service.
    own_network
        True for an east-west gateway: it sees its own network only (ISTIO_META_REQUESTED_NETWORK_VIEW), and of that
        the pods that take Istio's mutual TLS.
    gateway_dedup
        True: of a gateway listed for several localities Envoy keeps the first of the message, where localities stand
        in alphabetical order, with that locality's weight only (istio#56355). False: weights of the copies within a
        priority are added up.

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
    sent = endpoints
    if not _all_sent(policy, labels, own_network=own_network):
        sent = _sent(endpoints, client, policy, labels, own_network=own_network)
    groups = [_reached(group, gateways, client, policy) for group in _by_locality(sent)]
    arrangement = arranged(groups, client, policy)
    return tuple(_views(_one_per_gateway(arrangement, summed=not gateway_dedup), client))


def pods_behind(
    endpoints: Iterable[Endpoint],
    gateways: Gateways,
    client: Client,
    policy: Policy,
    *,
    labels: Mapping[str, str] | None = None,
) -> Mapping[int, int]:
    """Return how many pods each gateway stands for in what `host_views` returns for the same.

    Examples
    --------
    >>> pods = [Endpoint(n, "us-1", "us", "us", "a", labels=(("version", f"v{n}"),)) for n in (1, 2)]
    >>> gateways, client = Gateways.of([GatewayAddress(7, "us-1", "us")]), Client("eu-1", "eu", "eu", "a")
    >>> [pods_behind(pods, gateways, client, Policy(), labels=labels)[7] for labels in (None, {"version": "v1"})]
    [2, 1]
    """
    found: Counter[int] = Counter()
    for endpoint in _sent(endpoints, client, policy, labels, own_network=False):
        if endpoint.tls and policy.mutual_tls:
            found.update(gateways.towards(endpoint, client))
    return found


def _all_sent(policy: Policy, labels: Mapping[str, str] | None, *, own_network: bool) -> bool:
    """Tell whether there is nothing to leave out, as for most services."""
    return policy.unready_endpoints and not (policy.cluster_local or labels or own_network)


def _sent(
    endpoints: Iterable[Endpoint],
    client: Client,
    policy: Policy,
    labels: Mapping[str, str] | None,
    *,
    own_network: bool,
) -> list[Endpoint]:
    """Return the pods that istiod tells this proxy of (endpoint_builder.go, filterIstioEndpoint)."""
    wanted = set(labels.items()) if labels else set()
    visible = {client.network, ""}
    return [
        endpoint
        for endpoint in endpoints
        if (endpoint.ready or policy.unready_endpoints)
        and (not wanted or wanted <= set(endpoint.labels))
        and not (policy.cluster_local and endpoint.cluster not in {client.cluster, OUTSIDE})
        and not (own_network and (not endpoint.tls or endpoint.network not in visible))
    ]


def _by_locality(endpoints: Sequence[Endpoint]) -> list[list[Endpoint]]:
    """Group by locality, in the alphabetical order of Istio's locality string."""
    groups: dict[tuple[str, str, str], list[Endpoint]] = {}
    for endpoint in endpoints:
        key = (endpoint.region, endpoint.zone, endpoint.subzone)
        group = groups.get(key)
        if group is None:
            groups[key] = [endpoint]
        else:
            group.append(endpoint)
    return [groups[key] for key in sorted(groups, key="/".join)]


def _reached(group: Sequence[Endpoint], gateways: Gateways, client: Client, policy: Policy) -> Group:
    """Return the hosts of one locality: reachable pods as they are, the others behind one entry per gateway.

    Networks are crossed by the server's name in the TLS handshake, so pods that do not take mutual TLS stay behind.
    """
    hosts: list[Host] = []
    scale = gateways.scale
    behind: dict[int, int] = {}
    paths: dict[tuple[str, str], tuple[int, ...]] = {}
    mutual = policy.mutual_tls
    for endpoint in group:
        pod, cluster, network, _, _, weight, _, _, _, ready, tls = endpoint
        via = paths.get((cluster, network))
        if via is None:
            via = paths[cluster, network] = gateways.towards(endpoint, client)
        if not via:
            hosts.append(Host(pod, False, weight * scale, ready, endpoint))
        elif tls and mutual:
            for gateway in via:
                behind[gateway] = behind.get(gateway, 0) + weight * scale // len(via)
    for gateway in sorted(behind):
        entry = Host(gateway, True, behind[gateway] or 1, True, gateways.places[gateway])
        hosts.append(entry)
    first = group[0]
    return Group((first.region, first.zone, first.subzone), hosts)


def _one_per_gateway(groups: Sequence[Group], *, summed: bool) -> list[Group]:
    """Remove copies of a gateway: the first stays (spec §0.4), or, summed, one per priority with all the weight."""
    places: dict[tuple[int, int], tuple[int, int]] = {}
    kept: list[Group] = []
    for group in groups:
        hosts = [host for host in group.hosts if not host.is_gateway]
        moved = 0
        for host in group.hosts[len(hosts) :]:  # pods come first
            key = (host.host, group.priority if summed else -1)
            place = places.setdefault(key, (len(kept), len(hosts)))
            if place == (len(kept), len(hosts)):
                hosts.append(host)
                continue
            moved += host.weight
            if summed:
                _add(kept, place, host.weight, group)
        weight = group.locality_weight - (group.locality_weight * moved // group.weight if summed and moved else 0)
        kept.append(group._replace(hosts=hosts, locality_weight=weight))
    return kept


def _add(kept: list[Group], place: tuple[int, int], weight: int, source: Group) -> None:
    """Give a copy's weight, and its part of the locality's, to the first entry of the gateway."""
    group, index = kept[place[0]], place[1]
    host = group.hosts[index]
    group.hosts[index] = host._replace(weight=host.weight + weight)
    share = source.locality_weight * weight // source.weight
    kept[place[0]] = group._replace(locality_weight=group.locality_weight + share)


def _views(groups: Sequence[Group], client: Client) -> list[HostView]:
    """Return hosts by priority, with the localities of each numbered in Envoy's order."""
    own = (client.region, client.zone, client.subzone)
    by_priority: dict[int, list[Group]] = {}
    for group in groups:
        if group.hosts:
            by_priority.setdefault(group.priority, []).append(group)
    views: list[HostView] = []
    for priority in sorted(by_priority):
        places = sorted({group.place for group in by_priority[priority]}, key=lambda place: (place != own, place))
        for group in by_priority[priority]:
            number, (region, zone, _) = places.index(group.place), group.place
            views += [
                HostView(host, is_gateway, priority, weight, region, zone, healthy, number, group.locality_weight)
                for host, is_gateway, weight, healthy, _ in group.hosts
            ]
    return views
