"""Whatever happens, in any order: faults that are over leave nothing behind, and nothing is lost on the way."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from meshsim import load
from meshsim.engine.control_plane import APPLY_PAUSE
from meshsim.engine.discovery import LONGEST_PAUSE as LONGEST_WATCH_PAUSE
from meshsim.engine.prepared import prepare
from meshsim.engine.simulation import Simulation
from meshsim.engine.xds import CONNECT_TIMEOUT
from meshsim.engine.xds import LONGEST_PAUSE as LONGEST_PROXY_PAUSE
from meshsim.results.tables import TABLES
from meshsim.scenario.schema_timeline import TimelineEvent
from meshsim.verify.laws import Witness
from meshsim.verify.parts import rule
from tests.laws.world_state import counted, levels, negative, snapshot

RESTART, POD_START, DRAIN, GRACE, TTL = 5.0, 5.0, 2.0, 10.0, 60.0
FIXED = {"autoscale": None}
DEPLOYMENTS = {
    "multi-primary": {},
    "primary-remote": {},
    "external": {},
    "direct": {"model": "primary-remote", "access": "direct"},
}


def mesh(timeline: list[dict[str, Any]], duration: float, **more: Any) -> dict[str, Any]:
    """Return a scenario on two networks, small and nearly idle, with certificates that live for a minute.

    Nothing is scaled by itself: what an autoscaler adds it keeps for five minutes after the fault.
    """
    return {
        "name": "timelines",
        "regions": {"eu": {"zones": ["a", "b"]}, "us": {"zones": ["a"]}},
        "clusters": {"c1": {"region": "eu", "network": "n1"}, "c2": {"region": "us", "network": "n2"}},
        "latency": [{"between": ["eu", "us"], "rtt": "80ms"}],
        "services": {
            "web": {"replicas": 2, "endpoints": {"GET": {"script": [{"call": "app/GET"}]}}},
            "app": {"replicas": {"c1": 3, "c2": 2}, "endpoints": {"GET": {}}},
        },
        "load": {"web": {"rate": "2/s"}},
        "ingress": {"c1": FIXED, "c2": FIXED},
        "gateways": {"c1": FIXED, "c2": FIXED},
        "istiod": {"replicas": 2, **FIXED, "restart_time": f"{RESTART}s", "stream_age": "100h"},
        "identity": {"certificate_ttl": f"{TTL}s", "roots": dict.fromkeys(("c1", "c2", "external"), "old")},
        "kubernetes": {
            "pod_start": f"{POD_START}s", "watch_latency": "10ms", "drain": f"{DRAIN}s", "node_grace": f"{GRACE}s",
        },
        "istio": [rule("app", outlierDetection={"consecutive5xxErrors": 3, "interval": "2s"})],
        "deployments": DEPLOYMENTS,
        "timeline": timeline,
        "duration": f"{duration}s",
        "warm_up": "0s",
        **more,
    }  # fmt: skip


# --- a fault that is over ---------------------------------------------------------------------------------------

BEGIN, LONG, END = 20.0, 40.0, 200.0
OCEAN = {"from": {"region": "eu"}, "to": {"region": "us"}}
#: From a change at an API server to the proxies: the link, the watch, 0.1 s of quiet, generation, and the link.
PUSH = 1.0
#: A proxy pauses for this long at most, may connect into silence before that, and needs some round trips.
RECONNECT = LONGEST_PROXY_PAUSE + CONNECT_TIMEOUT + PUSH
#: istiod pauses for this long at most (and up to as much again) before it opens a watch again.
WATCH = 2.0 * LONGEST_WATCH_PAUSE + PUSH
#: A pod that was refused is asked for again after 16 s at most, and starts.
POD = 16.0 + POD_START + PUSH
#: A proxy without luck asks for a certificate after 30 s and five tries of 3.1 s at most; somebody looks every second.
CERTIFICATE = 30.0 + 3.5 + 1.0
#: Every certificate has been renewed: half of its life, and a hundredth.
RENEWED = 0.51 * TTL + PUSH
#: Requests that were under way have ended, with their time-outs and retries.
REQUESTS = 15.0

APP = {"service": "app"}
CHANGE = [rule("app", loadBalancer={"simple": "RANDOM"})]

#: Every event, with its fields and how long after its end the world is as if it had not been, and why.
FAULTS: list[tuple[str, dict[str, Any], float]] = [
    ("control_plane_down", {"target": {}}, RESTART + max(RECONNECT, POD, CERTIFICATE)),
    ("control_plane_down", {"target": {}, "replicas": 1}, RESTART + RECONNECT),
    ("control_plane_crash_loop", {"target": {}, "runs_for": "6s"}, RESTART + max(RECONNECT, CERTIFICATE)),
    ("control_plane_slow", {"target": {}, "factor": 20.0}, PUSH),
    ("certificate_authority_down", {"target": {}}, CERTIFICATE),
    ("root_expired", {"target": {}}, REQUESTS),
    ("api_server_down", {"target": {"cluster": "c1"}}, max(WATCH, RECONNECT, CERTIFICATE)),
    ("api_server_down", {"target": {"cluster": "c2"}}, max(WATCH, RECONNECT, CERTIFICATE)),
    ("remote_secret", {"target": {"cluster": "c2"}, "change": "removed"}, max(WATCH, RECONNECT, CERTIFICATE)),
    ("remote_secret", {"target": {"cluster": "c2"}, "change": "expired"}, max(WATCH, RECONNECT, CERTIFICATE)),
    (
        "remote_secret",
        {"target": {"cluster": "c2"}, "change": "rotated", "picked_up": False},
        max(WATCH, RECONNECT, CERTIFICATE),
    ),
    ("config_change", {"apply": CHANGE}, APPLY_PAUSE + PUSH),
    ("config_change", {"apply": CHANGE, "rejected": True}, APPLY_PAUSE + PUSH),
    ("cluster_down", {"target": {"cluster": "c1"}}, RESTART + max(WATCH, RECONNECT, CERTIFICATE)),
    ("cluster_down", {"target": {"cluster": "c2"}, "mode": "refuse"}, RESTART + max(WATCH, RECONNECT, CERTIFICATE)),
    ("zone_outage", {"target": {"zone": "eu/a"}}, RESTART + max(WATCH, RECONNECT, CERTIFICATE)),
    ("zone_outage", {"target": {"zone": "eu/b"}, "mode": "refuse"}, RESTART + max(WATCH, RECONNECT, CERTIFICATE)),
    ("region_outage", {"target": {"region": "us"}}, RESTART + max(WATCH, RECONNECT, CERTIFICATE)),
    ("region_outage", {"target": {"region": "eu"}}, RESTART + max(WATCH, RECONNECT, CERTIFICATE)),
    ("gateway_down", {"target": {"cluster": "c1"}}, max(RECONNECT, CERTIFICATE)),
    ("gateway_down", {"target": {}, "mode": "blackhole"}, max(RECONNECT, CERTIFICATE)),
    ("gateway_down", {"target": {"control_plane": "external"}}, max(RECONNECT, CERTIFICATE)),
    ("gateway_address_change", {"target": {"cluster": "c2"}}, max(PUSH, REQUESTS)),
    ("link_slow", {"target": OCEAN, "delay": "200ms", "jitter": "50ms", "factor": 2.0}, REQUESTS),
    ("link_lossy", {"target": OCEAN, "loss": 0.4}, REQUESTS),
    ("link_lossy", {"target": OCEAN, "loss": 1.0}, max(WATCH, RECONNECT, CERTIFICATE)),
    ("partition", {"target": OCEAN}, max(WATCH, RECONNECT, CERTIFICATE)),
    ("partition", {"target": OCEAN, "direction": "forward"}, max(WATCH, RECONNECT, CERTIFICATE)),
    ("service_slow", {"target": APP, "factor": 50.0}, REQUESTS),
    ("service_failing", {"target": APP, "fraction": 0.7}, REQUESTS),
    ("traffic_surge", {"factor": 5.0}, REQUESTS),
    ("scale", {"target": APP, "replicas": 6}, DRAIN + PUSH),
    ("scale", {"target": APP, "replicas": 1}, POD),
    ("pod_churn", {"target": {}, "rate": "20/min"}, POD + DRAIN),
]
#: What is for good, or ends by itself, and what takes it back; the delay counts from the latter's start.
PAIRS: list[tuple[str, list[dict[str, Any]], float]] = [
    ("rollout", [{"target": {}}], 3 * (POD + DRAIN)),
    ("control_plane_rollout", [{"target": {}}], POD_START + RECONNECT),
    # Back to the old root: proxies that have a certificate of the new one get another when they renew it.
    (
        "root_change", [{"target": {}, "root": "new"}, {"target": {}, "root": "old"}],
        max(RENEWED, REQUESTS),
    ),
]  # fmt: skip
CASES = [
    *((kind, [{**fields, "duration": f"{LONG}s"}], BEGIN + LONG + delay) for kind, fields, delay in FAULTS),
    *((kind, parts, BEGIN + (len(parts) - 1) * LONG + delay) for kind, parts, delay in PAIRS),
]
_never: dict[tuple[str, float], Any] = {}


def timeline_of(kind: str, parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"event": kind, "start": f"{BEGIN + LONG * number}s", **part} for number, part in enumerate(parts)]


def observed(timeline: list[dict[str, Any]], deployment: str, times: list[float]) -> tuple[Any, list[Any], Any]:
    """Return a run's simulation, its state at some times, and its tables."""
    simulation = Simulation(load(mesh(timeline, END)), deployment)
    seen: list[Any] = []

    def look():
        for time in times:
            yield simulation.env.at(time)
            seen.append(snapshot(simulation))

    simulation.env.process(look())
    tables = simulation.run()
    return simulation, seen, tables


