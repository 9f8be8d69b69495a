"""Where requests go: which VirtualService, which of its rules, and what the rule says (spec §3.3-3.5)."""

from __future__ import annotations

import pickle

import pytest

from meshsim.scenario.istio import Retry
from meshsim.scenario.istio.clients import Client
from meshsim.scenario.istio.resolve import DEFAULT
from meshsim.scenario.istio.routes import Destination, Fault, Mirror, Route

CART, WEB, LEDGER = Destination("cart"), Destination("web"), Destination("ledger")
INGRESS = Client("istio-system", {"istio": "ingressgateway"}, "*")


def to(route):
    return [(one.service, one.subset, weight) for one, weight in route.destinations]


# --- without a VirtualService ---------------------------------------------------------------------------------


def test_without_virtual_services_requests_go_to_their_service(read):
    # spec §3.5, §3.3: default routes have the retry policy, too
    route = read().route(path="/a")
    assert route == Route(((CART, 100),), path="/a", authority="cart.shop.svc.cluster.local")
    assert (route.timeout, route.retry, route.fault, route.name) == (None, Retry(), Fault(), DEFAULT)


def test_unknown_hosts_pass_through_unless_the_mesh_is_closed(read):
    # spec §3.5: ALLOW_ANY is the default; REGISTRY_ONLY answers 502
    request = {"authority": "www.example.com"}
    route = read().route(**request)
    assert (route.name, route.destinations, route.retry.attempts) == ("PassthroughCluster", ((CART, 100),), 0)
    for config in ("outboundTrafficPolicy: {mode: ALLOW_ANY}", "outboundTrafficPolicy: {}"):
        assert read(mesh=config).route(**request).direct_code == 0
    closed = read(mesh="outboundTrafficPolicy: {mode: REGISTRY_ONLY}")
    assert (closed.route(**request).direct_code, closed.route(**request).destinations) == (502, ())
    assert closed.route().direct_code == 0


def test_a_request_for_another_known_host_goes_there(read):
    assert to(read().route(authority="ledger.bank.svc.cluster.local")) == [("ledger", "", 100)]


# --- which VirtualService -------------------------------------------------------------------------------------


def timeouts(found, *services):
    return [found.route(*service).timeout for service in services or [("cart", "shop"), ("web", "shop")]]


def test_the_most_precise_host_wins(read, route):
    text = "---\n".join(
        route(f"timeout: {seconds}s", name=f"r{seconds}", hosts=hosts)
        for seconds, hosts in [(1, "['*']"), (2, "['*.shop.svc.cluster.local']"), (3, "[cart]")]
    )
    assert timeouts(read(text), ("cart", "shop"), ("web", "shop"), ("ledger", "bank")) == [3.0, 2.0, 1.0]


def test_of_two_for_a_host_the_first_wins(read, route):
    found = read(route("timeout: 1s", name="first") + "---\n" + route("timeout: 2s", name="second"))
    assert found.route().timeout == 1.0


def test_one_without_a_route_for_this_client_gives_way(read, plain, route):
    # route.go: no routes, no virtual host; so the next one, or the default route, is used
    first = plain["VirtualService"](
        "http:\n- {match: [{sourceLabels: {app: other}}], timeout: 1s, route: [{destination: {host: cart}}]}",
        name="first",
    )
    assert read(first).route().timeout is None
    assert read(first).route(client=Client("shop", {"app": "other"})).timeout == 1.0
    both = read(first + "---\n" + route("timeout: 2s", name="second"))
    assert both.route().timeout == 2.0


@pytest.mark.parametrize(
    ("gateways", "sidecar", "ingress"),
    [("[mesh]", 3.0, None), ("[]", 3.0, None), ("[front]", None, 3.0), ("[front, mesh]", 3.0, 3.0)],
)
def test_gateways_say_which_clients_a_virtual_service_is_for(gateways, sidecar, ingress, read, route):
    found = read(route("timeout: 3s").replace("spec:", f"spec:\n  gateways: {gateways}"))
    assert (found.route().timeout, found.route(client=INGRESS).timeout) == (sidecar, ingress)
    named = Client("istio-system", {}, "shop/front")
    assert found.route(client=named).timeout == ingress
    assert found.route(client=Client("istio-system", {}, "shop/other")).timeout is None


