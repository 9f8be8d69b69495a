"""How connections are opened and how they fail (spec §3.6, §4.4, §3.7). The client is the ingress gateway in eu/a."""

from __future__ import annotations

import pytest

from meshsim.dataplane.scope import upstream_of
from meshsim.dataplane.state import UC
from meshsim.dataplane.trace import ATTEMPT_ENDED, CONNECTED, NOT_CONNECTED
from meshsim.scenario.istio.policy import CircuitBreaker, ConnectionPool, Policy, Retry

NEAR, MIDDLE, FAR = 0.002, 0.004, 0.080  # round trips from eu/a to eu/a, eu/b and us/a; eu/b and us/a are FAR apart
WORK = 0.05
TLS = {"enabled": True, "cpu": "0s", "latency": "0s", "handshake": "0s"}
#: Linux gives up on a connection without answers (tcp_retries2 = 15).
GIVE_UP = 924.6


@pytest.fixture
def server(Bench):
    """Return a function that builds pods in some zones that work for 50 ms."""

    def built(*zones, tls=False, protocol="http", handshake="0s", retry=None, work="50ms", gateway=None, **policy):
        endpoint = {"GET /": {"script": [{"compute": work}]}}
        return Bench(
            {"web": {"endpoints": endpoint, "workers": 1000, "protocol": protocol}},
            policies={"web": Policy(tls=tls, **policy)}, zones={"web": zones or ["eu/a"]},
            sidecar={**TLS, "handshake": handshake, "concurrency": 1} if tls else None,
            gateway={"handshake": handshake, **(gateway or {})}, retry=retry or Retry(attempts=0),
        )  # fmt: skip

    return built


def kill(bench, at, *numbers, silent=False):
    for number in numbers or range(len(bench.pods["web"])):
        bench.plane.kill(bench.pods["web"][number], at, silent=silent, for_good=False)


# --- directly ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("zone", "rtt"), [("eu/a", NEAR), ("eu/b", MIDDLE), ("us/a", FAR)])
@pytest.mark.parametrize(("tls", "first"), [(False, 2), (True, 3)])
@pytest.mark.parametrize("protocol", ["http", "http2"])
def test_the_first_response_takes_the_handshakes_and_later_ones_a_round_trip(server, zone, rtt, tls, first, protocol):
    # Spec §3.6: TCP, TLS 1.3, request: 3·RTT + S, then RTT + S. In plain text 2·RTT + S.
    bench = server(zone, tls=tls, protocol=protocol)
    assert bench.took(0.0, 1.0, 2.0) == pytest.approx([first * rtt + WORK, rtt + WORK, rtt + WORK])


def test_each_side_works_on_the_handshake(server):
    bench = server(tls=True, handshake="1ms")
    assert bench.took(0.0, 1.0) == pytest.approx([3 * NEAR + WORK + 2 * 0.001, NEAR + WORK])


def test_handshakes_queue_at_the_servers_worker_thread(server):
    # Three at once: each signature takes 10 ms of the pod's one thread.
    bench = server(tls=True, handshake="10ms")
    bench.send(0.0, times=3)
    bench.run(5.0)
    # Signed after 10, 20, 30 ms; verified by the client's one thread as they come, after 20, 30, 40 ms. The first
    # request is at the pod 10 ms - 1 RTT before the third signature is done, and waits for the thread.
    assert bench.total() == pytest.approx(3 * (3 * NEAR + WORK) + 0.020 + 0.030 + 0.040 + 0.010 - NEAR)


def test_a_link_without_latency_costs_nothing_in_plain_text(Bench, echo):
    bench = Bench({"web": echo()}, half=(0.0, 0.0, 0.0))
    bench.send(0.0, times=5)
    bench.run(1.0)
    assert bench.requests("latency") == {(200, ""): 0.0}


# --- refused or without an answer -------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True])
def test_a_refused_connection_is_UF_after_a_round_trip(server, tls):
    bench = server("us/a", tls=tls)
    kill(bench, 0.0)
    assert bench.took(0.0) == pytest.approx([FAR])
    assert bench.requests() == {(503, "UF"): 1}


