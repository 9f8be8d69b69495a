"""Variants of a scenario: what they come to, and everything that is wrong with them, at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

import meshsim
from meshsim.errors import ScenarioError
from meshsim.experiment.units import Unit, key
from meshsim.experiment.variants import arms
from meshsim.report.validation import checked
from meshsim.scenario import load
from meshsim.scenario.schema import WhatIfVariant
from meshsim.scenario.variants import variants, words

MESH = """
name: shop
regions: {eu: {zones: [a]}, us: {zones: [a]}}
latency: [{between: [eu, us], rtt: 80ms}]
clusters: {eu-1: {region: eu, network: eu}, us-1: {region: us, network: us}}
services:
  web: {replicas: 2, endpoints: {"GET /": {script: [{compute: {p50: 2ms, p99: 9ms}}, {call: db/read}]}}}
  db: {replicas: 2, endpoints: {read: {script: [{compute: 1ms}]}}}
load: {web: {rate: 40/s}}
istio:
  - apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: db}
    spec: {host: db, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 5, maxEjectionPercent: 100}}}
deployments: [multi-primary, hybrid]
timeline: [{event: service_slow, start: 1m, duration: 30s, factor: 3, target: {service: db}}]
"""
RULE = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "DestinationRule",
    "metadata": {"name": "db"},
    "spec": {"host": "db", "trafficPolicy": {"connectionPool": {"http": {"http2MaxRequests": 7}}}},
}


def written(tmp_path: Path, what_if: str) -> Path:
    path = tmp_path / "shop.yaml"
    path.write_text(MESH + "what_if:\n" + what_if)
    return path


def variant(tmp_path: Path, what_if: str) -> meshsim.scenario.Scenario:
    (one,) = variants(load(written(tmp_path, "  variants:\n    one: " + what_if)))
    return one.scenario


def wrong(tmp_path: Path, what_if: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        meshsim.load(written(tmp_path, what_if))
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems]


# --- what a variant comes to ---------------------------------------------------------------------------------------


def test_a_scenario_without_variants_has_none(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(MESH)
    assert variants(load(path)) == ()


def test_a_variant_is_the_file_with_the_changes_of_the_command_line(tmp_path: Path) -> None:
    own = variant(
        tmp_path, "{set: {services.web.replicas: 3, 'services.web.endpoints.\"GET /\".script[0].compute': 4ms}}"
    )
    path = tmp_path / "plain.yaml"
    path.write_text(MESH)
    plain = load(path, ["services.web.replicas=3", 'services.web.endpoints."GET /".script[0].compute=4ms'])
    assert own == plain


def test_a_resource_takes_the_place_of_its_like_or_comes_last(tmp_path: Path) -> None:
    rule = "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: %s}, spec: {host: %s}}"
    own = variant(tmp_path, f"{{apply: [{rule % ('web', 'web')}, {rule % ('db', 'db')}]}}")
    assert [one["metadata"]["name"] for one in own.document.istio] == ["db", "web"]
    assert own.document.istio[0]["spec"] == {"host": "db"}


def test_deleted_resources_are_gone_and_base_keeps_them(tmp_path: Path) -> None:
    file = written(tmp_path, "  variants: {one: {delete: [DestinationRule/db]}}")
    base = load(file)
    assert variants(base)[0].scenario.document.istio == []
    assert len(base.document.istio) == 1


def test_resources_of_a_variant_may_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "rule.yaml").write_text(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: web}\nspec: {host: web}\n"
    )
    own = variant(tmp_path, "{apply: [{path: rule.yaml}]}")
    assert [one["metadata"]["name"] for one in own.document.istio] == ["db", "web"]


def test_paths_lead_into_deployments_that_are_a_list(tmp_path: Path) -> None:
    own = variant(tmp_path, "{set: {deployments.multi-primary.model: hybrid}}")
    assert own.document.deployments["multi-primary"].model == "hybrid"


def test_changes_of_the_command_line_count_for_variants_too(tmp_path: Path) -> None:
    file = written(tmp_path, "  variants: {one: {set: {services.web.replicas: 3}}}")
    found = load(file, ["load.web.rate=9/s", "what_if.deployment=hybrid"])
    (one,) = variants(found)
    assert (one.deployment, one.scenario.document.load.entries["web"].rate) == ("hybrid", 9.0)


def test_a_resolved_scenario_has_the_same_variants(tmp_path: Path) -> None:
    found = load(written(tmp_path, "  variants: {one: {set: {services.web.replicas: 3}}}"))
    again = load(found.resolved())
    assert again == found
    assert variants(again)[0].scenario == variants(found)[0].scenario


def test_expectations_know_variants_by_name(tmp_path: Path) -> None:
    text = "  variants: {one: {set: {services.web.replicas: 3}}}\n"
    text += "expect: [{metric: success_rate, deployment: %s, at_least: 1%%}]\n"
    assert meshsim.load(written(tmp_path, text % "one")).document.expect[0].deployment == "one"
    assert "matches no deployment; did you mean 'one'?" in wrong(tmp_path, text % "onne")[0]


def test_changes_are_told_in_words() -> None:
    own = WhatIfVariant(apply=[RULE], delete=["VirtualService/shop/db"], set={"services.web.replicas": {"eu-1": 3}})
    assert words(own) == (
        "delete VirtualService/shop/db",
        "apply DestinationRule/db",
        "set services.web.replicas to {eu-1: 3}",
    )


# --- what is wrong -------------------------------------------------------------------------------------------------


def test_names_and_paths_are_checked_together(tmp_path: Path) -> None:
    found = wrong(
        tmp_path,
        """\
  deployment: hybird
  variants:
    hybrid: {set: {services.web.replicas: 3}}
    nothing: {}
    a/b: {set: {services.web.replicas: 3}}
    set:
      set:
        seed: 3
        a..b: 1
        deployments.multi-primary.primary: eu-1
        istio: []
    delete: {delete: [db]}
