"""Reading VirtualServices: delegation, what is refused, and what is said about parts without effect."""

from __future__ import annotations

import pytest

from meshsim.scenario.istio.clients import Client
from meshsim.scenario.istio.policy import Retry

INGRESS = Client("istio-system", {}, "*")


def said(found):
    """Return the warnings without file, line and resource."""
    return [warning.split(": ", 2)[2] for warning in found.warnings]


# --- delegation -----------------------------------------------------------------------------------------------

ROOT = """
http:
- match: [{uri: {prefix: /cart}}]
  timeout: 9s
  retries: {attempts: 4}
  delegate: {name: carts, namespace: bank}
- route: [{destination: {host: web}}]
"""
DELEGATE = """
http:
- match: [{uri: {prefix: /cart/v2}}]
  timeout: 1s
  route: [{destination: {host: cart.shop.svc.cluster.local, subset: v2}}]
- match: [{uri: {prefix: /other}}]
  route: [{destination: {host: cart.shop.svc.cluster.local, subset: v3}}]
- route: [{destination: {host: cart.shop.svc.cluster.local}}]
"""


@pytest.fixture
def delegation(read, plain):
    def build(root=ROOT, delegate=DELEGATE):
        texts = [plain["VirtualService"](root)]
        if delegate:
            texts.append(plain["VirtualService"](delegate, name="carts", namespace="bank", hosts="[]"))
        return read("---\n".join(texts))

    return build


def test_rules_of_a_delegate_take_the_place_of_the_one_that_points_to_them(delegation):
    # spec §3.5; virtualservice.go
    found = delegation()
    newer, older, other = (found.route(path=path) for path in ("/cart/v2/x", "/cart/x", "/x"))
    assert [route.destinations[0][0].subset for route in (newer, older)] == ["v2", ""]
    assert (newer.timeout, older.timeout, other.timeout) == (1.0, 9.0, None)
    assert newer.retry == older.retry == Retry(attempts=4)
    assert other.destinations[0][0].service == "web"
    assert newer.name == "VirtualService bank/carts (mesh.yaml:19) http[0]"


def test_a_delegate_without_mirrors_has_those_of_its_root(delegation):
    # virtualservice.go, mergeHTTPRoute
    def copies(own=""):
        mirrors = "\n  mirrors: [{destination: {host: web}, percentage: {value: 40}}, {destination: {host: cart}}]"
        cart = f"http:\n- {own}route: [{{destination: {{host: cart.shop.svc.cluster.local}}}}]"
        found = delegation(root="http:\n- delegate: {name: carts, namespace: bank}" + mirrors, delegate=cart)
        return [(mirror.destination.service, mirror.percent) for mirror in found.route().mirrors]

    assert copies() == [("web", 40.0), ("cart", 100.0)]
    assert copies("mirrors: [{destination: {host: web.shop.svc.cluster.local}}]\n  ") == [("web", 100.0)]


def test_a_rule_of_a_delegate_that_contradicts_its_root_is_dropped_and_named(delegation):
    found = delegation()
    assert said(found) == [
        "spec.http[1].match: has no effect: VirtualService shop/cart delegates other requests to it, in Istio too"
    ]
    assert found.route(path="/other").destinations[0][0].service == "web"


def test_without_its_delegate_a_rule_has_no_effect(delegation):
    found = delegation(delegate="")
    assert found.route(path="/cart/x").destinations[0][0].service == "web"
    assert said(found) == [
        "spec.http[0].delegate: bank/carts is no VirtualService without hosts: the rule has no effect, in Istio too"
    ]


def test_a_delegate_has_to_be_exported_to_its_root(delegation):
    found = delegation(delegate="exportTo: ['.']" + DELEGATE)
    assert found.route(path="/cart/x").destinations[0][0].service == "web"
    assert "bank/carts is not exported to shop" in said(found)[0]


def test_a_delegate_in_the_same_namespace_needs_no_namespace(read, plain):
    root = plain["VirtualService"]("http:\n- delegate: {name: below}")
    below = plain["VirtualService"](
        "http:\n- {timeout: 1s, route: [{destination: {host: cart}}]}", name="below", hosts="[]"
    )
    found = read(root + "---\n" + below)
    assert (found.route().timeout, found.warnings) == (1.0, ())