@pytest.mark.parametrize("protocol", ["http", "http2"])
def test_a_black_hole_fails_all_who_wait_at_the_first_connect_timeout(server, protocol):
    # Envoy measured: one connect timeout fails *all* requests pending on that host, each at its own age.
    bench = server(protocol=protocol, connect_timeout=1.0)
    kill(bench, 0.0, silent=True)
    for at in (0.0, 0.3, 0.9):
        bench.send(at)
    bench.run(1.5)
    assert bench.requests() == {(503, "UF"): 3}
    assert bench.total() == pytest.approx(1.0 + 0.7 + 0.1)


def test_those_who_come_after_a_connect_timeout_wait_for_their_own(server):
    bench = server(connect_timeout=1.0)
    kill(bench, 0.0, silent=True)
    assert bench.took(0.0, 1.5) == pytest.approx([1.0, 1.0])


def test_a_request_given_up_while_it_waits_leaves_the_connection_to_the_next(Bench):
    endpoint = {"GET /": {"script": [{"compute": "50ms"}]}}
    bench = Bench({"web": {"endpoints": endpoint}}, zones={"web": ["us/a"]}, routes={"web": {"timeout": 0.060}})
    bench.send(0.0)
    bench.run(0.070)
    assert bench.requests() == {(504, "UT"): 1}
    bench.run(0.5)
    assert (bench.opened, bench.open_now()) == (1, 1)


def test_connections_refused_are_traced(server):
    bench = server("eu/a", "eu/a", retry=Retry(), load_balancer="ROUND_ROBIN")
    bench.plane.trace(1)
    kill(bench, 0.0, 0)
    bench.send(0.0, times=2)
    bench.run(1.0)
    assert [line.kind for line in bench.traced(CONNECTED, NOT_CONNECTED)].count(NOT_CONNECTED) >= 1
    assert bench.requests() == {(200, ""): 2}


# --- connections that break -------------------------------------------------------------------------------------------


def test_an_idle_connection_to_a_pod_that_dies_is_replaced_by_the_next_request(server):
    bench = server()
    bench.send(0.0)
    bench.run(1.0)
    kill(bench, 1.0)
    assert bench.open_now() == 0
    bench.plane.serve(bench.pods["web"][0])
    assert bench.took(2.0) == pytest.approx([2 * NEAR + WORK])
    assert bench.opened == 2


def test_requests_in_flight_at_a_pod_that_dies_are_UC(server):
    bench = server("us/a", protocol="http2", work="1s")
    bench.send(0.0, times=3)
    bench.run(0.5)
    kill(bench, 0.5)
    bench.run(2.0)
    assert bench.requests() == {(503, "UC"): 3}
    assert bench.total() == pytest.approx(3 * (0.5 + 0.5 * FAR))
    assert bench.open_now() == 0


def test_an_established_connection_to_a_silent_pod_hangs_until_tcp_gives_up(server):
    bench = server()
    bench.send(0.0)
    bench.run(1.0)
    kill(bench, 1.0, silent=True)
    assert bench.took(2.0, until=2000.0) == pytest.approx([0.5 * NEAR + GIVE_UP])
    assert bench.requests() == {(200, ""): 1, (503, "UC"): 1}


def test_requests_that_hang_end_together_when_tcp_gives_up(server):
    bench = server(protocol="http2")
    bench.send(0.0)
    bench.run(1.0)
    kill(bench, 1.0, silent=True)
    bench.send(2.0)
    bench.send(500.0)
    bench.run(2000.0)
    assert bench.requests() == {(200, ""): 1, (503, "UC"): 2}
    assert bench.requests("latency")[503, "UC"] == pytest.approx(2 * (0.001 + GIVE_UP) - 498.0)


def test_a_request_goes_on_when_its_pod_speaks_again(server):
    bench = server()
    bench.send(0.0)
    bench.run(1.0)
    kill(bench, 1.0, silent=True)
    bench.send(2.0)
    bench.run(50.0)
    bench.plane.serve(bench.pods["web"][0])
    bench.plane.end_silence(50.0)
    bench.run(60.0)
    assert bench.requests() == {(200, ""): 2}
    assert bench.total() == pytest.approx(2 * NEAR + WORK + 48.0 + NEAR + WORK)


