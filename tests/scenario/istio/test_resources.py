"""Reading whole files: what is refused, what is passed over, what is said."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from meshsim.scenario.istio import IstioResources, OutlierDetection, Policy, Retry, read_resources

HEAD = (
    "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
    "metadata: {name: cart, namespace: shop}\nspec:\n  host: cart\n"
)


ROOT = Path(__file__).parents[3]


def nowhere(*path):
    return "", 0


# --- refused --------------------------------------------------------------------------------------------------

#: What stands below `spec:` of a DestinationRule or an HTTP rule → field and message.
BROKEN_RULES = [
    (
        "hosts: [cart]",
        (
            "hosts: unknown field 'hosts'; did you mean 'host'? (one of exportTo, host, subsets, "
            "trafficPolicy, workloadSelector)"
        ),
    ),
    (
        "outlierDetection: {}",
        "outlierDetection: unknown field 'outlierDetection'; it belongs under spec.trafficPolicy",
    ),
    (
        "trafficPolicy: {outlierDetection: {consecutive_5xx_errors: 1}}",
        (
            "trafficPolicy.outlierDetection.consecutive_5xx_errors: unknown field 'consecutive_5xx_errors'; "
            "did you mean 'consecutive5xxErrors'? (one of baseEjectionTime, consecutive5xxErrors, consecutiveErrors, "
            "consecutiveGatewayErrors, consecutiveLocalOriginFailures, interval, maxEjectionPercent, minHealthPercent, "
            "outlierDetectionHttpErrorCodes, splitExternalLocalOriginErrors)"
        ),
    ),
    (
        "traffic_policy: {}",
        (
            "traffic_policy: unknown field 'traffic_policy'; did you mean 'trafficPolicy'? "
            "(one of exportTo, host, subsets, trafficPolicy, workloadSelector)"
        ),
    ),
    (
        "trafficPolicy: {loadBalancer: {localityLbSettings: {}}}",
        (
            "trafficPolicy.loadBalancer.localityLbSettings: unknown field 'localityLbSettings'; "
            "did you mean 'localityLbSetting'? (one of consistentHash, localityLbSetting, simple, warmup, "
            "warmupDurationSecs, "
            "zoneAwareLbSetting)"
        ),
    ),
    (
        "trafficPolicy: {loadBalancer: {simple: LEAST_CONNECTION}}",
        (
            "trafficPolicy.loadBalancer.simple: 'LEAST_CONNECTION' is not a value of this field; did you "
            "mean 'LEAST_CONN'? "
            "(one of LEAST_CONN, LEAST_REQUEST, PASSTHROUGH, RANDOM, ROUND_ROBIN, UNSPECIFIED)"
        ),
    ),
    (
        "trafficPolicy: {outlierDetection: {interval: 10}}",
        "trafficPolicy.outlierDetection.interval: 10 has no unit; write 10s or 10ms",
    ),
    (
        "trafficPolicy: {outlierDetection: {baseEjectionTime: 1x}}",
        "trafficPolicy.outlierDetection.baseEjectionTime: '1x' is not a duration; write it like 250ms, 10s or 1m30s",
    ),
    (
        "trafficPolicy: {outlierDetection: {consecutive5xxErrors: '5'}}",
        "trafficPolicy.outlierDetection.consecutive5xxErrors: '5' is not a whole number; write 5 without quotes",
    ),
    (
        "trafficPolicy: {outlierDetection: {maxEjectionPercent: 120}}",
        "trafficPolicy.outlierDetection.maxEjectionPercent: 120 is not between 0 and 100",
    ),
    (
        "trafficPolicy: {connectionPool: {tcp: {connectTimeout: 0s}}}",
        "trafficPolicy.connectionPool.tcp.connectTimeout: 0s is shorter than 1ms, the shortest that Istio takes",
    ),
    ("trafficPolicy: [outlierDetection]", "trafficPolicy: a list is not a mapping"),
    (
        "trafficPolicy: {loadBalancer: {localityLbSetting: {failover: [{from: eu, to: eu}]}}}",
        "trafficPolicy.loadBalancer.localityLbSetting.failover[0]: from and to are the same region",
    ),
    (
        "trafficPolicy: {loadBalancer: {localityLbSetting: {failover: [{from: eu/a, to: us}]}}}",
        "trafficPolicy.loadBalancer.localityLbSetting.failover[0]: failover takes regions only, without zone or '*'",
    ),
    (
        "trafficPolicy: {loadBalancer: {localityLbSetting: {distribute: [{from: eu, to: {eu: 80, us: 30}}]}}}",
        "trafficPolicy.loadBalancer.localityLbSetting.distribute[0].to: the weights add up to 110, not to 100",
    ),
    (
        (
            "trafficPolicy: {loadBalancer: {localityLbSetting: {distribute: [{from: eu, to: {eu: 100}}], "
            "failover: [{from: eu, to: us}]}}}"
        ),
        "trafficPolicy.loadBalancer.localityLbSetting: distribute and failover cannot both be set",
    ),
    ("subsets: [{labels: {version: v1}}]", "subsets[0]: name is required"),
    (
        "subsets: [{name: v1, labels: {version: 1}}]",
        "subsets[0].labels.version: 1 is not text; write it in quotes: '1'",
    ),
]


@pytest.mark.parametrize(("body", "message"), BROKEN_RULES, ids=[body[:60] for body, _ in BROKEN_RULES])
def test_broken_destination_rules(body, message, read):
    assert read(HEAD + "  " + body).messages == [f"mesh.yaml:6: DestinationRule/cart: spec.{message}"]


CONDITIONS = (
    "5xx, cancelled, connect-failure, deadline-exceeded, envoy-ratelimited, gateway-error, http3-post-connect-failure, "
    "internal, refused-stream, reset, reset-before-request, resource-exhausted, retriable-4xx, retriable-headers, "
    "retriable-status-codes, unavailable"
)

BROKEN_ROUTES = [
    ("timeout: 1 s", "timeout: '1 s' is not a duration; write it like 250ms, 10s or 1m30s"),
    ("timeout: -1s", "timeout: '-1s' is negative; a duration is 0s or more"),
    ("retries: {numRetries: 3}", "retries.numRetries: unknown field 'numRetries' (one of attempts, backoff, "),
    ("retries: {attempts: -1}", "retries.attempts: -1 is not between 0 and 4294967295"),
    (
        "retries: {attempts: 1, perTryTimeout: 0s}",
        "retries.perTryTimeout: 0s is shorter than 1ms, the shortest that Istio takes",
    ),
    (
        "retries: {attempts: 1, retryOn: connect-failures}",
        (
            "retries.retryOn: 'connect-failures' is neither a retry condition nor an HTTP code; "
            f"did you mean 'connect-failure'? (one of {CONDITIONS})"
        ),
    ),
    (
        "retries: {attempts: 1, retryOn: '999'}",
        f"retries.retryOn: '999' is neither a retry condition nor an HTTP code (one of {CONDITIONS})",
    ),
    (
        "retries: {perTryTimeout: 2s}",
        (
            "retries: perTryTimeout without attempts; attempts 0 or left away switches retries off, and "
            "Istio refuses the rest"
        ),
    ),
    ("mirrorPercentage: {value: 101}", "mirrorPercentage.value: 101 is not between 0 and 100"),
    ("match: {uri: {prefix: /}}", "match: a mapping is not a list"),
    ("match: [null]", "match[0]: nothing (null) is not a mapping"),
    ("faults: {}", "faults: unknown field 'faults'; did you mean 'fault'? "),
]


@pytest.mark.parametrize(("body", "message"), BROKEN_ROUTES, ids=[body for body, _ in BROKEN_ROUTES])
def test_broken_virtual_services(body, message, read, route):
    (found,) = read(route(body)).messages
    assert found.startswith(f"mesh.yaml:9: VirtualService/cart: spec.http[0].{message}")


#: Whole documents.
BROKEN = [
    (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}",
        "mesh.yaml:1: DestinationRule/a: spec is required",
    ),
    (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec: {host: null}",
        "mesh.yaml:4: DestinationRule/a: spec: host is required",
    ),
    (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec: []",
        "mesh.yaml:4: DestinationRule/a: spec: a list is not a mapping",
    ),
    (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nspec: {host: cart}",
        "mesh.yaml:1: DestinationRule/?: metadata: name is required",
    ),
    (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nsepc: {}\nspec: {host: cart}",
        (
            "mesh.yaml:4: DestinationRule/a: sepc: unknown field 'sepc'; did you mean 'spec'? "
            "(one of apiVersion, kind, metadata, spec, status)"
        ),
    ),
    ("kind: DestinationRule\nmetadata: {name: a}", "mesh.yaml:1: Istio resource 1: apiVersion is required"),
    ("apiVersion: networking.istio.io/v1", "mesh.yaml:1: Istio resource 1: kind is required"),
    ("- a\n- b", "mesh.yaml:1: Istio resource 1: a list is not a Kubernetes object"),
    (
        "apiVersion: networking.istio.io/v1\nkind: VirtualServise\nmetadata: {name: a}",
        (
            "mesh.yaml:2: VirtualServise/a: kind: unknown kind 'VirtualServise'; did you mean "
            "'VirtualService'? (one of "
            "DestinationRule, EnvoyFilter, Gateway, ProxyConfig, ServiceEntry, Sidecar, VirtualService, WorkloadEntry, "
            "WorkloadGroup)"
        ),
    ),
    (
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a}\nspec: {mtls: {mode: strict}}",
        (
            "mesh.yaml:4: PeerAuthentication/a: spec.mtls.mode: 'strict' is not a value of this field; "
            "did you mean 'STRICT'? (one of DISABLE, PERMISSIVE, STRICT, UNSET)"
        ),
    ),
    (
        (
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a}\n"
            "spec: {rules: [{from: [{source: {principal: [a]}}]}]}"
        ),
        (
            "mesh.yaml:4: AuthorizationPolicy/a: spec.rules[0].from[0].source.principal: unknown field 'principal'; "
            "did you mean 'principals'? "
        ),
    ),
    (
        (
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\n"
            "spec: {hosts: [a.b], resolution: DSN}"
        ),
        "mesh.yaml:4: ServiceEntry/a: spec.resolution: 'DSN' is not a value of this field; did you mean 'DNS'? ",
    ),
    (
        (
            "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\n"
            "spec: {meshConfig: {outboundTrafficPolicy: {mode: ANY}}}"
        ),
        "mesh.yaml:3: IstioOperator/?: spec.meshConfig.outboundTrafficPolicy.mode: 'ANY' is not a value of this field",
    ),
]


@pytest.mark.parametrize(("text", "message"), BROKEN, ids=[message[:60] for _, message in BROKEN])
def test_broken_documents(text, message, read):
    (found,) = read(text).messages
    assert found.startswith(message)


def test_broken_mesh_config(read):
    assert read(mesh="localityLbSettings: {}\nconnectTimeout: 5").messages == [
        (
            "scenario.yaml:1: MeshConfig: localityLbSettings: unknown field 'localityLbSettings'; "
            "did you mean 'localityLbSetting'? (one of accessLogEncoding, accessLogFile, accessLogFormat, "
            "ca, caCertificates, "
            "certificates, compliancePolicy, configSources, connectTimeout, defaultConfig, "
            "defaultDestinationRuleExportTo, "
            "defaultHttpRetryPolicy, … 37 more)"
        ),
        "scenario.yaml:2: MeshConfig: connectTimeout: 5 has no unit; write 5s or 5ms",
    ]


def test_an_error_in_one_document_hides_none_in_the_others(read, rule):
    text = "---\n".join([rule("interval: 1"), rule("loadBalancer: {simple: R}", name="b"), "kind: X\n"])
    assert [message.split(": ")[1] for message in read(text).messages] == [
        "DestinationRule/cart",
        "DestinationRule/b",
        "Istio resource 3",
    ]


def test_a_broken_document_still_gets_its_warnings(read, rule):
    found = read(rule("tunnel: {targetHost: a, targetPort: 1}\noutlierDetection: {interval: 1}"))
    assert len(found.messages) == 1
    assert found.warnings == (
        "mesh.yaml:7: DestinationRule/cart: spec.trafficPolicy.tunnel: has no effect in meshsim yet",
    )


# --- accepted -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha3"])
def test_all_versions_of_the_api_read_alike(version, read, rule):
    text = rule("outlierDetection: {interval: 1s}").replace("istio.io/v1", f"istio.io/{version}")
    assert read(text).policy().outlier_detection == OutlierDetection(interval=1.0)


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: apps/v1\nkind: Deployment\nspec: {anything: [goes]}",
        "apiVersion: v1\nkind: Service\nspec: {ports: [{port: 80}]}",
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nspec: {}",
        "null",
    ],
)
def test_what_is_not_istios_is_passed_over(text, read):
    found = read(f"{text}\n---\nnull\n")
    assert (found.messages, found.warnings) == ([], ())


def test_status_and_metadata_may_hold_anything(read, rule):
    text = rule("{}").replace("{name: cart", "{annotations: {a: 1}, generation: 3, name: cart")
    assert read(text + "status: {observedGeneration: 3, what: [ever]}").messages == []


def test_nulls_are_fields_left_away(read, route):
    text = route("retries: null\ntimeout: null\nmatch: [{uri: null}]")
    found = read(text)
    assert (found.policy(), found.warnings) == (Policy(), ())


def test_numbers_as_keys_are_read(read):
    text = """
    apiVersion: security.istio.io/v1
    kind: PeerAuthentication
    metadata: {name: a}
    spec: {portLevelMtls: {8080: {mode: STRICT}}}
    """
    assert read(text).messages == []
    assert (
        read(text.replace("STRICT", "S"))
        .messages[0]
        .startswith("mesh.yaml:4: PeerAuthentication/a: spec.portLevelMtls[8080].mode: 'S' is not a value")
    )


def test_lists_of_kubectl_are_opened(read, rule, route):
    items = textwrap.indent(
        "".join(
            f"- {textwrap.indent(text, '  ').strip()}\n" for text in (rule("proxyProtocol: {}"), route("timeout: 1s"))
        ),
        "",
    )
    found = read(f"apiVersion: v1\nkind: List\nitems:\n{items}")
    assert found.route().timeout == 1.0
    assert found.route().sources["timeout"] == "VirtualService shop/cart (mesh.yaml:19)"
    assert found.warnings == (
        "mesh.yaml:10: DestinationRule/cart: spec.trafficPolicy.proxyProtocol: has no effect in meshsim yet",
    )


# --- said -----------------------------------------------------------------------------------------------------


def test_resources_of_other_kinds_are_named_once_each(read):
    text = """
    apiVersion: networking.istio.io/v1alpha3
    kind: EnvoyFilter
    metadata: {name: lua}
    spec:
      configPatches:
      - applyTo: HTTP_FILTER
        patch: {operation: MERGE, value: {"@type": x, anything: [1, {deep: true}]}}
    ---
    apiVersion: config.istio.io/v1alpha2
    kind: QuotaSpec
    metadata: {name: quota}
    spec: {rules: []}
    ---
    apiVersion: security.istio.io/v1
    kind: AuthorizationPolicy
    metadata: {name: nothing}
    """
    assert read(text).messages == []
    assert read(text).warnings == (
        "mesh.yaml:4: EnvoyFilter/lua: spec: has no effect in meshsim yet",
        (
            "mesh.yaml:9: QuotaSpec/quota: apiVersion: config.istio.io/v1alpha2 is not part of Istio any "
            "more: it has no effect"
        ),
    )


def test_a_later_resource_of_the_same_name_replaces_the_earlier(read, rule):
    found = read(rule("loadBalancer: {simple: RANDOM}") + "---\n" + rule("loadBalancer: {simple: ROUND_ROBIN}"))
    assert found.policy().load_balancer == "ROUND_ROBIN"
    assert found.warnings == (
        (
            "mesh.yaml:3: DestinationRule/cart: metadata.name: has no effect: "
            "DestinationRule shop/cart (mesh.yaml:11) has the same name and replaces it"
        ),
    )


def test_mesh_config_fields_are_named_once_each(read):
    found = read(mesh="accessLogFile: /dev/stdout\nenableAutoMtls: true\ndefaultConfig: {concurrency: 2, meshId: a}")
    assert found.warnings == (
        "scenario.yaml:1: MeshConfig: accessLogFile: has no effect in meshsim yet",
        "scenario.yaml:3: MeshConfig: defaultConfig.meshId: has no effect in meshsim yet",
    )


OPERATOR = """
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata: {name: install, namespace: istio-system}
spec:
  profile: default
  hub: example.com/istio
  meshConfig:
    connectTimeout: 3s
    defaultHttpRetryPolicy: {attempts: 1}
  values: {global: {network: n1}}
