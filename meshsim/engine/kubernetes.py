"""Pods: Deployments that keep their replicas, admit pods through the webhook, roll out, scale and lose pods."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import simpy

from meshsim.dataplane import state
from meshsim.engine.control_plane import Istiod
from meshsim.engine.environment import Process
from meshsim.engine.mesh import Mesh, Proxy
from meshsim.engine.truth import Pod
from meshsim.mesh.placement import PlacedWorkload, first_zone, spread, zones_of
from meshsim.mesh.places import Client
from meshsim.scenario.outside import Outside

#: A rejected pod's pause doubles up to this many times the first one.
MOST_PAUSES = 16
#: A proxy that cannot reach its control plane asks again after this many seconds.
CONNECT_PAUSE = 0.5


@dataclass(slots=True, eq=False)
class Slot:
    """A replica's place in a Deployment: the pod that fills it now, and how often it was filled."""

    zone: str
    pod: Pod | None = None
    filled: int = 0
    starting: simpy.Event | None = None


@dataclass(slots=True, eq=False)
class ReplicaSet:
    """A Deployment in one cluster."""

    placed: PlacedWorkload
    slots: list[Slot] = field(default_factory=list)
    desired: int = 0

    @property
    def name(self) -> str:
        """Return ``cluster/workload``."""
        return f"{self.placed.cluster}/{self.placed.name}"


