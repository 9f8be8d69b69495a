"""Call graphs of real applications can be said in scenario files without loss, and the bundled ones are theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from meshsim.mesh.calls import calls_per_entry, visits
from meshsim.scenario import load
from meshsim.scenario.schema import CallStep, ComputeStep, Document

ROOT = Path(__file__).parents[2]
GRAPHS = ROOT.parent / "shared" / "data" / "graphs"
NAMES = ("bookinfo", "dsb-hotel-reservation", "dsb-social-network", "helloworld-multicluster", "online-boutique")
PROTOCOLS = {"http": "http", "grpc": "grpc", "tcp": "tcp", "tcp-thrift": "tcp", "memcached": "tcp", "mongo": "tcp"}

#: What a call of the files may say, and how a scenario says it.
FIELDS = {"count": "count", "p": "probability", "retries": "retries", "on_error": "on_error"}


def call_graph(name: str) -> dict:
    file = GRAPHS / f"{name}.callgraph.yaml"
    if not file.exists():
        pytest.skip(f"the shared call graph {file.name} is not here")
    return yaml.safe_load(file.read_text())


# --- from a call graph to a scenario ------------------------------------------------------------------------------


def scenario_of(graph: dict) -> dict:
    """Say a whole call graph as a scenario; what is not in it (where things run, the rate) is made up."""
    clusters = sorted({place for body in graph["services"].values() for place in body.get("placement", {}).values()})
    services = {name: service_of(body) for name, body in graph["services"].items()}
    for key, body in graph["endpoints"].items():
        service, _, endpoint = key.partition("/")
        services[service]["endpoints"][endpoint] = {
            "script": compute_of(body) + [step_of(step) for step in body["script"]]
        }
    (entry,) = {item["endpoint"].partition("/")[0] for item in graph["entrypoints"]}
    return {
        "name": graph["name"],
        "regions": {"here": {}},
        "clusters": {cluster: {"region": "here"} for cluster in clusters or ["one"]},
        "services": services,
        "load": {entry: load_of(graph)},
    }


def service_of(body: dict) -> dict:
    service = {"protocol": PROTOCOLS[body["protocol"]], "replicas": body["replicas"], "endpoints": {}}
    for version, pods in body.get("versions", {}).items():
        placed = {body["placement"][version]: pods} if "placement" in body else pods
        service.setdefault("workloads", {})[version] = {"labels": {"version": version}, "replicas": placed}
    return service


def compute_of(body: dict) -> list:
    times = body["service_time_us"]
    return [{"compute": {"p50": f"{times['p50']}us", "p95": f"{times['p95']}us"}}] if times else []


def step_of(step: dict | list) -> dict | list:
    if isinstance(step, list):
        return [step_of(part) for part in step]
    known = {"call", "count", "p", "timeout_ms", "on_error", "retries", "async", "note"}
    assert set(step) <= known, "the format has a field that this test does not know"
    said = {"call": step["call"], **{ours: step[theirs] for theirs, ours in FIELDS.items() if theirs in step}}
    if "count" in said:
        said["count"] = float(said["count"])
    if "timeout_ms" in step:
        said["timeout"] = f"{step['timeout_ms']}ms"
    if "async" in step:
        said["wait"] = not step["async"]
    return said


def load_of(graph: dict) -> dict:
    if "user_actions" in graph:
        actions = graph["user_actions"]
    else:
        actions = {
            item["endpoint"]: {"weight": item["weight"], "requests": [item["endpoint"]]}
            for item in graph["entrypoints"]
        }
    said = {
        name: {"weight": float(action["weight"]), "requests": [key.partition("/")[2] for key in action["requests"]]}
        for name, action in actions.items()
    }
    if graph["load"]["model"] == "closed":
        return {"arrivals": "closed", "users": graph["load"]["users"], "actions": said}
    return {"arrivals": "poisson", "rate": "1/s", "actions": said}


# --- and back -----------------------------------------------------------------------------------------------------


def script_back(script: list, *, bare: bool = False) -> list:
    """Say a script's calls as the files do, every field written out; ``bare`` leaves compute steps out."""
    return [step_back(step, bare=bare) for step in script if not (bare and isinstance(step, ComputeStep))]


def step_back(step, *, bare: bool) -> dict | list:
    if isinstance(step, list):
        return script_back(step, bare=bare)
    if isinstance(step, ComputeStep):
        times = step.compute.lognormal
        return {"p50": round(times.p50 * 1e6, 6), "p95": round(times.p95 * 1e6, 6)}
    assert isinstance(step, CallStep)
    return {
        "call": step.call,
        "count": step.count,
        "p": step.probability,
        "timeout_ms": None if step.timeout is None else round(step.timeout * 1000, 6),
        "on_error": step.on_error,
        "retries": step.retries,
        "async": not step.wait,
    }