def never(deployment: str, time: float) -> tuple[Any, list[Any], Any]:
    """Return the same of the run in which nothing happens."""
    if (deployment, time) not in _never:
        _never[deployment, time] = observed([], deployment, [time, END - 1.0])[1:]
    return _never[deployment, time]


def answers(tables: Any, since: float) -> dict[tuple[Any, ...], int]:
    rows = tables["requests"]
    found: dict[tuple[Any, ...], int] = {}
    for start, cluster, code, flag, count in zip(
        rows["start"], rows["cluster"], rows["code"], rows["response_flag"], rows["count"], strict=True
    ):
        if start >= since:
            found[cluster, code, flag] = found.get((cluster, code, flag), 0) + int(count)
    return found


def test_every_event_is_tried():
    kinds = {get_args(kind.model_fields["event"].annotation)[0] for kind in get_args(get_args(TimelineEvent)[0])}
    assert {kind for kind, _, _ in CASES} == kinds


@pytest.mark.slow
@pytest.mark.parametrize("deployment", list(DEPLOYMENTS))
@pytest.mark.parametrize(("kind", "parts", "settled"), CASES)
def test_a_fault_that_is_over_leaves_the_run_as_if_it_had_not_been(kind, parts, settled, deployment):
    """Its mechanism's own delay after its end the state is that of the never-failed run, and so are all answers."""
    assert settled < END - 10.0
    _, states, tables = observed(timeline_of(kind, parts), deployment, [settled, END - 1.0])
    expected, plain = never(deployment, settled)
    for state, same in zip(states, expected, strict=True):
        assert state == same
    since = max(settled, BEGIN + LONG + REQUESTS)
    mine, others = answers(tables, since), answers(plain, since)
    assert {key[1:] for key in mine} == {key[1:] for key in others} == {(200, "")}
    for key, count in others.items() if kind != "traffic_surge" else ():  # others come after a surge, no more
        assert mine[key] == pytest.approx(count, abs=1)  # one that was under way at the edge of a bucket


