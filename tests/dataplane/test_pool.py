"""Connection pools (spec §3.1; envoy-outcomes, recipes 7 and 10). The client is the ingress gateway; 1 RTT is 2 ms."""

from __future__ import annotations

import pytest

from meshsim.dataplane import trace
from meshsim.scenario.istio.policy import CircuitBreaker, ConnectionPool, OutlierDetection, Policy, Retry

RTT, WORK = 0.002, 0.1
MANY = {"max_concurrent_streams": 5000}


@pytest.fixture
def server(Bench):
    """Return a function that builds a service of ``hosts`` pods: a quick endpoint of 100 ms and a slow one of 1 s."""

    def built(
        hosts=1,
        *,
        protocol="http",
        workers=1,
        limits=None,
        detection=None,
        retry=None,
        quick="100ms",
        sidecar=None,
        **pool,
    ):
        policy = Policy(
            connection_pool=ConnectionPool(**pool), circuit_breaker=CircuitBreaker(**(limits or {})),
            load_balancer="ROUND_ROBIN", outlier_detection=detection,
        )  # fmt: skip
        endpoints = {"GET /": {"script": [{"compute": quick}]}, "GET /slow": {"script": [{"compute": "1s"}]}}
        return Bench(
            {"web": {"endpoints": endpoints, "workers": 1000, "protocol": protocol}}, policies={"web": policy},
            zones={"web": ["eu/a"] * hosts}, gateway={"concurrency": workers}, retry=retry or Retry(attempts=0),
            sidecar=sidecar,
        )  # fmt: skip

    return built


def quick(bench, *at):
    """Send quick requests at some times."""
    for time in at:
        bench.send(time, "GET /")


def slow(bench, *at):
    for time in at:
        bench.send(time, "GET /slow")


# --- who shares a connection ------------------------------------------------------------------------------------------


def test_http1_carries_one_request_at_a_time_and_keeps_its_connections(server):
    bench = server()
    quick(bench, 0.0, 0.0, 0.0)
    bench.run(1.0)
    assert (bench.opened, bench.open_now()) == (3, 3)
    assert bench.requests("latency")[200, ""] == pytest.approx(3 * (2 * RTT + WORK))
    quick(bench, 1.0, 1.0)
    bench.run(2.0)
    assert bench.opened == 3
    assert bench.requests("latency")[200, ""] == pytest.approx(3 * (2 * RTT + WORK) + 2 * (RTT + WORK))


def test_the_connection_used_last_is_used_first(server):
    bench = server()
    bench.plane.trace(1)
    slow(bench, 0.0)
    quick(bench, 0.0)
    bench.run(2.0)
    sent = bench.traced(trace.SENT)
    assert sent[0].connection != sent[1].connection  # the slow one's came back last
    quick(bench, 2.0, 3.0)
    bench.run(5.0)
    assert [line.connection for line in bench.traced(trace.SENT)] == [sent[0].connection] * 2


def test_http2_requests_share_one_connection(server):
    bench = server(protocol="http2")
    quick(bench, *[0.0] * 6)
    bench.run(1.0)
    assert bench.opened == 1
    assert bench.requests("latency")[200, ""] == pytest.approx(6 * (2 * RTT + WORK))


def test_streams_beyond_the_limit_need_another_connection(server):
    # maxConcurrentStreams 2: two requests for each connection that is being opened.
    bench = server(protocol="http2", max_concurrent_streams=2)
    quick(bench, *[0.0] * 5)
    bench.run(1.0)
    assert bench.opened == 3
    assert bench.requests("latency")[200, ""] == pytest.approx(5 * (2 * RTT + WORK))
    quick(bench, *[1.0] * 6)
    bench.run(2.0)
    assert bench.opened == 3


