"""East-west gateways of one run: their replicas, and the addresses by which other networks reach a cluster."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshsim.dataplane import state
from meshsim.engine.environment import Undo
from meshsim.mesh.deployment import east_west_gateways
from meshsim.mesh.endpoints import GatewayAddress
from meshsim.mesh.placement import spread, zones_of
from meshsim.scenario.requests import EAST_WEST_CLIENT
from meshsim.scenario.schema import Gateway
from meshsim.scenario.selectors import select_clusters, several_networks

if TYPE_CHECKING:
    from meshsim.engine.mesh import Mesh, Proxy

#: Why a gateway replica that the autoscaler has not asked for is down.
NOT_SCALED = "not scaled"


@dataclass(slots=True, eq=False)
class EastWest:
    """The east-west gateway of a cluster: its replicas' proxies and its addresses in the data plane."""

    replicas: list[Proxy]
    addresses: list[int]

    @property
    def alive(self) -> bool:
        """Return whether any replica is up."""
        return any(not proxy.causes for proxy in self.replicas)

    @property
    def silent(self) -> bool:
        """Return whether its addresses, without a replica, give no answer rather than refuse connections."""
        return any("blackhole" in proxy.causes for proxy in self.replicas)


class EastWestGateways(Mapping[str, EastWest]):
    """The east-west gateways by cluster; they pass traffic only where there are several networks.

    Parameters
    ----------
    mesh
        The run.
    """

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._found: dict[str, EastWest] = {}

    def __getitem__(self, cluster: str) -> EastWest:
        return self._found[cluster]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def add(self) -> None:
        """Add those of the run's deployment, with as many replicas as there may ever be."""
        mesh = self._mesh
        several = several_networks(mesh.document)
        for cluster, settings in east_west_gateways(mesh.document, mesh.planes).items():
            gateway = self._found[cluster] = EastWest(self._replicas(cluster, settings), [])
            if several:
                gateway.addresses = self._new_addresses(cluster, settings.addresses)
            for proxy in gateway.replicas[settings.replicas :]:
                mesh.lose_gateway(cluster, proxy, NOT_SCALED)

    def move(self, cluster: str, mode: str) -> Undo:
        """Give a cluster's gateway other addresses; the old ones lead nowhere, ``mode`` tells how."""
        gateway, silent = self._found[cluster], mode == "blackhole"
        plane, env = self._mesh.plane, self._mesh.env
        old = gateway.addresses
        gateway.addresses = new = self._new_addresses(cluster, len(old))
        self.silence(cluster)
        for address in old:
            plane.close_gateway(address, env.now, closed=True, silent=silent)

        def undo() -> None:
            for address in old:
                plane.close_gateway(address, env.now, closed=False, silent=silent)
            for address in new:
                plane.close_gateway(address, env.now, closed=True, silent=silent)
            gateway.addresses = old
            self.silence(cluster)
            self._publish(cluster, old)

        return undo

    def silence(self, cluster: str) -> None:
        """Let the addresses of a cluster's gateway, if it has one, do what its replicas' losses ask for."""
        gateway = self._found.get(cluster)
        for address in gateway.addresses if gateway is not None else ():
            self._mesh.plane.set_gateway_silent(address, silent=gateway is not None and gateway.silent)

    def _new_addresses(self, cluster: str, count: int) -> list[int]:
        """Give a gateway addresses and publish them in place of those it has."""
        mesh, numbers = self._mesh, [proxy.number for proxy in self._found[cluster].replicas]
        index, home = mesh.clusters.index(cluster), mesh.home_zone(cluster)
        addresses = [mesh.plane.add_gateway(index, home, numbers) for _ in range(count)]
        self._publish(cluster, addresses)
        return addresses

    def _publish(self, cluster: str, addresses: Sequence[int]) -> None:
        network = self._mesh.document.clusters[cluster].network
        published = tuple(GatewayAddress(number, cluster, network) for number in addresses)
        self._mesh.truth.publish_gateways(cluster, published)

    def _replicas(self, cluster: str, settings: Gateway) -> list[Proxy]:
        """Add as many replicas as there may ever be; those that are not wanted yet are down."""
        mesh = self._mesh
        destinations = range(len(mesh.plane.plan.destinations))
        zones = spread(self._most_replicas(cluster, settings), zones_of(mesh.document, cluster))
        return [
            mesh.add_gateway_proxy(
                state.EAST_WEST,
                f"{cluster}/east-west-{number}",
                mesh.client(cluster, zone, EAST_WEST_CLIENT),
                settings,
                destinations,
            )
            for number, zone in enumerate(zones)
        ]

    def _most_replicas(self, cluster: str, settings: Gateway) -> int:
        """Return how many replicas there may ever be, those of rollouts included."""
        document = self._mesh.document
        most, auto = settings.replicas, settings.autoscale
        if auto is not None:
            most = max(most, auto.max_replicas, auto.min_replicas or 0)
        rolled = any(
            event.event == "rollout"
            and event.gateway == "east-west"
            and cluster in select_clusters(document, event.target)
            for event in document.timeline
        )
        return most + max(math.ceil(document.kubernetes.max_surge * most), 1) if rolled else most
