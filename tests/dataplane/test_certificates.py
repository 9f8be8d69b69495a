"""Certificates in handshakes (spec §5.2, §3.6; RFC 8446). The client is the ingress gateway in eu/a.

Measured on Envoy 1.40, HTTP/1.1 and HTTP/2 alike: a client that does not take the server's certificate fails with UF,
one whose certificate the server does not take with UC, which Istio's default does not retry.
"""

from __future__ import annotations

import pytest

from meshsim.dataplane.trace import CONNECTED, NOT_CONNECTED
from meshsim.scenario.istio.policy import Policy, Retry

NEAR, FAR = 0.002, 0.080  # round trips from eu/a to eu/a and to us/a
WORK = 0.05
TLS = {"enabled": True, "cpu": "0s", "latency": "0s", "handshake": "0s"}
OLD, NEW = 0, 1


@pytest.fixture
def server(Bench):
    """Return a function that builds pods in some zones that work for 50 ms, with mutual TLS unless told otherwise."""

    def built(*zones, tls=True, protocol="http", retry=None, handshake="0s", **policy):
        endpoint = {"GET /": {"script": [{"compute": "50ms"}]}}
        return Bench(
            {"web": {"endpoints": endpoint, "workers": 1000, "protocol": protocol}},
            policies={"web": Policy(tls=tls, **policy)}, zones={"web": zones or ["eu/a"]},
            sidecar={**TLS, "handshake": handshake, "concurrency": 1}, gateway={"handshake": handshake},
            retry=retry or Retry(attempts=0),
        )  # fmt: skip

    return built


def certify(bench, *, server=None, client=None):
    """Give the server's or the client's proxy a certificate; what is not said is in order."""
    for proxy, fields in ((bench.proxy_of(bench.pods["web"][0]), server), (bench.ingress, client)):
        if fields is not None:
            bench.plane.set_certificate(proxy, **{"expires": 1e9, "root": OLD, "trusts": 1 << OLD, **fields})


def broken(whose):
    return {"server": {"expires": 0.0}} if whose == "server" else {"client": {"expires": 0.0}}


# --- who fails, when and how ------------------------------------------------------------------------------------------


def test_certificates_in_order_change_nothing(server):
    bench = server("us/a")
    certify(bench, server={}, client={})
    assert bench.took(0.0, 1.0) == pytest.approx([3 * FAR + WORK, FAR + WORK])


@pytest.mark.parametrize("protocol", ["http", "http2"])
@pytest.mark.parametrize(("whose", "flag", "latency"), [("server", "UF", 2 * FAR), ("client", "UC", 3 * FAR)])
def test_an_expired_certificate_fails_the_handshake(server, protocol, whose, flag, latency):
    # The client sees the server's after TCP and half of the TLS handshake: two round trips. The server sees the
    # client's with the first request, the answer to which is its alert.
    bench = server("us/a", protocol=protocol)
    certify(bench, **broken(whose))
    assert bench.took(0.0) == pytest.approx([latency])
    assert bench.requests() == {(503, flag): 1}
    assert bench.open_now() == 0


@pytest.mark.parametrize(("whose", "attempts"), [("server", 3), ("client", 1)])
def test_only_the_client_s_own_refusal_is_retried_by_default(server, whose, attempts):
    bench = server(retry=Retry())
    certify(bench, **broken(whose))
    bench.send(0.0)
    bench.run(5.0)
    assert bench.opened == attempts


def test_a_retry_finds_the_server_whose_certificate_is_valid(server):
    bench = server("eu/a", "eu/a", retry=Retry(), load_balancer="ROUND_ROBIN")
    certify(bench, server={"expires": 0.0})
    bench.send(0.0, times=4)
    bench.run(5.0)
    assert bench.requests() == {(200, ""): 4}
    assert bench.served("web") == [0, 4]


@pytest.mark.parametrize("protocol", ["http", "http2"])
@pytest.mark.parametrize(("whose", "flag"), [("server", "UF"), ("client", "UC")])
def test_all_who_wait_for_the_handshake_fail_with_it(server, protocol, whose, flag):
    bench = server("us/a", protocol=protocol)
    certify(bench, **broken(whose))
    bench.send(0.0, times=3)
    bench.run(1.0)
    assert bench.requests() == {(503, flag): 3}


def test_requests_that_join_a_connection_before_the_alert_fail_with_it(server):
    # Connected after 2 RTT, as the client sees it; the alert is there after 3. What comes between fails with it.
    bench = server("us/a", protocol="http2")
    certify(bench, client={"expires": 0.0})
    bench.plane.trace(1)
    bench.send(0.0)
    bench.send(2.5 * FAR)
    bench.run(1.0)
    assert bench.requests() == {(503, "UC"): 2}
    assert bench.total() == pytest.approx(3 * FAR + 0.5 * FAR)
    assert bench.opened == 1
    assert len(bench.traced(CONNECTED, NOT_CONNECTED)) == 1


def test_the_server_does_not_serve_whom_it_does_not_take(server):
    bench = server()
    certify(bench, client={"expires": 0.0})
    bench.send(0.0)
    bench.run(1.0)
    assert bench.served("web") == [0]


def test_a_refused_server_costs_its_own_signature_only(server):
    bench = server("us/a", handshake="10ms")
    certify(bench, server={"expires": 0.0})
    assert bench.took(0.0) == pytest.approx([2 * FAR + 0.010])


