"""Who shares what, and which data left its regions: counted by hand."""

from __future__ import annotations

import pytest

from meshsim.analysis.governance import findings, frame, shared
from meshsim.analysis.phases import Phase, phases
from meshsim.analysis.summary import summarize
from meshsim.scenario import load
from meshsim.scenario.scenario import EXAMPLE
from meshsim.scenario.schema import Document
from tests.analysis.test_summary import Tables, value
from tests.service_entries import service_entry

RUN = ("multi-primary", 0)
DOWN = {"event": "cluster_down", "start": "20s", "duration": "20s", "target": {"cluster": "eu-1"}}
WEB, CART = ({"endpoints": {"GET /": {}}, "replicas": {"eu-1": 1}} for _ in range(2))
PHASES = [Phase("before", 10.0, 20.0), Phase("during", 20.0, 40.0), Phase("after", 40.0, 60.0)]


def document(eu=(), us=(), web=(), cart=(), **fields) -> Document:
    clusters = {
        "eu-1": {"region": "eu", "data_residency": list(eu)},
        "us-1": {"region": "us", "data_residency": list(us)},
    }
    services = {"web": {**WEB, "data_residency": list(web)}, "cart": {**CART, "data_residency": list(cart)}}
    said = {"regions": {"eu": {}, "us": {}}, "clusters": clusters, "services": services, "timeline": [DOWN]}
    return Document.model_validate({**EXAMPLE, **said, "duration": "60s", "warm_up": "10s", **fields})


def call(tables: Tables, here: str, there: str, start: float, count: int = 1, sizes=(1000, 5000), run=RUN) -> Tables:
    flow = "local" if here[:2] == there[:2] or not there else "cross-region"
    ends = {"source": "web", "destination": "cart", "source_cluster": here, "destination_cluster": there, "flow": flow}
    bytes_ = {"request_bytes": sizes[0] * count, "response_bytes": sizes[1] * count}
    return tables.add("calls", run, start, count=count, code=200, attempts=count, **ends, **bytes_)


@pytest.mark.sample(4)
@pytest.mark.parametrize(
    ("tags", "here", "there", "calls", "size"),
    [
        ({"eu": ["eu"]}, "eu-1", "us-1", 3, 3000),  # the request leaves
        ({"us": ["us"]}, "eu-1", "us-1", 3, 15000),  # the answer leaves
        ({"eu": ["eu"], "us": ["us"]}, "eu-1", "us-1", 3, 18000),  # both
        ({"eu": ["eu", "us"]}, "eu-1", "us-1", 0, 0),  # it may be there
        ({"eu": ["eu"]}, "eu-1", "eu-1", 0, 0),  # it stays
        ({"us": ["us"]}, "eu-1", "eu-1", 0, 0),  # nobody there was asked
        ({"web": ["eu"]}, "eu-1", "us-1", 3, 3000),  # the caller's data
        ({"cart": ["us"]}, "eu-1", "us-1", 3, 15000),  # the callee's
        ({"eu": ["eu"], "web": ["eu"]}, "eu-1", "us-1", 3, 3000),  # the same bytes, once
        ({"eu": ["eu"]}, "eu-1", "", 0, 0),  # nobody was reached
    ],
)
def test_bytes_that_leave_are_those_of_the_side_that_is_tagged(tags, here, there, calls, size):
    summary = summarize(call(Tables(), here, there, 10.0, 3).built(), PHASES, document(**tags))
    assert value(summary, "residency_calls", "before", run=RUN) == calls
    assert value(summary, "residency_bytes", "before", run=RUN) == size


def test_an_answer_without_bytes_takes_nothing_out():
    summary = summarize(call(Tables(), "eu-1", "us-1", 10.0, 3, (1000, 0)).built(), PHASES, document(us=["us"]))
    assert value(summary, "residency_calls", "before", run=RUN) == 0


def test_a_scenario_without_tags_has_no_metrics_of_them():
    summary = summarize(call(Tables(), "eu-1", "us-1", 10.0).built(), PHASES, document())
    assert not {"residency_calls", "residency_bytes", "shared_control_planes"} & set(summary["metric"])


def test_findings_say_who_sent_what_when():
    tables = call(call(Tables(), "eu-1", "us-1", 25.0, 4), "eu-1", "us-1", 30.0, 2)
    call(call(tables, "eu-1", "eu-1", 10.0, 100), "eu-1", "us-1", 35.0, 2, run=("multi-primary", 1))
    (found,) = [one for one in findings(tables.built(), document(eu=["eu"])) if one.kind == "data sent outside"]
    assert (found.deployment, found.phase, found.subject) == ("multi-primary", "during", "web of eu-1 → cart of us-1")
    assert (found.calls, found.bytes) == (4.0, 4000.0)  # means of two replications
    assert (found.first, found.last) == (25.0, 40.0)
    assert "4 calls took 4,000 bytes of tagged data out of its regions" in found.message
    assert frame([found])["phase"].tolist() == ["during"]


