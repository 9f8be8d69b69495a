"""Pods: Deployments that keep their replicas, admit pods through the webhook, roll out, scale and lose pods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import simpy

from meshsim.dataplane import state
from meshsim.engine.admission import Admission
from meshsim.engine.control_plane import IstiodGroup
from meshsim.engine.environment import Process
from meshsim.engine.gateway_sets import GatewaySet
from meshsim.engine.identity import Identity
from meshsim.engine.mesh import Mesh, Proxy
from meshsim.engine.replica_sets import ReplicaSet, Slot, surge_and_unavailable
from meshsim.engine.truth import Pod
from meshsim.mesh.placement import PlacedWorkload, first_zone, spread, zones_of
from meshsim.mesh.places import Client
from meshsim.scenario.outside import Outside
from meshsim.scenario.schema import EastWestGateway


class Cluster:
    """The pods of one Kubernetes cluster, and the controllers that keep them.

    Parameters
    ----------
    mesh
        The run.
    name
        The cluster.
    group
        The control plane that serves it: no pod is admitted, and no proxy configured, without it.
    identity
        Who gives proxies their certificates.
    placed
        Its Deployments, and the endpoints outside all clusters that it stands for.

    Attributes
    ----------
    gateways
        The Deployments of its gateways: ``east-west`` and ``ingress``, where it has them.
    lost
        Zones in which nothing runs, with the number of causes.
    on_new_pod
        Called with every pod before it serves.
    changes
        Counts changes of what an autoscaler looks at: pods that became ready or began to terminate.
    """

    def __init__(
        self, mesh: Mesh, name: str, group: IstiodGroup, identity: Identity, placed: Sequence[PlacedWorkload]
    ) -> None:
        self.mesh = mesh
        self.name = name
        self.group = group
        self.identity = identity
        self.settings = mesh.document.kubernetes
        self.replica_sets = [ReplicaSet(body) for body in placed if body.outside is None]
        self.gateways: dict[str, GatewaySet] = {}
        self._outside = [(body, body.outside) for body in placed if body.outside is not None]
        self.pods: dict[int, Pod] = {}
        self.proxies: dict[int, Proxy] = {}
        self.lost: Counter[str] = Counter()
        self.on_new_pod: list[Callable[[Pod], None]] = []
        self.admission = Admission(mesh, name, group, self.lost)
        self.changes = 0

    # --- at the start ---------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Have every replica ready at time zero; the control plane and identity give their proxies what they need."""
        for replica_set in self.replica_sets:
            replica_set.slots = [Slot(zone) for zone in replica_set.placed.zones]
            self._desire(replica_set, replica_set.placed.replicas)
            for number, slot in enumerate(replica_set.slots):
                slot.pod = self._create(replica_set, slot, number)
                self._enlist(slot.pod)
                self._ready(slot.pod, replica_set)
        for placed, outside in self._outside:
            self._begin_outside(placed, outside)
        self._begin_gateway()

    def _begin_gateway(self) -> None:
        gateway = self.mesh.gateways.get(self.name)
        if gateway is not None:
            settings = self.mesh.document.gateways.get(self.name, EastWestGateway())
            east_west = GatewaySet(self, "east-west", settings, gateway.replicas)
            east_west.on_change.append(lambda _: self.lead_through_east_west())
            self.add_gateway(east_west)

    def add_gateway(self, gateway: GatewaySet) -> None:
        """Take a gateway's Deployment among those of the cluster, with its first replicas ready."""
        self.gateways[gateway.kind] = gateway
        gateway.begin()

    def lead_through_east_west(self) -> None:
        """Let new connections to the east-west gateway's addresses go to the replicas that its Service has now."""
        numbers = [proxy.number for proxy in self.gateways["east-west"].serving]
        for address in self.mesh.gateways[self.name].addresses:
            self.mesh.plane.lead_gateway(address, numbers)

    def _begin_outside(self, placed: PlacedWorkload, outside: Outside) -> None:
        """Have a server ready that no Deployment keeps: nothing admits, replaces or counts it later."""
        mesh = self.mesh
        mesh.recorder.desired.add((self.name, placed.service), 1, mesh.env.now)
        pod = self._pod(placed, outside.name, outside.region, outside.zone)
        pod.outside = outside
        if self._callees(pod) or self._has_sidecar(pod):
            where = Client(self.name, outside.network, *outside.locality, labels=outside.labels)
            self._register(pod, where, int(mesh.plane.pods[pod.number].zone))
        self._ready(pod)

    def _desire(self, replica_set: ReplicaSet, replicas: int) -> None:
        key = (self.name, replica_set.placed.service)
        self.mesh.recorder.desired.add(key, replicas - replica_set.desired, self.mesh.env.now)
        replica_set.desired = replicas

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

    def _callees(self, pod: Pod) -> Sequence[int]:
        plan = self.mesh.plane.plan
        return plan.callees[plan.services.index(pod.service)]

    def _has_sidecar(self, pod: Pod) -> bool:
        return self.mesh.prepared.servers[pod.service, pod.workload].sidecar.enabled

    def _enlist(self, pod: Pod) -> None:
        """Make the proxy of a pod that has started known to the control plane."""
        self._register(pod, self.mesh.client(self.name, pod.zone, (pod.service, pod.workload)))

    def _register(self, pod: Pod, where: Client, zone: int | None = None) -> None:
        proxy = int(self.mesh.plane.pods[pod.number].proxy)
        self.proxies[pod.number] = self.mesh.register(
            proxy,
            pod.name,
            state.SIDECAR,
            where,
            self._callees(pod),
            service=pod.service,
            workload=pod.workload,
            zone=zone,
        )

    def _ready(self, pod: Pod, replica_set: ReplicaSet | None = None) -> None:
        self.pods[pod.number] = pod
        for hook in self.on_new_pod:
            hook(pod)
        pod.ready = True
        self.mesh.plane.serve(pod.number)
        self.mesh.recorder.ready.add((self.name, pod.service), 1, self.mesh.env.now)
        self.mesh.truth.publish(pod)
        if replica_set is not None:
            replica_set.join(pod.number, int(self.mesh.plane.pods[pod.number].proxy))
            self.changes += 1

    # --- pods come and go -----------------------------------------------------------------------------------

    def fill(self, replica_set: ReplicaSet, number: int) -> simpy.Event:
        """Start a pod in an empty slot; return the process that ends when it is ready."""
        slot = replica_set.slots[number]
        if slot.starting is None:
            slot.starting = self.mesh.env.process(self._start(replica_set, slot, number))
        return slot.starting

    def _start(self, replica_set: ReplicaSet, slot: Slot, number: int) -> Process:
        """Create a pod: admission through the injection webhook, image and application, first configuration."""
        admission, mesh, placed = self.admission, self.mesh, replica_set.placed
        name = f"{replica_set.name}-{number}.{slot.filled}"
        injected = mesh.prepared.servers[placed.service, placed.name].sidecar.enabled
        yield from admission.until_up(slot.zone)
        wanted = yield from admission.admit(
            name, placed.service, lambda: number < replica_set.desired, injected=injected
        )
        if not wanted:
            slot.starting = None
            return
        pod = self._create(replica_set, slot, number)
        replica_set.starting += 1
        if mesh.unready_endpoints:
            mesh.truth.publish(pod)
        yield mesh.env.timeout(mesh.streams.duration(f"start/{name}", self.settings.pod_start))
        yield from admission.until_there(slot.zone)
        self._enlist(pod)
        yield from self.join_mesh(self.proxies[pod.number], injected=injected)
        yield from admission.until_up(slot.zone)  # the node reports that the pod is ready
        replica_set.starting -= 1
        slot.pod, slot.starting = pod, None
        self._ready(pod, replica_set)
        mesh.recorder.count("started", self.name, placed.service)
        mesh.recorder.event(mesh.env.now, "pod ready", name, placed.service)
        if number >= replica_set.desired:  # scaled down meanwhile
            self._terminate(replica_set, slot)

    def join_mesh(self, proxy: Proxy, *, injected: bool) -> Process:
        """Wait for what a new proxy needs before its pod is ready: its first configuration and certificate."""
        configured = self.group.connect(proxy)
        if injected:
            yield configured
            yield from self.identity.issue(proxy)

    def _terminate(self, replica_set: ReplicaSet, slot: Slot) -> None:
        """Delete the pod in a slot, if there is one: its endpoint goes at once, the pod after its drain time."""
        pod, slot.pod = slot.pod, None
        if pod is None:
            return
        self._unready(pod)
        pod.draining = True
        replica_set.leave(pod.number)
        self.changes += 1
        self.mesh.plane.drain(pod.number)
        self.mesh.truth.remove(pod)
        self.mesh.env.process(self._drain(pod))

    def _unready(self, pod: Pod) -> bool:
        """Note that a pod is not ready; return whether it was."""
        was, pod.ready = pod.ready, False
        if was:
            self.mesh.recorder.ready.add((self.name, pod.service), -int(pod.reachable), self.mesh.env.now)
        return was

    def withdraw(self, pod: Pod) -> None:
        """Take a pod whose node is lost out of the endpoints; from Istio 1.31 it stays there as an unhealthy one."""
        self.admission.when_up(lambda: self._withdraw(pod))

    def _withdraw(self, pod: Pod) -> None:
        if pod.reachable or pod.gone or pod.draining or not self._unready(pod):
            return
        if self.mesh.unready_endpoints:
            self.mesh.truth.publish(pod)
        else:
            self.mesh.truth.remove(pod)

    def restore(self, pod: Pod) -> None:
        """Put a pod back into the endpoints."""
        self.admission.when_up(lambda: self._restore(pod))

    def _restore(self, pod: Pod) -> None:
        if pod.reachable and not (pod.ready or pod.gone or pod.draining):
            pod.ready = True
            self.mesh.recorder.ready.add((self.name, pod.service), 1, self.mesh.env.now)
            self.mesh.truth.publish(pod)

    def _drain(self, pod: Pod) -> Process:
        yield self.mesh.env.timeout(self.settings.drain)
        pod.gone = True
        del self.pods[pod.number]
        proxy = self.proxies.pop(pod.number)
        self.identity.forget(proxy)
        self.mesh.forget(proxy)
        self.mesh.plane.kill(pod.number, self.mesh.env.now, silent=False, for_good=True)
        if self.settings.gone_pods == "blackhole":
            self.mesh.plane.silence(pod.number)

    # --- what people and controllers do ---------------------------------------------------------------------

    def delete(self, replica_set: ReplicaSet, number: int) -> None:
        """Evict the pod in a slot, if there is one; its ReplicaSet starts another at once."""
        self.admission.when_up(lambda: self._delete(replica_set, number))

    def _delete(self, replica_set: ReplicaSet, number: int) -> None:
        slot = replica_set.slots[number]
        if slot.pod is None or not slot.pod.reachable:
            return
        self.mesh.recorder.event(self.mesh.env.now, "pod deleted", slot.pod.name, "evicted")
        self._terminate(replica_set, slot)
        self.fill(replica_set, number)

    def roll_out(self, replica_set: ReplicaSet) -> Process:
        """Replace every pod: as many at a time as the surge and unavailable limits allow."""
        yield from self.admission.until_up()
        waiting = list(range(replica_set.desired))
        yield from self.replace_all(
            replica_set.name, len(waiting), "pods", lambda late: self._lane(replica_set, waiting, first_delete=late)
        )

    def replace_all(self, name: str, count: int, what: str, lane: Callable[[bool], Process]) -> Process:
        """Run a rolling update, of pods or of a gateway's replicas, in as many lanes as its limits allow.

        Parameters
        ----------
        name, count, what
            Whose it is, and how many of what are replaced.
        lane
            Replaces one after the other. It is told whether it is one of those beyond the surge, which have to delete
            an old one first.
        """
        env, settings = self.mesh.env, self.settings
        surge, unavailable = surge_and_unavailable(count, settings.max_surge, settings.max_unavailable)
        self.mesh.recorder.event(env.now, "rollout begins", name, f"{count} {what}")
        lanes = [env.process(lane(number >= surge)) for number in range(min(surge + unavailable, count))]
        yield env.all_of(lanes)
        self.mesh.recorder.event(env.now, "rollout done", name, f"{count} {what}")

    def _lane(self, replica_set: ReplicaSet, waiting: list[int], *, first_delete: bool) -> Process:
        """Replace pods one after the other, deleting the old one before or after the new one is ready."""
        while waiting:
            number = waiting.pop(0)
            slot = replica_set.slots[number]
            yield from self.admission.until_up(slot.zone)
            if number >= replica_set.desired:  # scaled down meanwhile
                continue
            if slot.starting is not None or slot.pod is None:
                yield self.fill(replica_set, number)
            elif first_delete:
                self._terminate(replica_set, slot)
                yield self.fill(replica_set, number)
            else:
                yield from self._replace(replica_set, slot, number)

    def _replace(self, replica_set: ReplicaSet, slot: Slot, number: int) -> Process:
        """Start a pod beside the one in a slot, which is deleted when the new one is ready."""
        spare = Slot(slot.zone, filled=slot.filled)
        slot.filled += 1
        yield self.mesh.env.process(self._start(replica_set, spare, number))
        if slot.starting is not None:  # a pod was lost meanwhile and is being replaced
            yield slot.starting
        if spare.pod is None:
            return
        yield from self.admission.until_up()
        self._terminate(replica_set, slot)
        slot.pod = spare.pod
        if number >= replica_set.desired:  # scaled down meanwhile
            self._terminate(replica_set, slot)

    def scale(self, replica_set: ReplicaSet, replicas: int) -> None:
        """Change the number of replicas."""
        self.admission.when_up(lambda: self._scale(replica_set, replicas))

    def _scale(self, replica_set: ReplicaSet, replicas: int) -> None:
        was = replica_set.desired
        self.mesh.recorder.event(self.mesh.env.now, "scaled", replica_set.name, f"{was} to {replicas} pods")
        self._desire(replica_set, replicas)
        for slot in replica_set.slots[replicas:was]:
            self._terminate(replica_set, slot)
        zones = spread(
            max(replicas, len(replica_set.slots)),
            zones_of(self.mesh.document, self.name),
            first_zone(replica_set.placed.name),
        )
        replica_set.slots += [Slot(zone) for zone in zones[len(replica_set.slots) :]]
        for number in range(was, replicas):
            if replica_set.slots[number].pod is None:
                self.fill(replica_set, number)
