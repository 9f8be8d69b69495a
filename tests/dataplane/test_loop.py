from __future__ import annotations

import numpy as np
import pytest

from meshsim.dataplane import state
from meshsim.scenario.istio.policy import Policy, Retry

NEVER = Retry(attempts=0)
#: A new connection costs a round trip more: user to web, and web to app within a zone.
IN, OUT = 0.004, 0.004


@pytest.fixture
def chain(Bench, echo):
    """Return a function that builds web, which calls app as told, and app."""

    def built(call=None, app=None, zones=("eu/a",), policy=None, retry=NEVER, timeout=None, **bench):
        script = [{"call": "app/GET", **(call or {})}]
        services = {"web": echo(script=script, workers=1000), "app": echo(**{"workers": 1000, **(app or {})})}
        routes = {"app": {"retry": retry, "timeout": timeout}, "web": {"retry": NEVER}}
        return Bench(services, policies={"app": policy or Policy()}, routes=routes, zones={"app": zones}, **bench)

    return built


def once(bench, until=100.0):
    bench.send(0.0)
    bench.run(until)
    (outcome,) = bench.requests()
    return outcome, bench.latency()


@pytest.mark.parametrize(("zone", "flow", "half"), [("eu/a", 0, 0.001), ("eu/b", 1, 0.002), ("us/a", 2, 0.040)])
def test_a_call_takes_the_round_trip_and_is_counted_where_it_went(chain, zone, flow, half):
    bench = chain(zones=[zone], app={"script": [{"compute": "5ms"}]})
    outcome, latency = once(bench)
    assert outcome == (200, "")
    # Spec §3.6: a new connection costs one more round trip, here on both links.
    assert latency == pytest.approx(2 * 2 * 0.001 + 2 * 2 * half + 0.005)
    assert bench.flows("app", "web") == [int(number == flow) for number in range(3)]
    bench.send(200.0)
    bench.run(300.0)
    assert 2 * bench.latency() - latency == pytest.approx(2 * 0.001 + 2 * half + 0.005)


def test_a_destination_without_hosts_is_UH(chain):
    bench = chain()
    bench.push(bench.proxy_of(bench.pods["web"][0]), "app", hosts=[])
    assert once(bench) == ((500, ""), pytest.approx(IN))
    assert bench.calls("app", "web") == {(503, "UH"): 1}


def test_a_destination_the_proxy_does_not_know_is_NC(chain):
    # Spec §3.7: the route names a cluster that the proxy has not got.
    bench = chain()
    scope = bench.world.proxies[bench.proxy_of(bench.pods["web"][0])].scope
    bench.world.scopes[scope, 1] = state.NONE
    once(bench)
    assert bench.calls("app", "web") == {(503, "NC"): 1}


def test_a_refused_connection_is_UF_after_a_round_trip(chain):
    bench = chain()
    bench.plane.kill(bench.pods["app"][0], 0.0, silent=False, for_good=False)
    assert once(bench)[1] == pytest.approx(IN + 0.002)
    assert bench.calls("app", "web") == {(503, "UF"): 1}


def test_a_black_hole_is_UF_after_the_connect_timeout(chain):
    bench = chain()
    bench.plane.kill(bench.pods["app"][0], 0.0, silent=True, for_good=False)
    assert once(bench)[1] == pytest.approx(10.0, abs=0.01)
    assert bench.calls("app", "web") == {(503, "UF"): 1}


def test_a_cut_link_is_UF_after_the_connect_timeout(chain):
    bench = chain(zones=["us/a"], policy=Policy(connect_timeout=1.0))
    bench.links[0, 2].cut = bench.links[2, 0].cut = 1
    assert once(bench)[1] == pytest.approx(1.0, abs=0.01)