def written_out(script: list) -> list:
    """Say a script of the files with every default written out."""
    defaults = {"count": 1, "p": 1, "timeout_ms": None, "on_error": "fail", "retries": 0, "async": False}
    return [
        written_out(step) if isinstance(step, list) else {**defaults, **{k: v for k, v in step.items() if k != "note"}}
        for step in script
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_call_graph_is_said_in_a_scenario_without_loss(name):
    graph = call_graph(name)
    document = load(scenario_of(graph)).document
    said = {
        f"{service}/{key}": body
        for service, owner in document.services.items()
        for key, body in owner.endpoints.items()
    }
    assert list(document.services) == list(graph["services"])
    assert sorted(said) == sorted(graph["endpoints"])
    for key, body in graph["endpoints"].items():
        times = body["service_time_us"]
        expected = [{"p50": times["p50"], "p95": times["p95"]}] if times else []
        assert script_back(said[key].script) == expected + written_out(body["script"]), key
    for service, body in graph["services"].items():
        versions = {key: own.labels["version"] for key, own in document.services[service].workloads.items()}
        assert versions == {version: version for version in body.get("versions", {})}


def test_calls_that_are_not_waited_for_can_be_said():
    graph = call_graph("bookinfo")
    graph["endpoints"]["productpage/GET /productpage"]["script"][0]["async"] = True
    document = load(scenario_of(graph)).document
    step = document.services["productpage"].endpoints["GET /productpage"].script[0]
    assert isinstance(step, CallStep)
    assert not step.wait


@pytest.mark.parametrize("name", NAMES)
def test_mean_calls_are_those_derived_in_the_file(name):
    graph = call_graph(name)
    document = Document.model_validate(scenario_of(graph))
    (found,) = calls_per_entry(document).values()
    derived = graph["derived"]
    assert {service: mean for service, mean in found.items() if mean > 0} == pytest.approx(
        derived["visits_per_entry_request"], abs=2e-4
    )
    for key, facts in derived["per_entry"].items():
        service, _, endpoint = key.partition("/")
        total = sum(visits(document, {(service, endpoint): 1.0}).values()) - 1
        assert total == pytest.approx(facts["rpcs"], abs=0.006), key


# --- the bundled scenarios ------------------------------------------------------------------------------------------


def bundled(name: str) -> Document:
    return load(ROOT / "scenarios" / f"{name}.yaml").document


@pytest.mark.parametrize(
    ("scenario", "name"),
    [
        ("online-boutique", "online-boutique"),
        ("social-network", "dsb-social-network"),
        ("hotel-reservation-gateway-loss", "dsb-hotel-reservation"),
        ("helloworld-locality-failover", "helloworld-multicluster"),
    ],
)
def test_a_bundled_scenario_is_its_call_graph_call_by_call(scenario, name):
    graph, document = call_graph(name), bundled(scenario)
    assert sorted(document.services) == sorted(graph["services"])
    for key, body in graph["endpoints"].items():
        service, _, endpoint = key.partition("/")
        expected = written_out(body["script"])
        if scenario == "hotel-reservation-gateway-loss":  # there, 1 % of reads miss the cache
            expected = [{**step, "p": step["p"] or 0.01} for step in expected]
        assert script_back(document.services[service].endpoints[endpoint].script, bare=True) == expected, key
    for service, body in graph["services"].items():
        assert document.services[service].protocol == PROTOCOLS[body["protocol"]], service


def test_the_bundled_online_boutique_has_the_locust_files_actions():
    graph, document = call_graph("online-boutique"), bundled("online-boutique")
    actions = document.load.entries["frontend"].actions
    assert {
        name: {"weight": action.weight, "requests": [f"frontend/{endpoint}" for endpoint in action.requests]}
        for name, action in actions.items()
    } == graph["user_actions"]


def test_the_bundled_bookinfo_splits_the_calls_of_reviews_by_version():
    graph, document = call_graph("bookinfo"), bundled("bookinfo")
    for key in ("productpage/GET /productpage", "details/GET /details/{id}", "ratings/GET /ratings/{id}"):
        service, _, endpoint = key.partition("/")
        said = script_back(document.services[service].endpoints[endpoint].script, bare=True)
        assert said == written_out(graph["endpoints"][key]["script"])
    reviews = document.services["reviews"]
    assert [workload.labels["version"] for workload in reviews.workloads.values()] == ["v1", "v2", "v3"]
    (mixed,) = written_out(graph["endpoints"]["reviews/GET /reviews/{id}"]["script"])
    own = {
        name: script_back((workload.endpoints or reviews.endpoints)["GET /reviews/{id}"].script, bare=True)
        for name, workload in reviews.workloads.items()
    }
    assert own == {
        "reviews-v1": [],
        "reviews-v2": [{**mixed, "p": 1.0, "timeout_ms": 10_000}],
        "reviews-v3": [{**mixed, "p": 1.0, "timeout_ms": 2_500}],
    }
    expected = graph["derived"]["visits_per_entry_request"]
    assert calls_per_entry(document)["productpage"] == pytest.approx(expected, abs=1e-4)
