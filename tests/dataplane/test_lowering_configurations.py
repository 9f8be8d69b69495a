"""Configurations: what differs between them is lowered apart, and each proxy routes by its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from meshsim.dataplane.blueprint import Rules
from meshsim.dataplane.lowering import lower
from meshsim.errors import SimulationError
from meshsim.scenario.istio.policy import CircuitBreaker, OutlierDetection, Policy, Retry
from meshsim.scenario.istio.routes import Destination, Fault, Route
from meshsim.scenario.scenario import EXAMPLE
from meshsim.scenario.schema import Document

NEVER = Retry(attempts=0)
EJECTS = Policy(outlier_detection=OutlierDetection())
SERVICES = {
    "web": {"endpoints": {"GET": {"script": [{"call": "app/GET"}]}}},
    "app": {"endpoints": {"GET": {"script": []}}},
}


def rules(policies=None, routes=None, labels=None):
    """Return rules: policies and labels by (service, subset), what differs from a default route by service."""
    own = {("web", ""): Policy(), ("app", ""): Policy(), **(policies or {})}

    def route_of(client, request):
        common = Route(((Destination(request.service), 100),), path=request.path, retry=NEVER)
        return replace(common, **(routes or {}).get(request.service, {}))

    return Rules(lambda service, subset: own[service, subset], route_of, lambda *key: (labels or {}).get(key, {}))


def lowered(*configurations):
    document = Document.model_validate({**EXAMPLE, "services": SERVICES})
    return lower(document, configurations[0].policy_of, rules=configurations)


def to(subset):
    return {"app": {"destinations": ((Destination("app", subset), 100),)}}


# --- destinations -----------------------------------------------------------------------------------------------------


def test_a_destination_that_no_change_touches_is_one_for_all_configurations():
    plan = lowered(rules(), rules(routes={"app": {"timeout": 1.0}}))
    assert plan.destinations == [("web", ""), ("app", "")]
    assert plan.known_as[0] == plan.known_as[1]
    assert plan.arrays["known_as"].tolist() == [[0, 1], [0, 1]]


def test_a_destination_with_another_policy_is_another_one_of_the_same_name():
    plan = lowered(rules(), rules({("app", ""): EJECTS}), rules())
    assert plan.destinations == [("web", ""), ("app", ""), ("app", "")]
    assert plan.policies == [Policy(), Policy(), EJECTS]
    assert plan.arrays["policies"].detects.tolist() == [0, 0, 1]
    assert [known["app", ""] for known in plan.known_as] == [1, 2, 1]
    assert plan.envoy_name(1) == plan.envoy_name(2) == "outbound|80||app.default.svc.cluster.local"
    assert plan.callees[plan.services.index("web")] == [1, 2]


def test_a_subset_with_other_labels_is_another_destination():
    subset = {("app", "v1"): Policy()}
    old, new = ({("app", "v1"): {"version": version}} for version in ("v1", "v1b"))
    plan = lowered(rules(subset, to("v1"), old), rules(subset, to("v1"), new))
    assert plan.destinations[2:] == [("app", "v1")] * 2
    assert plan.labels[2:] == [{"version": "v1"}, {"version": "v1b"}]


def test_a_destination_is_found_in_configurations_that_send_nothing_there():
    """A gateway has it, as a client in another configuration may ask it for it."""
    plan = lowered(rules({("app", "v1"): Policy()}, to("v1")), rules({("app", "v1"): EJECTS}), rules())
    assert plan.destinations == [("web", ""), ("app", ""), ("app", "v1"), ("app", "v1")]
    assert plan.arrays["known_as"].tolist() == [[0, 1, 2, 2], [0, 1, 3, 3], [0, 1, -1, -1]]


# --- routes -----------------------------------------------------------------------------------------------------------


def test_only_routes_that_differ_are_lowered_again():
    plan = lowered(rules(), rules(routes={"app": {"timeout": 1.0}}), rules())
    assert [route.timeout for route in plan.routes] == [None, None, 1.0]
    assert plan.arrays["resolved"][:, :, 0].tolist() == [[0, 1], [2, 1], [0, 1]]


def test_the_same_route_to_a_changed_destination_is_another_route():
    plan = lowered(rules(), rules({("app", ""): EJECTS}))
    assert plan.routes[0] == plan.routes[2]
    assert plan.arrays["targets"].destination.tolist() == [1, 0, 2]


def test_codes_of_every_configuration_are_counted():
    assert 418 in lowered(rules(), rules(routes={"app": {"fault": Fault(abort_code=418, abort_percent=1)}})).codes


# --- while it runs ----------------------------------------------------------------------------------------------------


@pytest.fixture
def split(Bench, echo):
    """Return a function that builds web → app with a second configuration."""

    def built(changed, **fields):
        services = {"web": echo(script=[{"call": "app/GET", "on_error": "ignore"}]), "app": echo()}
        bench = Bench(services, retry=NEVER, changed=[changed], **fields)
        bench.client = bench.proxy_of(bench.pods["web"][0])
        return bench

    return built


def test_a_proxy_routes_by_its_own_configuration_from_the_moment_it_has_it(split):
    bench = split(rules(routes={"app": {"destinations": (), "direct_code": 418}}))
    bench.send(0.1)
    bench.run(0.5)
    bench.plane.configure(bench.ingress, 1)  # another proxy's: the caller has its own
    bench.send(1.1)
    bench.run(1.5)
    assert bench.calls("app") == {(200, ""): 2}
    bench.plane.configure(bench.client, 1)
    bench.send(2.1)
    bench.run(2.5)
    assert bench.calls("app") == {(200, ""): 2, (418, ""): 1}
    bench.plane.configure(bench.client, 0)
    bench.send(3.1)
    bench.run(3.5)
    assert bench.calls("app") == {(200, ""): 3, (418, ""): 1}


def test_users_requests_are_routed_by_the_configuration_of_their_ingress_gateway(split):
    bench = split(rules(routes={"web": {"destinations": (), "direct_code": 418}}))
    bench.send(0.1)
    bench.run(0.5)
    bench.plane.configure(bench.ingress, 1)
    bench.send(1.1)
    bench.run(1.5)
    assert bench.requests() == {(200, ""): 1, (418, ""): 1}


def test_a_call_under_way_keeps_its_route_for_its_retries(Bench, echo, fail):
    again = Retry(attempts=3, conditions=("5xx",), base_interval=1.0, max_interval=1.0)
    bench = Bench(
        {"web": echo(script=[{"call": "app/GET", "on_error": "ignore"}]), "app": echo()},
        routes={"app": {"retry": again}}, retry=NEVER, changed=[rules()],
    )  # fmt: skip
    fail(bench, *bench.pods["app"])
    bench.send(0.1)
    bench.run(0.2)
    bench.plane.configure(bench.proxy_of(bench.pods["web"][0]), 1)
    bench.run(10.0)
    assert bench.calls("app", what="attempts") == {(503, "URX"): 4}
    bench.send(10.1)
    bench.run(11.0)
    assert bench.calls("app", what="attempts") == {(503, "URX"): 4, (503, ""): 1}


def test_a_route_to_a_subset_that_a_configuration_does_not_have_is_answered_no_cluster(split):
    bench = split(rules(routes=to("v9")))
    bench.plane.configure(bench.client, 1)
    bench.send(0.1)
    bench.run(0.5)
    assert bench.calls("app") == {(503, "NC"): 1}


def test_the_limits_of_a_configuration_are_those_of_its_own_destination(split):
    full = Policy(circuit_breaker=CircuitBreaker(max_pending_requests=0))
    bench = split(rules({("app", ""): full}))
    bench.send(0.1)
    bench.run(0.5)
    bench.plane.configure(bench.client, 1)
    bench.send(1.1)
    bench.run(1.5)
    assert bench.calls("app") == {(200, ""): 1, (503, "UO"): 1}


def test_a_gateway_that_does_not_know_a_clients_subset_yet_cannot_pass_it_on(Bench, echo):
    new = rules({("app", "v2"): Policy(connect_timeout=1.0)}, to("v2"))
    bench = Bench(
        {"web": echo(script=[{"call": "app/GET", "on_error": "ignore"}]), "app": echo()}, retry=NEVER, changed=[new]
    )
    client, number = bench.proxy_of(bench.pods["web"][0]), bench.plan.known_as[1]["app", "v2"]
    address, (replica,) = bench.behind_gateway(client, "app", zone="us/a", callees=[number])  # `Mesh` gives them all
    bench.push(client, "app", hosts=[-address - 2], destination=number)
    bench.plane.configure(client, 1)
    bench.send(0.1)
    bench.run(3.0)
    assert bench.calls("app") == {(503, "UC"): 1}
    bench.push(replica, "app", destination=number)
    bench.plane.configure(replica, 1)
    bench.send(3.1)
    bench.run(6.0)
    assert bench.calls("app") == {(503, "UC"): 1, (200, ""): 1}


def test_a_new_pod_in_place_of_one_that_is_gone_begins_with_the_first_configuration(split):
    bench = split(rules())
    bench.plane.configure(bench.client, 1)
    bench.plane.kill(bench.pods["web"][0], 1.0, silent=False, for_good=True)
    pod = bench.plane.add_pod(0, 0, "web-1", cluster=0, zone=0, sidecar=bench.document.sidecar)
    assert bench.proxy_of(pod) == bench.client
    assert bench.plane.proxies[bench.client].configuration == 0


@pytest.mark.parametrize("number", [-1, 2])
def test_a_configuration_that_is_not_there_is_refused(split, number):
    with pytest.raises(SimulationError, match=f"there is no configuration {number}, only 2"):
        split(rules()).plane.configure(0, number)


def test_a_server_lets_in_as_many_requests_as_its_own_configuration_says(Bench, echo):
    bench = Bench({"web": echo(script=[{"compute": "1s"}], workers=9)}, retry=NEVER, changed=[rules()])
    bench.plan.inbound_limits = np.array([[[0]], [[1]]])
    bench.send(0.1, times=2)
    bench.run(0.5)
    bench.plane.configure(bench.proxy_of(bench.pods["web"][0]), 1)
    bench.send(0.6, times=2)
    bench.run(3.0)
    assert bench.requests() == {(200, ""): 3, (503, ""): 1}  # those before the change do not count