def test_a_route_timeout_is_504_UT_and_is_not_tried_again(chain):
    bench = chain(app={"script": [{"compute": "1s"}]}, timeout=0.1, retry=Retry(attempts=2, conditions=("5xx",)))
    assert once(bench)[1] == pytest.approx(IN + 0.1)
    assert bench.calls("app", "web", "attempts") == {(504, "UT"): 1}


def test_tries_that_time_out_are_tried_again_under_5xx_only(chain):
    # Spec §3.3: three tries of 0.1 s: URX,UT after 0.3 s and pauses up to 75 ms; default conditions: one try.
    slow = {"script": [{"compute": "1s"}]}
    bench = chain(app=slow, retry=Retry(conditions=("5xx",), per_try_timeout=0.1))
    # Each try has a connection of its own (HTTP/1.1 can abandon a request only with it) and is timed from then on.
    assert 0.3 < once(bench)[1] < 0.3 + 0.075 + IN + 3 * 0.002
    assert bench.calls("app", "web", "attempts") == {(504, "URX,UT"): 3}
    bench = chain(app=slow, retry=Retry(per_try_timeout=0.1))
    assert once(bench)[1] == pytest.approx(IN + 0.002 + 0.1)
    assert bench.calls("app", "web", "attempts") == {(504, "UT"): 1}


def test_a_caller_that_gives_up_is_DC(chain):
    bench = chain(call={"timeout": "50ms"}, app={"script": [{"compute": "1s"}]})
    assert once(bench) == ((500, ""), pytest.approx(IN + 0.05))
    assert bench.calls("app", "web") == {(0, "DC"): 1}


@pytest.mark.parametrize("kind", ["gave up", "route timeout"])
def test_a_call_that_timed_out_is_counted_where_it_went(chain, kind):
    slow = {"script": [{"compute": "1s"}]}
    timeout = None if kind == "gave up" else 0.5
    bench = chain(call={"timeout": "500ms"} if kind == "gave up" else {}, app=slow, zones=["us/a"], timeout=timeout)
    once(bench)
    assert bench.flows("app", "web") == [0, 0, 1]


def test_a_pod_that_dies_resets_what_it_works_on(chain):
    bench = chain(app={"script": [{"compute": "1s"}]})
    bench.send(0.0)
    bench.run(0.5)
    bench.plane.kill(bench.pods["app"][0], 0.5, silent=False, for_good=False)
    bench.run(5.0)
    assert bench.calls("app", "web") == {(503, "UC"): 1}
    assert bench.latency() == pytest.approx(0.5 + 0.002)  # the reset is half a round trip away, twice


def test_a_response_over_a_cut_link_arrives_when_it_is_mended(chain):
    bench = chain(zones=["us/a"], app={"script": [{"compute": "1s"}]})
    bench.send(0.0)
    bench.run(0.5)
    bench.links[0, 2].cut = bench.links[2, 0].cut = 1
    bench.run(20.0)
    assert not bench.requests()
    bench.links[0, 2].cut = bench.links[2, 0].cut = 0
    bench.plane.end_silence(20.0)
    bench.run(30.0)
    assert bench.requests() == {(200, ""): 1}
    assert bench.latency() == pytest.approx(20.041)


def test_branches_join_at_the_slowest_and_nested_lists_run_at_once(Bench, echo):
    # Three branches: 10 ms; 20 ms then two at once of 5 and 30 ms; 15 ms: 20 + 30 = 50 ms.
    def wait(time):
        return {"compute": time}

    script = [[wait("10ms"), [wait("20ms"), [wait("5ms"), wait("30ms")]], wait("15ms")], wait("1ms")]
    bench = Bench({"web": echo(script=script, workers=10)})
    assert once(bench)[1] == pytest.approx(IN + 0.050 + 0.001)


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("empty", [[], [[]], [[], [[]]]])
def test_lists_without_steps_do_nothing(Bench, echo, at, empty):
    script: list = [{"compute": "1ms"}]
    script.insert(at, empty)
    assert once(Bench({"web": echo(script=script)})) == ((200, ""), pytest.approx(IN + 0.001))
    assert once(Bench({"web": echo(script=[empty])})) == ((200, ""), pytest.approx(IN))


