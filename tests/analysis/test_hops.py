"""From where to where calls went, also those to endpoints in no cluster."""

from __future__ import annotations

from meshsim.analysis.hops import NOWHERE, hops
from meshsim.scenario import load
from meshsim.scenario.scenario import EXAMPLE
from tests.analysis.test_summary import Tables
from tests.service_entries import service_entry

ENTRY = service_entry("api", "eu/a", "ap/a")


def document():
    return load(
        {
            **EXAMPLE,
            "regions": {"eu": {"zones": ["a", "b"]}, "us": {}, "ap": {}},
            "clusters": {"eu-1": {"region": "eu"}, "us-1": {"region": "us"}},
            "latency": [{"between": [a, b], "rtt": "80ms"} for a, b in (("eu", "us"), ("eu", "ap"), ("us", "ap"))],
            "services": {**EXAMPLE["services"], "api": {"host": "api.example.com", "endpoints": {"GET /": {}}}},
            "load": {"web": {"rate": "1/s"}, "api": {"rate": "1/s"}},
            "istio": [ENTRY],
        }
    ).document


def regions(here: str, there: str, flow: str, service: str = "web") -> tuple[str, str]:
    tables = Tables().add("calls", ("a", 0), 0.0, source_cluster=here, destination_cluster=there, destination=service,
                          flow=flow)  # fmt: skip
    found = hops(tables.built()["calls"], document())
    names = {NOWHERE: "nowhere", **dict(enumerate(found.regions))}
    return names[int(found.source[0])], names[int(found.destination[0])]


def test_clusters_say_where_a_call_went():
    assert regions("eu-1", "us-1", "cross-region") == ("eu", "us")
    assert regions("us-1", "us-1", "local") == ("us", "us")
    assert regions("eu-1", "eu-1", "cross-zone") == ("eu", "eu")


def test_a_call_that_reached_no_pod_went_nowhere():
    assert regions("eu-1", "", "local") == ("eu", "nowhere")


def test_an_endpoint_in_a_region_without_clusters_is_where_its_service_entry_says():
    assert regions("eu-1", "eu-1", "cross-region", "api") == ("eu", "ap")


def test_what_nobody_knows_stays_unknown():
    assert regions("eu-1", "eu-1", "cross-region", "web") == ("eu", "nowhere")
