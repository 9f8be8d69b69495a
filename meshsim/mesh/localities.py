"""Istio's mapping from localities to Envoy's priorities and locality weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from meshsim.mesh.places import Client, Endpoint, label
from meshsim.scenario.istio.balancing import NETWORK_LABEL, Locality
from meshsim.scenario.istio.policy import Policy

#: Region, zone, subzone.
Place = tuple[str, str, str]
Pairs = tuple[tuple[str, str], ...]


class Host(NamedTuple):
    """A pod or gateway in istiod's message; ``place`` has the labels by which it is ranked."""

    host: int
    is_gateway: bool
    weight: int
    healthy: bool
    place: Endpoint


class Group(NamedTuple):
    """The hosts of a locality that share a priority, in the order of istiod's message."""

    place: Place
    hosts: list[Host]
    priority: int = 0
    locality_weight: int = 0

    @property
    def weight(self) -> int:
        """The sum of the hosts' weights."""
        return sum(host.weight for host in self.hosts)


def arranged(groups: Sequence[Group], client: Client, policy: Policy) -> list[Group]:
    """Return the groups with priorities and locality weights, split where labels tell their hosts apart.

    Source: spec §2.8, §2.9 (Istio pilot/pkg/networking/core/loadbalancer/loadbalancer.go).

    Examples
    --------
    >>> from meshsim.scenario.istio.policy import OutlierDetection
    >>> places = [("eu", "a", ""), ("eu", "b", ""), ("us", "a", "")]
    >>> groups = [Group(place, []) for place in places]
    >>> policy = Policy(outlier_detection=OutlierDetection())
    >>> [group.priority for group in arranged(groups, Client("eu-1", "eu", "eu", "a"), policy)]
    [0, 1, 2]
    """
    if policy.zone_aware is not None:
        found = _by_labels(groups, client, policy.zone_aware.failover_priority)
        return _compacted(found, lambda group: 3 * group.priority + _region_rank(group, client, policy))
    if policy.locality.enabled and policy.locality.distribute:
        return _distributed(groups, client, policy.locality)
    found = _ranked(groups, client, policy.locality) if policy.locality_failover else list(groups)
    if policy.locality_weighted:
        found = [group._replace(locality_weight=group.weight) for group in found]
    return found


def _ranked(groups: Sequence[Group], client: Client, locality: Locality) -> list[Group]:
    """Rank by labels, by distance, or by both: five ranks of distance within each of the labels'."""
    if not locality.failover_priority:
        return _compacted(groups, lambda group: _distance(group, client, locality.failover))
    found = _by_labels(groups, client, locality.failover_priority)
    if not locality.failover:
        return found
    return _compacted(found, lambda group: 5 * group.priority + _distance(group, client, locality.failover))


def _compacted(groups: Sequence[Group], rank: Callable[[Group], int]) -> list[Group]:
    """Return the groups with ranks as priorities that count from 0 without gaps."""
    ranks = [rank(group) for group in groups]
    order = {value: priority for priority, value in enumerate(sorted(set(ranks)))}
    return [group._replace(priority=order[value]) for group, value in zip(groups, ranks, strict=True)]


def _distance(group: Group, client: Client, failover: Pairs) -> int:
    """Rank by distance (spec §2.9 (a)); a failover of the client's region puts the regions it does not name last."""
    region, zone, subzone = group.place
    if region != client.region:
        target = next((to for source, to in failover if source == client.region), None)
        return 3 if target is None or region == target else 4
    if zone != client.zone:
        return 2
    return 0 if subzone == client.subzone else 1


def _region_rank(group: Group, client: Client, policy: Policy) -> int:
    """Rank of zone-aware routing (spec §2.8): the own region, the one it fails over to, the others."""
    distance = _distance(group, client, policy.zone_aware.failover if policy.zone_aware else ())
    return max(0, distance - 2)


def _by_labels(groups: Sequence[Group], client: Client, failover_priority: Sequence[str]) -> list[Group]:
    """Split each locality by the labels its hosts share with the client (spec §2.9 (b))."""
    if not failover_priority:
        return list(groups)
    wanted = [_wanted(entry, client) for entry in failover_priority]
    split: list[Group] = []
    for group in groups:
        ranks: dict[int, list[Host]] = {}
        for host in group.hosts:
            ranks.setdefault(_label_rank(host.place, wanted), []).append(host)
        split += [Group(group.place, ranks[rank], rank) for rank in sorted(ranks)]
    return _compacted(split, lambda group: group.priority)


def _wanted(entry: str, client: Client) -> tuple[str, str]:
    """Return a label and the value that endpoints are compared with: the client's, or one that is given."""
    parts = entry.split("=")
    return (parts[0], parts[1] if len(parts) == 2 else label(client, parts[0]))


def _label_rank(place: Endpoint, wanted: Sequence[tuple[str, str]]) -> int:
    """Rank by the first label that differs; a network that comes first and differs only adds to the rank."""
    away = 0
    for index, (name, value) in enumerate(wanted):
        if label(place, name) != value:
            if index or name != NETWORK_LABEL:
                return away + len(wanted) - index
            away = len(wanted)
    return away


# --- distribute -------------------------------------------------------------------------------------------------


def _distributed(groups: Sequence[Group], client: Client, locality: Locality) -> list[Group]:
    """Set locality weights by the first entry for the client's locality (spec §2.9 (c)); the others get no hosts.

    Where several patterns match a locality the first of the resource counts; istiod takes any of them.
    """
    here = (client.region, client.zone, client.subzone)
    shares = next((to for source, to in locality.distribute if _matches(here, source)), None)
    if shares is None:
        return [group._replace(locality_weight=group.weight) for group in groups]
    weights: dict[int, int] = {}
    for pattern, percent in shares:
        own = [n for n, group in enumerate(groups) if n not in weights and _matches(group.place, pattern)]
        total = sum(groups[n].weight for n in own) or 1
        weights |= {n: math.ceil(groups[n].weight * percent / total) for n in own}
    return [groups[n]._replace(locality_weight=weights[n]) for n in sorted(weights)]


def _matches(place: Place, pattern: str) -> bool:
    """Tell whether a locality is meant: ``*`` and what is left away match anything, but the region must be there."""
    region, zone, subzone = (*pattern.split("/"), "", "", "")[:3]
    return (
        region in {"*", place[0]}
        and (zone in {"*", ""} or zone == place[1])
        and (subzone in {"*", ""} or subzone == place[2])
    )
