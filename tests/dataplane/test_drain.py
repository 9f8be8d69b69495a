"""Pods that drain: their sidecars ask clients to leave (spec §3.4). The client is the ingress gateway in eu/a.

Measured on Envoy 1.40 with Istio's ``--drain-strategy immediate``: idle connections stay, the first answer over each
says ``connection: close`` or comes with a GOAWAY, and the client leaves.
"""

from __future__ import annotations

import pytest

from meshsim.scenario.istio.policy import Policy, Retry

NEAR, FAR = 0.002, 0.080  # round trips from eu/a to eu/a and to us/a
TLS = {"enabled": True, "cpu": "0s", "latency": "0s", "handshake": "0s", "concurrency": 1}


@pytest.fixture
def server(Bench):
    """Return a function that builds pods with a quick endpoint of 50 ms and a slow one of 1 s."""

    def built(*zones, protocol="http", sidecar=TLS, **policy):
        endpoints = {"GET /": {"script": [{"compute": "50ms"}]}, "GET /slow": {"script": [{"compute": "1s"}]}}
        return Bench(
            {"web": {"endpoints": endpoints, "workers": 1000, "protocol": protocol}},
            policies={"web": Policy(tls=True, load_balancer="ROUND_ROBIN", **policy)},
            zones={"web": zones or ["eu/a"]}, sidecar=sidecar, gateway={"handshake": "0s"},
            retry=Retry(attempts=0),
        )  # fmt: skip

    return built


def drain(bench, number=0):
    bench.plane.drain(bench.pods["web"][number])


@pytest.mark.parametrize("protocol", ["http", "http2"])
def test_no_request_follows_an_answer_of_a_pod_that_drains(server, protocol):
    bench = server(protocol=protocol)
    bench.send(0.0, "GET /")
    bench.run(1.0)
    drain(bench)
    assert bench.open_now() == 1  # idle connections are not asked
    bench.send(1.0, "GET /")
    bench.run(2.0)
    assert (bench.opened, bench.open_now()) == (1, 0)
    bench.send(2.0, "GET /")  # the pod still takes connections, each for one answer
    bench.run(3.0)
    assert (bench.opened, bench.open_now()) == (2, 0)
    assert bench.requests() == {(200, ""): 3}


def test_what_is_on_an_http2_connection_ends_well(server):
    bench = server(protocol="http2")
    bench.send(0.0, "GET /slow")
    bench.run(0.5)
    drain(bench)
    bench.send(0.5, "GET /")  # over the same connection; its answer asks to leave it
    bench.run(0.6)
    assert (bench.opened, bench.open_now()) == (1, 1)
    bench.send(0.7, "GET /")
    bench.run(0.9)
    assert (bench.opened, bench.open_now()) == (2, 1)
    bench.run(2.0)
    assert bench.open_now() == 0
    assert bench.requests() == {(200, ""): 3}


def test_http1_connections_leave_one_by_one(server):
    bench = server()
    bench.send(0.0, "GET /", times=3)
    bench.run(1.0)
    drain(bench)
    bench.send(1.0, "GET /")
    bench.run(2.0)
    assert (bench.opened, bench.open_now()) == (3, 2)


def test_an_answer_sent_before_the_drain_asks_for_nothing(server):
    bench = server("us/a")
    bench.send(0.0, "GET /")
    bench.run(3 * FAR + 0.05 - 0.25 * FAR)  # on its way back
    drain(bench)
    bench.run(1.0)
    assert bench.open_now() == 1


def test_connections_without_requests_close_when_the_pod_is_gone(server):
    bench = server()
    bench.send(0.0, "GET /", times=2)
    bench.run(1.0)
    drain(bench)
    bench.run(6.0)
    assert bench.open_now() == 2
    bench.plane.kill(bench.pods["web"][0], 6.0, silent=False, for_good=True)
    assert bench.open_now() == 0


def test_requests_in_flight_when_the_pod_goes_are_UC(server):
    bench = server(protocol="http2")
    drain(bench)
    bench.send(0.0, "GET /slow")
    bench.run(0.5)
    bench.plane.kill(bench.pods["web"][0], 0.5, silent=False, for_good=True)
    bench.run(2.0)
    assert bench.requests() == {(503, "UC"): 1}


def test_other_pods_keep_their_connections(server):
    bench = server("eu/a", "eu/a")
    bench.send(0.0, "GET /", times=2)
    bench.run(1.0)
    drain(bench, 0)
    bench.send(1.0, "GET /", times=2)
    bench.run(2.0)
    assert (bench.open_now(), bench.requests()) == (1, {(200, ""): 4})


def test_a_drain_leaves_nothing_to_reset_where_clients_ask_often(server):
    # 20/s over HTTP/2 for the five seconds of a drain; the endpoint is taken away after two. Nothing is in the air
    # when the pod goes.
    bench = server("eu/a", "eu/a", protocol="http2")
    bench.paced(20.0, bench.sends("GET /"))
    bench.run(3.01)
    drain(bench, 0)
    bench.run(5.01)
    bench.push(bench.ingress, "web", hosts=bench.pods["web"][1:], now=5.01)
    bench.run(8.01)
    bench.plane.kill(bench.pods["web"][0], 8.01, silent=False, for_good=True)
    bench.run(12.0)
    assert set(bench.requests()) == {(200, "")}


@pytest.mark.parametrize("protocol", ["http", "http2"])
def test_clients_behind_a_gateway_are_asked_too(server, protocol):
    bench = server("us/a", "us/a", protocol=protocol)
    bench.behind_gateway(bench.ingress, "web", zone="us/a")
    bench.send(0.0, "GET /")
    bench.run(1.0)
    drain(bench, bench.served("web").index(1))
    bench.send(1.0, "GET /")
    bench.run(2.0)
    assert (bench.opened, bench.open_now()) == (1, 0)
    bench.send(2.0, "GET /")  # a new connection, which the gateway puts on the other pod
    bench.run(3.0)
    assert sorted(bench.served("web")) == [1, 2]


def test_a_pod_without_a_sidecar_asks_nobody(Bench, echo):
    bench = Bench({"web": echo()}, retry=Retry(attempts=0))
    bench.send(0.0)
    bench.run(1.0)
    drain(bench)
    bench.send(1.0)
    bench.run(2.0)
    assert (bench.opened, bench.open_now()) == (1, 1)


def test_tcp_has_no_word_for_it(server):
    bench = server(protocol="tcp")
    bench.send(0.0, "GET /")
    bench.run(1.0)
    drain(bench)
    bench.send(1.0, "GET /")
    bench.run(2.0)
    assert (bench.opened, bench.open_now()) == (1, 1)
