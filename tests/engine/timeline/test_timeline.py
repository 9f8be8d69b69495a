from __future__ import annotations

from random import Random
from typing import get_args

import pytest

from meshsim.engine.timeline import INSTALLS
from meshsim.scenario.schema_timeline import TimelineEvent
from tests.engine.timeline.conftest import told

NETWORKS = {"c1": {"region": "eu", "network": "n1"}, "c2": {"region": "us", "network": "n2"}}
DEPLOYMENTS = ["multi-primary", "primary-remote", "external"]
QUIET = {"web": {"rate": "0.2/s"}}
BOTH = {"from": {"region": "eu"}, "to": {"region": "us"}}
RULE = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "DestinationRule",
    "metadata": {"name": "app"},
    "spec": {"host": "app", "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}},
}
EVENTS = [
    ("control_plane_down", {"target": {}}),
    ("control_plane_down", {"target": {}, "replicas": 1}),
    ("control_plane_crash_loop", {"target": {}, "runs_for": "3s"}),
    ("control_plane_slow", {"target": {}, "factor": 3.3}),
    ("certificate_authority_down", {"target": {}}),
    ("root_expired", {"target": {}}),
    ("api_server_down", {"target": {"cluster": "c1"}}),
    ("remote_secret", {"target": {"cluster": "c2"}, "change": "removed"}),
    ("remote_secret", {"target": {"cluster": "c2"}, "change": "expired"}),
    ("remote_secret", {"target": {"cluster": "c2"}, "change": "rotated", "picked_up": False}),
    ("config_change", {"apply": [RULE]}),
    ("cluster_down", {"target": {"cluster": "c2"}}),
    ("cluster_down", {"target": {"cluster": "c1"}, "mode": "refuse"}),
    ("zone_outage", {"target": {"zone": "eu/a"}}),
    ("zone_outage", {"target": {"zone": "us/a"}, "mode": "refuse"}),
    ("region_outage", {"target": {"region": "eu"}}),
    ("gateway_down", {"target": {"cluster": "c1"}}),
    ("gateway_down", {"target": {"control_plane": "external"}, "mode": "blackhole"}),
    ("gateway_address_change", {"target": {"cluster": "c1"}}),
    ("gateway_address_change", {"target": {}, "mode": "refuse"}),
    ("link_slow", {"target": BOTH, "delay": "30ms", "jitter": "5ms", "factor": 1.7, "direction": "forward"}),
    ("link_lossy", {"target": BOTH, "loss": "30%"}),
    ("partition", {"target": BOTH}),
    ("partition", {"target": BOTH, "direction": "forward"}),
    ("service_slow", {"target": {"service": "app"}, "factor": 3.3}),
    ("service_failing", {"target": {"service": "app"}, "fraction": 0.3, "code": 500}),
    ("traffic_surge", {"target": {"cluster": "c1"}, "factor": 2.7}),
    ("scale", {"target": {"service": "app"}, "replicas": 5}),
    ("scale", {"target": {"service": "app", "cluster": "c2"}, "replicas": 6}),
]
#: Events that some deployments have no target for.
SOMETIMES = ("gateway_down", "remote_secret")


