from __future__ import annotations

import pytest

from meshsim.engine.autoscaler import Autoscaler, Metrics, Sample, wanted_replicas
from meshsim.scenario.schema import Kubernetes

ONE = {"clusters": {"c1": {"region": "eu"}}}
NETWORKS = {"clusters": {"c1": {"region": "eu", "network": "n1"}, "c2": {"region": "us", "network": "n2"}}}


def wanted(replicas, cores, ready, unready=0, missing=0):
    sample = Sample(cores, ready, unready, missing)
    return wanted_replicas(replicas, sample, request=1.0, utilization=0.8, tolerance=0.1)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        # Ratio of use to target times ready pods, rounded up: 3.2/0.8 = 4, 3.3/0.8 = 4.1.
        ((2, 3.2, 2), 4),
        ((2, 3.3, 2), 5),
        # Within a tenth of the target nothing changes: 1.76/1.6 = 1.1, 1.44/1.6 = 0.9.
        ((2, 1.76, 2), 2),
        ((2, 1.44, 2), 2),
        ((4, 1.6, 4), 2),
        # Pods that start count as idle when more are wanted: 3.2 over 4 pods is the target.
        ((4, 3.2, 2, 2), 4),
        # … but a scale-up never becomes a scale-down: 1.8 over 4 pods is below the target, over 2 above it.
        ((4, 1.8, 2, 2), 4),
        # … and are left out when fewer are: 0.8 of 2 pods' 1.6 is one pod.
        ((4, 0.8, 2, 2), 1),
        # Missing pods count as idle on the way up and as using all they request on the way down.
        ((4, 3.2, 2, 0, 2), 4),
        ((4, 0.8, 2, 0, 2), 4),
        ((4, 0.2, 3, 0, 1), 2),
        # What many events multiply may be infinite; the autoscaler's own limit then counts.
        ((4, float("inf"), 4), 1_000_000_000),
        # Without any metrics nothing is done.
        ((4, 0.0, 0, 4), 4),
        ((4, float("nan"), 4), 4),
    ],
)
def test_replicas_follow_use_by_the_rules_of_kubernetes(state, expected):
    assert wanted(*state) == expected


def autoscaler(least=1, most=20, **settings):
    return Autoscaler(least, most, 1.0, 0.8, Kubernetes(**settings))


def busy(replicas, cores):
    return Sample(cores, replicas)


def test_scaling_up_at_most_doubles_or_adds_four_in_fifteen_seconds():
    one, replicas, seen = autoscaler(most=100), 1, []
    for tick in range(5):
        replicas = one.decide(15.0 * tick, replicas, busy(replicas, 70.0))
        seen.append(replicas)
    assert seen == [5, 10, 20, 40, 80]


def test_looking_more_often_does_not_scale_faster():
    one, replicas, seen = autoscaler(most=100), 1, []
    for tick in range(4):
        replicas = one.decide(5.0 * tick, replicas, busy(replicas, 70.0))
        seen.append(replicas)
    assert seen == [5, 5, 5, 10]


def test_scaling_down_waits_until_no_more_has_been_wanted_for_five_minutes():
    one = autoscaler()
    one.decide(0.0, 4, busy(4, 3.2))
    seen = [one.decide(15.0 * tick, 4, busy(4, 1.6 if tick < 10 else 0.8)) for tick in range(1, 22)]
    # 4 was wanted last at 0 s, 2 from 15 s on: still 4 at 300 s, 2 at 315 s.
    assert seen == [4] * 20 + [2]


def test_bounds_hold_at_once_whatever_use_is():
    one = autoscaler(least=2, most=5)
    assert one.decide(0.0, 1, Sample(0.0, 0)) == 2
    assert one.decide(15.0, 9, busy(9, 70.0)) == 5
    assert one.decide(30.0, 5, busy(5, 70.0)) == 5
    assert one.decide(1000.0, 3, busy(3, 0.0)) == 2


def test_a_deployment_without_replicas_is_switched_off():
    assert autoscaler().decide(0.0, 0, Sample(0.0, 0)) == 0


# --- in a run ---------------------------------------------------------------------------------------------------


def scalings(simulation, name):
    """Return what was scaled when."""
    events = simulation.mesh.recorder.tables["events"]
    return [(time, detail) for time, kind, subject, detail in events if kind == "scaled" and subject == name]


