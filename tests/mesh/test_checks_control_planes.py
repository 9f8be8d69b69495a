"""What a timeline is meant for is there in some deployment; the rest is told with its line."""

from __future__ import annotations

import pytest

from meshsim.errors import ScenarioError
from meshsim.mesh.checks import CHECKS
from meshsim.scenario import load
from meshsim.scenario.scenario import EXAMPLE

CLUSTERS = {
    "eu-1": {"region": "eu", "network": "net-eu"},
    "eu-2": {"region": "eu", "network": "net-eu"},
    "us-1": {"region": "us", "network": "net-us"},
}
FLAT = {name: {"region": body["region"]} for name, body in CLUSTERS.items()}
REGIONS = {"eu": {"cloud_region": "aws:eu-west-1"}, "us": {"cloud_region": "aws:us-east-1"}}


def warnings(*events: dict, **changes: object) -> tuple[str, ...]:
    base = {**EXAMPLE, "regions": REGIONS, "clusters": CLUSTERS, "duration": "5m"}
    deployments = ["multi-primary", "primary-remote", "hybrid", "external"]
    return load({**base, "deployments": deployments, "timeline": list(events), **changes}, checks=CHECKS).warnings


def wrong(*events: dict, **changes: object) -> str:
    with pytest.raises(ScenarioError) as caught:
        warnings(*events, **changes)
    (problem,) = caught.value.problems
    return str(problem)


def event(kind: str, target: dict, **fields: object) -> dict:
    lasting = {} if kind in {"remote_secret", "gateway_address_change", "config_change", "root_change"} else "10s"
    return {"event": kind, "start": "60s", "target": target, **({"duration": lasting} if lasting else {}), **fields}


RULE = {"kind": "DestinationRule", "apiVersion": "networking.istio.io/v1", "metadata": {"name": "web"}}
APPLY = {"apply": [{**RULE, "spec": {"host": "web"}}]}


@pytest.mark.parametrize(
    "hit",
    [
        event("control_plane_down", {"control_plane": "external"}),
        event("control_plane_down", {"cluster": "eu-2"}),
        event("gateway_down", {"control_plane": "external"}),
        event("gateway_down", {"cluster": "us-1"}),
        event("gateway_address_change", {"region": "eu"}),
        event("remote_secret", {"cluster": "us-1"}, change="expired"),
        event("remote_secret", {"cluster": "us-1", "control_plane": "eu-1"}, change="expired"),
        event("config_change", {}, stagger="10s", **APPLY),
    ],
)
def test_what_happens_in_one_deployment_is_right(hit):
    assert warnings(hit) == ()


def test_a_control_plane_that_no_deployment_has_is_refused():
    down = event("control_plane_down", {"cluster": "us-1"})
    assert wrong(down, deployments=["primary-remote"]) == (
        "timeline[0].target: no deployment has a control plane that matches {cluster: us-1} (one of eu-1)"
    )
    named = event("root_expired", {"control_plane": "eu-2"})
    assert wrong(named, deployments=["hybrid"]) == (
        "timeline[0].target: no deployment has a control plane that matches {control_plane: eu-2}; "
        "did you mean 'eu-1'? (one of eu-1, us-1)"
    )


def test_a_control_plane_outside_all_clusters_is_in_none_of_them():
    down = event("control_plane_down", {"cluster": "*"})
    assert "no deployment has a control plane that matches {cluster: *}" in wrong(down, deployments=["external"])
    assert warnings(event("control_plane_down", {"region": "eu"}), deployments=["external"]) == ()


def test_a_secret_that_nobody_has_is_refused():
    own = event("remote_secret", {"cluster": "us-1", "control_plane": "us-1"}, change="removed")
    assert wrong(own) == (
        "timeline[0].target: no control plane 'us-1' of any deployment watches us-1 by a remote secret; "
        "the cluster it runs in needs none"
    )
    planes = {"x": {"control_planes": {"a": {"serves": list(CLUSTERS), "watches": ["eu-2", "us-1"]}}}}
    home = event("remote_secret", {"cluster": "eu-1"}, change="removed")
    assert "no control plane of any deployment watches eu-1" in wrong(home, deployments=planes)


def test_a_gateway_that_nothing_goes_through_is_told():
    lost = event("gateway_down", {"cluster": "us-1"})
    told = "timeline[0].target: no deployment sends anything through an east-west gateway of us-1"
    assert warnings(lost, clusters=FLAT) == (told,)
    assert wrong(event("gateway_address_change", {"cluster": "us-1"}), clusters=FLAT) == told
    assert warnings(event("gateway_down", {"cluster": "eu-1"}), clusters=FLAT) == ()


def test_only_control_planes_outside_all_clusters_have_gateways_of_their_own():
    lost = event("gateway_down", {"control_plane": "eu-1"})
    assert wrong(lost) == (
        "timeline[0].target: no control plane outside all clusters, with a gateway of its own, matches "
        "{control_plane: eu-1} (one of external)"
    )


def test_gateways_in_one_network_are_right_only_where_a_control_plane_is_reached_through_them():
    gateways = {"eu-1": {}, "us-1": {}}
    assert warnings(clusters=FLAT, gateways=gateways) == (
        (
            "gateways.us-1: nothing goes through the east-west gateway of us-1: all clusters are in the network "
            "'default', and no other cluster's control plane is there"
        ),
    )
    direct = {"primary-remote": {"access": "direct"}}
    (told,) = warnings(clusters=FLAT, gateways=gateways, deployments=direct)
    assert "of eu-1, us-1: all" in told


def test_a_stagger_needs_a_second_control_plane_and_time():
    change = event("config_change", {}, stagger="3m", **APPLY)
    assert warnings(change) == (
        "timeline[0].stagger: the last of 3 control planes is reached only after the end of the run",
    )
    assert warnings(change, deployments=["external"]) == (
        "timeline[0].stagger: has no effect: no deployment has two control planes that match",
    )


def test_a_change_to_the_root_that_is_there_changes_nothing():
    same = event("root_change", {}, root="a")
    short = {"certificate_ttl": "1m", "roots": {"eu-1": "a", "eu-2": "a", "us-1": "a", "external": "a"}}
    assert warnings(same, identity=short) == ("timeline[0].root: changes nothing: 'a' is what they sign with already",)
    there = event("root_change", {}, root="b")
    back = {**event("root_change", {"control_plane": "us-1"}, root="a"), "start": "2m"}
    assert warnings(there, back, identity=short) == ()
    assert warnings({**there, "start": "1m"}, {**there, "start": "2m"}, identity=short) == (
        "timeline[1].root: changes nothing: 'b' is what they sign with already",
    )


@pytest.mark.parametrize(
    ("hit", "changes", "most"),
    [
        (event("control_plane_down", {"cluster": "eu-1"}, replicas=3), {"istiod": {"replicas": 2}}, 2),
        (event("control_plane_crash_loop", {"region": "us"}, replicas=2), {}, 1),
        (event("gateway_down", {"region": "eu"}, replicas=4), {"gateways": {"eu-2": {"replicas": 3}}}, 3),
        (event("gateway_down", {"control_plane": "external"}, replicas=2), {}, 1),
    ],
)
def test_a_fault_of_more_replicas_than_there_are_is_told(hit, changes, most):
    (warning,) = warnings(hit, **changes)
    assert warning == (
        f"timeline[0].replicas: {hit['replicas']} is more than there are: {most} at the start; "
        "leave it out to take all of them"
    )
    assert warnings({**hit, "replicas": most}, **changes) == ()