def test_fractional_counts_are_met_on_average(chain):
    bench = chain(call={"count": 1.6})
    bench.paced(200)
    bench.run(20.0)
    total = sum(bench.requests().values())
    # 1 or 2 calls, 2 in 60 %: the mean of 4000 has a standard deviation of √(0.24/4000) = 0.0077.
    assert bench.calls("app", "web")[200, ""] / total == pytest.approx(1.6, abs=4 * 0.0077)


def test_each_repetition_is_made_with_its_probability(chain):
    bench = chain(call={"count": 3, "probability": 0.25})
    bench.paced(200)
    bench.run(20.0)
    total = sum(bench.requests().values())
    # Binomial of 3 and ¼: mean 0.75, standard deviation √(0.5625/4000) = 0.0119.
    assert bench.calls("app", "web")[200, ""] / total == pytest.approx(0.75, abs=4 * 0.0119)


def test_calls_in_a_row_wait_for_one_another(chain):
    assert once(chain(call={"count": 3}))[1] == pytest.approx(IN + 0.002 + 3 * 0.002)


@pytest.mark.parametrize(("on_error", "outcome"), [("fail", (500, "")), ("ignore", (200, ""))])
def test_a_failed_call_fails_its_caller_unless_ignored(chain, fail, on_error, outcome):
    bench = chain(call={"on_error": on_error})
    fail(bench, *bench.pods["app"])
    assert once(bench)[0] == outcome


def test_a_failed_branch_fails_the_request_when_all_have_ended(Bench, echo, fail):
    script = [[{"call": "app/GET"}, {"compute": "50ms"}]]
    bench = Bench({"web": echo(script=script), "app": echo()}, retry=NEVER)
    fail(bench, *bench.pods["app"])
    assert once(bench) == ((500, ""), pytest.approx(IN + 0.050))


def test_the_applications_own_retries_are_calls_of_their_own(chain, fail):
    bench = chain(call={"retries": 2})
    fail(bench, *bench.pods["app"])
    once(bench)
    assert bench.calls("app", "web") == {(503, ""): 3}


def test_the_applications_own_retries_stop_at_success(chain, fail):
    bench = chain(call={"retries": 3})
    fail(bench, *bench.pods["app"], fraction=0.5)
    bench.paced(200)
    bench.run(20.0)
    requests = bench.requests()
    # All four tries fail in 1/16 of cases; 4000 requests: ± 4·0.0038.
    assert requests[500, ""] / sum(requests.values()) == pytest.approx(1 / 16, abs=0.016)


@pytest.mark.parametrize("hold", [True, False])
def test_a_held_worker_keeps_others_waiting_while_a_call_is_awaited(Bench, echo, hold):
    services = {
        "web": echo(script=[{"compute": "1ms"}, {"call": "app/GET"}], hold_worker=hold),
        "app": echo(script=[{"compute": "100ms"}], workers=10),
    }
    bench = Bench(services, retry=NEVER)
    bench.send(0.0, times=2)
    bench.run(5.0)
    # The first takes 4 + 1 + 4 + 100 ms with new connections. The second waits for the whole of the first (105 ms)
    # and has its connection to app, or waits for 1 ms and needs one of its own.
    second = 0.004 + 0.105 + 0.001 + 0.102 if hold else 0.109 + 0.001
    assert bench.latency() == pytest.approx((0.109 + second) / 2)


def test_a_full_queue_refuses_with_503(Bench, echo):
    bench = Bench({"web": echo(script=[{"compute": "100ms"}], queue=2)}, retry=NEVER)
    bench.send(0.0, times=6)
    bench.run(5.0)
    assert bench.requests() == {(200, ""): 3, (503, ""): 3}


