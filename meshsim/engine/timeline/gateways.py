"""Events of gateways: replicas that are lost, and addresses that change."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from meshsim.engine.east_west import NOT_SCALED
from meshsim.engine.environment import Undo
from meshsim.engine.mesh import Proxy
from meshsim.engine.timeline.reach import Move, Reach, together
from meshsim.mesh.placement import Zone
from meshsim.scenario.schema import GatewayAddressChange, GatewayDown
from meshsim.scenario.selectors import select_clusters


def gateway_down(reach: Reach, event: GatewayDown) -> Undo | None:
    """Lose east-west gateways, or the gateways in front of external control planes where the target names them."""
    if event.target.control_plane is not None:
        groups = [group for group in reach.groups(event.target) if group.plane.entrance]
        return together(group.lose_entrance(event.replicas, event.mode) for group in groups)
    clusters = select_clusters(reach.document, event.target)
    return together(lose_east_west(reach, name, reach.mesh.zones, event.mode, event.replicas) for name in clusters)


def gateway_address_change(reach: Reach, event: GatewayAddressChange) -> Undo | None:
    """Give east-west gateways other addresses, which clients learn from istiod; the old ones lead nowhere."""
    return together(_move(reach, name, event.mode) for name in select_clusters(reach.document, event.target))


def _move(reach: Reach, cluster: str, mode: str) -> Undo | None:
    gateway = reach.mesh.gateways.get(cluster)
    if gateway is None or not gateway.addresses:
        return None
    moves = reach.moves.setdefault(cluster, [])
    own = Move(reach.mesh.gateways.move(cluster, mode))
    moves.append(own)
    reach.clusters[cluster].lead_through_east_west()

    def undo() -> None:
        own.ended = True
        while moves and moves[-1].ended:  # an earlier move ends with the later one, whose addresses are in force
            moves.pop().undo()
            reach.clusters[cluster].lead_through_east_west()

    return undo


def lose_east_west(
    reach: Reach, cluster: str, zones: Collection[Zone], mode: str, most: int | None = None
) -> Undo | None:
    """Lose replicas of a cluster's east-west gateway in some zones, at most so many of those that run."""
    gateway = reach.mesh.gateways.get(cluster)
    here = [proxy for proxy in gateway.replicas if reach.mesh.zones[proxy.zone] in zones] if gateway else []
    if most is not None:
        here = [proxy for proxy in here if NOT_SCALED not in proxy.causes][:most]
    return _lose(reach, cluster, here, mode)


def lose_ingress(reach: Reach, cluster: str, zones: Collection[Zone], mode: str) -> Undo | None:
    """Lose the replicas of a cluster's ingress gateway in some zones."""
    here = [proxy for proxy in reach.mesh.ingress.get(cluster, ()) if reach.mesh.zones[proxy.zone] in zones]
    return _lose(reach, cluster, here, mode)


def _lose(reach: Reach, cluster: str, proxies: Iterable[Proxy], mode: str) -> Undo | None:
    hit = list(proxies)
    for proxy in hit:
        reach.mesh.lose_gateway(cluster, proxy, mode)

    def undo() -> None:
        for proxy in hit:
            reach.mesh.regain_gateway(cluster, proxy, mode)

    return undo if hit else None