def test_a_virtual_service_is_seen_where_it_is_exported_to(read, route):
    found = read(route("timeout: 3s").replace("spec:", "spec:\n  exportTo: ['.']"))
    assert found.route(client=Client("shop")).timeout == 3.0
    assert found.route(client=Client("bank")).timeout is None
    assert found.warnings == ()


def test_an_outside_name_of_a_gateway_is_what_users_of_its_service_ask_for(read, plain):
    body = "gateways: [front]\nhttp:\n- {timeout: 3s, route: [{destination: {host: cart}}]}"
    found = read(plain["VirtualService"](body, hosts="[shop.example.com]"))
    assert found.warnings == ()
    assert found.route(client=INGRESS).timeout == 3.0
    assert found.route(client=INGRESS, authority="shop.example.com").timeout == 3.0
    assert found.route("web", client=INGRESS).timeout is None
    assert found.route(client=INGRESS, authority="other.example.com").no_route
    assert found.route().timeout is None


def test_virtual_services_for_a_host_of_a_gateway_are_merged_with_those_for_everything_last(read, plain):
    # gateway.go, SortVHostRoutes
    def one(name, rules):
        return plain["VirtualService"](f"gateways: [front]\nhttp:\n{rules}", hosts="['*']", name=name)

    found = read(
        one("first", "- {timeout: 1s, route: [{destination: {host: cart}}]}")
        + "---\n"
        + one("second", "- {match: [{uri: {prefix: /a}}], timeout: 2s, route: [{destination: {host: cart}}]}")
    )
    assert found.warnings == ()
    assert found.route(client=INGRESS, path="/a").timeout == 2.0
    assert found.route(client=INGRESS, path="/b").timeout == 1.0


# --- which rule -----------------------------------------------------------------------------------------------

RULES = """
http:
- match:
  - {uri: {prefix: /a}, headers: {end-user: {exact: jason}}}
  - {uri: {exact: /b}}
  timeout: 1s
  route: [{destination: {host: cart}}]
- match: [{uri: {prefix: /a}}]
  timeout: 2s
  route: [{destination: {host: cart}}]
"""


@pytest.mark.parametrize(
    ("request_", "timeout"),
    [
        ({"path": "/a", "headers": {"end-user": "jason"}}, 1.0),
        ({"path": "/b"}, 1.0),
        ({"path": "/a"}, 2.0),
        ({"path": "/b/c"}, 404),
        ({"path": "/"}, 404),
    ],
)
def test_the_first_rule_that_takes_a_request_is_used_and_none_is_404_without_route(request_, timeout, read, plain):
    # spec §3.5
    route = read(plain["VirtualService"](RULES)).route(**request_)
    assert (route.direct_code if route.no_route else route.timeout) == timeout
    assert route.no_route is (timeout == 404)
    if route.no_route:
        assert route.destinations == ()


def test_ports_labels_and_namespaces_of_clients_choose_rules(read, plain):
    body = """
    http:
    - {match: [{port: 8080}], timeout: 1s, route: [{destination: {host: cart}}]}
    - {match: [{sourceLabels: {version: v2}}], timeout: 2s, route: [{destination: {host: cart}}]}
    - {match: [{sourceNamespace: bank}], timeout: 3s, route: [{destination: {host: cart}}]}
    - {route: [{destination: {host: cart}}]}
    """
    found = read(plain["VirtualService"](body))
    assert found.route(port=8080).timeout == 1.0
    assert found.route(client=Client("shop", {"version": "v2"})).timeout == 2.0
    assert found.route(client=Client("bank")).timeout == 3.0
    assert found.route().timeout is None