def state(simulation):
    """Return what events may have changed."""
    mesh, plane = simulation.mesh, simulation.mesh.plane
    fields = ["state", "slow", "fail_fraction", "fail_code"]
    pods = [
        (pod.name, pod.ready, pod.reachable, *plane.pods[fields][pod.number].tolist())
        for cluster in simulation.clusters.values() for pod in cluster.pods.values()
    ]  # fmt: skip
    proxies = [*mesh.ingress.values(), *(gateway.replicas for gateway in mesh.gateways.values())]
    addresses = {name: gateway.addresses for name, gateway in mesh.gateways.items()}
    return {
        "links": plane.world.links.tolist(),
        "pods": sorted(pods),
        "causes": [list(proxy.causes) for replicas in proxies for proxy in replicas],
        "addresses": addresses,
        "gateways": [
            (int(row.down), int(row.closed))
            for numbers in addresses.values() for row in plane.world.gateways[numbers]
        ],
        "published": mesh.truth.gateways(),
        "rates": [float(plane.world.sources[n].rate) for stream in simulation.load.streams for n in stream.sources],
        "alive": [int(plane.proxies[number].alive) for number in mesh.proxies],
        "endpoints": {
            key: sorted(map(tuple, (pod for shard in mesh.truth.shards(key) for pod in shard.endpoints)))
            for key in ("web", "app")
        },
        "stale": simulation.stale(),
        "drifted": {name: level.value for name, level in mesh.recorder.drifted.items()},
        "disconnected": {name: level.value for name, level in mesh.recorder.disconnected.items()},
        "api servers": {name: server.up for name, server in mesh.api_servers.items()},
        "control planes": [group_state(group) for group in mesh.groups.values()],
        "expired roots": int(plane.world.clock[0].expired_roots),
        "replicas": [
            replica_set.desired for cluster in simulation.clusters.values() for replica_set in cluster.replica_sets
        ],
        "changes": [proxy.changes for proxy in mesh.proxies.values()],
    }  # fmt: skip


def group_state(group):
    """Return what events may have changed of a control plane; ``reached``: whom it can watch and serve now."""
    istiods = [(istiod.zone, istiod.ready, list(istiod.causes)) for istiod in group.istiods]
    secrets = {name: secret.stored == secret.valid for name, secret in group.credentials.items()}
    reached = [(group.admits(name), [one.informers.reviews(name) for one in group.istiods]) for name in secrets]
    return group.root, group.trusts, group.ca_causes, group.slowness, group.applied, istiods, secrets, reached


@pytest.fixture
def quiet(run):
    """Return a function that builds a run of the small mesh on two networks, with hardly any load."""

    def built(deployment="multi-primary", **changes):
        return run(deployment, **{"clusters": NETWORKS, "deployments": DEPLOYMENTS, "load": QUIET, **changes})

    return built


#: State, after a run, of a mesh to which nothing happened, by deployment and what is changed in the scenario.
_NEVER = {}


@pytest.fixture
def never(quiet):
    """Return a function that gives the state, after a run, of a mesh to which nothing happened."""

    def looked_up(deployment, **changes):
        key = deployment, str(changes)
        if key not in _NEVER:
            simulation = quiet(deployment, **changes)
            simulation.run()
            _NEVER[key] = state(simulation)
        return _NEVER[key]

    return looked_up


def test_every_event_of_the_schema_can_happen():
    kinds = {get_args(kind.model_fields["event"].annotation)[0] for kind in get_args(get_args(TimelineEvent)[0])}
    assert kinds == {*INSTALLS, "pod_churn"}


@pytest.mark.parametrize(
    ("kind", "fields", "deployment"),
    [
        pytest.param(*event, deployment, marks=pytest.mark.slow if (number + at) % 3 else ())  # each event somewhere
        for number, event in enumerate(EVENTS)
        for at, deployment in enumerate(DEPLOYMENTS)
    ],
)
def test_an_event_leaves_no_trace_when_it_is_over(quiet, never, event, kind, fields, deployment):
    once = quiet(deployment, timeline=[event(kind, "10s", "40s", **fields)])
    during = once.at(30.0, lambda: state(once))
    tables = once.run()
    assert state(once) == never(deployment)
    hit = not told(tables, "event has no target")
    assert hit or kind in SOMETIMES
    if kind != "control_plane_crash_loop":  # it may run just then
        assert (during[0] != never(deployment)) == hit


@pytest.mark.parametrize(
    ("kind", "fields"),
    [pytest.param(*event, marks=pytest.mark.slow if number % 3 else ()) for number, event in enumerate(EVENTS)],
)
def test_overlapping_events_of_one_kind_end_one_by_one(quiet, never, event, kind, fields):
    both = quiet("external", timeline=[event(kind, "10s", "30s", **fields), event(kind, "20s", "30s", **fields)])
    middle = both.at(45.0, lambda: state(both))
    tables = both.run()
    assert state(both) == never("external")
    if kind != "control_plane_crash_loop" and not told(tables, "event has no target"):
        assert middle[0] != never("external")