# --- any timeline -----------------------------------------------------------------------------------------------

#: The last event begins before, and ends before twice this long; then the run has time to settle (seconds).
BUSY, SETTLED = 40.0, 200.0
CLUSTERS = [{"cluster": "c1"}, {"cluster": "c2"}, {"cluster": "*"}]
PLACES = [*CLUSTERS, {"region": "eu"}, {"zone": "eu/a"}, {}]
PLANES = [{}, {"cluster": "c1"}, {"control_plane": "c2"}, {"control_plane": "external"}]
PODS = [APP, {"service": "web"}, {"service": "app", "cluster": "c1"}, {"zone": "us/a"}, {}]
WORKLOADS = [target for target in PODS if "zone" not in target]
LINKS = [OCEAN, {"from": {"zone": "eu/a"}, "to": {"zone": "eu/b"}}, {"from": {"zone": "eu/b"}, "to": {"region": "us"}}]
MODES = st.sampled_from(["blackhole", "refuse"])
DIRECTIONS = st.sampled_from(["both", "forward"])
WHOLE = st.integers(0, 40)
CHANGES = [
    {"apply": CHANGE},
    {"apply": [rule("app", loadBalancer={"simple": "ROUND_ROBIN"})]},
    {"apply": [rule("web", loadBalancer={"simple": "RANDOM"})]},
    {"delete": ["DestinationRule/app"]},
]


