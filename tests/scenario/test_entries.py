"""Services that stand for hosts of ServiceEntries: what is put behind them, and what is told about it."""

from __future__ import annotations

import pytest

from meshsim.errors import ScenarioError
from meshsim.scenario import load
from meshsim.scenario.scenario import EXAMPLE
from meshsim.scenario.schema import Target
from meshsim.scenario.selectors import home_of, replicas_of, select_workloads, workloads_of


def resource(kind="ServiceEntry", **spec):
    spec = {"hosts": ["db.example.com"], "resolution": "STATIC", **spec} if kind == "ServiceEntry" else spec
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": "db"}, "spec": spec}


def scenario(*istio, document=None, **db):
    """Return the example mesh, whose web calls db, with these resources."""
    service = {"host": "db.example.com", "endpoints": {"get": {}}, **db}
    web = {"endpoints": {"GET /": {"script": [{"call": "db/get"}]}}}
    places = {"regions": {"eu": {"zones": ["a", "b"]}, "us": {"zones": ["a"]}}}
    latency = {"latency": [{"between": ["eu", "us"], "rtt": "80ms"}]}
    services = {"services": {"web": web, "db": service}}
    return load({**EXAMPLE, **places, **latency, **services, "istio": list(istio), **(document or {})})


def problems(*istio, **changes):
    with pytest.raises(ScenarioError) as caught:
        scenario(*istio, **changes)
    return str(caught.value).split("\n")


HERE = {"address": "10.0.0.1", "locality": "eu/b"}


def test_an_endpoint_is_a_workload_of_its_own_named_by_its_address():
    document = scenario(resource(endpoints=[{**HERE, "labels": {"version": "v1"}, "weight": 3}])).document
    assert {name: body.labels for name, body in workloads_of(document, "db").items()} == {"10.0.0.1": {"version": "v1"}}
    (outside,) = document.services["db"].entry.endpoints
    assert (outside.region, outside.zone, outside.weight, outside.sidecar) == ("eu", "b", 3, False)
    assert replicas_of(document, "db", "10.0.0.1", "eu-1") == 1


def test_the_same_address_twice_has_two_names():
    document = scenario(resource(endpoints=[HERE, {**HERE, "ports": {"http": 81}}])).document
    assert list(workloads_of(document, "db")) == ["10.0.0.1", "10.0.0.1#2"]


def test_selectors_find_endpoints_by_place_and_not_by_cluster():
    document = scenario(resource(endpoints=[HERE, {"address": "10.0.0.2", "locality": "us"}])).document
    assert select_workloads(document, Target(service="db", region="us")) == [("db", "10.0.0.2", "eu-1")]
    assert select_workloads(document, Target(zone="eu/b", service="db")) == [("db", "10.0.0.1", "eu-1")]
    assert select_workloads(document, Target(service="db", cluster="eu-1")) == []


def test_the_nearest_cluster_stands_for_an_endpoint():
    two = {"clusters": {"us-1": {"region": "us", "network": "vm"}, "eu-1": {"region": "eu"}}}
    document = scenario(resource(endpoints=[HERE, {"address": "10.0.0.2", "locality": "us"}]), document=two).document
    assert [home_of(document, one) for one in document.services["db"].entry.endpoints] == ["eu-1", "us-1"]


def test_a_resolved_scenario_has_the_same_endpoints():
    first = scenario(resource(endpoints=[HERE]))
    again = load(first.resolved())
    assert again == first
    assert again.hash == first.hash
    assert again.document.services["db"].entry == first.document.services["db"].entry


def test_a_service_whose_kubernetes_name_is_the_host_needs_no_host_field():
    entry = resource(hosts=["db.default.svc.cluster.local"], endpoints=[HERE])
    document = scenario(entry, host=None).document
    assert list(workloads_of(document, "db")) == ["10.0.0.1"]


