"""Laws that every run keeps exactly, whatever happens in it: nothing is lost, invented or counted twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meshsim.scenario import Scenario
from meshsim.scenario.requests import INGRESS

if TYPE_CHECKING:
    from meshsim.engine.prepared import Prepared
    from meshsim.engine.simulation import Simulation

#: Sums of many numbers in another order differ by rounding; relative to their size this much is allowed.
ROUNDING = 1e-9
#: Flags of calls that may have ended before the first attempt: aborted or delayed by a fault, or sent nowhere.
UNTRIED = frozenset({"FI", "DI", "NR", "NC", "DC"})

Columns = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Law:
    """Two numbers that must be the same."""

    name: str
    left: float
    right: float

    @property
    def holds(self) -> bool:
        """Return whether they are, but for rounding."""
        return abs(self.left - self.right) <= ROUNDING * max(abs(self.left), abs(self.right), 1.0)


class Witness:
    """A run that is watched from inside, so that laws can be checked against what is left in it at its end.

    Parameters
    ----------
    prepared, deployment, replication
        As for `meshsim.engine.simulation.Simulation`.
    """

    def __init__(self, prepared: Prepared | Scenario, deployment: str, replication: int = 0) -> None:
        from meshsim.engine.simulation import Simulation

        self.simulation: Simulation = Simulation(prepared, deployment, replication)
        self.lost_demand = 0.0
        plane = self.simulation.mesh.plane
        kill = plane.kill

        def kill_and_note(pod: int, now: float, **how: bool) -> None:
            self.lost_demand += self._unserved(now, pod)
            kill(pod, now, **how)

        plane.kill = kill_and_note  # type: ignore[method-assign]

    def run(self) -> tuple[Columns, list[Law]]:
        """Run to the end; return the tables and every law."""
        tables = self.simulation.run()
        return tables, [
            *self._requests(tables),
            *self._calls(tables),
            *self._work(tables),
            *self._places(),
            *self._queues(),
            *self._connections(),
            *self._pools(),
            *self._end(tables),
        ]

    # --- what is there at the end ---------------------------------------------------------------------------

    @property
    def _world(self) -> Any:
        return self.simulation.mesh.plane.world

    def _frames(self, kind: int) -> Any:
        frames = self._world.frames[: self._world.clock[0].used]
        return frames[frames.kind == kind]

    def _computing(self) -> Any:
        """Return the calendar's ends of computations that will still be taken note of."""
        from meshsim.dataplane.calendar import COMPUTED, events

        found = events(self._world)
        ends = found[found.kind == COMPUTED]
        return ends[self._world.frames.generation[ends.subject] == ends.generation]

    def _unserved(self, now: float, pod: int | None = None) -> float:
        """Return the seconds of work that pods, or one, have taken on and not done yet."""
        frames, ends = self._world.frames, self._computing()
        numbers = range(len(self.simulation.mesh.plane.pods)) if pod is None else [pod]
        here = np.isin(frames.pod[ends.subject], list(numbers))
        queued = sum(frames[waiting].demand for number in numbers for waiting in self._queue(number))
        return float((ends.time[here] - now).sum() + queued)

    def _queue(self, pod: int) -> Iterator[int]:
        waiting = int(self._world.pods[pod].head)
        while waiting != -1:
            yield waiting
            waiting = int(self._world.frames[waiting].next)

    # --- the laws -------------------------------------------------------------------------------------------

    def _requests(self, tables: Columns) -> Iterator[Law]:
        """Yield that arrivals are outcomes plus what is in flight; Little's law."""
        from meshsim.dataplane.state import CALL, NONE

        total = _totals(tables)
        calls = self._frames(CALL)
        started = calls.started[calls.source != NONE]
        yield Law("arrivals = outcomes + in flight", total["requests arrived"], total["requests ended"] + len(started))
        yield Law("requests in flight", total["requests in flight"], len(started))
        yield Law(
            "requests by entry, cluster, flow and outcome", sum(tables["requests"]["count"]), total["requests ended"]
        )
        yield Law("latencies of requests", _histogram(tables, "request"), total["requests ended"])
        yield from _by_cluster(tables)
        stayed = sum(tables["requests"]["latency_sum"]) + float((self.simulation.document.duration - started).sum())
        yield Law("Little's law", total["request-seconds in the system"], stayed)

    def _calls(self, tables: Columns) -> Iterator[Law]:
        """Yield that calls started are calls ended plus those under way; a request is a call of the ingress."""
        from meshsim.dataplane.state import CALL

        total, rows = _totals(tables), tables["calls"]
        under_way = len(self._frames(CALL))
        yield Law("calls started = ended + under way", total["calls started"], total["calls ended"] + under_way)
        yield Law("calls by edge, cluster, flow and outcome", sum(rows["count"]), total["calls ended"])
        yield Law("latencies of calls", _histogram(tables, "call"), total["calls ended"])
        entered = zip(rows["source"], rows["count"], rows["latency_sum"], strict=True)
        ingress = [(count, latency) for source, count, latency in entered if source == INGRESS]
        if not any(own.mirrors for own in self.simulation.mesh.plane.plan.routes):  # copies are calls that no user made
            yield Law("requests are the ingress's calls", sum(count for count, _ in ingress), total["requests ended"])
            spent = sum(tables["requests"]["latency_sum"])
            yield Law("latencies of both", sum(latency for _, latency in ingress), spent)
        if not any(own.direct_code or own.no_route for own in self.simulation.mesh.plane.plan.routes):
            each = zip(rows["attempts"], rows["count"], rows["response_flag"], strict=True)
            untried = sum(tried < count for tried, count, flags in each if not UNTRIED & set(flags.split(",")))
            yield Law("calls with less than one attempt", untried, 0)

    def _work(self, tables: Columns) -> Iterator[Law]:
        """Yield that workers are busy for what was demanded of them, less what is unserved or was lost with its pod."""
        total = _totals(tables)
        busy = total["worker-seconds busy"]
        yield Law("busy seconds by service", sum(tables["pods"]["busy_seconds"]), busy)
        if any(service.hold_worker for service in self.simulation.document.services.values()):
            return  # such a worker is also busy while it waits for calls
        unserved = self._unserved(self.simulation.document.duration) + self.lost_demand
        yield Law("busy = demands served", busy, total["worker-seconds demanded"] - unserved)

    def _places(self) -> Iterator[Law]:
        """Compare what pods and proxies think is under way with what is."""
        from meshsim.dataplane.state import CALL, HERE, NONE, WAITING

        calls, upstreams = self._frames(CALL), self._world.upstreams
        placed = calls[calls.slot != NONE]
        active, waiting = placed[placed.state == HERE], placed[placed.state == WAITING]
        starts = zip(upstreams["first_slot"], upstreams.capacity, strict=True)  # slots outside of these are out of use
        used = np.concatenate([np.arange(first, first + size) for first, size in starts])
        slots = np.bincount(active.slot, minlength=len(self._world.slots))
        wrong = self._world.slots.active[used] != slots[used]
        yield Law("hosts with another number of active requests", int(wrong.sum()), 0)
        for name, frames in {
            "active": active, "pending": waiting, "retrying": calls[calls.holds_retry == 1],
        }.items():  # fmt: skip
            counted = np.bincount(frames.upstream, minlength=len(upstreams))
            yield Law(f"upstreams with another number of {name} requests", int((upstreams[name] != counted).sum()), 0)

    def _queues(self) -> Iterator[Law]:
        """Compare what pods think is at work and in their queues with what is."""
        plane = self.simulation.mesh.plane
        kept = [not service.hold_worker for service in self.simulation.document.services.values()]
        pods = plane.pods[np.array(kept)[plane.pods.service]] if len(plane.pods) else plane.pods
        computing = np.bincount(self._world.frames.pod[self._computing().subject], minlength=len(plane.pods))
        if all(kept):
            yield Law("pods with another number of busy workers", int((pods.busy != computing).sum()), 0)
        queued = [sum(1 for _ in self._queue(number)) for number in range(len(plane.pods))]
        yield Law("pods with another length of queue", int((plane.pods.queued != queued).sum()), 0)
        idle = (plane.pods.queued > 0) & (plane.pods.busy < plane.pods.workers)
        yield Law("pods with a queue and an idle worker", int(idle.sum()), 0)

    def _connections(self) -> Iterator[Law]:
        """Compare connections with the calls on them, and the lists of those that can be used with what they are."""
        from meshsim.dataplane.state import CALL, HERE, NONE, OPEN, UNUSED

        known, used = self._known(), self._known()[self._known().state != UNUSED]
        calls = self._frames(CALL)
        under_way = calls[(calls.slot != NONE) & (calls.state == HERE)]
        lost = known.generation[under_way.connection] != under_way.opening
        yield Law("requests whose connection is gone", int(lost.sum()), 0)
        streams = np.bincount(under_way.connection[~lost], minlength=len(known))
        wrong = (known.streams != streams) & (known.state != UNUSED)
        yield Law("connections with another number of requests", int(wrong.sum()), 0)
        free = (used.state == OPEN) & (used.listed == 1)
        pools = np.unique(np.stack([used.slot, used.worker]), axis=1)
        listed = [index for slot, worker in pools.T.tolist() for index in self._ready(slot, worker)]
        yield Law("connections that can be used", len(listed), int(free.sum()))
        yield Law("connections that are listed and full", int((known.streams[listed] >= known.limit[listed]).sum()), 0)
        yield Law("counts below zero", self._negative(), 0)

    def _pools(self) -> Iterator[Law]:
        """Compare what connection pools and upstreams count with the connections that there are and who waits."""
        from meshsim.dataplane.state import CALL, CONNECTING, NONE, UNUSED, WAITING

        pools, upstreams, calls = self._world.pools, self._world.upstreams, self._frames(CALL)
        used = self._known()[self._known().state != UNUSED]
        opening = used[used.state == CONNECTING]
        own, promised = self._pool_of(used), np.zeros(len(pools), dtype=np.int64)
        np.add.at(promised, self._pool_of(opening), opening.limit)
        waiting = calls[(calls.slot != NONE) & (calls.state == WAITING)]
        queues = self._pool_of(waiting)
        legs = used.gateway_upstream[used.gateway_upstream != NONE]  # from an east-west gateway on
        owners = np.concatenate([pools.upstream[own], legs])
        counts = {
            "pools with another number of connections": (
                pools.connections, np.bincount(own, minlength=len(pools)),
            ),
            "pools that promise something else": (pools.promised, promised),
            "pools with another number of waiting requests": (pools.waiting, np.bincount(queues, minlength=len(pools))),
            "upstreams with another number of connections": (
                upstreams.connections, np.bincount(owners, minlength=len(upstreams)),
            ),
        }  # fmt: skip
        for name, (counted, there) in counts.items():
            yield Law(name, int((counted != there).sum()), 0)

    def _known(self) -> Any:
        """Return the records of all connections there have been."""
        return self._world.connections[: int(self._world.clock["connections"][0])]

    def _pool_of(self, records: Any) -> Any:
        """Return the pools that connections are of, or calls wait in."""
        return self._world.slots.pools[records.slot] + records.worker

    def _ready(self, slot: int, worker: int) -> Iterator[int]:
        from meshsim.dataplane.state import AT_HAND

        host = self._world.slots[slot]
        index = int(host.ready[worker] if worker < AT_HAND else self._world.pools[host.pools + worker].ready)
        while index != -1:
            yield index
            index = int(self._world.connections[index].next)

    def _negative(self) -> int:
        """Return how many counts of the world are below zero."""
        fields = {
            "upstreams": ("active", "retrying", "pending", "connections", "ejected", "members"),
            "slots": ("active", "errors", "gateway_errors", "local_errors", "volume", "multiplier"),
            "pools": ("connections", "promised", "waiting"),
            "connections": ("streams", "served"),
            "pods": ("busy", "queued", "served", "inside"),
        }
        return sum(
            int((getattr(self._world, kind)[name] < 0).sum()) for kind, names in fields.items() for name in names
        )

    def _end(self, tables: Columns) -> Iterator[Law]:
        """Yield that nothing happens after the end, and that time buckets cover the run without gaps."""
        end = self.simulation.document.duration
        late = sum(time > end for time in tables["events"]["time"])
        late += sum(time > end for name in tables if "end" in tables[name] for time in tables[name]["end"])
        late += int(self._world.clock[0].now >= end)
        yield Law("records after the end", late, 0)
        config = tables["config"]
        buckets = sorted(set(zip(config["start"], config["end"], strict=True)))
        covered = sum(finish - start for start, finish in buckets)
        yield Law("time covered by buckets", covered, end)