def test_a_request_goes_on_when_its_link_is_mended(server):
    bench = server("us/a")
    bench.send(0.0)
    bench.run(1.0)
    bench.links[0, 2].cut = bench.links[2, 0].cut = 1
    bench.send(2.0)
    bench.run(50.0)
    bench.links[0, 2].cut = bench.links[2, 0].cut = 0
    bench.plane.end_silence(50.0)
    bench.run(60.0)
    assert bench.requests() == {(200, ""): 2}
    assert bench.total() == pytest.approx(2 * FAR + WORK + 48.0 + FAR + WORK)


def test_an_answer_that_a_cut_link_held_back_goes_down_with_its_pod(server):
    bench = server("us/a", work="1s")
    bench.send(0.0)
    bench.run(0.5)
    bench.links[0, 2].cut = bench.links[2, 0].cut = 1
    bench.run(5.0)
    kill(bench, 5.0)
    bench.links[0, 2].cut = bench.links[2, 0].cut = 0
    bench.plane.end_silence(6.0)
    bench.run(10.0)
    assert bench.requests() == {(503, "UC"): 1}


@pytest.mark.parametrize("where", ["the pod", "the way there", "the way back"])
def test_the_patience_of_tcp_does_not_begin_anew_when_another_link_is_mended(server, where):
    bench = server("us/a", work="1s")
    bench.send(0.0)
    bench.run(2.0)
    if where == "the way back":
        bench.send(2.0)
        bench.run(2.5)
    if where == "the pod":
        kill(bench, 2.5, silent=True)
    else:
        bench.links[0, 2].cut = bench.links[2, 0].cut = 1
    if where != "the way back":
        bench.send(2.5)
    bench.run(500.0)
    bench.plane.end_silence(500.0)
    bench.run(4000.0)
    begun = {"the pod": 2.5 + 0.5 * FAR, "the way there": 2.5, "the way back": 2.0 + 0.5 * FAR + 1.0}[where]
    sent = 2.0 if where == "the way back" else 2.5
    assert bench.requests("latency")[503, "UC"] == pytest.approx(begun + GIVE_UP - sent)


@pytest.mark.parametrize("protocol", ["http", "http2"])
def test_requests_on_a_silent_pod_that_time_out_leave_nothing_behind(Bench, protocol):
    bench = Bench(
        {"web": {"endpoints": {"GET /": {}}, "protocol": protocol}}, retry=Retry(attempts=0),
        routes={"web": {"timeout": 1.0}},
    )  # fmt: skip
    bench.send(0.0)
    bench.run(1.0)
    kill(bench, 1.0, silent=True)
    bench.paced(2.0)
    bench.run(1200.0)
    requests = bench.requests()
    assert requests[504, "UT"] > 0.9 * sum(requests.values())


# --- through an east-west gateway -------------------------------------------------------------------------------------


def test_the_first_response_through_a_gateway_takes_three_round_trips_on_both_legs(server):
    # Spec §3.6: 3·RTT(client, gateway) + 3·RTT(gateway, pod) + S, later requests one of each.
    bench = server("us/a", tls=True)
    bench.behind_gateway(bench.ingress, "web", zone="eu/b")
    both = MIDDLE + FAR
    assert bench.took(0.0, 1.0, 2.0) == pytest.approx([3 * both + WORK, both + WORK, both + WORK])


@pytest.mark.parametrize(
    ("gateway", "pod", "first"),
    [
        ("eu/b", "us/a", MIDDLE + 2 * FAR),  # the request waits at the gateway for the far leg's handshake
        ("us/a", "us/a", 2 * FAR + NEAR),  # the near leg stands before the request gets there
    ],
)
def test_in_plain_text_a_gateway_connects_while_the_client_sends(server, gateway, pod, first):
    bench = server(pod)
    bench.behind_gateway(bench.ingress, "web", zone=gateway)
    later = MIDDLE + FAR if gateway == "eu/b" else FAR + NEAR
    assert bench.took(1.0, 2.0) == pytest.approx([first + WORK, later + WORK])