def test_a_finding_names_the_region_of_an_endpoint_for_which_a_cluster_of_another_stands():
    entry = service_entry("pay", "us/a")
    regions = {name: {"cloud_region": place} for name, place in (("eu", "gcp:europe-west1"), ("us", "gcp:us-east1"))}
    clusters = {"eu-1": {"region": "eu", "data_residency": ["eu"]}}
    services = {**EXAMPLE["services"], "pay": {"host": "pay.example.com", "endpoints": {"GET /": {}}}}
    load_ = {"web": {"rate": "1/s"}, "pay": {"rate": "1/s"}}
    said = {"regions": regions, "clusters": clusters, "services": services, "load": load_, "istio": [entry]}
    ends = {"source": "web", "destination": "pay", "source_cluster": "eu-1", "destination_cluster": "eu-1"}
    sent = {"count": 2, "code": 200, "attempts": 2, "flow": "cross-region", "request_bytes": 8000}
    tables = Tables().add("calls", RUN, 60.0, **sent, **ends)
    (found,) = findings(tables.built(), load({**EXAMPLE, **said}).document)
    assert found.subject == "web of eu-1 → pay in us, outside the clusters"
    assert (found.calls, found.bytes) == (2.0, 8000.0)


def test_findings_count_what_was_sent_in_windows_as_metrics_do():
    tables = Tables()
    for start in (20.0, 25.0, 30.0, 35.0):
        call(tables, "eu-1", "us-1", start, 4)
    sampled = document(eu=["eu"], sample={"windows": [{"at": "25s", "duration": "5s"}], "around_events": None})
    (found,) = [one for one in findings(tables.built(), sampled) if one.kind == "data sent outside"]
    assert (found.calls, found.bytes, found.first, found.last) == (4.0, 4000.0, 25.0, 30.0)
    summary = summarize(tables.built(), phases(sampled), sampled)
    assert value(summary, "residency_calls", "during", run=RUN) == found.calls


DOMAINS = {
    "shop-1": {"region": "eu", "security_domain": "shop"},
    "shop-2": {"region": "eu", "security_domain": "shop"},
    "bank-1": {"region": "us", "security_domain": "bank"},
    "free-1": {"region": "us"},
}


def domains(**fields) -> Document:
    return Document.model_validate({**EXAMPLE, "regions": {"eu": {}, "us": {}}, "clusters": DOMAINS, **fields})


def test_control_planes_are_shared_where_they_serve_several_domains():
    # One for all reads the bank; four each read those of other domains: 1, 1, 2, and free-1, in none, all three.
    assert shared(domains(), "primary-remote") == (1, 1)
    assert shared(domains(), "multi-primary") == (0, 1 + 1 + 2 + 3)
    assert shared(domains(), "hybrid") == (0, 1 + 2)  # bank-1 serves free-1, which is in no domain
    assert shared(document(), "hybrid") is None


def test_a_control_plane_outside_all_clusters_is_in_no_domain():
    assert shared(domains(deployments=["external"]), "external") == (1, 3)  # its config cluster, shop-1, is one of them


def test_findings_of_the_scenario_name_control_planes_and_deployments():
    found = {(one.kind, one.deployment): one.message for one in findings({}, domains())}
    assert found["shared control plane", "primary-remote"] == (
        "shop-1 serves clusters of several security domains: bank and shop"
    )
    assert found["readable Secrets", "primary-remote"] == "shop-1 can read every Secret of bank-1"
    assert ("shared control plane", "multi-primary") not in found


def test_trust_domains_without_aliases_are_found():
    clusters = {**DOMAINS, "bank-1": {"region": "us", "trust_domain": "bank.example"}}
    strict = domains(clusters=clusters, deployments=["primary-remote"])
    messages = [one.message for one in findings({}, strict) if one.kind == "trust domains"]
    assert messages == [
        (
            "clusters are in the trust domains bank.example and cluster.local, and meshConfig.trustDomainAliases lacks"
            " bank.example and cluster.local: by default a proxy refuses peers of another trust domain"
        ),
        "shop-1 signs for one trust domain, and its clusters are in bank.example and cluster.local",
    ]
    aliases = {"trustDomainAliases": ["bank.example", "cluster.local"]}
    known = domains(clusters=clusters, deployments=["multi-primary"], mesh_config=aliases)
    assert [one for one in findings({}, known) if one.kind == "trust domains"] == []


def test_data_that_is_kept_outside_is_found():
    found = [one.message for one in findings({}, document(us=["eu"], web=["us"])) if one.kind == "data kept outside"]
    assert found == [
        "us-1 is in us, and its data has to stay in eu",
        "web has pods in eu-1, and its data has to stay in us",
    ]
