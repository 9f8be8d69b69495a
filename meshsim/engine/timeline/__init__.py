"""The timeline: each event happens at its start and is taken back at its end, leaving no trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from meshsim.engine.environment import Process, Undo
from meshsim.engine.timeline import control_planes, gateways, links, operations, places, services
from meshsim.engine.timeline.reach import Reach
from meshsim.engine.truth import Pod
from meshsim.scenario.changes import PlannedChange
from meshsim.scenario.happenings import Happening, happenings
from meshsim.scenario.schema_timeline import PodChurn, RootChange

#: What an event does: it is given what it can reach and itself, and returns its undo, or None if it has no target.
#: `operations.pod_churn` stands aside, as it draws at random and needs the name of its stream.
Install = Callable[[Reach, Any], Undo | None]

INSTALLS: Mapping[str, Install] = {
    install.__name__: install
    for install in (
        control_planes.control_plane_down,
        control_planes.control_plane_crash_loop,
        control_planes.control_plane_slow,
        control_planes.control_plane_rollout,
        control_planes.certificate_authority_down,
        control_planes.root_change,
        control_planes.root_expired,
        control_planes.api_server_down,
        control_planes.remote_secret,
        control_planes.config_change,
        places.cluster_down,
        places.zone_outage,
        places.region_outage,
        gateways.gateway_down,
        gateways.gateway_address_change,
        links.link_slow,
        links.link_lossy,
        links.partition,
        services.service_slow,
        services.service_failing,
        operations.traffic_surge,
        operations.rollout,
        operations.scale,
    )
}

#: Events that can open or close a way, or an API server or istiod at its end.
WAYS = frozenset(
    {
        "control_plane_down",
        "api_server_down",
        "cluster_down",
        "zone_outage",
        "region_outage",
        "gateway_down",
        "link_lossy",
        "partition",
    }
)


class Timeline:
    """Runs what happens in a scenario against a run.

    Parameters
    ----------
    reach
        What it can reach.
    """

    def __init__(self, reach: Reach) -> None:
        self.reach = reach
        self.mesh = reach.mesh
        for cluster in reach.clusters.values():
            cluster.on_new_pod.append(self._new_pod)

    def begin(self) -> None:
        """Schedule everything that happens."""
        env = self.mesh.env
        for happening in happenings(self.reach.document):
            if isinstance(happening.event, RootChange) and happening.event.both_trusted_before > 0:
                env.process(self._announce(happening.start, happening.event))
            env.process(self._happen(happening))
        if changes := self.mesh.prepared.changes(self.reach.deployment):
            env.process(self._configure(changes))

    def _new_pod(self, pod: Pod) -> None:
        services.set_troubles(self.reach, pod)

    def _happen(self, happening: Happening) -> Process:
        env, recorder = self.mesh.env, self.mesh.recorder
        name, kind = happening.name, happening.event.event
        yield env.at(happening.start)
        recorder.event(env.now, "event begins", name, kind)
        undo = self._install(happening)
        if undo is None:
            recorder.event(env.now, "event has no target", name, kind)
        if happening.end is None:
            return
        yield env.at(happening.end)
        if undo is not None:
            undo()
            self._look(kind)
        recorder.event(env.now, "event ends", name, kind)

    def _install(self, happening: Happening) -> Undo | None:
        event = happening.event
        if isinstance(event, PodChurn):
            stream = f"churn/{happening.index}/{happening.repetition}"
            return operations.pod_churn(self.reach, event, stream=stream)
        undo = INSTALLS[event.event](self.reach, event)
        self._look(event.event)
        return undo

    def _look(self, kind: str) -> None:
        """Have streams and watches look at their ways where an event may have opened or closed one."""
        if kind in WAYS:
            self.mesh.paths_changed()

    def _announce(self, start: float, event: RootChange) -> Process:
        """Tell proxies of a root before it is signed with."""
        yield self.mesh.env.at(max(start - event.both_trusted_before, 0.0))
        control_planes.trust_root(self.reach, event)

    def _configure(self, changes: Sequence[PlannedChange]) -> Process:
        """Have changes of configuration applied and taken back at their times."""
        for change in changes:
            yield self.mesh.env.at(change.time)
            self.mesh.groups[change.control_plane].configure(change.change, applied=change.applied)
