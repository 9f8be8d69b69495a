"""What the runs of a scenario share: its configurations, who takes which, and what each makes of routes and limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from meshsim.dataplane.blueprint import never
from meshsim.dataplane.lowering import lower
from meshsim.engine.prepared import prepare
from meshsim.errors import ScenarioError
from meshsim.scenario import load

SMALL = {
    "name": "small",
    "regions": {"eu": {"zones": ["a"]}},
    "clusters": {"c1": {"region": "eu"}, "c2": {"region": "eu"}},
    "services": {
        "web": {"endpoints": {"GET": {"script": [{"call": "app/GET"}, {"call": "db/GET"}]}}},
        "app": {
            "endpoints": {"GET": {"script": [{"call": "db/GET"}]}},
            "workloads": {"app-v1": {}, "app-v2": {}},
        },
        "db": {"namespace": "data", "endpoints": {"GET": {}}},
    },
    "load": {"web": {"rate": "10/s"}},
    "deployments": ["multi-primary", "primary-remote"],
    "duration": "120s",
    "warm_up": "0s",
}


def resource(kind, name, **spec):
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def virtual_service(host, to=None, subset=None, **rule):
    destination = {"host": to or host, **({"subset": subset} if subset else {})}
    return resource(
        "VirtualService", host.split(".")[0], hosts=[host], http=[{"route": [{"destination": destination}], **rule}]
    )


def destination_rule(host, **spec):
    return resource("DestinationRule", host.split(".")[0], host=host, **spec)


def breaker(limit):
    return {"connectionPool": {"http": {"http2MaxRequests": limit}}}


def change(*apply, start="10s", **fields):
    return {"event": "config_change", "start": start, "apply": list(apply), **fields}


def prepared(*timeline, istio=()):
    return prepare(load({**SMALL, "istio": list(istio), "timeline": list(timeline)}))


def test_a_scenario_without_changes_has_one_configuration():
    found = prepared()
    assert (found.changes("multi-primary"), found.configuration(()), found.rejected) == ((), 0, frozenset())
    assert found.blueprint.configurations == 1
    assert found.blueprint.inbound_limits is None


def test_each_deployment_has_changes_of_its_own():
    found = prepared(change(virtual_service("app", timeout="1s"), stagger="5s", target={"control_plane": "c*"}))
    assert [(one.time, one.control_plane) for one in found.changes("multi-primary")] == [(10.0, "c1"), (15.0, "c2")]
    assert [(one.time, one.control_plane) for one in found.changes("primary-remote")] == [(10.0, "c1")]
    with pytest.raises(KeyError):
        found.changes("hybrid")


def test_configurations_are_those_of_all_deployments():
    """c2 gets only the second change where it has a control plane of its own."""
    found = prepared(
        change(virtual_service("app", timeout="1s"), target={"cluster": "c1"}),
        change(virtual_service("db.data", timeout="2s"), start="20s"),
    )
    assert [found.configuration(applied) for applied in ((), (0,), (0, 1), (1,))] == [0, 1, 2, 3]


def test_policies_and_labels_are_those_of_each_destination():
    subsets = [{"name": "new", "labels": {"version": "v2"}}]
    rule = destination_rule("app", subsets=subsets, trafficPolicy={"outlierDetection": {}})
    found = prepared(change(rule, virtual_service("app", subset="new")))
    plan = found.blueprint
    assert plan.destinations == [("web", ""), ("app", ""), ("db", ""), ("app", "new"), ("app", "")]
    assert [policy.outlier_detection is not None for policy in found.policies] == [False, False, False, True, True]
    assert found.labels[3:] == ({"version": "v2"}, {})
    assert found.endpoint_labels["app", "app-v2"] == (("app", "app"), ("version", "v2"))


def test_a_servers_own_limit_follows_the_rule_for_its_service():
    found = prepared(change(destination_rule("app", trafficPolicy=breaker(7))), istio=[destination_rule("web")])
    app = found.blueprint.services.index("app")
    assert found.servers["app", "app-v1"].inbound_limit == 0
    assert found.blueprint.inbound_limits[:, app].tolist() == [[0, 0], [7, 7]]
    assert found.blueprint.inbound_limits.sum() == 14


def test_connections_of_tcp_services_end_after_the_idle_time_of_tcp():
    pool = {"connectionPool": {"tcp": {"idleTimeout": "1m"}, "http": {"idleTimeout": "2m"}}}
    services = {**SMALL["services"], "db": {**SMALL["services"]["db"], "protocol": "tcp"}}
    rules = [destination_rule(host, trafficPolicy=pool) for host in ("app", "db.data.svc.cluster.local")]
    found = prepare(load({**SMALL, "services": services, "istio": rules})).blueprint
    idle = dict(zip(found.destinations, found.arrays["policies"].idle_timeout.tolist(), strict=True))
    assert (idle["app", ""], idle["db", ""]) == (120.0, 60.0)


def test_a_route_that_no_change_touches_is_the_same_whether_asked_for_again_or_not():
    istio = [
        virtual_service("app", timeout="5s"),
        virtual_service("*.data.svc.cluster.local", to="db.data", timeout="9s"),
    ]
    found = prepared(
        change(virtual_service("app", timeout="1s")),
        change(virtual_service("db.data", timeout="2s"), start="20s"),
        change(virtual_service("web", timeout="3s"), delete=["VirtualService/app"], start="30s"),
        change(destination_rule("db.data", trafficPolicy=breaker(1)), start="40s"),
        istio=istio,
    )
    document, rules = found.scenario.document, found.blueprint.rules
    asked = lower(document, rules[0].policy_of, rules=[replace(one, as_at_first=never) for one in rules])
    assert asked.routes == found.blueprint.routes
    for name, array in asked.arrays.items():
        assert np.array_equal(array, found.blueprint.arrays[name]), name


def test_services_in_scope_are_all_or_those_that_a_sidecar_names():
    only_own = resource("Sidecar", "own", egress=[{"hosts": ["./*"]}])
    everything = frozenset(SMALL["services"])
    assert set(prepared().scopes.values()) == {everything}
    found = prepared(istio=[only_own]).scopes
    assert found["web", "web"] == found["app", "app-v1"] == {"web", "app"}
    assert found["db", "db"] == everything


def test_a_wrong_resource_of_a_change_is_refused_here_too_if_nobody_did_before():
    found = load({**SMALL, "timeline": [change(virtual_service("app", timeout="1s"))]})
    bad = found.document.model_copy(deep=True)
    bad.timeline[0].apply[0]["spec"]["http"][0]["tmeout"] = "1s"
    with pytest.raises(ScenarioError, match="unknown field 'tmeout'"):
        prepare(replace(found, document=bad))