def test_an_event_that_repeats_begins_and_ends_each_time(quiet, event):
    timeline = [event("service_slow", "10s", "5s", target={"service": "app"}, factor=2, repeat={"every": "40s"})]
    simulation = quiet(timeline=timeline)
    pod = next(pod.number for pod in simulation.clusters["c1"].pods.values() if pod.service == "app")

    def slow():
        return float(simulation.mesh.plane.pods[pod].slow)

    seen = [simulation.at(time, slow) for time in (9.0, 12.0, 20.0, 52.0, 60.0, 92.0, 100.0)]
    tables = simulation.run()
    assert [value for (value,) in seen] == [1, 2, 1, 2, 1, 2, 1]
    name = "service slow"
    assert told(tables, "event begins") == [(10.0, name), (50.0, f"{name} (2)"), (90.0, f"{name} (3)")]
    assert told(tables, "event ends") == [(15.0, name), (55.0, f"{name} (2)"), (95.0, f"{name} (3)")]


def test_repetitions_of_an_event_may_overlap(quiet, never, event):
    repeated = {"repeat": {"every": "10s", "times": 3}}
    timeline = [event("partition", "10s", "25s", target=BOTH, **repeated)]
    simulation = quiet(timeline=timeline)
    cut = [simulation.at(t, lambda: int(simulation.mesh.network.records[0, 2].cut)) for t in (12, 22, 32, 38, 48, 56)]
    simulation.run()
    assert [value for (value,) in cut] == [1, 2, 3, 2, 1, 0]
    assert state(simulation) == never("multi-primary")


def test_an_event_without_a_target_in_one_deployment_does_nothing_there(quiet, never, event):
    timeline = [event("control_plane_down", "10s", "30s", name="c2 fails", target={"control_plane": "c2"})]
    hit, missed = (quiet(deployment, timeline=timeline) for deployment in ("multi-primary", "primary-remote"))
    assert told(hit.run(), "event has no target") == []
    tables = missed.run()
    assert told(tables, "event has no target") == [(10.0, "c2 fails")]
    assert told(tables, "event ends") == [(40.0, "c2 fails")]
    assert state(missed) == never("primary-remote")


def any_timeline(random):
    """Return a few events at random, some repeated, over within the first two and a half minutes."""
    timeline = []
    for _ in range(random.randint(2, 7)):
        kind, fields = random.choice(EVENTS)
        lasts = {"event": kind, "start": f"{random.randint(1, 60)}s", "duration": f"{random.randint(1, 40)}s"}
        repeat = {"repeat": {"every": f"{random.randint(3, 20)}s", "times": 3}} if random.random() < 0.3 else {}
        timeline.append({**lasts, **fields, **repeat})
    return timeline


@pytest.mark.sample(3)
@pytest.mark.parametrize("seed", range(24))
def test_events_at_random_leave_no_trace_however_they_overlap(quiet, never, seed):
    random = Random(seed)
    deployment, timeline = random.choice(DEPLOYMENTS), any_timeline(random)
    settings = {"duration": "260s", "istiod": {"replicas": 2}}
    simulation = quiet(deployment, timeline=timeline, **settings)
    simulation.run()
    # Proxies of pods that came and went are other ones; which pods there are is compared by their names.
    assert {**state(simulation), "alive": None} == {**never(deployment, **settings), "alive": None}, timeline


def test_what_has_no_end_stays(quiet, event):
    timeline = [
        event("scale", "10s", target={"service": "app", "cluster": "c1"}, replicas=6),
        event("gateway_address_change", "10s", target={"cluster": "c2"}),
        event("root_change", "10s", target={}, root="new"),
        event("remote_secret", "10s", target={"cluster": "c2"}, change="removed"),
    ]
    simulation = quiet(timeline=timeline)
    simulation.run()
    assert len(simulation.app_pods("c1")) == 6
    assert len(simulation.mesh.truth.gateways_of("c2")) == 1
    assert [group.root for group in simulation.mesh.groups.values()] == ["new", "new"]
    assert simulation.mesh.groups["c1"].credentials["c2"].stored is None
