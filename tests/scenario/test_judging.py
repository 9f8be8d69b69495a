"""Everything that is wrong is told in one pass: no mistake hides another, and none brings up one that is not there."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import suppress
from itertools import combinations
from typing import Any

import pytest
import yaml

import meshsim
from meshsim.errors import ScenarioError
from meshsim.scenario.checks import findings
from meshsim.scenario.checks.finding import Finding
from meshsim.scenario.partial import NotKnownError, obliging, without
from meshsim.scenario.scenario import EXAMPLE
from meshsim.scenario.schema import Document

MESH = """\
name: shop
regions:
  eu: {cloud_region: "aws:eu-west-1", zones: [a, b]}
  us: {cloud_region: "aws:us-east-1", zones: [a]}
clusters:
  eu-1: {region: eu, network: n1}
  us-1: {region: us, network: n2}
services:
  web:
    replicas: 2
    endpoints:
      GET /: {script: [{compute: {p50: 5ms, p99: 40ms}}, [{call: cart/GET /, timeout: 1s}, {compute: 2ms}]]}
  cart:
    replicas: {eu-1: 2}
    endpoints:
      GET /: {script: [{compute: 1ms}]}
load:
  web: {rate: 100/s, enters: {eu-1: 1}}
gateways:
  us-1: {replicas: 1}
istio:
- apiVersion: networking.istio.io/v1
  kind: DestinationRule
  metadata: {name: cart}
  spec: {host: cart, trafficPolicy: {connectionPool: {http: {http1MaxPendingRequests: 50}}}}
deployments: [multi-primary, hybrid]
timeline:
- {name: stop, event: control_plane_down, target: {cluster: eu-1}, start: 60s, duration: 60s}
- {event: partition, target: {from: {region: eu}, to: {region: us}}, start: 60s, duration: 60s}
decision: {criteria: {availability: {metric: success_rate in during, weight: 3}, latency: {weight: 2}}}
cost: {cpu: 0.04, regions: {eu: {cpu: 0.05}}}
what_if:
  deployment: hybrid
  variants:
    two: {set: {services.cart.replicas: 3}}
    none: {delete: [DestinationRule/cart]}