def test_a_delegate_cannot_delegate(delegation):
    found = delegation(delegate="http:\n- delegate: {name: more}")
    assert said(found) == ["spec.http[0]: has no effect: a delegate cannot delegate, in Istio neither"]


def test_a_delegate_of_nobody_is_named_once(read, plain):
    found = read(plain["VirtualService"](DELEGATE, hosts="[]"))
    assert said(found) == ["spec: has no hosts, and no VirtualService delegates to it: it has no effect"]


# --- refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("redirect: {uri: /a}", ": route and redirect cannot both be set"),
        ("match: [{uri: {regex: '(?!a)'}}]", ".match[0].uri.regex: '(?!a)' is no RE2 expression"),
        ("match: [{headers: {a: {regex: '('}}}]", ".match[0].headers.a.regex: '(' is no RE2 expression"),
        ("rewrite: {uriRegexRewrite: {match: '(', rewrite: a}}", ".rewrite.uriRegexRewrite.match: '(' is no RE2"),
        ("fault: {abort: {httpStatus: 99}}", ".fault.abort.httpStatus: 99 is not an HTTP status from 200 to 599"),
        (
            "fault: {abort: {grpcStatus: UNAVAILABEL}}",
            ".fault.abort.grpcStatus: 'UNAVAILABEL' is not a gRPC status; did you mean 'UNAVAILABLE'?",
        ),
        ("fault: {delay: {fixedDelay: 0s}}", ".fault.delay.fixedDelay: 0s is shorter than 1ms"),
        ("match: [{url: {exact: /}}]", ".match[0].url: unknown field 'url'; did you mean 'uri'?"),
        ("mirror: {hosts: a}", ".mirror.hosts: unknown field 'hosts'; did you mean 'host'?"),
        ("match: [{uri: {prefix: /a, exact: /b}}]", ".match[0].uri: exact and prefix cannot both be set"),
        ("match: [{headers: {a: {exact: b, regex: c}}}]", ".match[0].headers.a: exact and regex cannot both be set"),
        (
            "fault: {abort: {httpStatus: 500, grpcStatus: UNAVAILABLE}}",
            ".fault.abort: httpStatus and grpcStatus cannot both be set",
        ),
        (
            "fault: {delay: {fixedDelay: 1s, exponentialDelay: 1s}}",
            ".fault.delay: fixedDelay and exponentialDelay cannot both be set",
        ),
        ("mirror: {host: a}\nmirrors: [{destination: {host: a}}]", ": mirror and mirrors cannot both be set"),
        (
            "rewrite: {uri: /a, uriRegexRewrite: {match: a, rewrite: b}}",
            ".rewrite: uri and uriRegexRewrite cannot both be set",
        ),
        ("rewrite: {uriRegexRewrite: {match: a}}", ".rewrite: uriRegexRewrite needs both match and rewrite"),
        ("rewrite: {}", ".rewrite: needs one of uri, uriRegexRewrite and authority"),
        ("timeout: 0.5ms", ".timeout: 0.5ms is shorter than 1ms, the shortest that Istio takes besides 0s"),
        (
            "retries: {attempts: 1, retryOn: '5xx, connect-failure'}",
            ".retries.retryOn: '5xx, connect-failure' has a blank, which Istio refuses; did you mean '5xx,connect-fail",
        ),
        (
            "retries: {attempts: 1, retryOn: '5xx,'}",
            ".retries.retryOn: '5xx,' has an empty part, which Istio refuses; did you mean '5xx'?",
        ),
    ],
)
def test_what_istio_refuses_is_refused(body, message, read, route):
    assert f"VirtualService/cart: spec.http[0]{message}" in read(route(body)).messages[0]


@pytest.mark.parametrize("rules", ["http: []", "http: null", "gateways: [front]", "http: []\ntls: []\ntcp: []"])
@pytest.mark.parametrize("hosts", ["[cart]", "[]"])
def test_a_virtual_service_has_rules(rules, hosts, read, plain):
    (message,) = read(plain["VirtualService"](rules, hosts=hosts)).messages
    assert message.endswith("VirtualService/cart: spec: needs rules: http, tls or tcp")


def test_a_virtual_service_has_a_spec(read):
    text = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: cart}"
    assert read(text).messages == ["mesh.yaml:1: VirtualService/cart: spec is required"]