def test_an_http2_connection_through_a_gateway_stays_with_one_pod(server):
    # Recipe 9: passthrough balances connections, not requests.
    bench = server("us/a", "us/a", "us/a", protocol="http2", tls=True)
    bench.behind_gateway(bench.ingress, "web", zone="us/a")
    bench.paced(20)
    bench.run(5.0)
    assert sorted(bench.served("web"))[:2] == [0, 0]
    assert bench.opened == 1


def test_http1_connections_through_a_gateway_are_spread(server):
    bench = server("us/a", "us/a", protocol="http", load_balancer="ROUND_ROBIN")
    bench.behind_gateway(bench.ingress, "web", zone="us/a")
    bench.send(0.0, times=6)
    bench.run(5.0)
    assert bench.served("web") == [3, 3]


@pytest.mark.parametrize(("tls", "flag", "latency"), [(False, "UC", 2 * FAR + NEAR), (True, "UF", 2 * FAR + NEAR)])
def test_a_refusal_behind_a_gateway_is_UC_in_plain_text_and_UF_in_a_handshake(server, tls, flag, latency):
    # Envoy measured (no TLS): the client sees UC, not UF. With TLS its own handshake is still under way: UF.
    bench = server("us/a", tls=tls)
    bench.behind_gateway(bench.ingress, "web", zone="us/a")
    kill(bench, 0.0)
    took = bench.took(0.0)
    assert bench.requests() == {(503, flag): 1}
    # TCP to the gateway; then the ClientHello brings the refusal: ½ there, 1 behind, ½ back. In plain text the gateway
    # has tried while the client was being connected: its reset meets the request at the client's door.
    assert took == pytest.approx([latency if tls else FAR + NEAR])


@pytest.mark.parametrize(("conditions", "outcome"), [(("connect-failure",), (503, "UC")), (("reset",), (200, ""))])
def test_a_refusal_behind_a_gateway_is_retried_as_a_reset_only(server, conditions, outcome):
    bench = server(
        "us/a", "us/a", load_balancer="ROUND_ROBIN", retry=Retry(attempts=2, conditions=conditions)
    )  # fmt: skip
    bench.behind_gateway(bench.ingress, "web", zone="us/a")
    kill(bench, 0.0, 0)
    bench.send(0.0, times=2)
    bench.run(5.0)
    assert outcome in bench.requests()


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("attempts", [1, 2])
def test_a_gateway_that_tries_twice_finds_the_other_pod(server, tls, attempts):
    once = ConnectionPool(max_requests_per_connection=1)
    bench = server("us/a", "us/a", tls=tls, load_balancer="ROUND_ROBIN", connection_pool=once)
    bench.behind_gateway(bench.ingress, "web", zone="us/a")
    bench.world.policies[0].connect_attempts = attempts
    kill(bench, 0.0, 0)
    for at in range(10):
        bench.send(float(at))
    bench.run(15.0)
    failed = 5 if attempts == 1 else 0
    assert bench.requests()[200, ""] == 10 - failed


def test_a_gateways_second_try_is_within_its_limit_of_connections(server):
    bench = server(
        "us/a", "us/a", tls=True, load_balancer="ROUND_ROBIN", circuit_breaker=CircuitBreaker(max_connections=1),
    )  # fmt: skip
    bench.behind_gateway(bench.ingress, "web", zone="us/a")
    bench.world.policies[0].connect_attempts = 2
    kill(bench, 0.0, 0)
    bench.send(0.0)
    bench.run(5.0)
    assert bench.requests() == {(200, ""): 1}


def test_a_black_hole_behind_a_gateway_costs_the_gateways_connect_timeout(server):
    bench = server("us/a", tls=True, connect_timeout=1.0)
    bench.behind_gateway(bench.ingress, "web", zone="us/a")
    kill(bench, 0.0, silent=True)
    # The client's own timer started when it sent its first packet.
    assert bench.took(0.0) == pytest.approx([1.0])
    assert bench.requests() == {(503, "UF"): 1}


def test_a_gateway_without_hosts_resets(server):
    bench = server("us/a", tls=True)
    _, (proxy,) = bench.behind_gateway(bench.ingress, "web", zone="us/a")
    bench.push(proxy, "web", hosts=[])
    assert bench.took(0.0) == pytest.approx([2 * FAR])
    assert bench.requests() == {(503, "UF"): 1}


