from __future__ import annotations

import numpy as np
import pytest

from meshsim.engine.simulation import bucket_edges, phase_edges
from meshsim.scenario import load
from meshsim.scenario.scenario import EXAMPLE

ONE = {"clusters": {"c1": {"region": "eu"}}, "services": {"web": {"workers": 100, "endpoints": {"GET": {}}}}}
#: Autoscalers would make other replicas of it.
STILL = {"ingress": {"c1": {"autoscale": None}}}
WINDOWS = {"windows": [{"at": "40s", "duration": "10s"}, {"at": "80s", "duration": "10s"}], "lead_in": "5s"}
DAY = [{"diurnal": {"period": "30s", "peak_at": "10s"}}, {"ramp": {"start": "50s", "duration": "20s", "to": 3}}]


def sources(simulation, times):
    """Run, and return what each source of the data plane is about to do at some times."""
    rows = simulation.mesh.plane.world.sources
    (stream,) = simulation.load.streams

    def look():
        return [(int(rows[n].made), float(rows[n].due), float(rows[n].rate)) for n in stream.sources]

    seen = [simulation.at(time, look) for time in times]
    simulation.run()
    return [found for (found,) in seen]


def arrived(simulation, edges):
    """Run, and return how many requests arrived between some times."""
    clock = simulation.mesh.plane.world.clock
    seen = [simulation.at(edge, lambda: int(clock[0].arrived)) for edge in edges]
    simulation.run()
    return np.diff([0, *(count for (count,) in seen)]).tolist()


def test_load_is_on_in_windows_and_lead_ins_only(run):
    load_ = {"web": {"rate": "50/s", "arrivals": "constant"}}
    simulation = run(**ONE, load=load_, sample=WINDOWS, duration="100s")
    assert arrived(simulation, [35, 40, 50, 75, 80, 90, 99]) == [0, 250, 500, 0, 250, 500, 0]
    happened = [row for row in simulation.mesh.recorder.tables["events"] if row[1].startswith("load")]
    assert [(time, kind) for time, kind, *_ in happened] == [
        (35.0, "load begins"), (50.0, "load ends"), (75.0, "load begins"), (90.0, "load ends"),
    ]  # fmt: skip


@pytest.mark.sample(1)
@pytest.mark.parametrize("arrivals", ["poisson", "constant"])
@pytest.mark.parametrize("phases", [[], DAY], ids=["steady", "curve"])
def test_the_same_users_come_at_the_same_times_as_if_load_had_always_been_on(run, arrivals, phases):
    load_ = {"web": {"rate": "50/s", "arrivals": arrivals, "phases": phases}}
    times = [36.3, 41.0, 49.9, 77.7, 89.9]
    full = sources(run(**ONE, **STILL, load=load_, duration="100s"), times)
    windowed = sources(run(**ONE, **STILL, load=load_, duration="100s", sample=WINDOWS), times)
    assert windowed == full  # to the last bit


def test_a_surge_between_windows_is_one_for_users_too(run, event):
    timeline = [event("traffic_surge", "52s", "15s", factor=4.0)]
    around = {**WINDOWS, "around_events": None}
    full = sources(run(**ONE, **STILL, timeline=timeline, duration="100s"), [85.0])
    assert sources(run(**ONE, **STILL, timeline=timeline, duration="100s", sample=around), [85.0]) == full


def test_gateways_that_come_between_windows_take_their_part(run):
    load_ = {"web": {"rate": "100/s", "arrivals": "constant"}}
    simulation = run(**ONE, load=load_, sample=WINDOWS, duration="100s", kubernetes={"hpa_sync_period": "1h"})
    simulation.at(55.0, lambda: simulation.clusters["c1"].gateways["ingress"].scale(2))
    (found,) = sources(simulation, [85.0])
    assert [rate for _, _, rate in found] == [50.0, 50.0]


def test_what_does_not_depend_on_load_goes_on(run, event):
    timeline = [event("rollout", "52s", target={"service": "app"})]
    simulation = run(timeline=timeline, duration="120s", sample={**WINDOWS, "around_events": None})
    before = set(simulation.app_pods("c1"))
    after = simulation.at(74.0, lambda: set(simulation.app_pods("c1")))
    simulation.run()
    assert after[0] - before
    assert not simulation.stale()["c1"]


def test_closed_load_goes_on(run):
    load_ = {"web": {"arrivals": "closed", "users": 5, "think_time": "1s"}}
    assert min(arrived(run(**ONE, load=load_, sample=WINDOWS, duration="100s"), [20, 40, 60, 80])) > 50


def test_autoscalers_are_held_while_load_is_off(run):
    web = {"workers": 1, "replicas": 4, "endpoints": {"GET": {"script": [{"compute": "100ms"}]}}}
    web["autoscale"] = {"min_replicas": 1, "max_replicas": 4, "cpu_request": 1}
    kubernetes = {"hpa_sync_period": "5s", "hpa_stabilization": "10s"}
    given = {"clusters": ONE["clusters"], "services": {"web": web}, "kubernetes": kubernetes}
    sampled = {"windows": [{"at": "100s", "duration": "20s"}], "lead_in": "10s"}
    held = run(**given, load={"web": {"rate": "32/s"}}, sample=sampled)
    idle = run(**given, load={"web": {"rate": "0.01/s"}})

    def desired(simulation):
        return lambda: sum(each.desired for each in simulation.clusters["c1"].replica_sets)

    wanted = [simulation.at(88.0, desired(simulation)) for simulation in (held, idle)]
    held.run()
    idle.run()
    assert wanted == [[4], [1]]


def test_buckets_are_fine_in_windows_and_end_with_them():
    sampled = {"windows": [{"at": "1h", "duration": "100s"}, {"at": "2h", "duration": "50s"}]}
    scenario = load({**EXAMPLE, "duration": "24h", "sample": sampled})
    edges = bucket_edges(scenario)
    assert {3600.0, 3700.0, 7200.0, 7250.0} <= phase_edges(scenario) <= set(edges)
    inside = [edge for edge in edges if 3600 <= edge <= 3700]
    assert np.diff(inside).tolist() == [1.0] * 100
    assert len(edges) < 400