@pytest.mark.parametrize(
    ("asked", "sidecar", "opened"),
    [({}, False, 2), ({"max_concurrent_streams": 500}, True, 3), (MANY, True, 2), (MANY, False, 1)],
)
def test_a_connection_carries_1024_requests_at_once_unless_client_or_server_say_otherwise(
    server, asked, sidecar, opened
):
    # Measured on Envoy 1.40 with http2_protocol_options {} on both sides: 2500 requests on 1024 + 1024 + 452 streams,
    # and the server announces 1024.
    bench = server(protocol="http2", sidecar={"enabled": sidecar}, **asked)
    bench.send(0.0, "GET /", times=1500)
    bench.run(2.0)
    assert bench.opened == opened


def test_nothing_that_is_counted_in_requests_limits_tcp(server):
    # Envoy's TCP proxy sees bytes: its pool does not look at max_requests, nor are there requests per connection.
    limits = {"max_requests": 1}
    bench = server(protocol="tcp", limits=limits, max_requests_per_connection=1, max_concurrent_streams=1)
    bench.send(0.0, "GET /", times=5)
    bench.run(2.0)
    assert bench.requests() == {(200, ""): 5}
    assert bench.opened == 1


@pytest.mark.parametrize(("protocol", "ejected"), [("http", 1), ("tcp", 0)])
def test_answers_over_tcp_eject_nobody(server, fail, protocol, ejected):
    bench = server(protocol=protocol, detection=OutlierDetection(max_ejection_percent=100))
    fail(bench, *bench.pods["web"], code=500)
    quick(bench, *[0.2 * number for number in range(8)])
    bench.run(2.0)
    assert bench.requests() != {(200, ""): 8}
    assert bench.slot(bench.ingress, "web", bench.pods["web"][0]).ejected == ejected


def test_connections_over_tcp_that_are_refused_eject(server):
    bench = server(protocol="tcp", detection=OutlierDetection(max_ejection_percent=100))
    bench.plane.kill(bench.pods["web"][0], 0.0, silent=False, for_good=False)
    quick(bench, *[0.2 * number for number in range(4)])
    bench.run(0.9)
    host = bench.slot(bench.ingress, "web", bench.pods["web"][0])
    assert (host.errors, host.ejected) == (4, 0)
    quick(bench, 1.0)
    bench.run(2.0)
    assert host.ejected == 1


def test_a_request_that_finds_a_connection_on_its_way_shares_the_handshake(server):
    bench = server(protocol="http2")
    quick(bench, 0.0, 0.5 * RTT)
    bench.run(1.0)
    assert bench.opened == 1
    assert bench.requests("latency")[200, ""] == pytest.approx(2 * (2 * RTT + WORK) - 0.5 * RTT)


# --- how long a connection lives --------------------------------------------------------------------------------------


def test_a_connection_ends_with_its_last_request_under_max_requests_per_connection(server):
    bench = server(max_requests_per_connection=2)
    quick(bench, 0.0, 1.0, 2.0, 3.0, 4.0)
    bench.run(4.5)
    assert (bench.opened, bench.open_now()) == (3, 1)


def test_without_keep_alive_every_http2_request_has_a_connection_and_none_waits_for_another(server):
    bench = server(protocol="http2", max_requests_per_connection=1)
    quick(bench, *[0.0] * 6)
    bench.run(1.0)
    assert (bench.opened, bench.open_now()) == (6, 0)
    assert bench.requests("latency")[200, ""] == pytest.approx(6 * (2 * RTT + WORK))


def test_an_idle_connection_is_closed_after_the_idle_timeout(server):
    bench = server(idle_timeout=1.0)
    quick(bench, 0.0, 0.9, 1.95, 3.2)  # ends at 0.104, 1.002, 2.052: idle for 0.8, 0.95, 1.15 s
    bench.run(4.0)
    assert bench.opened == 2


def test_idle_connections_are_kept_for_an_hour_by_default(server):
    bench = server()
    quick(bench, 0.0, 3500.0, 7200.0)
    bench.run(8000.0)
    assert bench.opened == 2