@pytest.mark.parametrize("tls", [False, True])
def test_what_passes_through_a_gateway_that_dies_is_reset_at_once(server, tls):
    bench = server("us/a", tls=tls, work="30s", protocol="http2")
    _, (proxy,) = bench.behind_gateway(bench.ingress, "web", zone="us/a")
    bench.send(0.0, times=2)
    bench.run(1.0)
    bench.plane.set_gateway(proxy, 1.0, alive=False)
    bench.run(2.0)
    assert bench.requests() == {(503, "UC"): 2}
    assert bench.total() == pytest.approx(2 * (1.0 + 0.5 * FAR))


def test_what_passes_through_a_gateway_that_falls_silent_hangs(server):
    bench = server("us/a", work="1s", protocol="http2")
    _, (proxy,) = bench.behind_gateway(bench.ingress, "web", zone="us/a")
    bench.send(0.0)
    bench.run(5.0)
    bench.plane.set_gateway(proxy, 5.0, alive=False, silent=True)
    assert bench.took(6.0, until=3000.0) == pytest.approx([0.5 * FAR + GIVE_UP])


def test_a_gateways_view_may_grow_while_it_connects(server):
    # Its slots move to a larger block with the connection's place among them.
    bench = server(*["us/a"] * 6, tls=True)
    _, (proxy,) = bench.behind_gateway(bench.ingress, "web", zone="us/a")
    bench.push(proxy, "web", hosts=bench.pods["web"][:1])
    bench.send(0.0)
    bench.run(0.15)  # between ClientHello and answer
    bench.plane._room_for(int(upstream_of(bench.world, proxy, 0)), 16)
    kill(bench, 0.15, 0)
    bench.push(proxy, "web", now=0.15)
    bench.run(5.0)
    assert bench.requests() == {(503, "UF"): 1}


def test_a_pod_behind_a_gateway_cannot_be_told_from_the_others(server, fail):
    # Envoy measured: the gateway hides a bad remote pod; the client's attempts end at the gateway's address.
    bench = server("us/a", "us/a", load_balancer="ROUND_ROBIN")
    address, _ = bench.behind_gateway(bench.ingress, "web", zone="us/a")
    fail(bench, bench.pods["web"][0])
    bench.plane.trace(1)
    bench.send(0.0, times=4)
    bench.run(5.0)
    ended = bench.traced(ATTEMPT_ENDED)
    assert {int(line.host) for line in ended} == {-address - 2}
    assert sorted(int(line.code) for line in ended) == [200, 200, 503, 503]
    assert not any(line.flag == UC for line in ended)


# --- links that are cut in one direction ------------------------------------------------------------------------------


def cut(bench, *pairs, cut=1):
    for a, b in pairs:
        bench.links[a, b].cut = cut


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("pair", [(0, 2), (2, 0)])
def test_a_handshake_over_a_link_that_is_cut_one_way_times_out(server, tls, pair):
    bench = server("us/a", tls=tls, connect_timeout=1.0)
    cut(bench, pair)
    assert bench.took(0.0) == pytest.approx([1.0])
    assert bench.requests() == {(503, "UF"): 1}
    assert bench.served("web") == [0]


@pytest.mark.parametrize("pair", [(0, 2), (2, 0), (2, 1), (1, 2)])
def test_a_handshake_through_a_gateway_times_out_wherever_a_link_is_cut_one_way(server, pair):
    bench = server("us/a", tls=True, connect_timeout=1.0)
    bench.behind_gateway(bench.ingress, "web", zone="eu/b" if 1 in pair else "us/a")
    cut(bench, pair)
    assert bench.took(0.0) == pytest.approx([1.0])
    assert bench.requests() == {(503, "UF"): 1}


@pytest.mark.parametrize("pair", [(0, 2), (2, 0)])
def test_a_gateway_address_without_replicas_cannot_refuse_over_a_link_that_is_cut_one_way(server, pair):
    bench = server("us/a", tls=True, connect_timeout=1.0)
    _, (proxy,) = bench.behind_gateway(bench.ingress, "web", zone="us/a")
    bench.plane.set_gateway(proxy, 0.0, alive=False)
    cut(bench, pair)
    assert bench.took(0.0) == pytest.approx([1.0])