"""


def test_the_mesh_config_of_an_operator_counts(read):
    found = read(OPERATOR)
    policy = found.policy()
    assert (policy.connect_timeout, found.route().retry) == (3.0, Retry(attempts=1))
    assert policy.sources["connect_timeout"] == "IstioOperator istio-system/install (mesh.yaml:8)"
    assert found.warnings == (
        "mesh.yaml:5: IstioOperator/install: spec.profile: has no effect in meshsim yet",
        "mesh.yaml:10: IstioOperator/install: spec.values: has no effect in meshsim yet",
    )


def test_the_scenarios_mesh_config_comes_before_an_operators(read):
    found = read(OPERATOR, mesh="connectTimeout: 1s")
    assert (found.policy().connect_timeout, found.route().retry.attempts) == (1.0, 1)
    assert found.warnings[1] == (
        "mesh.yaml:8: IstioOperator/install: spec.meshConfig.connectTimeout: "
        "has no effect: MeshConfig (scenario.yaml:1) sets it before"
    )


def test_per_try_timeout_is_not_read_from_the_mesh_default(read):
    # spec §3.3
    found = read(mesh="defaultHttpRetryPolicy: {attempts: 1, perTryTimeout: 1s}")
    assert found.route().retry == Retry(attempts=1)
    assert found.warnings == (
        (
            "scenario.yaml:1: MeshConfig: defaultHttpRetryPolicy.perTryTimeout: "
            "is not read here by Istio; set it in a VirtualService"
        ),
    )


# --- the object -----------------------------------------------------------------------------------------------


def test_resources_that_mean_the_same_are_equal_wherever_they_stand(read, rule):
    text = rule("outlierDetection: {}\nproxyProtocol: {}")
    one, other = read(text).resources, read("# a comment\n\n" + text).resources
    assert one == other
    assert one.warnings != other.warnings


def test_resources_travel_to_another_process(read, rule):
    resources = read(rule("outlierDetection: {}")).resources
    copy = pickle.loads(pickle.dumps(resources))
    assert copy.policy("cart", "shop", "1.31") == resources.policy("cart", "shop", "1.31")


def test_nothing_is_read_from_nothing():
    assert read_resources([], nowhere, {}, nowhere, []) == (IstioResources(), [])


def test_the_order_of_services_does_not_matter(read, rule):
    text = rule("loadBalancer: {simple: RANDOM}", host="'*'")
    services = [("cart", "shop"), ("web", "shop"), ("ledger", "bank")]
    assert read(text, services=services).warnings == read(text, services=set(services)).warnings


@pytest.mark.slow
def test_reading_istio_needs_no_heavy_library():
    heavy = ["numba", "pandas", "matplotlib", "networkx", "scipy", "simpy", "pyarrow"]
    code = f"import sys, meshsim.scenario.istio; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