def test_a_connection_takes_no_more_requests_after_its_longest_duration(server):
    bench = server(max_connection_duration=1.0)
    quick(bench, 0.0, 0.9, 1.1)
    bench.run(2.0)
    assert (bench.opened, bench.open_now()) == (2, 1)
    assert bench.requests() == {(200, ""): 3}


def test_what_is_on_a_connection_at_its_longest_duration_ends_well(server):
    bench = server(protocol="http2", max_connection_duration=0.5)
    slow(bench, 0.0)
    quick(bench, 0.2, 0.8)
    bench.run(0.85)
    assert (bench.opened, bench.open_now()) == (2, 2)
    bench.run(2.0)
    assert bench.open_now() == 1
    assert bench.requests() == {(200, ""): 3}


# --- hosts and worker threads -----------------------------------------------------------------------------------------


def test_each_worker_thread_has_its_own_connection(server):
    # Recipe 10: two workers make two HTTP/2 connections to each host.
    bench = server(hosts=2, protocol="http2", workers=2)
    bench.paced(50, bench.sends("GET /"))
    bench.run(4.0)
    assert (bench.opened, bench.open_now()) == (4, 4)


@pytest.mark.parametrize(("hosts", "workers", "connections"), [(1, 1, 1), (3, 1, 3), (1, 2, 2), (2, 2, 4)])
def test_every_host_and_every_worker_may_open_one_connection(server, hosts, workers, connections):
    # Spec §3.1 measured: max_connections 1, three hosts: three connections; recipe 7 and 10: two workers: two.
    bench = server(hosts=hosts, workers=workers, limits={"max_connections": 1})
    quick(bench, *[0.0] * 40)
    bench.run(60.0)
    assert bench.opened == connections
    assert bench.requests() == {(200, ""): 40}


def test_a_connection_that_closes_makes_room_below_the_limit_of_the_whole_upstream(server):
    bench = server(hosts=2, limits={"max_connections": 3}, max_requests_per_connection=1)
    quick(bench, *[0.0] * 12)
    bench.run(0.05)
    assert bench.open_now() == 3
    bench.run(10.0)
    assert bench.opened == 12
    assert bench.requests() == {(200, ""): 12}


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pending", "served"), [(0, 0), (1, 1), (3, 3), (9, 6)])
@pytest.mark.parametrize("protocol", ["http", "http2"])
def test_requests_that_wait_for_a_new_connection_are_pending(server, protocol, pending, served):
    # Recipe 7: a cold burst is rejected beyond the limit, and a limit of 0 rejects everything.
    bench = server(protocol=protocol, limits={"max_pending_requests": pending})
    quick(bench, *[0.0] * 6)
    bench.run(1.0)
    assert bench.requests()[200, ""] == served
    assert bench.requests()[503, "UO"] == 6 - served


def test_a_warm_pool_takes_its_idle_connections_besides_the_pending_requests(server):
    bench = server(limits={"max_pending_requests": 1})
    quick(bench, 0.0)
    bench.run(1.0)
    quick(bench, *[1.0] * 6)
    bench.run(2.0)
    assert bench.requests() == {(200, ""): 1 + 2, (503, "UO"): 4}


def test_a_limit_of_0_pending_requests_rejects_everything_for_ever(server):
    bench = server(limits={"max_pending_requests": 0})
    quick(bench, *[float(second) for second in range(20)])
    bench.run(30.0)
    assert bench.requests() == {(503, "UO"): 20}
    assert bench.requests("latency")[503, "UO"] == pytest.approx(0.0)