@pytest.mark.parametrize("answer", ["redirect: {uri: /a}", "directResponse: {status: 503}"])
@pytest.mark.parametrize("other", ["fault: {delay: {fixedDelay: 1s}}", "rewrite: {uri: /}"])
def test_what_the_proxy_answers_itself_is_neither_held_up_nor_rewritten(answer, other, read, plain):
    (message,) = read(plain["VirtualService"](f"http:\n- {answer}\n  {other}")).messages
    first, second = (text.partition(":")[0] for text in (answer, other))
    assert message.endswith(f"spec.http[0]: {first} and {second} cannot both be set")


@pytest.mark.parametrize(
    "body",
    [
        "timeout: 0s",
        "retries: {attempts: 1, retryOn: ''}",
        "rewrite: {uri: '', uriRegexRewrite: {match: a, rewrite: b}}",
        "mirror: {host: web}\nmirrors: []",
        "match: [{uri: {prefix: ''}}]",
    ],
)
def test_an_empty_value_is_no_second_one(body, read, route):
    assert read(route(body)).messages == []


def test_a_redirect_has_a_code_that_envoy_knows(read, plain):
    (message,) = read(plain["VirtualService"]("http:\n- redirect: {uri: /a, redirectCode: 300}")).messages
    assert "spec.http[0].redirect.redirectCode: 300 is not a redirect that Envoy can give" in message


# --- said -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "match: [{uri: {prefix: /}}]",
        "match: null",
        "timeout: 3s",
        "fault: {abort: {httpStatus: 500, percentage: {value: 1}}}",
        "mirror: {host: web}",
        "rewrite: {uri: /}",
        "name: a",
        "route: [{destination: {host: cart, port: {number: 80}}, weight: 100}]",
        "retries: {attempts: 1, retryRemoteLocalities: true}",
    ],
)
def test_what_is_modelled_needs_no_warning(body, read, route, plain):
    text = plain["VirtualService"](f"http:\n- {body}") if "route" in body else route(body)
    assert read(text).warnings == ()


@pytest.mark.parametrize(
    "field",
    [
        "headers: {request: {remove: [a]}}",
        "headers: {response: {add: {a: b}}}",
        "corsPolicy: {allowOrigin: ['*']}",
    ],
)
def test_fields_of_a_rule_that_are_not_modelled_are_named(field, read, route):
    name = field.partition(":")[0]
    assert said(read(route(field))) == [f"spec.http[0].{name}: has no effect in meshsim yet"]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            "{delay: {exponentialDelay: 1s}}",
            "fault.delay.exponentialDelay: is not implemented by Istio: there is no delay",
        ),
        ("{abort: {http2Error: X}}", "fault.abort.http2Error: is not implemented by Istio: nothing is aborted"),
    ],
)
def test_faults_that_istio_does_not_know_are_named(fault, message, read, route):
    assert said(read(route(f"fault: {fault}"))) == [f"spec.http[0].{message}"]


def test_claims_of_tokens_are_named(read, route):
    found = read(route('match: [{headers: {"@request.auth.claims.group": {exact: a}}}]'))
    (message,) = said(found)
    assert message.endswith("asks for a claim of a token, and no request here carries one")


def test_rules_below_one_for_every_request_are_named(read, plain):
    # spec §3.5
    found = read(
        plain["VirtualService"]("""
            http:
            - {match: [{uri: {prefix: /a}}], timeout: 1s, route: [{destination: {host: cart}}]}
            - {timeout: 2s, route: [{destination: {host: cart}}]}
            - {timeout: 3s, route: [{destination: {host: cart}}], headers: {request: {remove: [a]}}}
            """)
    )
    assert found.route().timeout == 2.0
    assert said(found) == ["spec.http[2]: has no effect: a rule above it takes every request, in Istio too"]


SHADOWED = [
    ("{uri: {prefix: /a}}", "{uri: {exact: /a/b}}", True),
    ("{uri: {prefix: /a}}", "{uri: {prefix: /ab}, method: {exact: GET}}", True),
    ("{uri: {prefix: /a}}", "{uri: {prefix: /b}}", False),
    ("{uri: {prefix: /a}, headers: {x: {}}}", "{uri: {prefix: /a}}", False),
    ("{uri: {prefix: /a}, sourceLabels: {app: a}}", "{uri: {prefix: /a}}", False),
    ("{uri: {prefix: /}, sourceLabels: {app: a}}", "{uri: {prefix: /a}}", False),
]