@pytest.mark.parametrize("place", ["us", "us/a"])
def test_endpoints_without_locality_stand_where_the_service_says_and_istiod_is_not_told(place):
    (outside,) = scenario(resource(resolution="DNS"), place=place).document.services["db"].entry.endpoints
    assert (outside.name, outside.region, outside.zone) == ("db.example.com", "us", "a")
    assert outside.locality == ("", "", "")


def test_dns_sends_endpoints_without_their_network():
    (outside,) = (
        scenario(resource(resolution="DNS", endpoints=[{**HERE, "network": "vm"}]))
        .document.services["db"]
        .entry.endpoints
    )
    assert outside.network == ""


# --- what is wrong --------------------------------------------------------------------------------------------


def test_a_host_that_no_entry_has_is_reported():
    entry = resource(endpoints=[HERE])
    (message,) = problems(entry, host="db.exmaple.com")
    assert message == (
        "services.db.host: no ServiceEntry in istio has the host 'db.exmaple.com'; did you mean 'db.example.com'? "
        "(one of db.example.com)"
    )


def test_two_services_cannot_have_one_host():
    twin = {"endpoints": {"get": {}}, "host": "db.example.com"}
    web = {"endpoints": {"GET /": {"script": [{"call": "db/get"}, {"call": "twin/get"}]}}}
    services = {"services": {"web": web, "db": twin, "twin": twin}}
    (message,) = problems(resource(endpoints=[HERE]), document=services)
    assert message == "services.twin.host: db.example.com is the host of services.db, too"


def test_endpoints_that_stand_nobody_knows_where_are_reported():
    (message,) = problems(resource(resolution="DNS"))
    assert message == (
        "services.db: nobody tells where db.example.com stands; give it a locality, or the service 'place: eu/a'"
    )


def test_an_unknown_place_is_reported():
    (message,) = problems(resource(resolution="DNS"), place="eu/c")
    assert message.startswith("services.db.place: unknown region or zone 'eu/c'; did you mean 'eu/")


def test_an_unknown_locality_is_reported_once():
    (message,) = problems(resource(endpoints=[{"address": "10.0.0.1", "locality": "asia/a"}]))
    assert "spec.endpoints[0].locality: unknown region 'asia'" in message


def test_an_entry_without_endpoints_is_reported():
    (message,) = problems(resource())
    assert message == "services.db: the service 'db' has no endpoint: ServiceEntry default/db has none and selects none"


# --- what has no effect ---------------------------------------------------------------------------------------


def test_replicas_and_workloads_that_the_entry_does_not_select_are_named():
    found = scenario(resource(endpoints=[HERE]), replicas=3, workloads={"db-v1": {"replicas": 2}})
    assert found.warnings == (
        (
            "services.db.replicas: has no effect: the endpoints are those of ServiceEntry default/db; pods that it "
            "selects are given with their replicas under workloads"
        ),
        "services.db.workloads.db-v1: has no effect: ServiceEntry default/db has no workloadSelector",
    )
    selecting = resource(workloadSelector={"labels": {"version": "v2"}}, endpoints=[HERE])
    found = scenario(selecting, workloads={"db-v1": {"replicas": 2}, "db-v2": {"replicas": 2}})
    assert found.warnings == (
        "services.db.workloads.db-v1: has no effect: ServiceEntry default/db selects no workload of these labels",
    )
    assert list(workloads_of(found.document, "db")) == ["db-v2", "10.0.0.1"]


def test_a_place_without_entry_and_a_port_that_the_entry_does_not_have_are_named():
    assert scenario(host=None, place="eu").warnings == (
        "services.db.place: has no effect: the service is no ServiceEntry's, and its pods are in clusters",
    )
    ports = [{"number": 443, "name": "https", "protocol": "HTTPS"}]
    assert scenario(resource(endpoints=[HERE], ports=ports)).warnings == (
        "services.db.port: 80 is no port of ServiceEntry default/db; settings for port 443 do not count",
    )