def _totals(tables: Columns) -> dict[str, float]:
    return dict(zip(tables["totals"]["quantity"], tables["totals"]["value"], strict=True))


def _by_cluster(tables: Columns) -> Iterator[Law]:
    """Yield that latencies by cluster of entry are those by load entry, and of the requests that entered there."""
    rows = tables["latency"]
    bins = ("flow", "outcome", "bin")
    apart = _counts(rows, bins, "ingress") - _counts(rows, bins, "request")
    yield Law("latencies by cluster of entry", _histogram(tables, "ingress"), _histogram(tables, "request"))
    yield Law("of them in another bin than by load entry", apart.total(), 0)
    places = ("cluster", "flow")
    apart = _counts(rows, places, "ingress") - _counts(tables["requests"], places)
    yield Law("of them in a cluster where they did not enter", apart.total(), 0)


def _counts(rows: Mapping[str, Any], names: Sequence[str], kind: str = "") -> Counter[tuple[Any, ...]]:
    """Return what is counted in the rows of a kind by the values of some columns."""
    found: Counter[tuple[Any, ...]] = Counter()
    kinds = rows["kind"] if kind else [""] * len(rows["count"])
    for of, count, *key in zip(kinds, rows["count"], *(rows[name] for name in names), strict=True):
        found[tuple(key)] += int(count) if of == kind else 0
    return found


def _histogram(tables: Columns, kind: str) -> int:
    rows = tables["latency"]
    return int(np.asarray(rows["count"])[np.asarray(rows["kind"]) == kind].sum())