def fields(kind: str, **drawn: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"event": st.just(kind), "start": WHOLE.map("{}s".format)}, optional={}).flatmap(
        lambda known: st.fixed_dictionaries({**{name: st.just(value) for name, value in known.items()}, **drawn})
    )


def lasting(kind: str, **drawn: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Draw an event that ends, which may happen several times, over and over itself."""
    again = st.none() | st.fixed_dictionaries({"every": st.sampled_from(["5s", "15s"]), "times": st.integers(1, 3)})
    length = st.integers(1, 50).map("{}s".format)
    return fields(kind, duration=length, repeat=again, **drawn)


def one_of(values: list[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


PART = st.none() | st.just(1)
TEMPORARY = [
    lasting("control_plane_down", target=one_of(PLANES), replicas=PART),
    lasting("control_plane_crash_loop", target=one_of(PLANES), replicas=PART, runs_for=one_of(["3s", "12s"])),
    lasting("control_plane_slow", target=one_of(PLANES), factor=one_of([3.3, 100.0])),
    lasting("certificate_authority_down", target=one_of(PLANES)),
    lasting("root_expired", target=one_of(PLANES)),
    lasting("api_server_down", target=one_of(CLUSTERS)),
    lasting("remote_secret", target=one_of(CLUSTERS), change=one_of(["removed", "expired"])),
    lasting("remote_secret", target=one_of(CLUSTERS), change=st.just("rotated"), picked_up=st.booleans()),
    *(
        lasting("config_change", target=one_of([{}, {"control_plane": "c1"}]), rejected=st.booleans(),
                **{name: st.just(value) for name, value in change.items()})
        for change in CHANGES
    ),
    lasting("cluster_down", target=one_of(CLUSTERS), mode=MODES),
    lasting("zone_outage", target=one_of([{"zone": "eu/a"}, {"zone": "eu/b"}, {"zone": "us/a"}]), mode=MODES),
    lasting("region_outage", target=one_of([{"region": "eu"}, {"region": "us"}]), mode=MODES),
    lasting("gateway_down", target=one_of([*CLUSTERS, {"control_plane": "external"}]), replicas=PART, mode=MODES),
    lasting("gateway_address_change", target=one_of(CLUSTERS), mode=MODES),
    lasting("link_slow", target=one_of(LINKS), direction=DIRECTIONS, delay=one_of(["0s", "70ms"]),
            jitter=one_of(["0s", "30ms"]), factor=one_of([1.0, 1.7])),
    lasting("link_lossy", target=one_of(LINKS), direction=DIRECTIONS, loss=one_of([0.3, 1.0])),
    lasting("partition", target=one_of(LINKS), direction=DIRECTIONS),
    lasting("service_slow", target=one_of(PODS), factor=one_of([3.3, 50.0])),
    lasting("service_failing", target=one_of(PODS), fraction=one_of([0.3, 1.0])),
    lasting("traffic_surge", target=one_of(CLUSTERS), factor=one_of([0.5, 4.0])),
    lasting("pod_churn", target=one_of(PODS), rate=one_of(["20/min", "2/s"])),
    lasting("scale", target=one_of(WORKLOADS), replicas=st.integers(0, 6)),
    fields("rollout", target=one_of(WORKLOADS)),
    fields("control_plane_rollout", target=one_of(PLANES)),
]  # fmt: skip
FOR_GOOD = [
    fields("scale", target=one_of(WORKLOADS), replicas=st.integers(0, 6)),
    fields("root_change", target=one_of(PLANES), root=one_of(["new", "newer"]),
           both_trusted_before=one_of(["0s", "10s", "1h"])),
    fields("remote_secret", target=one_of(CLUSTERS), change=one_of(["removed", "expired", "rotated"])),
    fields("config_change", apply=st.just(CHANGE), stagger=one_of(["0s", "7s"])),
    fields("gateway_address_change", target=one_of(CLUSTERS), mode=MODES),
]  # fmt: skip


def without_blanks(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if value is not None}


def timelines(events: list[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(st.one_of(events).map(without_blanks), min_size=2, max_size=10)


SETTINGS = st.fixed_dictionaries(
    {
        "seed": st.integers(1, 10_000),
        "istio_version": one_of(["1.30", "1.31"]),
        "gateways": one_of([{"c1": FIXED, "c2": FIXED}, {"c1": {"replicas": 2, "addresses": 2, **FIXED}, "c2": FIXED}]),
    }
)


class Watched(Witness):
    """A run in which it is looked, now and then and at the end, whether everything that is counted is there."""

    def __init__(self, timeline: list[dict[str, Any]], more: dict[str, Any], deployment: str, duration: float) -> None:
        super().__init__(prepare(load(mesh(timeline, duration, **more))), deployment)
        self.simulation.env.process(self._look(duration))

    def _look(self, duration: float):
        while self.simulation.env.now < duration - 7.3:
            yield self.simulation.env.timeout(7.3)
            assert levels(self.simulation.mesh) == counted(self.simulation), self.simulation.env.now


def keeps_the_laws(timeline: list[dict[str, Any]], more: dict[str, Any], deployment: str, duration: float) -> Watched:
    """Run a timeline twice: nothing lost, nothing negative, counters add up, same seed same result."""
    watched = Watched(timeline, more, deployment, duration)
    tables, laws = watched.run()
    assert not [law for law in laws if not law.holds]
    assert negative(tables) == []
    assert levels(watched.simulation.mesh) == counted(watched.simulation)
    again = Simulation(watched.simulation.mesh.prepared, deployment).run()
    for name, described in TABLES.items():
        for column in described:
            assert list(tables[name][column.name]) == list(again[name][column.name]), (name, column.name)
    return watched


def reverts(timeline: list[dict[str, Any]], more: dict[str, Any], deployment: str) -> None:
    """Run a timeline whose events all end, and the same without: at the end both are the same."""
    watched = keeps_the_laws(timeline, more, deployment, SETTLED)
    plain = Simulation(load(mesh([], SETTLED, **more)), deployment)
    plain.run()
    assert snapshot(watched.simulation) == snapshot(plain)


#: Not made smaller when they fail, which takes many minutes; most events of a timeline can be left out by hand.
PHASES = (Phase.explicit, Phase.generate)
DRAWN = {"more": SETTINGS, "deployment": one_of(list(DEPLOYMENTS))}


@settings(max_examples=2)
@given(timeline=timelines(TEMPORARY), **DRAWN)
def test_a_few_random_timelines_keep_the_laws_and_leave_no_trace(timeline, more, deployment):
    reverts(timeline, more, deployment)


@pytest.mark.slow
@settings(max_examples=100, phases=PHASES)
@given(timeline=timelines(TEMPORARY), **DRAWN)
def test_random_timelines_that_end_keep_the_laws_and_leave_no_trace(timeline, more, deployment):
    reverts(timeline, more, deployment)


@pytest.mark.slow
@settings(max_examples=100, phases=PHASES)
@given(timeline=timelines([*TEMPORARY, *FOR_GOOD]), **DRAWN)
def test_random_timelines_keep_the_laws(timeline, more, deployment):
    """With autoscaling, and with what is for good."""
    scaled = {"ingress": {}, "gateways": {"c1": {"replicas": 2, "addresses": 2}}, "istiod": {"restart_time": "2s"}}
    keeps_the_laws(timeline, more | scaled, deployment, 2.0 * BUSY)
