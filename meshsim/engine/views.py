"""What istiod sends to a proxy for a service, as arrays for the data plane, computed once per locality."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from meshsim.mesh.endpoints import Client, Endpoint, Gateways, host_views
from meshsim.scenario.istio.policy import Policy

#: Views kept; when there are more, all are forgotten and computed again.
CACHE = 20_000


@dataclass(frozen=True, slots=True)
class View:
    """A list of endpoints: hosts (gateways as ``-number - 2``), priorities and weights, each of shape ``(n,)``."""

    key: bytes
    hosts: NDArray[np.int32] = field(compare=False)
    priorities: NDArray[np.int32] = field(compare=False)
    weights: NDArray[np.float64] = field(compare=False)


class Views:
    """Views by client locality.

    Parameters
    ----------
    policies
        Effective policy of every service.
    gateways
        All east-west gateway addresses.
    gateway_dedup
        Whether Envoy keeps only the first of a gateway's copies (istio#56355).
    """

    def __init__(self, policies: Mapping[str, Policy], gateways: Gateways, *, gateway_dedup: bool) -> None:
        self._policies = policies
        self._gateways = gateways
        self._dedup = gateway_dedup
        self._known: dict[tuple[Client, str, bool, tuple[Endpoint, ...]], View] = {}
        self._flat = {name: replace(policy, outlier_detection=None) for name, policy in policies.items()}

    def of(self, client: Client, service: str, endpoints: tuple[Endpoint, ...], *, own_network: bool = False) -> View:
        """Return the view of a service that a proxy at ``client`` gets.

        An east-west gateway sees its own network only (ISTIO_META_REQUESTED_NETWORK_VIEW), here without priorities.
        """
        key = (client, service, own_network, endpoints)
        view = self._known.get(key)
        if view is None:
            if len(self._known) >= CACHE:
                self._known.clear()
            view = self._known[key] = self._build(client, service, endpoints, own_network=own_network)
        return view

    def _build(self, client: Client, service: str, endpoints: tuple[Endpoint, ...], *, own_network: bool) -> View:
        policy = self._policies[service]
        if own_network:
            policy = self._flat[service]
            endpoints = tuple(endpoint for endpoint in endpoints if endpoint.network == client.network)
        seen = host_views(endpoints, self._gateways, client, policy, gateway_dedup=self._dedup)
        hosts = np.array([-host.host - 2 if host.is_gateway else host.host for host in seen], dtype=np.int32)
        priorities = np.array([host.priority for host in seen], dtype=np.int32)
        common = math.gcd(*(host.weight for host in seen)) or 1  # only their ratios count
        weights = np.array([host.weight // common for host in seen], dtype=np.float64)
        key = hosts.tobytes() + priorities.tobytes() + weights.tobytes()
        return View(key, hosts, priorities, weights)
