"""Events of control planes: istiod, its certificates, its configuration, and the API servers that it needs."""

from __future__ import annotations

from collections.abc import Collection

from meshsim.engine.control_plane import IstiodGroup
from meshsim.engine.environment import Undo
from meshsim.engine.timeline.reach import Reach, nothing, together
from meshsim.scenario.schema_timeline import (
    ApiServerDown,
    CertificateAuthorityDown,
    ConfigChange,
    ControlPlaneCrashLoop,
    ControlPlaneDown,
    ControlPlaneRollout,
    ControlPlaneSlow,
    RemoteSecret,
    RootChange,
    RootExpired,
)
from meshsim.scenario.selectors import matches, select_clusters

# --- istiod -------------------------------------------------------------------------------------------------


def control_plane_down(reach: Reach, event: ControlPlaneDown) -> Undo | None:
    """Lose replicas of istiod; they start again, knowing nothing, at the end."""
    return together(group.fail(event.replicas) for group in reach.groups(event.target))


def control_plane_crash_loop(reach: Reach, event: ControlPlaneCrashLoop) -> Undo | None:
    """Let replicas of istiod crash soon after every start."""
    return together(group.crash_loop(event.replicas, event.runs_for) for group in reach.groups(event.target))


def control_plane_slow(reach: Reach, event: ControlPlaneSlow) -> Undo | None:
    """Let istiod compute slower; the factors of several events multiply."""
    return together(group.slow(event.factor) for group in reach.groups(event.target))


def control_plane_rollout(reach: Reach, event: ControlPlaneRollout) -> Undo | None:
    """Replace every replica of istiod; it goes on until it is done."""
    groups = reach.groups(event.target)
    for group in groups:
        reach.mesh.env.process(group.roll_out())
    return nothing if groups else None


def lose_replicas(group: IstiodGroup, mode: str, zones: Collection[int] | None = None) -> Undo | None:
    """Lose replicas of istiod with the place that they run in; ``mode`` tells what their connections see.

    A zone that has none at the moment may be given one meanwhile, by an autoscaler: that one is lost, too.
    """
    at_home = zones is None or any(zone in zones for zone in group.zones)
    return group.fail(zones=zones, silent=mode == "blackhole") if at_home else None


# --- certificates -------------------------------------------------------------------------------------------


def certificate_authority_down(reach: Reach, event: CertificateAuthorityDown) -> Undo | None:
    """Sign no certificates."""
    return together(group.stop_signing() for group in reach.groups(event.target))


def trust_root(reach: Reach, event: RootChange) -> None:
    """Tell proxies, with their next certificates, to trust a root that is to come."""
    for group in reach.groups(event.target):
        _trust(group, event.root)


def _trust(group: IstiodGroup, root: str) -> None:
    if root not in group.trusts:
        group.trusts = (*group.trusts, root)


def root_change(reach: Reach, event: RootChange) -> Undo | None:
    """Sign with another root; without time in which both were trusted, proxies are told to trust the new one only."""
    groups = reach.groups(event.target)
    before = event.both_trusted_before
    for group in groups:
        if before > 0:
            _trust(group, event.root)  # another change may have ended the trust since
            reach.identity.change_root(group, event.root, told_since=reach.mesh.env.now - before)
        else:
            group.trusts = (event.root,)
            reach.identity.change_root(group, event.root)
    return nothing if groups else None


def root_expired(reach: Reach, event: RootExpired) -> Undo | None:
    """Let the roots that control planes sign with now be invalid, for one more cause."""
    roots = list(dict.fromkeys(group.root for group in reach.groups(event.target)))
    return together(_expire(reach, root) for root in roots)


def _expire(reach: Reach, root: str) -> Undo:
    number = reach.identity.number(root)
    reach.expired[root] += 1
    reach.mesh.plane.expire_root(number, expired=True)

    def undo() -> None:
        reach.expired[root] -= 1
        reach.mesh.plane.expire_root(number, expired=reach.expired[root] > 0)

    return undo


# --- API servers and what is kept in them -------------------------------------------------------------------


def api_server_down(reach: Reach, event: ApiServerDown) -> Undo | None:
    """Let API servers not answer."""
    return together(lose_api_server(reach, name) for name in select_clusters(reach.document, event.target))


def lose_api_server(reach: Reach, cluster: str) -> Undo:
    """Let the API server of a cluster not answer, for one more cause."""
    server = reach.mesh.api_servers[cluster]
    server.fail()
    return server.recover


def remote_secret(reach: Reach, event: RemoteSecret) -> Undo | None:
    """Change the secrets by which control planes watch clusters; each cluster is watched from its home without one."""
    watched = select_clusters(reach.document, event.target)
    return together(
        _change_secret(reach, group, cluster, event)
        for group in reach.mesh.groups.values()
        if matches(event.target.control_plane, group.plane.name)
        for cluster in group.plane.secrets
        if cluster in watched
    )


def _change_secret(reach: Reach, group: IstiodGroup, cluster: str, event: RemoteSecret) -> Undo:
    """Change one secret. Only when nothing is wrong with it any more a good one is stored again."""
    undo = group.change_secret(cluster, event.change, picked_up=event.picked_up)
    if event.change == "rotated" and event.picked_up:
        return nothing
    key = (group.plane.name, cluster)
    reach.secrets[key] += 1

    def put_back() -> None:
        reach.secrets[key] -= 1
        if reach.secrets[key] == 0:
            undo()

    return put_back


def config_change(reach: Reach, event: ConfigChange) -> Undo | None:
    """Change nothing by itself: the timeline has each control plane's own changes applied at their times."""
    return nothing if reach.groups(event.target) else None