class Cluster:
    """The pods of one Kubernetes cluster.

    Parameters
    ----------
    mesh
        The run.
    name
        The cluster.
    istiod
        The control plane that serves it: no pod is admitted, and no proxy configured, without it.
    placed
        Its Deployments, and the endpoints outside all clusters that it stands for.
    """

    def __init__(self, mesh: Mesh, name: str, istiod: Istiod, placed: Sequence[PlacedWorkload]) -> None:
        self.mesh = mesh
        self.name = name
        self.istiod = istiod
        self.settings = mesh.document.kubernetes
        self.replica_sets = [ReplicaSet(body) for body in placed if body.outside is None]
        self._outside = [(body, body.outside) for body in placed if body.outside is not None]
        self.pods: dict[int, Pod] = {}
        self.proxies: dict[int, Proxy] = {}
        self.lost: Counter[str] = Counter()
        self.on_new_pod: list[Callable[[Pod], None]] = []

    # --- at the start ---------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Have every replica ready at time zero."""
        for replica_set in self.replica_sets:
            replica_set.desired = replica_set.placed.replicas
            replica_set.slots = [Slot(zone) for zone in replica_set.placed.zones]
            self._desire(replica_set, replica_set.desired)
            for number, slot in enumerate(replica_set.slots):
                pod = self._create(replica_set, slot, number)
                self._enlist(pod, slot)
                self._ready(pod)
        for placed, outside in self._outside:
            self._begin_outside(placed, outside)

    def _begin_outside(self, placed: PlacedWorkload, outside: Outside) -> None:
        """Have a server ready that no Deployment keeps: nothing admits, replaces or counts it later."""
        mesh = self.mesh
        mesh.recorder.desired[self.name, placed.service].add(1, mesh.env.now)
        pod = self._pod(placed, outside.name, outside.region, outside.zone)
        pod.outside = outside
        callees = mesh.plane.plan.callees[mesh.plane.plan.services.index(placed.service)]
        if callees or mesh.prepared.servers[placed.service, placed.name].sidecar.enabled:
            where = Client(self.name, outside.network, *outside.locality, labels=outside.labels)
            record = mesh.plane.pods[pod.number]
            self.proxies[pod.number] = mesh.register(
                int(record.proxy), state.SIDECAR, where, callees, placed.service, zone=int(record.zone)
            )
        self.pods[pod.number] = pod
        self._ready(pod)

    def _desire(self, replica_set: ReplicaSet, change: int) -> None:
        key = (self.name, replica_set.placed.service)
        self.mesh.recorder.desired[key].add(change, self.mesh.env.now)

    def _create(self, replica_set: ReplicaSet, slot: Slot, number: int) -> Pod:
        name = f"{replica_set.name}-{number}.{slot.filled}"
        slot.filled += 1
        return self._pod(replica_set.placed, name, self.mesh.document.clusters[self.name].region, slot.zone)

    def _pod(self, placed: PlacedWorkload, name: str, region: str, zone: str) -> Pod:
        """Add a pod to the data plane that does not listen yet."""
        mesh, plan = self.mesh, self.mesh.plane.plan
        pod = Pod(name, placed.service, placed.name, self.name, region, zone)
        service = plan.services.index(placed.service)
        server = mesh.prepared.servers[placed.service, placed.name]
        pod.number = mesh.plane.add_pod(
            service,
            plan.workloads[placed.service].index(placed.name),
            name,
            cluster=mesh.clusters.index(self.name),
            zone=mesh.zones.index((region, zone)),
            sidecar=server.sidecar,
            strict=server.strict,
            inbound_limit=server.inbound_limit,
        )
        return pod

    def _enlist(self, pod: Pod, slot: Slot) -> None:
        """Make a pod known that has started, and its proxy to the control plane."""
        mesh = self.mesh
        proxy = int(mesh.plane.pods[pod.number].proxy)
        callees = mesh.plane.plan.callees[mesh.plane.plan.services.index(pod.service)]
        where = mesh.client(self.name, slot.zone, (pod.service, pod.workload))
        self.proxies[pod.number] = mesh.register(proxy, state.SIDECAR, where, callees, pod.service)
        self.pods[pod.number] = slot.pod = pod

    def _ready(self, pod: Pod) -> None:
        for hook in self.on_new_pod:
            hook(pod)
        pod.ready = True
        self.mesh.plane.serve(pod.number)
        self.mesh.recorder.ready[self.name, pod.service].add(1, self.mesh.env.now)
        self.mesh.truth.publish(pod)

    # --- pods come and go -----------------------------------------------------------------------------------

    def fill(self, replica_set: ReplicaSet, number: int) -> simpy.Event:
        """Start a pod in an empty slot; return the process that ends when it is ready."""
        slot = replica_set.slots[number]
        if slot.starting is None:
            slot.starting = self.mesh.env.process(self._start(replica_set, slot, number))
        return slot.starting

    def _start(self, replica_set: ReplicaSet, slot: Slot, number: int) -> Process:
        """Create a pod: admission through the injection webhook, image and application, first configuration."""
        env = self.mesh.env
        name = f"{replica_set.name}-{number}.{slot.filled}"
        yield from self._wait_for_zone(slot.zone)
        yield from self._admit(replica_set, name)
        pod = self._create(replica_set, slot, number)
        if self.mesh.unready_endpoints:
            self.mesh.truth.publish(pod)
        yield env.timeout(self.mesh.streams.duration(f"start/{name}", self.settings.pod_start))
        while self.lost[slot.zone] > 0 or not self.istiod.reaches(self.name):
            yield env.timeout(CONNECT_PAUSE)
        self._enlist(pod, slot)
        self.istiod.configure(self.proxies[pod.number])
        self._ready(pod)
        slot.starting = None
        if number >= replica_set.desired:  # scaled down meanwhile
            self.terminate(replica_set, number)
        self.mesh.recorder.count("started", self.name, replica_set.placed.service)
        self.mesh.recorder.event(env.now, "pod ready", name, replica_set.placed.service)

    def _wait_for_zone(self, zone: str) -> Process:
        """Wait while a zone is lost: its replicas are spread by constraint and go nowhere else."""
        while self.lost[zone] > 0:
            yield self.mesh.env.timeout(CONNECT_PAUSE)

    def _admit(self, replica_set: ReplicaSet, name: str) -> Process:
        """Ask the webhook until it answers: failurePolicy Fail rejects the pod while it does not (spec §5.3)."""
        recorder, service = self.mesh.recorder, replica_set.placed.service
        pause, since = self.settings.retry_create, None
        while not self.istiod.reaches(self.name):
            if since is None:
                since = self.mesh.env.now
                recorder.blocked[self.name, service].add(1, since)
                recorder.count("blocked", self.name, service)
                recorder.event(since, "pod rejected", name, "the injection webhook cannot be reached")
            recorder.count("rejected", self.name, service)
            yield self.mesh.env.timeout(pause)
            pause = min(2 * pause, MOST_PAUSES * self.settings.retry_create)
        if since is not None:
            recorder.blocked[self.name, service].add(-1, self.mesh.env.now)

    def terminate(self, replica_set: ReplicaSet, number: int) -> None:
        """Delete the pod in a slot: its endpoint goes at once, the pod after its drain time."""
        slot = replica_set.slots[number]
        pod, slot.pod = slot.pod, None
        if pod is None:
            return
        self._unready(pod)
        pod.draining = True
        self.mesh.truth.remove(pod)
        self.mesh.env.process(self._drain(pod))

    def _unready(self, pod: Pod) -> bool:
        """Note that a pod is not ready; return whether it was."""
        was, pod.ready = pod.ready, False
        if was:
            self.mesh.recorder.ready[self.name, pod.service].add(-int(pod.reachable), self.mesh.env.now)
        return was

    def withdraw(self, pod: Pod) -> None:
        """Take a pod that is not ready out of the endpoints; from Istio 1.31 it stays there as an unhealthy one."""
        if not self._unready(pod):
            return
        if self.mesh.unready_endpoints:
            self.mesh.truth.publish(pod)
        else:
            self.mesh.truth.remove(pod)

    def restore(self, pod: Pod) -> None:
        """Put a pod back into the endpoints."""
        if not pod.ready and not pod.gone:
            pod.ready = True
            self.mesh.recorder.ready[self.name, pod.service].add(int(pod.reachable), self.mesh.env.now)
            self.mesh.truth.publish(pod)

    def _drain(self, pod: Pod) -> Process:
        yield self.mesh.env.timeout(self.settings.drain)
        pod.gone = True
        del self.pods[pod.number]
        self.mesh.forget(self.proxies.pop(pod.number))
        silent = self.settings.gone_pods == "blackhole"
        self.mesh.plane.kill(pod.number, self.mesh.env.now, silent=False, for_good=True)
        if silent:
            self.mesh.plane.pods[pod.number].state = state.SILENT

    # --- what people and controllers do ---------------------------------------------------------------------

    def delete(self, replica_set: ReplicaSet, number: int) -> None:
        """Evict the pod in a slot, if there is one; its ReplicaSet starts another at once."""
        slot = replica_set.slots[number]
        if slot.pod is None or not slot.pod.reachable:
            return
        self.mesh.recorder.event(self.mesh.env.now, "pod deleted", slot.pod.name, "evicted")
        self.terminate(replica_set, number)
        self.fill(replica_set, number)

    def roll_out(self, replica_set: ReplicaSet) -> Process:
        """Replace every pod: as many at a time as the surge and unavailable limits allow."""
        env, count = self.mesh.env, replica_set.desired
        surge = math.ceil(self.settings.max_surge * count)
        unavailable = math.floor(self.settings.max_unavailable * count)
        if surge + unavailable == 0:
            surge = 1  # Kubernetes does not let both be zero
        waiting = list(range(count))
        self.mesh.recorder.event(env.now, "rollout begins", replica_set.name, f"{count} pods")
        lanes = [
            env.process(self._lane(replica_set, waiting, first_delete=lane >= surge))
            for lane in range(min(surge + unavailable, count))
        ]
        yield env.all_of(lanes)
        self.mesh.recorder.event(env.now, "rollout done", replica_set.name, f"{count} pods")

    def _lane(self, replica_set: ReplicaSet, waiting: list[int], *, first_delete: bool) -> Process:
        """Replace pods one after the other, deleting the old one before or after the new one is ready."""
        while waiting:
            number = waiting.pop(0)
            slot = replica_set.slots[number]
            yield from self._wait_for_zone(slot.zone)
            if slot.starting is not None or slot.pod is None:
                yield self.fill(replica_set, number)
                continue
            if first_delete:
                self.terminate(replica_set, number)
                yield self.fill(replica_set, number)
                continue
            spare = Slot(slot.zone, filled=slot.filled)
            yield self.mesh.env.process(self._start(replica_set, spare, number))
            yield from self._until_filled(slot)
            self.terminate(replica_set, number)
            slot.pod, slot.filled = spare.pod, spare.filled
            if number >= replica_set.desired:  # scaled down meanwhile
                self.terminate(replica_set, number)

    def _until_filled(self, slot: Slot) -> Process:
        """Wait for the pod that replaces one lost meanwhile, if there is one."""
        if slot.starting is not None:
            yield slot.starting

    def scale(self, replica_set: ReplicaSet, replicas: int) -> None:
        """Change the number of replicas."""
        env = self.mesh.env
        self.mesh.recorder.event(env.now, "scaled", replica_set.name, f"{replica_set.desired} to {replicas} pods")
        self._desire(replica_set, replicas - replica_set.desired)
        for number in range(replicas, replica_set.desired):
            self.terminate(replica_set, number)
        zones = spread(
            max(replicas, len(replica_set.slots)),
            zones_of(self.mesh.document, self.name),
            first_zone(replica_set.placed.name),
        )
        replica_set.slots += [Slot(zone) for zone in zones[len(replica_set.slots) :]]
        was, replica_set.desired = replica_set.desired, replicas
        for number in range(was, replicas):
            if replica_set.slots[number].pod is None:
                self.fill(replica_set, number)