# --- destinations ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ("[{destination: {host: cart}}]", [("cart", "", 100)]),
        ("[{destination: {host: cart}, weight: 0}]", [("cart", "", 100)]),
        ("[{destination: {host: cart}, weight: 7}]", [("cart", "", 100)]),
        (
            "[{destination: {host: cart, subset: v1}, weight: 9}, {destination: {host: cart, subset: v2}, weight: 1}]",
            [("cart", "v1", 9), ("cart", "v2", 1)],
        ),
        ("[{destination: {host: cart}, weight: 100}, {destination: {host: web}, weight: 0}]", [("cart", "", 100)]),
        ("[{destination: {host: cart}, weight: 3}, {destination: {host: web}}]", [("cart", "", 3)]),
        ("[{destination: {host: web}}]", [("web", "", 100)]),
        ("[{destination: {host: ledger.bank.svc.cluster.local, port: {number: 80}}}]", [("ledger", "", 100)]),
    ],
)
def test_destinations_have_their_weights(routes, expected, read, plain):
    # spec §3.5: weight 0 is dropped, the only destination gets everything
    found = read(plain["VirtualService"](f"http:\n- route: {routes}"))
    assert to(found.route()) == expected
    assert found.warnings == ()


def test_an_unknown_destination_takes_its_share(read, plain):
    body = "http:\n- route: [{destination: {host: cart}, weight: 1}, {destination: {host: cart.shop}, weight: 3}]"
    found = read(plain["VirtualService"](body))
    assert to(found.route()) == [("cart", "", 1), ("", "", 3)]
    assert found.route().destinations[1][0].host == "cart.shop"


# --- timeouts and retries -------------------------------------------------------------------------------------

CONDITIONS = Retry().conditions

SETTINGS = [
    ("§3.4", "timeout: 3s", "timeout", 3.0),
    ("§3.4: 0 is off", "timeout: 0s", "timeout", None),
    ("§3.3", "retries: {attempts: 5}", "attempts", 5),
    ("§3.3", "retries: {attempts: 0}", "attempts", 0),
    ("retry.go: no attempts is off", "retries: {}", "attempts", 0),
    ("§3.3: no retryOn keeps the default", "retries: {attempts: 5}", "conditions", CONDITIONS),
    ("§3.3: no retryOn keeps the default", "retries: {attempts: 5, retryOn: ''}", "conditions", CONDITIONS),
    ("§3.3", "retries: {attempts: 1, retryOn: '5xx,reset'}", "conditions", ("5xx", "reset")),
    ("§3.3: codes", "retries: {attempts: 1, retryOn: 'reset,503'}", "conditions", ("reset", "retriable-status-codes")),
    ("§3.3: codes", "retries: {attempts: 1, retryOn: 'reset,503,504'}", "status_codes", (503, 504)),
    ("§3.3", "retries: {attempts: 1, perTryTimeout: 2s}", "per_try_timeout", 2.0),
    ("§3.3", "retries: {attempts: 1, backoff: 100ms}", "base_interval", 0.1),
    ("§3.3: ten times the base", "retries: {attempts: 1, backoff: 100ms}", "max_interval", 1.0),
    ("§2.1", "retries: {attempts: 1, retryIgnorePreviousHosts: false}", "avoid_previous_hosts", False),
    ("§0.13", "retries: {attempts: 1, retryRemoteLocalities: true}", "remote_localities", True),
]


@pytest.mark.parametrize(
    ("paragraph", "body", "name", "expected"), SETTINGS, ids=[f"{p} {y}"[:70] for p, y, *_ in SETTINGS]
)
def test_timeouts_and_retries(paragraph, body, name, expected, read, route):
    found = read(route(body)).route()
    value = found.timeout if name == "timeout" else getattr(found.retry, name)
    assert value == (pytest.approx(expected) if isinstance(expected, float) else expected), paragraph


def test_retry_on_without_codes_forgets_the_503_of_old_versions(read, route):
    # spec §0.1: the default has it up to 1.23, and a retryOn of one's own replaces it
    assert read().route(version="1.23").retry.status_codes == (503,)
    assert read(route("retries: {attempts: 1}")).route(version="1.23").retry.status_codes == (503,)
    assert read(route("retries: {attempts: 1, retryOn: reset}")).route(version="1.23").retry.status_codes == ()


def test_mesh_retries_serve_routes_without_their_own(read, route):
    # spec §3.3
    both = read(route("retries: {attempts: 7}"), mesh="defaultHttpRetryPolicy: {attempts: 4, retryOn: 5xx}")
    assert both.route("web").retry == Retry(attempts=4, conditions=("5xx",))
    assert both.route("cart").retry == Retry(attempts=7)
    assert read(route(), mesh="defaultHttpRetryPolicy: {attempts: 4}").route().retry.attempts == 4