def test_a_queue_is_first_come_first_served(Bench, echo):
    bench = Bench({"web": echo(script=[{"compute": "100ms"}])}, retry=NEVER)
    bench.send(0.0, times=3)
    bench.run(5.0)
    assert bench.latency() == pytest.approx(IN + (0.1 + 0.2 + 0.3) / 3)


def test_requests_of_an_action_follow_one_another(Bench):
    endpoints = {"a": {"script": [{"compute": "10ms"}]}, "b": {"script": [{"compute": "20ms"}]}}
    bench = Bench({"web": {"endpoints": endpoints}})
    bench.send(0.0, "a", "b", "a")
    bench.run(0.0135)
    assert bench.world.clock[0].arrived == 1
    bench.run(5.0)
    assert bench.requests("latency")[200, ""] == pytest.approx(IN + 0.010 + 0.022 + 0.012)


def gateway(bench, replicas=1):
    """Put the app pods of us/a behind an east-west gateway and return (address, its replicas)."""
    return bench.behind_gateway(bench.proxy_of(bench.pods["web"][0]), "app", zone="us/a", replicas=replicas)


def test_latency_through_a_gateway_is_the_sum_of_both_links(chain):
    bench = chain(zones=["us/a"])
    gateway(bench)
    assert once(bench) == ((200, ""), pytest.approx(IN + 2 * 2 * 0.040 + 2 * 0.001))
    assert bench.flows("app", "web") == [0, 0, 1]


def test_a_dead_pod_behind_a_gateway_is_a_reset_in_plain_text(chain):
    # Envoy measured: the client is connected to the gateway already, so it sees UC, not UF.
    bench = chain(zones=["us/a"])
    gateway(bench)
    bench.plane.kill(bench.pods["app"][0], 0.0, silent=False, for_good=False)
    once(bench)
    assert bench.calls("app", "web") == {(503, "UC"): 1}


def test_a_pod_that_dies_behind_a_gateway_resets_the_connection_that_was_kept(chain):
    bench = chain(zones=["us/a"])
    gateway(bench)
    bench.send(0.0)
    bench.run(1.0)
    bench.send(1.0)
    bench.run(1.001 + 0.030)  # on its way over the connection of the first
    bench.plane.kill(bench.pods["app"][0], 1.031, silent=False, for_good=False)
    bench.run(5.0)
    assert bench.calls("app", "web") == {(200, ""): 1, (503, "UC"): 1}


def test_a_lost_gateway_refuses_after_a_round_trip(chain):
    bench = chain(zones=["us/a"])
    _, (proxy,) = gateway(bench)
    bench.plane.set_gateway(proxy, 0.0, alive=False)
    assert once(bench)[1] == pytest.approx(IN + 0.080)
    assert bench.calls("app", "web") == {(503, "UF"): 1}
    assert bench.flows("app", "web") == [0, 0, 1]


def test_a_silent_gateway_costs_the_connect_timeout(chain):
    bench = chain(zones=["us/a"])
    address, (proxy,) = gateway(bench)
    bench.plane.set_gateway(proxy, 0.0, alive=False, silent=True)
    bench.plane.set_gateway_silent(address, silent=True)
    assert once(bench)[1] == pytest.approx(10.0, abs=0.1)


def test_a_gateway_spreads_requests_over_its_live_replicas(chain):
    bench = chain(zones=["us/a"])
    _, proxies = gateway(bench, 3)
    bench.plane.set_gateway(proxies[1], 0.0, alive=False)
    bench.paced(100)
    bench.run(10.0)
    assert bench.calls("app", "web").keys() == {(200, "")}