""",
    )
    assert [problem.partition(": ")[2] for problem in found] == [
        "what_if.deployment: unknown deployment 'hybird'; did you mean 'hybrid'? (one of hybrid, multi-primary)",
        "what_if.variants.hybrid: is the name of a deployment; a variant stands beside it, and needs one of its own",
        "what_if.variants.nothing: changes nothing; give resources to apply or delete, or fields to set",
        (
            "what_if.variants.a/b: is no name of a variant; use letters, digits, blanks and ._,+%()-, with a letter or"
            " digit first, at most 60 characters"
        ),
        "what_if.variants.set.set.seed: seed is the same for all that is compared, and not a variant's to set",
        "what_if.variants.set.set.\"a..b\": 'a..b' is no path; write one such as gateways.eu-1.replicas",
        (
            'what_if.variants.set.set."deployments.multi-primary.primary": has no effect: variants are of hybird; set'
            " deployments.hybird…"
        ),
        "what_if.variants.set.set.istio: would replace all resources; use apply and delete",
        (
            "what_if.variants.delete.delete[0]: 'db' is no resource; write Kind/name or Kind/namespace/name; did you"
            " mean 'DestinationRule/db'? (one of DestinationRule/db)"
        ),
    ]
    assert found[5].startswith("shop.yaml:26: ")


def test_every_variant_is_judged_as_a_file_and_at_its_place(tmp_path: Path) -> None:
    found = wrong(
        tmp_path,
        """\
  variants:
    gateways:
      set:
        gateways.us-2.replicas: 2
        gateways.us-1.replicaz: 2
    nobody:
      set: {services.db.replicas: {eu-1: 0, us-1: 0}}
    typos:
      delete:
        - DestinationRule/bd
      apply:
        - apiVersion: networking.istio.io/v1
          kind: DestinationRule
          metadata: {name: web}
          spec:
            host: web
            trafficPolicy:
              connectionPol: {}
    way: {set: {services.wep.replicas: 2}}