def test_conditions_of_the_mesh_may_have_blanks_between_them(read, route):
    # route/retry/retry.go, parseRetryOn: only what is written in a VirtualService is validated before
    found = read(route(), mesh="defaultHttpRetryPolicy: {attempts: 1, retryOn: '5xx, reset'}")
    assert found.route().retry.conditions == ("5xx", "reset")


def test_an_empty_mesh_retry_policy_switches_retries_off(read):
    found = read(mesh="defaultHttpRetryPolicy: {}")
    assert found.route().retry.attempts == 0
    assert found.warnings == (
        (
            "scenario.yaml:1: MeshConfig: defaultHttpRetryPolicy: "
            "switches retries off, in Istio too: attempts is 0 or missing"
        ),
    )


# --- faults, mirrors, answers, rewriting ----------------------------------------------------------------------

FAULTS = [
    ("{delay: {fixedDelay: 5s, percentage: {value: 12.5}}}", Fault(delay=5.0, delay_percent=12.5)),
    ("{delay: {fixedDelay: 5s, percent: 10}}", Fault(delay=5.0, delay_percent=10.0)),
    ("{delay: {fixedDelay: 5s, percent: 10, percentage: {value: 20}}}", Fault(delay=5.0, delay_percent=20.0)),
    ("{delay: {fixedDelay: 5s}}", Fault(delay=5.0)),
    ("{abort: {httpStatus: 503, percentage: {value: 100}}}", Fault(abort_code=503, abort_percent=100.0)),
    ("{abort: {httpStatus: 503}}", Fault(abort_code=503)),
    ("{abort: {grpcStatus: UNAVAILABLE, percentage: {value: 1}}}", Fault(abort_code=503, abort_percent=1.0)),
    ("{abort: {http2Error: X, percentage: {value: 1}}}", Fault()),
    ("{delay: {exponentialDelay: 1s, percentage: {value: 1}}}", Fault()),
    ("{abort: {httpStatus: 500, percentage: {value: 0.00019}}}", Fault(abort_code=500, abort_percent=0.0001)),
    (
        "{delay: {fixedDelay: 1s, percentage: {value: 50}}, abort: {httpStatus: 400, percentage: {value: 30}}}",
        Fault(1.0, 50.0, 400, 30.0),
    ),
]


@pytest.mark.parametrize(("body", "fault"), FAULTS, ids=[body for body, _ in FAULTS])
def test_faults(body, fault, read, route):
    # spec §3.5: a percentage left out is 0; Envoy counts in millionths
    assert read(route(f"fault: {body}")).route().fault == fault


MIRRORS = [
    ("mirror: {host: web}", (Mirror(WEB),)),
    ("mirror: {host: web, subset: v2}\nmirrorPercentage: {value: 10.5}", (Mirror(Destination("web", "v2"), 10.5),)),
    ("mirror: {host: web}\nmirrorPercent: 5", (Mirror(WEB, 5.0),)),
    ("mirror: {host: web}\nmirror_percent: 5", (Mirror(WEB, 5.0),)),
    ("mirror: {host: web}\nmirrorPercentage: {value: 0}", ()),
    (
        "mirrors: [{destination: {host: web}, percentage: {value: 20}}, {destination: {host: cart}}]",
        (Mirror(WEB, 20.0), Mirror(CART)),
    ),
]


@pytest.mark.parametrize(("body", "mirrors"), MIRRORS, ids=[body for body, _ in MIRRORS])
def test_mirrors(body, mirrors, read, route):
    found = read(route(body))
    assert (found.route().mirrors, found.warnings) == (mirrors, ())


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("redirect: {uri: /new}", 301),
        ("redirect: {authority: a.b, redirectCode: 307}", 307),
        ("directResponse: {status: 418, body: {string: teapot}}", 418),
    ],
)
def test_redirects_and_direct_responses_are_answered_by_the_proxy(answer, code, read, plain):
    found = read(plain["VirtualService"](f"http:\n- {answer}"))
    route = found.route()
    assert (route.direct_code, route.destinations, route.no_route) == (code, (), False)
    assert found.warnings == ()