@pytest.mark.parametrize(("first", "second", "shadowed"), SHADOWED)
def test_rules_that_an_earlier_one_leaves_nothing_are_named(first, second, shadowed, read, plain):
    body = "http:\n" + "".join(
        f"- {{match: [{match}], route: [{{destination: {{host: cart}}}}]}}\n" for match in (first, second)
    )
    message = "spec.http[1]: has no effect: http[0] above takes all of its requests, in Istio too"
    assert said(read(plain["VirtualService"](body))) == [message] * shadowed


def test_unknown_destinations_are_named(read, plain):
    body = "http:\n- mirror: {host: gone}\n  route: [{destination: {host: cart.shop}}]"
    assert said(read(plain["VirtualService"](body))) == [
        ("spec.http[0].mirror.host: is no service of the scenario: no request is mirrored there, in Istio neither"),
        (
            "spec.http[0].route[0].destination.host: cart.shop is no service of the scenario: "
            "requests sent there get 503 NC, in Istio too"
        ),
    ]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("fault: {}", "spec.http[0]: sends requests to no service: Istio refuses the rule, and it has no effect here"),
        (
            "route: [{destination: {host: cart}}, {destination: {host: web}}]",
            "spec.http[0].route: has no weight above 0: Istio refuses the rule, and it has no effect here",
        ),
    ],
)
def test_rules_that_lead_nowhere_are_named_and_skipped(rule, message, read, plain):
    found = read(plain["VirtualService"](f"http:\n- {rule}"))
    assert said(found) == [message]
    assert found.route().destinations[0][0].service == "cart"


def test_a_virtual_service_that_another_hides_is_named(read, route):
    found = read(route("timeout: 1s", name="first") + "---\n" + route("timeout: 2s", name="second"))
    assert found.warnings == (
        (
            "mesh.yaml:15: VirtualService/second: spec.hosts: has no effect: "
            "VirtualService shop/first serves cart.shop.svc.cluster.local before it"
        ),
    )


def test_one_that_serves_what_another_leaves_is_not_called_hidden(read, plain, route):
    first = plain["VirtualService"](
        "http:\n- {match: [{sourceLabels: {app: a}}], route: [{destination: {host: cart}}]}", name="first"
    )
    assert read(first + "---\n" + route("timeout: 2s", name="second")).warnings == ()
    tcp = plain["VirtualService"]("tcp:\n- route: [{destination: {host: cart}}]", name="tcp")
    assert read(tcp + "---\n" + route("timeout: 2s", name="http")).warnings == ()


def test_hosts_without_a_service_are_named(read, route):
    found = read(route("timeout: 1s", hosts="[cart, wob]"))
    assert found.route().timeout == 1.0
    assert found.warnings == (
        (
            "mesh.yaml:5: VirtualService/cart: spec.hosts[1]: matches no service of the scenario: it has no effect; "
            "did you mean 'web'? (one of cart, ledger, web)"
        ),
    )
    assert said(read(route("timeout: 1s", hosts="[wob]"))) == [
        (
            "spec.hosts: matches no service of the scenario: it has no effect; did you mean 'web'? "
            "(one of cart, ledger, web)"
        )
    ]


def test_a_gateways_virtual_service_has_to_lead_somewhere(read, plain):
    body = "gateways: [front]\nhttp:\n- route: [{destination: {host: gone}}]"
    found = read(plain["VirtualService"](body, hosts="[a.example.com]"))
    assert said(found)[0] == "spec.http: leads to no service of the scenario: it has no effect in meshsim yet"
    tls = "gateways: [front]\ntls:\n- {match: [{sniHosts: [a.b]}], route: [{destination: {host: cart}}]}"
    assert said(read(plain["VirtualService"](tls, hosts="[a.b]"))) == [
        "spec: has no rule for HTTP: it has no effect in meshsim yet"
    ]


def test_retries_without_attempts_are_off_and_said_to_be(read, route):
    found = read(route("retries: {backoff: 1s}"))
    assert found.route().retry.attempts == 0
    assert said(found) == ["spec.http[0].retries: switches retries off, in Istio too: attempts is 0 or missing"]