expect:
- {metric: success_rate, deployment: two, at_least: 90%}
sample: {around_events: {events: [stop]}, lead_in: 10s}
duration: 5m
"""
#: What is changed, and where what is wrong shows.
MISTAKES = {
    ("success_rate in during", "sucess_rate in during"): "decision.criteria.availability.metric",
    ("{weight: 2}", "{weight: two}"): "decision.criteria.latency.weight",
    ("regions: {eu: {cpu", "regions: {ue: {cpu"): "cost.regions.ue",
    ("cpu: 0.04", "cpu: [1]"): "cost.cpu",
    ("deployment: hybrid", "deployment: hybird"): "what_if.deployment",
    ("services.cart.replicas: 3", "services.crt.replicas: 3"): "what_if.variants.two",
    ("delete: [DestinationRule/cart]", "delete: [cart]"): "what_if.variants.none.delete[0]",
    ("metric: success_rate, deployment", "metric: sucess_rate, deployment"): "expect[0].metric",
    ("deployment: two", "deployment: tow"): "expect[0].deployment",
    ("events: [stop]", "events: [nosuch]"): "sample.around_events.events[0]",
    ("lead_in: 10s", "lead_in: 10"): "sample.lead_in",
    ("call: cart/", "call: crt/"): "services.web.endpoints.GET /.script[1][0].call",
    ("replicas: 2\n", "replicas: two\n"): "services.web.replicas",
    ("script: [{compute: 1ms}]", "script: [{comput: 1ms}]"): "services.cart.endpoints.GET /.script[0]",
    ("100/s", "100"): "load.web.rate",
    ("enters: {eu-1: 1}", "enters: {eu-9: 1}"): "load.web.enters.eu-9",
    ("{region: us, network", "{regoin: us, network"): "clusters.us-1",
    ("us-1: {replicas: 1}", "us-1: {replicas: 0}"): "gateways.us-1.replicas",
    ("target: {cluster: eu-1}", "target: {cluster: eu-7}"): "timeline[0].target.cluster",
    ("event: partition", "event: earthquake"): "timeline[1]",
    ("http1MaxPendingRequests", "http1MaxPending"): (
        "DestinationRule/cart: spec.trafficPolicy.connectionPool.http.http1MaxPending"
    ),
    ("istio:\n", "istio:\n- {path: nosuch.yaml}\n"): "istio[0]",
    ("duration: 5m", "warm_up: -1s"): "warm_up",
    ("name: shop", "name: 3"): "name",
}
#: Pairs of which one makes the other unknowable: events that windows are around, and the event that may be it.
UNKNOWABLE = {frozenset({"sample.around_events.events[0]", "timeline[1]"})}


def paths(text: str, tmp_path) -> set[str]:
    file = tmp_path / "scenario.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        meshsim.load(file)
    assert {problem.file for problem in caught.value.problems} == {str(file)}
    assert all(problem.line for problem in caught.value.problems)
    return {problem.path for problem in caught.value.problems}


def test_the_scenario_itself_is_valid(tmp_path):
    file = tmp_path / "scenario.yaml"
    file.write_text(MESH, encoding="utf-8")
    assert meshsim.load(file).document.name == "shop"


@pytest.mark.slow
def test_no_mistake_hides_another_or_brings_one_up(tmp_path):
    for first, second in combinations(MISTAKES, 2):
        found = {MISTAKES[first], MISTAKES[second]}
        if found not in UNKNOWABLE:
            assert paths(MESH.replace(*first, 1).replace(*second, 1), tmp_path) == found, (first, second)


def test_all_mistakes_together_are_told_together(tmp_path):
    text = MESH
    for change in MISTAKES:
        text = text.replace(*change, 1)
    assert paths(text, tmp_path) >= set(MISTAKES.values()) - {"sample.around_events.events[0]"}


def test_options_and_resources_that_cannot_be_read_are_told_with_the_rest(tmp_path):
    file = tmp_path / "scenario.yaml"
    file.write_text(
        MESH.replace("  spec: {host", "- {path: nosuch.yaml}\n- {path: [3]}\n# ", 1).replace("100/s", "100")
    )
    with pytest.raises(ScenarioError) as caught:
        meshsim.load(file, ["services.wep.replicas=3", "seed=x"])
    assert sorted(problem.path for problem in caught.value.problems) == [
        "DestinationRule/cart", "istio[1]", "istio[2]", "load.web.rate", "seed", "services.wep.replicas",
    ]  # fmt: skip


#: What makes it unknown which resources there are, or what they are read with.
UNKNOWN = {
    "a file that is not there": ("istio:\n", "istio:\n- {path: nosuch.yaml}\n"),
    "no resource": ("istio:\n", "istio:\n- {kind: DestinationRule}\n"),
    "one of a change": ("decision:", "- {event: config_change, start: 30s, apply: [{path: nosuch.yaml}]}\ndecision:"),
    "one of a variant": ("    two:", "    more: {apply: [{path: nosuch.yaml}]}\n    two:"),
    "services": (MESH[MESH.index("services:") : MESH.index("load:")], "services: 3\n"),
    "regions": (MESH[MESH.index("regions:") : MESH.index("clusters:")], "regions: 3\n"),
}
_RULE = "apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: web}"
#: Mistakes in resources, and in what names them.
OF_RESOURCES = {
    "field": ("http1MaxPendingRequests", "http1MaxPending"),
    "version": ("- apiVersion: networking.istio.io/v1\n", "- apiVersion: networking.istio.io/v9\n"),
    "MeshConfig": ("deployments:", "mesh_config: {connectTimeout: 5}\ndeployments:"),
    "change": ("decision:", f"- {{event: config_change, start: 2m, apply: [{{{_RULE}, spec: {{}}}}]}}\ndecision:"),
    "variant": ("delete: [DestinationRule/cart]", f"apply: [{{{_RULE}, spec: {{hots: web}}}}]"),
    "deleted by a variant": ("delete: [DestinationRule/cart]", "delete: [cart]"),
    "no change": ("decision:", "- {event: config_change, start: 20s}\ndecision:"),
}


def messages(text: str, tmp_path) -> set[str]:
    file = tmp_path / "scenario.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        meshsim.load(file)
    return {problem.message.split(" (one of")[0].split("; did you mean")[0] for problem in caught.value.problems}


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_mistakes_in_resources_are_told_where_others_cannot_be_read(unknown, tmp_path):
    text = MESH.replace(*UNKNOWN[unknown], 1)
    alone = messages(text, tmp_path)
    for mistake, change in OF_RESOURCES.items():
        if change[0] in text:
            told = alone | messages(MESH.replace(*change, 1), tmp_path)
            assert messages(text.replace(*change, 1), tmp_path) == told, mistake


def test_what_resources_that_cannot_be_read_may_be_is_not_asked_for(tmp_path):
    text = MESH.replace("none: {delete", "# none: {delete").replace("istio:\n", "istio:\n- {path: nosuch.yaml}\n")
    deletion = "- {event: config_change, start: 20s, delete: [cart, DestinationRule/it-may-have]}\n"
    text = text.replace("decision:", f"{deletion}decision:")
    assert paths(text, tmp_path) == {"istio[0]", "timeline[2].delete[0]"}
    host = "    replicas: {eu-1: 2}\n"
    text = text.replace(host, f"{host}    host: it.may.have\n")
    assert paths(text, tmp_path) == {"istio[0]", "timeline[2].delete[0]"}
    text = text.replace("it.may.have", "web.default.svc.cluster.local")
    assert paths(text, tmp_path) == {"istio[0]", "services.cart.host", "timeline[2].delete[0]"}


def test_a_variant_whose_resources_cannot_be_read_does_not_change_nothing(tmp_path):
    text = MESH.replace("none: {delete: [DestinationRule/cart]}", "none: {apply: [{path: nosuch.yaml}]}")
    assert paths(text, tmp_path) == {"what_if.variants.none.apply[0]"}


def test_what_is_wrong_with_the_file_is_not_told_again_for_each_variant(tmp_path):
    assert paths(MESH.replace("call: cart/", "call: crt/"), tmp_path) == {
        "services.web.endpoints.GET /.script[1][0].call"
    }


@pytest.mark.parametrize(
    ("section", "value", "message"),
    [
        ("decision", "[]", "decision: found a list; a mapping is wanted"),
        ("decision", "{criteria: null}", "decision.criteria: found nothing; a mapping is wanted"),
        ("decision", "{criteria: {'': {metric: calls}}}", 'decision.criteria."": an empty name'),
        (
            "decision",
            "{criteria: {cost: {weight: .nan}}}",
            "decision.criteria.cost.weight: .nan is not a finite number",
        ),
        ("decision", "{criteria: {cost: {weight: 1e309}}}", "cost.weight: 1e309 is not a finite number"),
        ("decision", "{criteria: {cost: {weight: -1}}}", "cost.weight: -1 is too small; it must be above 0"),
        ("decision", "{criteria: {cost: {weight: '3'}}}", "cost.weight: found the text '3'; write it without quotes"),
        ("decision", "{criteria: {cost: {best: 1, worst: .nan}}}", "cost.worst: '.nan' is no bound; write a number"),
        ("decision", "{criteria: {cost: {metric: ''}}}", "cost.metric: '' is no metric; write METRIC"),
        ("decision", "{criteria: {__proto__: {}}}", "__proto__: missing field 'metric', as no shipped criterion has"),
        (
            "decision",
            "{criteria: {ünïcødé 🙂: {metric: nosuch}}}",
            "criteria.ünïcødé 🙂.metric: unknown metric 'nosuch'",
        ),
        ("decision", f"{{criteria: {{{'x' * 61}: {{metric: calls}}}}}}", "has 61 characters; at most 60 are allowed"),
        ("decision", f"{{criteria: {{x: {{metric: {'y' * 5000}}}}}}}", f"unknown metric '{'y' * 77}'... (one of"),
        ("decision", "{criteria: {a: {}, a: {}}}", "the key 'a' is given twice"),
        ("decision", "{criteria: {a: &x {metric: calls, better: up}, b: *x}}", "criteria.b.better: 'up' is not known"),
        ("decision", "{criteria: {<<: {a: {metric: nosuch}}}}", "decision.criteria.a.metric: unknown metric 'nosuch'"),
        ("decision", '{criteria: {"a\\u202eb": {}}}', "the key 'a\\u202eb' holds a control character"),
        ("cost", "null", "cost: found nothing; a mapping is wanted"),
        ("cost", "{cpu: -1}", "cost.cpu: -1 is too small; the least is 0"),
        ("cost", "{cpu: .inf}", "cost.cpu: .inf is not a finite number"),
        ("cost", "{sidecar: {cpu: .nan}}", "cost.sidecar.cpu: '.nan' is no amount of CPU; write it like 500m or 0.5"),
        ("cost", "{sidecar: {cpu: 1e309}}", "cost.sidecar.cpu: '1e309' is too large; at most 1024 cores"),
        (
            "cost",
            "{sidecar: {memory: 2000Ti}}",
            "cost.sidecar.memory: '2000Ti' is too large; a size is at most 1024GiB",
        ),
        ("cost", "{sidecar: 100m}", "cost.sidecar: found the text '100m'; a mapping is wanted"),
        ("cost", "{currency: eur}", "cost.currency: 'eur' is no currency; write its three capitals, such as EUR"),
        ("cost", "{regions: {__proto__: {}}}", "cost.regions.__proto__: unknown region '__proto__' (one of eu, us)"),
        ("cost", "{between_regions: [3]}", "cost.between_regions[0]: found the number 3; a mapping is wanted"),
        ("cost", "{cpu: &a [*a]}", "the alias *a stands inside its own anchor"),
        ("what_if", "{}", "what_if: missing field 'variants'"),
        ("what_if", "{variants: {}}", "what_if.variants: is empty; at least one entry is wanted"),
        ("what_if", "{variants: {a: null}}", "what_if.variants.a: found nothing; a mapping is wanted"),
        ("what_if", "{variants: {a: {set: {'': 1}}}}", "what_if.variants.a.set.\"\": '' is no path; write one such as"),
        ("what_if", "{variants: {a: {set: {seed: 1}}}}", "what_if.variants.a.set.seed: seed is the same for all"),
        (
            "what_if",
            "{variants: {a: {set: {services: 1}}}}",
            "what_if.variants.a: services: found the number 1; a mapp",
        ),
        ("what_if", "{variants: {a: {set: {load.web.rate: .inf}}}}", "load.web.rate: '.inf' is not a rate; write it"),
        ("what_if", "{variants: {a: {set: {__proto__.x: 1}}}}", "what_if.variants.a: unknown field '__proto__'"),
        ("what_if", "{variants: {a: {delete: [a/b/c/d]}}}", "delete[0]: 'a/b/c/d' is no resource; write Kind/name or"),
        (
            "what_if",
            "{variants: {a: {delete: [null, x]}}}",
            "delete[1]: 'x' is no resource; write Kind/name or Kind/na",
        ),
        ("what_if", f"{{variants: {{a: {{delete: [q/{'q' * 4000}]}}}}}}", f"no q/{'q' * 75}... is there (one of"),
        ("what_if", "{variants: {a: {apply: [3]}}}", "a.apply[0]: is not a Kubernetes object: apiVersion: and kind:"),
        (
            "what_if",
            "{variants: {__proto__: {set: {a: 1}}}}",
            "what_if.variants.__proto__: is no name of a variant; use",
        ),
        ("what_if", "{deployment: '', variants: {a: {set: {seed: 1}}}}", "what_if.deployment: unknown deployment ''"),
        (
            "sample",
            "{around_events: {events: []}}",
            "sample.around_events.events: is empty; at least one entry is wanted",
        ),
        (
            "sample",
            "{around_events: {events: [nosuch]}}",
            "events[0]: unknown event 'nosuch' (one of control_plane_down,",
        ),
        ("sample", "{around_events: {before: .nan}}", "before: '.nan' is not a duration; write it like 250ms, 10s or"),
        (
            "sample",
            "{windows: [{at: 1m, duration: 1s, every: 1ns}]}",
            "windows[0].every: gives more than 1,000 windows",
        ),
        ("sample", "{lead_in: -1s}", "sample.lead_in: '-1s' is negative; a duration is 0s or more"),
    ],
)
def test_a_hostile_value_is_told_in_plain_words(section, value, message, tmp_path):
    lines = MESH.replace("deployment: two, ", "").split("\n")
    start = next(index for index, line in enumerate(lines) if line.startswith(f"{section}:"))
    end = next(index for index in range(start + 1, len(lines)) if not lines[index].startswith((" ", "-")))
    file = tmp_path / "scenario.yaml"
    file.write_text("\n".join([*lines[:start], f"{section}: {value}", *lines[end:]]), encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        meshsim.load(file)
    assert [one for one in str(caught.value).split("\n") if message in one and one.startswith(f"{file}:{start + 1}: ")]
    assert all(len(line) < 1500 for line in str(caught.value).split("\n"))


# --- documents of which not all is known ---------------------------------------------------------------------------


def test_a_check_goes_as_far_as_what_it_asks_for_is_known():
    def look(document):
        yield Finding(("seed",), f"is {document.seed}")
        yield Finding(("load",), f"is {document.load}")

    document = without(Document.model_validate(EXAMPLE), ["load"])
    assert [finding.message for finding in findings(document, [look])] == ["is 1"]


def test_a_document_without_sections_stays_so_when_it_is_copied():
    document = without(Document.model_validate(EXAMPLE), ["load"]).model_copy(update={"seed": 3})
    assert document.seed == 3
    with pytest.raises(NotKnownError):
        _ = document.load


def test_an_unknown_attribute_is_still_an_error():
    with pytest.raises(AttributeError, match="laod"):
        _ = without(Document.model_validate(EXAMPLE), ["load"]).laod


def test_an_obliging_document_has_the_phases_that_a_broken_timeline_may_have():
    document = obliging(without(Document.model_validate(EXAMPLE), ["timeline"]), ["timeline"])
    assert (document.timeline[0].start, document.warm_up, document.sample) == (120.0, 30.0, None)
    assert obliging(document, []) is document


def test_what_is_wrong_in_a_misspelt_section_is_told_with_its_name(tmp_path):
    text = MESH.replace("clusters:\n  eu-1: {region: eu", "clutsers:\n  eu-1: {region: ue", 1)
    assert paths(text, tmp_path) == {"", "clusters.eu-1.region"}


def test_what_is_left_out_of_a_section_does_not_lead_on_to_checks_that_count_on_it(tmp_path):
    text = MESH.replace("deployments: [multi-primary, hybrid]", "deployments: {own: {modle: 3}, hybrid: {}}", 1)
    assert paths(text, tmp_path) == {"deployments.own", "deployments.own.model"}
    assert len(paths(text.replace("modle", "xyz"), tmp_path)) == 1


def test_an_unknown_field_does_not_hide_what_is_wrong_with_what_it_stands_in(tmp_path):
    text = MESH.replace("  web: {rate: 100/s,", "  wep: {xyz: 3, rate: 100/s,", 1)
    file = tmp_path / "scenario.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        meshsim.load(file)
    assert [problem.message.split(";")[0].split(" (")[0] for problem in caught.value.problems] == [
        "unknown field 'xyz'", "unknown service 'wep'",
    ]  # fmt: skip


# --- at random -----------------------------------------------------------------------------------------------------

HOSTILE = (
    None,
    True,
    0,
    -1,
    1.5,
    "",
    "x",
    "*",
    [],
    {},
    [None],
    {"x": {}},
    10**18,
    "-1s",
    "eu",
    "a/b/c",
    "x" * 300,
    ["x"],
)


def mutated(document: Any, draw: random.Random) -> Any:
    """Return a copy of a document with something replaced, left out or misspelt."""
    found = copy.deepcopy(document)
    for _ in range(draw.choice((1, 1, 2, 4))):
        holders = [one for one in inner(found) if one]
        owner = draw.choice(holders)
        key = draw.choice(list(owner) if isinstance(owner, dict) else range(len(owner)))
        match draw.randrange(3):
            case 0:
                owner[key] = copy.deepcopy(draw.choice(HOSTILE))
            case 1:
                del owner[key]
            case _ if isinstance(owner, dict):
                owner[f"{key[:-1]}{draw.choice('axz- ')}"] = owner.pop(key)
    return found


def inner(part: Any) -> Iterator[Any]:
    if isinstance(part, (dict, list)):
        yield part
        for one in part.values() if isinstance(part, dict) else part:
            yield from inner(one)


@pytest.mark.parametrize("seed", range(200))
def test_a_document_broken_at_random_is_valid_or_refused_in_plain_words(seed):
    draw = random.Random(seed)
    with suppress(ScenarioError):
        meshsim.load(mutated(yaml.safe_load(MESH), draw))