def test_what_the_destination_sees_may_be_rewritten(read, plain):
    body = """
    http:
    - match: [{uri: {prefix: /api/}}]
      rewrite: {uri: /, authority: carts.example.com}
      route: [{destination: {host: cart}}]
    - rewrite: {uriRegexRewrite: {match: "^/v1/(.*)$", rewrite: '/\\1'}}
      route: [{destination: {host: cart}}]
    """
    found = read(plain["VirtualService"](body))
    assert found.warnings == ()
    assert (found.route(path="/api/x").path, found.route(path="/api/x").authority) == ("/x", "carts.example.com")
    assert (found.route(path="/v1/x").path, found.route(path="/v1/x").authority) == (
        "/x",
        "cart.shop.svc.cluster.local",
    )


# --- TCP ------------------------------------------------------------------------------------------------------

TCP = """
http:
- {timeout: 1s, route: [{destination: {host: web}}]}
tcp:
- match: [{port: 6380}]
  route: [{destination: {host: web}}]
- match: [{sourceLabels: {app: web}}]
  route: [{destination: {host: cart, subset: v1}, weight: 80}, {destination: {host: cart, subset: v2}, weight: 20}]
"""


def test_connections_are_routed_by_tcp_rules_without_timeouts_or_retries(read, plain):
    found = read(plain["VirtualService"](TCP))
    assert found.warnings == ()
    route = found.route(protocol="tcp")
    assert to(route) == [("cart", "v1", 80), ("cart", "v2", 20)]
    assert (route.timeout, route.retry.attempts) == (None, 0)
    assert to(found.route(protocol="tcp", port=6380)) == [("web", "", 100)]
    assert to(found.route(protocol="tcp", client=Client("shop"))) == [("cart", "", 100)]


def test_connections_are_routed_by_the_name_that_tls_asks_for(read, plain):
    body = "tls:\n- {match: [{sniHosts: [cart.shop.svc.cluster.local]}], route: [{destination: {host: web}}]}"
    found = read(plain["VirtualService"](body))
    assert to(found.route(protocol="tcp")) == [("web", "", 100)]
    other = read(plain["VirtualService"](body.replace("cart.shop", "x.shop")))
    assert to(other.route(protocol="tcp")) == [("cart", "", 100)]


def test_subnets_of_connections_are_named_as_not_modelled(read, plain):
    body = "tcp:\n- {match: [{destinationSubnets: [10.0.0.0/8]}], route: [{destination: {host: cart}}]}"
    (warning,) = read(plain["VirtualService"](body)).warnings
    assert "spec.tcp[0].match[0].destinationSubnets: has no effect in meshsim yet" in warning


# --- sources --------------------------------------------------------------------------------------------------


def test_sources_name_the_resource_with_file_and_line(read, route):
    text = route("timeout: 1s\nretries: {attempts: 1, retryOn: reset, backoff: 1s}\nfault: {abort: {httpStatus: 500}}")
    found = read(text).route()
    assert found.name == "VirtualService shop/cart (mesh.yaml:7) http[0]"
    assert found.sources["timeout"] == "VirtualService shop/cart (mesh.yaml:9)"
    assert found.sources["retry.conditions"] == "VirtualService shop/cart (mesh.yaml:10)"
    assert found.sources["retry.max_interval"] == "VirtualService shop/cart (mesh.yaml:10)"
    assert found.sources["fault"] == found.sources["destinations"] == "VirtualService shop/cart (mesh.yaml:7)"
    defaults = {name for name, source in found.sources.items() if source == DEFAULT}
    assert defaults == {
        "retry.avoid_previous_hosts",
        "retry.host_attempts",
        "retry.per_try_timeout",
        "retry.remote_localities",
    }


def test_sources_name_the_mesh_config(read, route):
    found = read(route(), mesh="defaultHttpRetryPolicy: {attempts: 4}")
    assert found.route().sources["retry.attempts"] == "MeshConfig (scenario.yaml:1)"


def test_virtual_services_travel_to_another_process(read, plain):
    resources = read(plain["VirtualService"](RULES)).resources
    assert pickle.loads(pickle.dumps(resources)) == resources