""",
    )
    known = "addresses, autoscale, concurrency, cpu, handshake, latency, replicas"
    assert found[:2] == [
        (
            "shop.yaml:21: what_if.variants.gateways: gateways.us-2: unknown cluster 'us-2'; did you mean 'us-1'?"
            " (one of eu-1, us-1)"
        ),
        (
            "shop.yaml:22: what_if.variants.gateways: gateways.us-1: unknown field 'replicaz'; did you mean 'replicas'?"
            f" (one of {known})"
        ),
    ]
    assert found[2].startswith("shop.yaml:24: what_if.variants.nobody: services.db")
    assert found[3].startswith("shop.yaml:27: what_if.variants.typos: delete: no DestinationRule/bd is there; did you")
    assert found[4].startswith("shop.yaml:35: what_if.variants.typos: DestinationRule/web: spec.trafficPolicy.connec")
    assert found[5].startswith("shop.yaml:36: what_if.variants.way: services.wep.replicas: unknown name 'wep'; did you")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("clusters: {eu-1: {region: eu}}", "has other clusters than the file"),
        ("'timeline[0].start': 50s", "changes what happens when"),
        ("timeline: []", "changes what happens when"),
        ("deployments.multi-primary: {model: nothing}", "'nothing' is not known here"),
    ],
)
def test_what_cannot_stand_beside_the_base_is_refused(tmp_path: Path, change: str, message: str) -> None:
    (problem,) = wrong(tmp_path, f"  variants:\n    one: {{set: {{{change}}}}}\n")
    assert problem.startswith("shop.yaml:19: what_if.variants.one: ")
    assert message in problem


def test_a_fault_may_be_another_at_the_same_time(tmp_path: Path) -> None:
    assert variant(tmp_path, "{set: {'timeline[0].factor': 9}}").document.timeline[0].factor == 9


def test_variants_that_are_the_same_are_warned_of(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "  variants:\n    same: {set: {services.web.replicas: 2}}\n"
        "    one: {set: {services.db.replicas: 3}}\n    other: {set: {services.db.replicas: {eu-1: 3, us-1: 3}}}\n"
        "    again: {set: {services.db.replicas: 3}}\n",
    )
    assert meshsim.load(file).warnings == (
        f"{file}:19: what_if.variants.same: is the same as multi-primary: what it sets is so already",
        f"{file}:22: what_if.variants.again: is the same as one",
    )


def test_warnings_and_lints_that_only_a_variant_has_name_it(tmp_path: Path) -> None:
    rule = "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: web}, spec: {host: web, "
    rule += "trafficPolicy: {outlierDetection: {}}}}"
    file = written(tmp_path, f"  variants:\n    one:\n      apply: [{rule}]\n")
    found = checked(str(file), meshsim.load)
    assert next((one.code, one.line) for one in found.lints if "(variant 'one')" in one.message) == ("MS201", 20)


# --- one alone -----------------------------------------------------------------------------------------------------

TWO = """\
  deployment: hybrid
  variants:
    three, say: {description: one pod more, set: {services.web.replicas: 3}}
    four: {set: {services.web.replicas: 4}}
expect:
  - {metric: success_rate, deployment: "three*", at_least: 99%}
  - {metric: success_rate, deployment: four, at_least: 98%}
"""


def test_a_variant_alone_is_what_is_compared_under_another_name(tmp_path: Path) -> None:
    file = written(tmp_path, TWO)
    one = meshsim.load(file, variant="three, say")
    compared = arms(meshsim.load(file))["three, say"].scenario
    assert key(one, Unit("hybrid", 0)) == key(compared, Unit("hybrid", 0))
    assert (one.document.name, one.document.description) == ("shop-three-say", "one pod more")
    assert list(one.document.deployments) == ["hybrid", "multi-primary"]
    assert load(one.resolved()).document == one.document


def test_a_variant_alone_is_held_to_what_is_expected_of_it(tmp_path: Path) -> None:
    (expected,) = meshsim.load(written(tmp_path, TWO), variant="three, say").document.expect
    assert (expected.deployment, expected.at_least) == ("*", 0.99)


def test_an_unknown_variant_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"^--variant: unknown variant 'fuor'; did you mean 'four'"):
        meshsim.load(written(tmp_path, TWO), variant="fuor")
    with pytest.raises(ScenarioError, match=r"^--variant: the scenario has no variants: what_if is missing"):
        meshsim.load("three-tier", variant="four")


@pytest.mark.parametrize(
    ("deleted", "message"),
    [
        (
            "db",
            "delete[0]: 'db' is no resource; write Kind/name or Kind/namespace/name; did you mean 'DestinationRule/db'",
        ),
        ("DestinationRule/bd", "delete: no DestinationRule/bd is there; did you mean 'DestinationRule/db'?"),
        ("DestinationRule/shop/db", "no DestinationRule/shop/db is there; did you mean 'DestinationRule/default/db'?"),
        (
            "DestinationRule/default/bd",
            "no DestinationRule/default/bd is there; did you mean 'DestinationRule/default/db'",
        ),
        ("VirtualService/db", "no VirtualService/db is there; did you mean 'DestinationRule/db'?"),
        ("DestinationRule/db, DestinationRule/default/db", "delete: the resource 'DestinationRule/db' is given twice"),
    ],
)
def test_a_deletion_of_nothing_is_told_with_what_may_be_meant(tmp_path: Path, deleted: str, message: str) -> None:
    (problem,) = wrong(tmp_path, f"  variants:\n    one: {{delete: [{deleted}]}}\n")
    assert message in problem