def test_the_limit_on_requests_is_looked_at_when_a_request_gets_its_connection(server):
    # Spec §3.1: a ready connection → max_requests → attach. Those who wait overflow when their connection stands.
    bench = server(limits={"max_requests": 1})
    quick(bench, 0.0, 0.0, 0.0)
    bench.run(1.0)
    assert bench.requests() == {(200, ""): 1, (503, "UO"): 2}
    assert bench.requests("latency")[503, "UO"] == pytest.approx(2 * RTT)
    quick(bench, 1.0, 1.0)
    bench.run(2.0)
    assert bench.requests("latency")[503, "UO"] == pytest.approx(2 * RTT)  # a ready one: at once
    assert bench.requests()[503, "UO"] == 3


def test_hosts_and_workers_share_the_limit_on_requests(server):
    bench = server(hosts=3, workers=2, limits={"max_requests": 4})
    quick(bench, *[0.0] * 12)
    bench.run(1.0)
    assert bench.requests() == {(200, ""): 4, (503, "UO"): 8}


def test_an_idle_connection_past_its_time_makes_room_for_one_to_another_host(server):
    # Two idle connections to the first host use up the limit of the upstream until they have been idle too long.
    bench = server(hosts=2, limits={"max_connections": 2}, idle_timeout=5.0)
    bench.push(bench.ingress, "web", hosts=bench.pods["web"][:1])
    quick(bench, 0.0, 0.0)
    bench.run(10.0)
    bench.push(bench.ingress, "web", hosts=bench.pods["web"][1:], now=10.0)
    quick(bench, 10.0, 10.0)
    bench.run(10.05)
    assert bench.open_now() == 2
    bench.run(20.0)
    assert bench.requests("latency")[200, ""] == pytest.approx(4 * (2 * RTT + WORK))


# --- draining ---------------------------------------------------------------------------------------------------------


def test_an_ejected_host_loses_its_idle_connections_at_once_and_the_busy_ones_afterwards(server, fail):
    # Spec §3.2: requests in flight go on, pooled connections are closed.
    detection = OutlierDetection(consecutive_5xx=1, max_ejection_percent=100, base_ejection_time=30.0)
    bench = server(detection=detection)
    slow(bench, 0.0)
    quick(bench, 0.0, 0.0)
    bench.run(0.5)
    assert bench.open_now() == 3
    fail(bench, *bench.pods["web"])
    quick(bench, 0.5)
    bench.run(0.6)
    assert bench.upstream(bench.ingress, "web").ejected == 1
    assert bench.open_now() == 1
    bench.run(2.0)
    assert bench.open_now() == 0
    assert bench.requests() == {(200, ""): 3, (503, ""): 1}


@pytest.mark.parametrize("protocol", ["http", "http2"])
def test_a_removed_host_keeps_only_what_is_on_its_way(server, protocol):
    bench = server(protocol=protocol)
    quick(bench, 0.0)
    bench.run(0.5)
    slow(bench, 0.5)
    bench.run(0.6)
    bench.push(bench.ingress, "web", hosts=[], now=0.6)
    assert bench.open_now() == 1
    quick(bench, 0.7)
    bench.run(5.0)
    assert bench.open_now() == 0
    assert bench.requests() == {(200, ""): 2, (503, "UH"): 1}


def test_a_connection_that_stands_when_its_host_has_gone_serves_who_waits_and_is_closed(server):
    bench = server()
    quick(bench, 0.0)
    bench.run(0.5 * RTT)
    bench.push(bench.ingress, "web", hosts=[], now=0.5 * RTT)
    bench.run(1.0)
    assert bench.requests() == {(200, ""): 1}
    assert bench.open_now() == 0


def test_an_unready_host_is_drained(server):
    # From Istio 1.31 unready pods stay among the endpoints, marked unhealthy.
    bench = server(hosts=2)
    quick(bench, 0.0, 0.0)
    bench.run(1.0)
    bench.push(bench.ingress, "web", now=1.0, unhealthy=[1, 0])
    assert bench.open_now() == 1
    quick(bench, 1.0, 1.0)
    bench.run(2.0)
    assert bench.served("web") == [1, 3]