def test_a_request_arrives_but_its_answer_does_not_over_a_link_that_is_cut_on_the_way_back(server):
    bench = server("us/a")
    bench.send(0.0)
    bench.run(1.0)
    cut(bench, (2, 0))
    assert bench.took(2.0, until=2000.0) == pytest.approx([0.5 * FAR + WORK + GIVE_UP])
    assert bench.requests() == {(200, ""): 1, (503, "UC"): 1}
    assert bench.served("web") == [2]


def test_a_request_does_not_arrive_over_a_link_that_is_cut_on_the_way_there(server):
    bench = server("us/a")
    bench.send(0.0)
    bench.run(1.0)
    cut(bench, (0, 2))
    assert bench.took(2.0, until=2000.0) == pytest.approx([GIVE_UP])
    assert bench.served("web") == [1]


@pytest.mark.parametrize(("pair", "again"), [((2, 0), 0.5 * FAR), ((0, 2), FAR + WORK)])
def test_what_a_link_that_was_cut_one_way_held_back_goes_on(server, pair, again):
    bench = server("us/a")
    bench.send(0.0)
    bench.run(1.0)
    cut(bench, pair)
    bench.send(2.0)
    bench.run(50.0)
    cut(bench, pair, cut=0)
    bench.plane.end_silence(50.0)
    bench.run(60.0)
    assert bench.requests() == {(200, ""): 2}
    assert bench.total() == pytest.approx(2 * FAR + WORK + 48.0 + again)


def test_a_client_that_cannot_hear_that_its_pod_died_goes_on_until_it_can(server):
    bench = server("us/a")
    bench.send(0.0)
    bench.run(1.0)
    cut(bench, (2, 0))
    kill(bench, 1.0)
    assert bench.open_now() == 1
    bench.send(2.0)
    bench.run(50.0)
    assert bench.requests() == {(200, ""): 1}
    cut(bench, (2, 0), cut=0)
    bench.plane.end_silence(50.0)
    bench.run(60.0)
    assert bench.requests() == {(200, ""): 1, (503, "UC"): 1}
    assert bench.open_now() == 0


# --- jitter -----------------------------------------------------------------------------------------------------------


def test_a_link_s_jitter_is_uniform_and_drawn_for_each_message(server):
    bench = server("us/a")
    bench.send(0.0)
    bench.run(1.0)
    bench.links[0, 2].jitter = 0.020
    late = [took - FAR - WORK for took in bench.took(*range(1, 201), until=300.0)]
    assert 0.0 <= min(late) < 0.001
    assert 0.019 < max(late) <= 0.020
    assert sum(late) / len(late) == pytest.approx(0.010, abs=4 * 0.020 / 12**0.5 / 200**0.5)
    bench.links[0, 2].jitter = 0.0
    assert bench.took(400.0, until=500.0) == pytest.approx([FAR + WORK])


def test_the_draws_of_a_lossy_link_are_the_same_with_jitter(server):
    took = []
    for jitter in (0.0, 0.020):
        bench = server("us/a")
        bench.links[0, 2].loss, bench.links[0, 2].jitter = 0.3, jitter
        took.append(bench.took(*range(0, 400, 20), until=500.0))
    for without, with_it in zip(*took, strict=True):
        assert 0.0 <= with_it - without < 3 * 0.020


# --- gateway addresses that lead nowhere ------------------------------------------------------------------------------


@pytest.mark.parametrize(("silent", "latency"), [(False, FAR), (True, 1.0)])
def test_a_new_connection_to_a_closed_address_fails(server, silent, latency):
    bench = server("us/a", tls=True, connect_timeout=1.0)
    address, _ = bench.behind_gateway(bench.ingress, "web", zone="us/a")
    bench.plane.close_gateway(address, 0.0, closed=True, silent=silent)
    assert bench.took(0.0) == pytest.approx([latency])
    assert bench.requests() == {(503, "UF"): 1}
    bench.plane.close_gateway(address, 200.0, closed=False, silent=silent)
    bench.send(200.0)
    bench.run(300.0)
    assert bench.requests() == {(503, "UF"): 1, (200, ""): 1}


