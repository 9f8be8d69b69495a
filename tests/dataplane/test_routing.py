"""What a route does with a request: faults, weights, mirrors, answers of the proxy's own, hash keys (spec §3.5)."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from meshsim.dataplane import routing
from meshsim.dataplane.jit import jit
from meshsim.dataplane.trace import AT_POD
from meshsim.scenario.istio.balancing import HashPolicy
from meshsim.scenario.istio.policy import CircuitBreaker, Policy, Retry
from meshsim.scenario.istio.routes import Destination, Fault, Mirror

NEVER = Retry(attempts=0)
V1, V2 = Destination("app", "v1"), Destination("app", "v2")
SUBSETS = {"app/v1": Policy(), "app/v2": Policy()}


@pytest.fixture
def split(Bench, echo):
    """Return a function that builds web → app, the two pods of which are the subsets v1 and v2."""

    def built(*, app=None, web=None, retry=NEVER, script=None, call=None, load=None, routes=None, policies=None):
        script = script or [{"call": "app/GET", "on_error": "ignore", **(call or {})}]
        services = {"web": echo(script=script, workers=1000), "app": echo(workers=1000)}
        bench = Bench(
            services, policies={**SUBSETS, **(policies or {})}, retry=retry, zones={"app": ["eu/a"] * 2}, load=load,
            routes=routes or {"app": app or {}, "web": web or {}},
        )  # fmt: skip
        bench.client = bench.proxy_of(bench.pods["web"][0])
        for number, destination in enumerate([("app", "v1"), ("app", "v2")]):
            if destination in bench.plan.destinations:
                hosts, place = bench.pods["app"][number : number + 1], bench.plan.destinations.index(destination)
                bench.push(bench.client, "app", hosts=hosts, destination=place)
        return bench

    return built


def run(bench, rate=100.0, seconds=10.0):
    source = bench.paced(rate)
    bench.run(seconds)
    bench.plane.set_rate(source, 0.0, seconds)
    bench.run(seconds + 50.0)
    return bench


def margin(share, count):
    """Return four standard deviations of a share of ``count`` draws."""
    return 4 * (share * (1 - share) / count) ** 0.5


# --- destinations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("weights", "share"), [((90, 10), 0.9), ((1, 1), 0.5), ((1, 3), 0.25)])
def test_a_destination_is_drawn_by_weight_for_each_request(split, weights, share):
    bench = run(split(app={"destinations": tuple(zip((V1, V2), weights, strict=True))}))
    first, second = bench.served("app")
    assert first / (first + second) == pytest.approx(share, abs=margin(share, first + second))


def test_a_single_destination_gets_everything(split):
    bench = run(split(app={"destinations": ((V2, 7),)}), seconds=1.0)
    assert bench.served("app") == [0, sum(bench.requests().values())]


def test_retries_stay_with_the_destination_that_was_drawn(split, fail):
    # Spec §3.5: the cluster is fixed when the route is resolved.
    bench = split(app={"destinations": ((V1, 50), (V2, 50)), "retry": Retry(attempts=2, conditions=("5xx",))})
    fail(bench, bench.pods["app"][0])
    run(bench, seconds=4.0)
    calls = bench.calls("app", "web")
    assert calls[503, "URX"] / sum(calls.values()) == pytest.approx(0.5, abs=margin(0.5, sum(calls.values())))
    assert bench.calls("app", "web", "attempts")[503, "URX"] == 3 * calls[503, "URX"]


def test_each_subset_has_breakers_of_its_own(split):
    policies = {"app/v1": Policy(circuit_breaker=CircuitBreaker(max_requests=1, max_pending_requests=1))}
    fork = [[{"call": "app/GET", "on_error": "ignore"}] * 40]
    bench = split(app={"destinations": ((V1, 50), (V2, 50))}, script=fork, policies=policies)
    bench.send(0.0)
    bench.run(5.0)
    served = bench.served("app")
    assert served[0] == 1
    assert bench.calls("app", "web") == {(200, ""): 1 + served[1], (503, "UO"): 39 - served[1]}


def test_a_host_that_nobody_has_is_NC(split):
    bench = split(app={"destinations": ((Destination("nobody"), 1),)})
    bench.send(0.0)
    bench.run(5.0)
    assert bench.calls("app", "web") == {(503, "NC"): 1}
    assert bench.calls("app", "web", "attempts") == {(503, "NC"): 0}


# --- answers of the proxy's own ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("route", "outcome"),
    [
        ({"direct_code": 404, "no_route": True}, (404, "NR")),
        ({"direct_code": 502}, (502, "")),  # REGISTRY_ONLY: BlackHole
        ({"direct_code": 301}, (301, "")),
    ],
)
def test_a_route_may_answer_itself_without_asking_anyone(split, route, outcome):
    bench = split(app={"destinations": (), **route, "retry": Retry(conditions=("5xx",))})
    bench.send(0.0)
    bench.run(5.0)
    assert bench.calls("app", "web") == {outcome: 1}
    assert bench.served("app") == [0, 0]
    assert bench.latency() == pytest.approx(0.004)  # user to web and back, over a new connection


# --- faults -----------------------------------------------------------------------------------------------------------


def test_a_delay_does_not_count_against_the_route_timeout(split):
    # Envoy measured: 150 ms of delay with a timeout of 100 ms: 100 % ok.
    bench = split(app={"fault": Fault(delay=0.150, delay_percent=100.0), "timeout": 0.100})
    bench.send(0.0)
    bench.run(5.0)
    assert bench.calls("app", "web") == {(200, "DI"): 1}
    assert bench.latency() == pytest.approx(0.004 + 0.150 + 0.004)


def test_an_abort_reaches_no_host_and_is_not_retried(split):
    bench = split(app={"fault": Fault(abort_code=418, abort_percent=100.0), "retry": Retry(status_codes=(418,))})
    bench.send(0.0)
    bench.run(5.0)
    assert bench.calls("app", "web") == {(418, "FI"): 1}
    assert bench.served("app") == [0, 0]


def test_delay_and_abort_are_drawn_independently(split):
    # Envoy measured. Half are delayed, 30 % aborted: 35, 35, 15 and 15 %.
    fault = Fault(delay=0.050, delay_percent=50.0, abort_code=503, abort_percent=30.0)
    bench = run(split(app={"fault": fault}), rate=200.0)
    calls = bench.calls("app", "web")
    total = sum(calls.values())
    expected = {(200, ""): 0.35, (200, "DI"): 0.35, (503, "FI"): 0.15, (503, "DI,FI"): 0.15}
    assert calls.keys() == expected.keys()
    for outcome, share in expected.items():
        assert calls[outcome] / total == pytest.approx(share, abs=margin(share, total))
    latency = bench.calls("app", "web", "latency")
    assert latency[503, "DI,FI"] / calls[503, "DI,FI"] == pytest.approx(0.050)
    assert latency[503, "FI"] == pytest.approx(0.0)


def test_a_caller_that_gives_up_during_a_delay_is_DC(split):
    bench = split(app={"fault": Fault(delay=1.0, delay_percent=100.0)}, call={"timeout": "100ms"})
    bench.send(0.0)
    bench.run(5.0)
    assert bench.calls("app", "web") == {(0, "DI,DC"): 1}
    assert bench.served("app") == [0, 0]


def test_faults_apply_to_users_at_the_ingress_gateway_too(split):
    bench = split(web={"fault": Fault(abort_code=429, abort_percent=100.0)})
    bench.send(0.0)
    bench.run(5.0)
    assert bench.requests() == {(429, "FI"): 1}


# --- mirrors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("percent", [100.0, 30.0])
def test_a_mirror_gets_copies_of_a_share_of_the_requests(split, percent):
    bench = run(split(app={"destinations": ((V1, 1),), "mirrors": (Mirror(V2, percent),)}))
    first, second = bench.served("app")
    assert first == sum(bench.requests().values())
    assert second / first == pytest.approx(percent / 100, abs=margin(percent / 100, first))


def test_nobody_waits_for_a_mirror_or_hears_of_its_failures(split, fail):
    bench = split(app={"destinations": ((V1, 1),), "mirrors": (Mirror(V2),)})
    fail(bench, bench.pods["app"][1])
    bench.world.pods[bench.pods["app"][1]].slow = 1000.0
    bench.send(0.0)
    bench.run(5.0)
    assert bench.requests() == {(200, ""): 1}
    assert bench.latency() == pytest.approx(0.004 + 0.004)
    assert bench.calls("app", "web") == {(200, ""): 1, (503, ""): 1}


def test_a_mirror_counts_against_the_breakers_of_its_destination(split):
    policies = {"app/v2": Policy(circuit_breaker=CircuitBreaker(max_requests=1))}
    bench = split(
        app={"destinations": ((V1, 1),), "mirrors": (Mirror(V2),)}, policies=policies,
        script=[[{"call": "app/GET", "on_error": "ignore"}] * 5],
    )  # fmt: skip
    bench.send(0.0)
    bench.run(5.0)
    assert bench.served("app") == [5, 1]
    assert bench.requests() == {(200, ""): 1}


def test_a_copy_is_not_sent_again_when_it_fails(split, fail):
    # Envoy's shadow requests carry no retry policy.
    bench = split(app={"destinations": ((V1, 1),), "mirrors": (Mirror(V2),), "retry": Retry(conditions=("5xx",))})
    fail(bench, bench.pods["app"][1])
    bench.send(0.0)
    bench.run(5.0)
    assert bench.served("app") == [1, 1]


# --- headers ----------------------------------------------------------------------------------------------------------


def by_header(_client, request):
    if request.service == "app":
        return {"destinations": ((V2 if request.headers.get("end-user") == "jason" else V1, 1),)}
    return {}


def test_headers_of_a_user_are_propagated_to_the_calls_below(split):
    load = {"actions": {"all": {"requests": ["GET"]}, "jason": {"requests": ["GET"], "headers": {"end-user": "jason"}}}}
    bench = split(routes=by_header, load=load)
    for at in (0.0, 1.0, 2.0):
        bench.send(at, action=0)
    bench.send(3.0, action=1)
    bench.run(5.0)
    assert bench.served("app") == [3, 1]


def test_a_call_may_add_headers(split):
    script = [{"call": "app/GET"}, {"call": "app/GET", "headers": {"End-User": "jason"}}]
    bench = split(routes=by_header, script=script)
    bench.send(0.0)
    bench.run(5.0)
    assert bench.served("app") == [1, 1]


def test_headers_go_on_through_a_service_that_does_nothing_with_them(Bench, echo):
    services = {
        "web": echo(script=[{"call": "middle/GET"}]), "middle": echo(script=[{"call": "app/GET"}]), "app": echo(),
    }  # fmt: skip
    bench = Bench(
        services, routes=by_header, policies=SUBSETS, zones={"app": ["eu/a"] * 2},
        load={"headers": {"end-user": "jason"}},
    )  # fmt: skip
    client = bench.proxy_of(bench.pods["middle"][0])
    place = bench.plan.destinations.index(("app", "v2"))
    bench.push(client, "app", hosts=bench.pods["app"][1:], destination=place)
    bench.send(0.0)
    bench.run(5.0)
    assert bench.served("app") == [0, 1]


# --- keys of consistent hashing ---------------------------------------------------------------------------------------


@pytest.fixture
def keyed(Bench, echo):
    """Return a function that builds a bench with a ring, and the keys of some requests."""

    def built(kind="header", name="user", hosts=8, **load):
        policy = Policy(load_balancer="RING_HASH", hash=HashPolicy(kind, name))
        return Bench(
            {"web": echo(workers=1000)}, policies={"web": policy}, zones={"web": ["eu/a"] * hosts}, load=load,
            retry=NEVER,
        )  # fmt: skip

    return built


@jit
def key_of(w, frame):
    """Return (has a key, key) of a frame, given by its number: NumPy hands no record to Numba whose fields overlap."""
    return routing.hash_key(w, w.frames[frame], w.policies[0])


def keys(bench, count):
    """Return (has a key, key) of that many requests."""
    w = bench.world
    frame = w.frames[0]
    frame.proxy, frame.variant = bench.ingress, bench.plan.actions["web"][0][1]
    found = []
    for number in range(count):
        frame.request = number
        found.append(tuple(int(part) for part in key_of(w, 0)))
    return found


def test_a_fixed_header_sends_all_requests_to_one_host(keyed):
    bench = keyed(headers={"user": "jason"})
    bench.paced(20.0)
    bench.run(3.0)
    assert sorted(bench.served("web"))[:-1] == [0] * 7


def test_a_request_without_the_header_goes_anywhere(keyed):
    bench = keyed(hosts=2)
    assert keys(bench, 1) == [(0, 0)]
    bench.paced(50.0)
    bench.run(4.0)
    assert min(bench.served("web")) > 20


def test_uniform_keys_are_alike(keyed):
    bench = keyed(keys={"user": {"count": 10}})
    counts = Counter(keys(bench, 4000))
    assert len(counts) == 10
    # χ² with 9 degrees of freedom is above 33.7 in one of 10 000 cases.
    assert sum((count - 400) ** 2 / 400 for count in counts.values()) < 33.7


def test_skewed_keys_follow_zipfs_law(keyed):
    bench = keyed(keys={"user": {"count": 20, "skew": 1.0}})
    counts = Counter(key for _, key in keys(bench, 6000))
    shares = 1.0 / np.arange(1, 21)
    expected = 6000 * shares / shares.sum()
    found = np.array([counts[key] for key in sorted(counts)])
    assert len(found) == 20
    # χ² with 19 degrees of freedom is above 50.8 in one of 10 000 cases.
    assert ((found - expected) ** 2 / expected).sum() < 50.8


def test_two_headers_have_keys_of_their_own(keyed):
    first = keyed(name="user", keys={"user": {"count": 5}, "cart": {"count": 5}})
    second = keyed(name="cart", keys={"user": {"count": 5}, "cart": {"count": 5}})
    assert not {key for _, key in keys(first, 50)} & {key for _, key in keys(second, 50)}


def test_the_address_of_users_differs_and_that_of_a_pod_stays(Bench, echo):
    policy = Policy(load_balancer="RING_HASH", hash=HashPolicy("source_ip"))
    bench = Bench(
        {"web": echo(script=[{"call": "app/GET"}], workers=1000), "app": echo(workers=1000)},
        policies={"web": policy, "app": policy}, zones={"web": ["eu/a"] * 4, "app": ["eu/a"] * 4}, retry=NEVER,
    )  # fmt: skip
    bench.push(bench.ingress, "web", hosts=bench.pods["web"][:1])
    assert len({key for _, key in keys(bench, 20)}) == 20
    bench.paced(20.0)
    bench.run(2.0)
    assert sorted(bench.served("app"))[:-1] == [0] * 3  # of the one web pod


def test_a_key_stays_with_its_host_below_the_user_too(Bench, echo):
    # The header is propagated, so all calls of one user's request to app go to one pod.
    policy = Policy(load_balancer="RING_HASH", hash=HashPolicy("header", "user"))
    bench = Bench(
        {"web": echo(script=[{"call": "app/GET", "count": 3}], workers=1000), "app": echo(workers=1000)},
        policies={"app": policy}, zones={"app": ["eu/a"] * 5}, retry=NEVER, load={"keys": {"user": {"count": 1000}}},
    )  # fmt: skip
    bench.plane.trace(1)
    bench.paced(20.0)
    bench.run(3.0)
    hosts: dict[int, set[int]] = {}
    for line in bench.traced(AT_POD):
        if int(line.host) in bench.pods["app"]:
            hosts.setdefault(int(line.request), set()).add(int(line.host))
    assert {len(found) for found in hosts.values()} == {1}
    assert len(set().union(*hosts.values())) > 1