def test_the_server_looks_after_the_client_has_verified(server):
    bench = server("us/a", handshake="10ms")
    certify(bench, client={"expires": 0.0})
    assert bench.took(0.0) == pytest.approx([3 * FAR + 0.020])


# --- what is not looked at --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("whose", ["server", "client"])
@pytest.mark.parametrize("protocol", ["http", "http2"])
def test_an_established_connection_outlives_its_certificates(server, whose, protocol):
    bench = server(protocol=protocol)
    certify(bench, server={"expires": 1.0}, client={"expires": 1.0})
    bench.took(0.0, 2.0, 3000.0, until=3500.0)
    assert bench.requests() == {(200, ""): 3}
    assert bench.opened == 1
    certify(bench, **broken(whose))
    bench.run(7200.0)  # idle for more than an hour: the next request needs a new connection
    bench.send(7200.0)
    bench.run(7300.0)
    assert sum(number for outcome, number in bench.requests().items() if outcome[0] == 503) == 1


@pytest.mark.parametrize("whose", ["server", "client"])
def test_a_handshake_under_way_fails_if_the_certificate_expires_before_it_is_seen(server, whose):
    bench = server("us/a")
    certify(bench, **{whose: {"expires": 2 * FAR - 0.001}})
    bench.send(0.0)
    bench.run(1.0)
    assert (200, "") not in bench.requests()


@pytest.mark.parametrize("whose", ["server", "client"])
def test_without_tls_nobody_looks(server, whose):
    bench = server(tls=False)
    certify(bench, **broken(whose))
    assert bench.took(0.0) == pytest.approx([2 * NEAR + WORK])


def test_a_proxy_that_was_told_nothing_takes_all_and_is_taken(server):
    bench = server()
    certify(bench, server={"root": 40, "trusts": 0})
    bench.send(0.0)
    bench.run(1.0)
    assert bench.requests() == {(200, ""): 1}


def test_a_pod_that_takes_over_another_s_records_begins_without_its_certificate(server):
    bench = server()
    certify(bench, server={"expires": 0.0})
    bench.plane.kill(bench.pods["web"][0], 0.0, silent=False, for_good=True)
    bench.pods["web"].append(bench._pod(0, "web-new", "eu/a"))
    assert bench.proxy_of(bench.pods["web"][1]) == bench.proxy_of(bench.pods["web"][0])
    bench.push(bench.ingress, "web", hosts=bench.pods["web"][1:])
    bench.send(1.0)
    bench.run(5.0)
    assert bench.requests() == {(200, ""): 1}


# --- roots ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server_fields", "client_fields", "outcome"),
    [
        ({"root": NEW, "trusts": 2}, {"root": OLD, "trusts": 1}, (503, "UF")),  # neither takes the other
        ({"root": NEW, "trusts": 2}, {"root": OLD, "trusts": 3}, (503, "UC")),  # the server does not
        ({"root": NEW, "trusts": 3}, {"root": OLD, "trusts": 1}, (503, "UF")),  # the client does not
        ({"root": NEW, "trusts": 3}, {"root": OLD, "trusts": 3}, (200, "")),
        ({"root": NEW, "trusts": 2}, {"root": NEW, "trusts": 2}, (200, "")),
        ({"root": 61, "trusts": 1}, {"root": OLD, "trusts": 1 << 61}, (200, "")),
    ],
)
def test_each_side_has_to_trust_the_other_s_root(server, server_fields, client_fields, outcome):
    bench = server()
    certify(bench, server=server_fields, client=client_fields)
    bench.send(0.0)
    bench.run(1.0)
    assert bench.requests() == {outcome: 1}


def test_a_root_that_expired_fails_handshakes_while_it_lasts(server):
    bench = server("eu/a", "eu/a", load_balancer="ROUND_ROBIN")
    certify(bench, server={"root": NEW, "trusts": 3}, client={"trusts": 3})
    bench.send(0.0, times=2)
    bench.run(1.0)
    bench.plane.expire_root(NEW, expired=True)
    bench.send(1.0, times=2)  # over the connections there are
    bench.run(2.0)
    assert bench.requests() == {(200, ""): 4}
    bench.send(2.0, times=4)  # needs two more
    bench.run(3.0)
    assert bench.requests() == {(200, ""): 7, (503, "UF"): 1}
    bench.plane.expire_root(NEW, expired=False)
    bench.send(3.0, times=4)
    bench.run(4.0)
    assert bench.requests() == {(200, ""): 11, (503, "UF"): 1}


# --- through an east-west gateway -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("whose", "flag", "trips"), [("server", "UF", 2), ("client", "UC", 3)])
def test_through_a_gateway_the_ends_look_at_each_other(server, whose, flag, trips):
    bench = server("us/a")
    _, (gateway,) = bench.behind_gateway(bench.ingress, "web", zone="us/a")
    bench.plane.set_certificate(gateway, expires=0.0, root=7, trusts=0)  # passes TLS on and shows nothing of its own
    certify(bench, **broken(whose))
    assert bench.took(0.0) == pytest.approx([trips * (FAR + NEAR)])
    assert bench.requests() == {(503, flag): 1}
    assert bench.open_now() == 0


def test_through_a_gateway_proxies_without_a_common_root_do_not_meet(server):
    bench = server("us/a", retry=Retry())
    bench.behind_gateway(bench.ingress, "web", zone="us/a")
    certify(bench, server={"root": NEW, "trusts": 1 << NEW}, client={})
    bench.send(0.0)
    bench.run(5.0)
    assert bench.requests() == {(503, "URX,UF"): 1}
    assert bench.opened == 3