def test_a_request_to_a_lost_ingress_ends_even_if_the_gateway_is_back_before_it_is_told(Bench, echo):
    bench = Bench({"web": echo()}, retry=NEVER)
    bench.plane.set_gateway(bench.ingress, 0.0, alive=False)
    bench.world.proxies[bench.ingress].free = 0.5  # its workers are busy until then
    bench.send(0.1)
    bench.run(0.2)
    bench.plane.set_gateway(bench.ingress, 0.2, alive=True)
    bench.run(100.0)
    clock = bench.world.clock[0]
    assert (clock.arrived, clock.ended, clock.in_flight) == (1, 1, 0)


def test_a_user_without_think_time_asks_again_at_once(Bench, echo):
    bench = Bench({"web": echo(script=[{"compute": "5s"}])}, sidecar={"latency": "7s"}, retry=NEVER)
    source = bench.plane.add_source(
        "u", proxy=bench.ingress, entry=0, kind=state.CLOSED, rate=0.0, think=None, actions=[bench.sends()]
    )
    bench.plane.add_users(source, "u", 1)
    bench.run(100.0)
    assert bench.requests() == {(200, ""): 19}  # 5.002 s each, 2 ms more the first


def test_there_is_room_for_as_many_calls_as_a_script_makes_without_waiting(Bench, echo):
    # A call and its attempt for each of them come to be within one event, and up to three events each.
    bench = Bench({"web": echo(script=[{"call": "app/GET", "count": 300, "wait": False}]), "app": echo()})
    assert int(bench.world.clock[0].widest) >= 300


def test_calls_without_waiting_do_not_delay_their_caller(chain):
    bench = chain(call={"wait": False, "count": 3}, app={"script": [{"compute": "1s"}]})
    assert once(bench) == ((200, ""), pytest.approx(IN))
    assert bench.calls("app", "web") == {(200, ""): 3}


def test_sidecars_add_their_latency_on_both_sides(chain):
    bench = chain(sidecar={"enabled": True, "cpu": "0s", "latency": "100us", "handshake": "0s"})
    # Ingress → web's sidecar, web's sidecar → app's sidecar: three passes of a sidecar. Two round trips for the TCP
    # and TLS handshakes of each link, one for the request (spec §3.6).
    assert once(bench)[1] == pytest.approx(2 * 3 * 0.002 + 3 * 0.0001)


def test_a_saturated_sidecar_is_a_queue(Bench, echo):
    sidecar = {"enabled": True, "cpu": "10ms", "latency": "0s", "concurrency": 1, "handshake": "0s"}
    bench = Bench({"web": echo()}, sidecar=sidecar)
    bench.send(0.0, times=3)
    bench.run(5.0)
    # Starts at 0, 10 and 20 ms after arriving, each over a connection of its own.
    assert bench.latency() == pytest.approx(3 * 0.002 + (0.0 + 0.010 + 0.020) / 3)


def test_losses_cost_the_retransmission_timeout(chain):
    bench = chain()
    bench.links[0, 0].loss = 0.5
    bench.paced(50)
    bench.run(100.0)
    # Four messages; each is lost k times with ½^(k+1) and waits 0.2·(2^k - 1), k at most 10.
    mean_wait = 0.2 * (sum(2.0 ** min(k, 10) * 0.5 ** (k + 1) for k in range(60)) - 1.0)
    assert bench.latency() > 0.004
    assert bench.latency() == pytest.approx(0.004 + 4 * mean_wait, rel=0.8)


def test_everything_that_arrived_ended_or_is_in_flight(chain, fail):
    bench = chain(call={"timeout": "30ms", "retries": 1}, app={"script": [{"compute": {"exponential": "20ms"}}]})
    fail(bench, *bench.pods["app"], fraction=0.2)
    bench.paced(300)
    bench.run(20.0)
    clock = bench.world.clock[0]
    assert clock.arrived == clock.ended + clock.in_flight
    assert sum(bench.requests().values()) == clock.ended
    # L = λW to the last bit of arithmetic: the integral is the sum of the sojourns and of what is under way.
    assert np.isclose(clock.area, clock.sojourn, rtol=0.01)