def loaded(rate, **autoscale):
    """Return a service whose requests take half a second of a core each."""
    app = {
        "replicas": 2,
        "endpoints": {"GET": {"script": [{"compute": {"constant": "500ms"}}]}},
        "autoscale": autoscale,
    }
    return {**ONE, "services": {"app": app}, "load": {"app": {"rate": rate, "arrivals": "constant"}}}


def test_a_service_gets_the_pods_that_its_work_needs(run):
    # 4/s of 0.5 s are 2 cores; with the sidecars' share a little more than 2/0.8 = 2.5 pods.
    simulation = run(**loaded("4/s", min_replicas=2), duration="200s")
    simulation.run()
    (time, detail), *rest = scalings(simulation, "c1/app")
    assert (time, detail, rest) == (15.0, "2 to 3 pods", [])
    assert len(simulation.app_pods("c1")) == 3


def test_an_idle_service_shrinks_after_the_stabilisation_time(run):
    simulation = run(**loaded("0.1/s", min_replicas=1), duration="400s")
    simulation.run()
    assert scalings(simulation, "c1/app") == [(315.0, "2 to 1 pods")]


def test_a_new_pod_takes_its_start_time(run):
    simulation = run(**loaded("4/s", min_replicas=2), duration="60s", kubernetes={"pod_start": "20s"})
    before = simulation.at(34.0, lambda: len(simulation.app_pods("c1")))
    after = simulation.at(37.0, lambda: len(simulation.app_pods("c1")))
    simulation.run()
    assert (before, after) == ([2], [3])


def test_nothing_is_scaled_without_the_api_server(run, event):
    timeline = [event("api_server_down", "1s", "100s", target={"cluster": "c1"})]
    simulation = run(**loaded("4/s", min_replicas=2), duration="150s", timeline=timeline)
    simulation.run()
    assert [time for time, _ in scalings(simulation, "c1/app")] == [105.0]


def test_an_east_west_gateway_is_scaled_by_its_work(run):
    # 100/s through it, 10 ms each: 1 core of 0.1 requested, so at most of what one step allows, then 5.
    gateways = {"c2": {"cpu": "10ms"}}
    services = {
        "web": {"replicas": {"c1": 1, "c2": 0}, "endpoints": {"GET": {"script": [{"call": "app/GET"}]}}},
        "app": {"replicas": {"c1": 0, "c2": 2}, "endpoints": {"GET": {}}},
    }
    load = {"web": {"rate": "50/s", "enters": {"c1": 1}}}
    simulation = run(**NETWORKS, gateways=gateways, services=services, load=load, duration="60s")
    simulation.run()
    assert scalings(simulation, "c2/east-west gateway") == [(15.0, "1 to 5 replicas")]
    gateway = simulation.clusters["c2"].gateways["east-west"]
    assert len(gateway.serving) == 5
    busy = [float(simulation.mesh.plane.proxies[proxy.number].busy) for proxy in gateway.serving]
    assert busy[0] > 0.0


def test_istiod_is_scaled_by_its_cpu_and_shrinks_again(run):
    simulation = run(**ONE, duration="700s", istiod={"autoscale": {"max_replicas": 3, "cpu_request": 0.5}})

    def work():
        while simulation.env.now < 100.0:
            yield simulation.env.timeout(1.0)
            simulation.groups["c1"].record.cpu += 0.9

    simulation.env.process(work())
    simulation.run()
    # 0.9 cores of 0.5 · 0.8 are 2.25 replicas, wanted last at 90 s; at 105 s it is 10/15 of that, later nothing.
    assert scalings(simulation, "c1") == [
        (15.0, "1 to 3 replicas of istiod"), (405.0, "3 to 2 replicas of istiod"), (420.0, "2 to 1 replicas of istiod")
    ]  # fmt: skip


def test_one_look_serves_all_autoscalers(run, monkeypatch):
    services = {"web": {"endpoints": {"GET": {}}}}
    services |= {
        f"s{n}": {"replicas": 3, "endpoints": {"GET": {}}, "autoscale": {"min_replicas": 3, "max_replicas": 4}}
        for n in range(20)
    }
    looks, read = [], Metrics.read
    monkeypatch.setattr(
        Metrics, "read", lambda *given, **named: looks.append(len(known := read(*given, **named))) or known
    )
    simulation = run(**ONE, services=services, load={"web": {"rate": "0.001/s"}}, duration="1500s")
    simulation.run()
    assert looks == [21] * 99
