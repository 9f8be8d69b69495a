"""What istiod sends to a proxy for a service, as arrays for the data plane, computed once per locality."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from meshsim.dataplane.gateway import address_of
from meshsim.dataplane.hosts import Hosts
from meshsim.engine.prepared import Prepared
from meshsim.engine.truth import Endpoints, Shard
from meshsim.mesh.endpoints import GatewayAddress, Gateways, host_views
from meshsim.mesh.places import Client
from meshsim.scenario.istio.policy import Policy

#: Views kept; when there are more, all are forgotten and computed again.
CACHE = 20_000


@dataclass(frozen=True, slots=True)
class View:
    """The endpoints of a destination for one proxy; two views are equal if they say the same."""

    key: bytes
    hosts: Hosts = field(compare=False)


class Known(NamedTuple):
    """What a view is made of: endpoints of the service, those of the client's own, and east-west gateways."""

    shards: tuple[Shard, ...]
    home: tuple[Shard, ...]
    gateways: tuple[GatewayAddress, ...]


class Views:
    """Views by client locality, or by what of it matters: for most destinations its network only.

    Parameters
    ----------
    prepared
        Policies of all destinations and their subsets' labels.
    """

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._arranged: dict[tuple[GatewayAddress, ...], tuple[int, Gateways]] = {}
        self._numbers: dict[int, tuple[tuple[GatewayAddress, ...], int, Gateways]] = {}
        self._known: dict[tuple[object, ...], View] = {}
        aware = [policy.zone_aware for policy in prepared.policies]
        #: Whether any proxy looks at where its own service is.
        self.zone_aware = any(setting is not None and setting.self_discovery for setting in aware)
        self._anywhere = [not self.zone_aware and _is_the_same_anywhere(policy) for policy in prepared.policies]

    def of(self, client: Client, destination: int, known: Known, *, own_network: bool) -> View:
        """Return the view of a destination that a proxy at ``client`` gets.

        An east-west gateway sees its own network only (ISTIO_META_REQUESTED_NETWORK_VIEW).
        """
        number, gateways = self._gateways(known.gateways)
        place = client.network if self._anywhere[destination] else client
        key = (place, destination, own_network, known.shards, known.home, number)
        view = self._known.get(key)
        if view is None:
            if len(self._known) >= CACHE:
                self._known.clear()
            if self._anywhere[destination]:
                client = Client("", client.network, "", "")
            view = self._known[key] = self._build(client, destination, known, gateways, own_network=own_network)
        return view

    def _gateways(self, addresses: tuple[GatewayAddress, ...]) -> tuple[int, Gateways]:
        """Return gateways arranged for look-up, and their number: equal addresses have the same.

        Those who know of them give the same tuple again and again, which is quicker to tell than to compare.
        """
        found = self._numbers.get(id(addresses))
        if found is None:
            if addresses not in self._arranged:
                self._arranged[addresses] = len(self._arranged), Gateways.of(addresses)
            if len(self._numbers) >= CACHE:
                self._numbers.clear()
            found = self._numbers[id(addresses)] = (addresses, *self._arranged[addresses])
        return found[1:]

    def _build(self, client: Client, destination: int, known: Known, gateways: Gateways, *, own_network: bool) -> View:
        endpoints, home = _all(known.shards), _all(known.home)
        seen = host_views(
            endpoints, gateways, client, self._prepared.policies[destination],
            labels=self._prepared.labels[destination], own_network=own_network,
            gateway_dedup=self._prepared.scenario.document.one_gateway_copy,
        )  # fmt: skip
        hosts = np.array([address_of(host.host) if host.is_gateway else host.host for host in seen], dtype=np.int32)
        priorities = np.array([host.priority for host in seen], dtype=np.int32)
        common = math.gcd(*(host.weight for host in seen)) or 1  # only their ratios count
        weights = np.array([host.weight // common for host in seen], dtype=np.float64)
        unhealthy = np.array([not host.healthy for host in seen], dtype=np.int32)
        localities = np.array([host.locality for host in seen], dtype=np.int32)
        locality_weights = np.array([host.locality_weight for host in seen], dtype=np.float64)
        local = np.array([(host.region, host.zone) == (client.region, client.zone) for host in seen], dtype=np.int32)
        shares = Counter((pod.region, pod.zone) for pod in home if pod.ready)
        total = sum(shares.values())
        own_shares = np.array([shares[host.region, host.zone] / total if total else -1.0 for host in seen])
        own_share = shares[client.region, client.zone] / total if total else -1.0
        arrays = (hosts, priorities, weights, unhealthy, localities, locality_weights, local, own_shares)
        return View(b"".join(array.tobytes() for array in arrays), Hosts(*arrays, own_share))


def _is_the_same_anywhere(policy: Policy) -> bool:
    """Return whether all proxies of a network see the same: nothing depends on where in it they are."""
    return not (
        policy.locality_failover
        or policy.locality_weighted
        or policy.zone_aware is not None
        or policy.cluster_local
        or policy.hash is not None
        or (policy.locality.enabled and policy.locality.distribute)
    )


def _all(shards: tuple[Shard, ...]) -> Endpoints:
    return tuple(endpoint for shard in shards for endpoint in shard.endpoints)
