from __future__ import annotations

import numpy as np
import pytest

from meshsim.dataplane.calendar import events

ONE = {"clusters": {"c1": {"region": "eu"}}, "services": {"web": {"workers": 100, "endpoints": {"GET": {}}}}}
#: Autoscalers would undo what the test does.
LATER = {"hpa_sync_period": "1h"}


def arrivals(simulation, step=1.0):
    """Run and return how many requests arrived in each step."""
    counts = []
    clock = simulation.mesh.plane.world.clock

    def count():
        number = 0
        while True:
            number += 1
            yield simulation.env.at(number * step)
            counts.append(int(clock[0].arrived))

    simulation.env.process(count())
    simulation.run()
    return np.diff([0, *counts])


def test_poisson_arrivals_have_the_rate_and_the_spread(run):
    counts = arrivals(run(**ONE, load={"web": {"rate": "50/s"}}, duration="400s"))
    # 399 counts: the mean of Poisson(50) ± 4·√(50/399), the variance is the mean within 4·√(2/399).
    assert counts.mean() == pytest.approx(50, abs=4 * np.sqrt(50 / 399))
    assert counts.var() / counts.mean() == pytest.approx(1.0, abs=4 * np.sqrt(2 / 399))


def test_constant_arrivals_are_equally_spaced(run):
    assert set(arrivals(run(**ONE, load={"web": {"rate": "50/s", "arrivals": "constant"}})).tolist()) == {50}


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("phase", "factors"),
    [
        ({"spike": {"start": "20s", "duration": "10s", "factor": 3.0}}, {10: 1, 19: 1, 21: 3, 28: 3, 31: 1, 90: 1}),
        ({"ramp": {"start": "20s", "duration": "40s", "to": 2.0}}, {10: 1, 40: 1.5, 61: 2, 110: 2}),
        ({"ramp": {"start": "20s", "duration": "40s", "from": 0.0, "to": 1.0}}, {10: 0, 40: 0.5, 80: 1}),
        ({"diurnal": {"period": "100s", "peak_at": "50s", "peak": 1.5, "trough": 0.5}}, {25: 1, 50: 1.5, 99: 0.5}),
    ],
)
def test_rates_follow_their_phase(run, phase, factors):
    load = {"web": {"rate": "1000/s", "arrivals": "constant", "phases": [phase]}}
    counts = arrivals(run(**ONE, load=load))
    for second, factor in factors.items():
        assert counts[second] == pytest.approx(1000 * factor, abs=45), second


def test_phases_multiply_and_a_surge_too(run, event):
    spike = {"spike": {"start": "20s", "duration": "40s", "factor": 2.0}}
    load = {"web": {"rate": "100/s", "arrivals": "constant", "phases": [spike, spike]}}
    timeline = [event("traffic_surge", "30s", "10s", factor=1.5)]
    counts = arrivals(run(**ONE, load=load, timeline=timeline))
    assert [round(counts[second], -1) for second in (10, 25, 35, 45, 70)] == [100, 400, 600, 400, 100]


@pytest.mark.parametrize("users", [1, 2, 5, 100])
def test_all_users_are_there_however_they_enter(run, users):
    load = {"web": {"arrivals": "closed", "users": users, "think_time": "1s"}}
    clusters = {f"c{n}": {"region": "eu"} for n in range(1, 4)}
    simulation = run(clusters=clusters, load=load)
    sources = {source for stream in simulation.load.streams for source in stream.sources}
    world = simulation.mesh.plane.world
    assert sum(int(event["kind"]) == 1 for event in events(world)) == users
    assert len(sources) == 3


def test_users_ask_think_and_ask_again(run):
    load = {"web": {"arrivals": "closed", "users": 10, "think_time": "1s"}}
    services = {"web": {"workers": 100, "endpoints": {"GET": {"script": [{"compute": "1s"}]}}}}
    simulation = run(clusters=ONE["clusters"], services=services, load=load)
    counts = arrivals(simulation)
    # One second of work, one of thinking and some milliseconds on the way: five requests a second.
    assert counts[10:].mean() == pytest.approx(5.0, abs=0.1)


def test_requests_of_an_action_come_one_after_the_other_by_weight(run):
    services = {"web": {"workers": 100, "endpoints": {"a": {}, "b": {}}}}
    actions = {"both": {"weight": 3, "requests": ["a", "b"]}, "one": {"weight": 1, "requests": ["a"]}}
    load = {"web": {"rate": "100/s", "arrivals": "constant", "actions": actions}}
    counts = arrivals(run(clusters=ONE["clusters"], services=services, load=load))
    # 100 actions a second of 1.75 requests: 120 s, ± 4·0.433·√12000/12000.
    assert counts.mean() / 100 == pytest.approx(1.75, abs=0.02)


def test_load_is_divided_over_the_ingress_replicas_that_serve(run):
    load = {"web": {"rate": "100/s", "arrivals": "constant"}}
    simulation = run(**ONE, load=load, duration="100s", kubernetes=LATER)
    gateway = simulation.clusters["c1"].gateways["ingress"]
    simulation.at(20.0, lambda: gateway.scale(4))
    simulation.at(60.0, lambda: gateway.scale(2))
    (stream,) = simulation.load.streams

    def rates():
        return [float(simulation.mesh.plane.world.sources[source].rate) for source in stream.sources]

    seen = [simulation.at(time, rates) for time in (10.0, 50.0, 70.0)]
    counts = arrivals(simulation)
    assert [sorted(rate) for (rate,) in seen] == [[100.0], [25.0] * 4, [0.0, 0.0, 50.0, 50.0]]
    assert [round(counts[second], -1) for second in (10, 50, 80)] == [100, 100, 100]


def test_a_surge_holds_for_replicas_that_come_later(run, event):
    load = {"web": {"rate": "100/s", "arrivals": "constant"}}
    timeline = [event("traffic_surge", "10s", "60s", factor=2.0)]
    simulation = run(**ONE, load=load, duration="100s", timeline=timeline, kubernetes=LATER)
    simulation.at(20.0, lambda: simulation.clusters["c1"].gateways["ingress"].scale(2))
    counts = arrivals(simulation)
    assert [round(counts[second], -1) for second in (5, 15, 50, 90)] == [100, 200, 200, 100]


def test_users_of_a_replica_that_goes_are_led_to_others_and_the_rest_stay(run):
    load = {"web": {"arrivals": "closed", "users": 9, "think_time": "1s"}}
    simulation = run(**ONE, ingress={"c1": {"replicas": 3}}, load=load, duration="60s", kubernetes=LATER)
    simulation.at(20.0, lambda: simulation.clusters["c1"].gateways["ingress"].scale(2))
    (stream,) = simulation.load.streams

    def users():
        sources = simulation.mesh.plane.world.users.source[:9]
        return [int((sources == source).sum()) for source in stream.sources]

    seen = [simulation.at(time, users) for time in (10.0, 30.0)]
    simulation.run()
    assert seen == [[[3, 3, 3]], [[5, 4, 0]]]
