"""Real files of thirteen public repositories: everything loads, and nothing in them is dropped without a word."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
import yaml

from meshsim.scenario.istio import Client, Request, hosts, read_resources
from meshsim.scenario.istio.kinds import KINDS, is_istio
from meshsim.scenario.istio.matching import Match
from meshsim.scenario.istio.reading import Reading

CORPUS = Path(__file__).parents[4] / "shared" / "data" / "istio-yaml"
FILES = sorted(CORPUS.glob("dev/**/*.y*ml"))

pytestmark = pytest.mark.skipif(not FILES, reason="the corpus of public Istio files (../shared/data) is not here")

IDS = [f"{file.parent.name}/{file.name}" for file in FILES]


@cache
def documents(file):
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the compiled one reads in a tenth of the time
    return [document for document in yaml.load_all(file.read_text(), loader) if isinstance(document, dict)]


def services_of(document):
    """Return services that the document's hosts mean, so that it is used as in its own mesh."""
    spec = document.get("spec") or {}
    namespace = (document.get("metadata") or {}).get("namespace") or "default"
    names = [spec.get("host"), *(spec.get("hosts") or [])]
    full = [hosts.resolved(name, namespace).lstrip("*.") for name in names if name]
    return [(name, namespace) for name in ("other",)] + [
        tuple(name.removesuffix(f".{hosts.DOMAIN}").split(".")) for name in full if name.count(".") == 4
    ]


def path_of(text):
    return "".join(f"[{part}]" if part.isdecimal() else f".{part}" for part in text.split("/") if part)


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_every_document_loads_or_is_known_to_be_invalid(file):
    name = file.relative_to(CORPUS).as_posix()
    expected = [
        entry for entry in json.loads((CORPUS / "EXPECTED_INVALID.json").read_text())["invalid"] if entry[0] == name
    ]
    _, problems = read_resources(documents(file), lambda i, path: (name, i + 1), {}, lambda path: ("", 0), [])
    messages = [str(problem) for problem in problems]
    for _, kind, path, reason in expected:
        field = reason.split("'")[1]
        assert any(f" {kind}/" in text and f": spec{path_of(path)}: {field} is required" in text for text in messages)
    if not expected:
        assert messages == []


def leaves(value, path=()):
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    elif value is not None and value != []:
        yield path


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_every_field_is_modelled_or_named_or_refused(file):
    for document in documents(file):
        if not is_istio(document["apiVersion"]) or document["kind"] not in KINDS:
            continue
        reading = Reading(services_of(document), "1.31")
        reading.document(0, document, lambda path: ("file.yaml", 1))
        reading.resources()
        ((_, check),) = reading.checks
        tables = {found.path for found in check.settings if isinstance(found.value, dict)}
        covered = (
            {found.path for found in check.settings} - tables
            | set(check.harmless)
            | {warned.covers for warned in reading.report.warned}
            | {path for path, _ in check.problems}
        )
        for leaf in leaves(document):
            named = any(leaf[:length] in covered for length in range(len(leaf) + 1)) or leaf in tables
            assert named, f"{document['kind']} {leaf}"


@pytest.mark.slow
def test_the_whole_corpus_says_each_thing_once():
    for file in FILES:
        resources, _ = read_resources(documents(file), lambda i, path: ("f", i + 1), {}, lambda path: ("", 0), [])
        assert len(set(resources.warnings)) == len(resources.warnings), file.name


def test_the_corpus_is_the_one_that_was_studied():
    kinds = [
        document["kind"] for file in FILES for document in documents(file) if is_istio(document.get("apiVersion", ""))
    ]
    # users-and-data.md §2; it may grow
    assert len(kinds) >= 337
    assert kinds.count("VirtualService") >= 94
    assert kinds.count("DestinationRule") >= 51


def test_each_setting_of_the_corpus_reaches_a_policy():
    """The values that people actually set arrive: users-and-data.md §2."""
    seen = set()
    for file in FILES:
        for document in documents(file):
            if document.get("kind") == "DestinationRule":
                services = services_of(document)
                resources, _ = read_resources([document], lambda i, path: ("f", 1), {}, lambda path: ("", 0), services)
                seen |= {
                    (name, policy.load_balancer, policy.outlier_detection and policy.outlier_detection.consecutive_5xx)
                    for policy in (resources.policy(*service, "1.31") for service in services)
                    for name, source in policy.sources.items()
                    if source != "Istio default"
                }
    names = {name for name, *_ in seen}
    assert {"load_balancer", "outlier_detection.consecutive_5xx", "circuit_breaker.max_requests"} <= names
    assert {"ROUND_ROBIN", "RANDOM"} <= {balancer for _, balancer, _ in seen}


def test_each_rule_of_the_corpus_can_be_met():
    """A request made to fit a rule's first match goes where the rule says, unless a rule above takes it."""
    met = 0
    for file in FILES:
        for document in documents(file):
            if document.get("kind") == "VirtualService" and (document["spec"].get("hosts") or [""])[0] != "":
                services = services_of(document)
                resources, _ = read_resources([document], lambda i, path: ("f", 1), {}, lambda path: ("", 0), services)
                for one in resources.virtual_services:
                    for rule in one.http:
                        met += fits(resources, one, rule)
    assert met >= 100


def fits(resources, one, rule):
    match = (rule.matches or (Match(),))[0]
    host = one.hosts[0].replace("*", "www.example.com")
    gateway = match.gateways[0] if match.gateways else one.gateways[0]
    client = Client(match.source_namespace or one.namespace, dict(match.source_labels), gateway)
    request = Request(
        "x",
        port=match.port or 80,
        method=match.method.value if match.method else "GET",
        path=match.uri.value if match.uri else "/",
        headers={name: text.value for name, text in match.headers},
        authority=host,
    )
    assert match.concerns(client, request.port)
    route = resources.route(client, request, "1.31")
    assert not route.no_route
    return route.name == f"{rule.source} {rule.number}"