@pytest.mark.parametrize(("silent", "at"), [(s, at) for s in (False, True) for at in (0.03, 0.07, 0.13, 0.165, 0.2)])
def test_a_handshake_under_way_at_an_address_that_closes_fails(server, silent, at):
    # SYN, SYN and ACK, ClientHello (0.12), its answer and, from 0.164 on, the first request (0.204).
    bench = server("us/a", tls=True, connect_timeout=1.0, work="1s")
    address, _ = bench.behind_gateway(bench.ingress, "web", zone="us/a")
    bench.send(0.0)
    bench.run(at)
    bench.plane.close_gateway(address, at, closed=True, silent=silent)
    bench.run(3000.0)
    assert bench.requests() == {(503, "UF" if at < 0.13 or (at < 0.164 and not silent) else "UC"): 1}


@pytest.mark.parametrize("protocol", ["http", "http2"])
def test_what_goes_through_an_address_that_closes_is_reset(server, protocol):
    bench = server("us/a", tls=True, work="30s", protocol=protocol)
    address, _ = bench.behind_gateway(bench.ingress, "web", zone="us/a")
    bench.send(0.0, times=2)
    bench.run(1.0)
    bench.plane.close_gateway(address, 1.0, closed=True, silent=False)
    bench.run(2.0)
    assert bench.requests() == {(503, "UC"): 2}
    assert bench.total() == pytest.approx(2 * (1.0 + 0.5 * FAR))
    assert bench.open_now() == 0


def test_what_goes_through_an_address_that_vanishes_hangs(server):
    bench = server("us/a", tls=True, work="1s", protocol="http2")
    address, _ = bench.behind_gateway(bench.ingress, "web", zone="us/a")
    bench.send(0.0)
    bench.run(5.0)
    bench.plane.close_gateway(address, 5.0, closed=True, silent=True)
    assert bench.took(6.0, until=3000.0) == pytest.approx([0.5 * FAR + GIVE_UP])


def test_an_answer_finds_no_way_through_an_address_that_vanished_and_does_when_it_is_back(server):
    bench = server("us/a", tls=True, work="1s", protocol="http2")
    address, _ = bench.behind_gateway(bench.ingress, "web", zone="us/a")
    bench.send(0.0)
    bench.run(0.5)
    bench.plane.close_gateway(address, 0.5, closed=True, silent=True)
    bench.run(50.0)
    assert bench.requests() == {}
    assert bench.served("web") == [1]
    bench.plane.close_gateway(address, 50.0, closed=False, silent=True)
    bench.run(60.0)
    assert bench.requests() == {(200, ""): 1}
    assert bench.total() == pytest.approx(50.0 + 0.5 * (FAR + NEAR))


def test_other_addresses_of_a_gateway_go_on(server):
    bench = server("us/a", tls=True, load_balancer="ROUND_ROBIN")
    first, proxies = bench.behind_gateway(bench.ingress, "web", zone="us/a")
    second = bench.plane.add_gateway(1, 2, proxies)
    bench.push(bench.ingress, "web", hosts=[-first - 2, -second - 2])
    bench.send(0.0, times=2)
    bench.run(1.0)
    bench.plane.close_gateway(first, 1.0, closed=True, silent=False)
    assert bench.open_now() == 1
    bench.send(2.0, times=2)
    bench.run(5.0)
    assert bench.requests() == {(200, ""): 3, (503, "UF"): 1}


def test_a_client_that_cannot_hear_that_an_address_closed_is_reset_when_it_can(server):
    bench = server("us/a", tls=True, work="1s")
    address, _ = bench.behind_gateway(bench.ingress, "web", zone="us/a")
    bench.send(0.0)
    bench.run(0.5)
    cut(bench, (2, 0))
    bench.plane.close_gateway(address, 0.5, closed=True, silent=False)
    bench.run(50.0)
    assert bench.requests() == {}
    cut(bench, (2, 0), cut=0)
    bench.plane.end_silence(50.0)
    bench.run(60.0)
    assert bench.requests() == {(503, "UC"): 1}
