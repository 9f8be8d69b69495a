"""The documentation against the code: examples validate, fields are all there, links lead somewhere, snippets run."""

from __future__ import annotations

import doctest
import json
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
import yaml

import meshsim
from meshsim.analysis.expectations import Result
from meshsim.analysis.metrics import METRICS
from meshsim.dataplane import flags
from meshsim.results.tables import FLOWS, TABLES
from meshsim.scenario import fields, own_balancers, schema
from tests.conformance.cases import cases
from tests.conformance.limitations import LIMITATIONS

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md")) + [page for page in [ROOT / "README.md"] if page.exists()]
REFERENCE = ROOT / "docs" / "scenario-file.md"
RESULTS = ROOT / "docs" / "results.md"
CONFORMANCE = ROOT / "docs" / "conformance.md"
LIFE = ROOT / "docs" / "life-of-a-request.md"
#: Pages about one mechanism have these headings, in this order.
HEADINGS = ["Scope and limitations", "Model", "Parameters", "Validation", "References"]
MECHANISMS = [
    "circuit-breaking",
    "config-changes",
    "control-plane",
    "destination-rule",
    "east-west-gateway",
    "identity",
    "load-balancing",
    "locality",
    "outlier-detection",
    "pods-and-load",
    "retries-and-timeouts",
    "service-entry",
    "virtual-service",
]

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


# --- scenarios ------------------------------------------------------------------------------------------------


def blocks(page: Path) -> Iterator[tuple[int, Any]]:
    """Yield line and content of every YAML block of a page."""
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(r"^```yaml[^\n]*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        yield text[: match.start()].count("\n") + 1, yaml.safe_load(match[1])


def is_whole(content: Any) -> bool:
    return isinstance(content, dict) and {"name", "regions", "clusters", "services", "load"} <= set(content)


def merged(under: Any, over: Any) -> Any:
    if not isinstance(under, dict) or not isinstance(over, dict):
        return over
    return under | {key: merged(under[key], value) if key in under else value for key, value in over.items()}


def scenarios() -> Iterator[Any]:
    """Yield every example: whole ones as they are, parts merged into the mesh that their page speaks of."""
    example = next(content for _, content in blocks(REFERENCE) if is_whole(content))
    boutique = meshsim.load("online-boutique-primary-outage").resolved()
    for page in PAGES:
        base = boutique if page.name == "README.md" else example
        for line, content in blocks(page):
            where = f"{page.name}:{line}"
            if is_whole(content):
                yield pytest.param(content, id=where)
            elif isinstance(content, dict) and set(content) <= set(schema.Document.model_fields):
                yield pytest.param(merged(base, content), id=where)
            elif isinstance(content, dict) and "apiVersion" in content:
                yield pytest.param({**base, "istio": [content]}, id=where)
            elif page.name != "README.md":
                yield pytest.param(None, id=where)


@pytest.mark.parametrize("content", [*scenarios()])
def test_every_example_is_a_valid_scenario(content: Any) -> None:
    assert content is not None, "neither a scenario, nor top-level fields of one, nor an Istio resource"
    assert meshsim.load(content).warnings == ()


# --- fields ---------------------------------------------------------------------------------------------------


def models() -> list[type[fields.Strict]]:
    found = [one for one in vars(schema).values() if isinstance(one, type) and issubclass(one, fields.Strict)]
    return [one for one in found if one.__module__.startswith(schema.__name__) and not one.__name__.startswith("_")]


def documented(page: Path, marker: str) -> dict[str, list[str]]:
    """Return the rows of the table below a marker, by the name in the first column."""
    text = page.read_text(encoding="utf-8")
    assert f"<!-- {marker} -->" in text, f"{page.name} has no table for {marker}"
    rows: dict[str, list[str]] = {}
    for line in text.split(f"<!-- {marker} -->\n\n", 1)[1].splitlines()[2:]:
        if not line.startswith("|"):
            break
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        rows[name.strip("`")] = cells
    return rows


def default_of(model: type[fields.Strict], name: str) -> str:
    """Return a field's default as the reference page writes it."""
    field = next(one for key, one in model.model_fields.items() if (one.alias or key) == name)
    if field.is_required():
        return "required"
    if isinstance(
        field.default, (schema.Sidecar, schema.Istiod, schema.Identity, schema.Kubernetes, schema.Cost, schema.Decision)
    ):
        return "below"
    if isinstance(field.default, schema.Target):
        return "everywhere"
    if (model, name) == (schema.Document, "deployments"):
        return f"`[{', '.join(field.default)}]`"
    given = model.model_construct(_fields_set={name})
    return shown(given.model_dump(mode="json", by_alias=True, warnings=False)[name])


def shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        value = value.get("lognormal", value)
        value = ", ".join(f"{key}: {one}" for key, one in value.items() if one is not None)
        return f"`{{{value}}}`"
    if isinstance(value, list):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value}`" if value != "" else "empty"


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_every_field_is_in_the_reference_with_its_default(model: type[fields.Strict]) -> None:
    rows = documented(REFERENCE, f"fields: {model.__name__}")
    names = [field.alias or name for name, field in model.model_fields.items()]
    assert list(rows) == names
    assert {name: rows[name][1] for name in names} == {name: default_of(model, name) for name in names}


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_in_the_page_about_results(table: str) -> None:
    rows = documented(RESULTS, f"table: {table}")
    assert {name: row[0] for name, row in rows.items()} == {column.name: column.dtype for column in TABLES[table]}


def test_every_metric_is_in_the_page_about_results() -> None:
    rows = documented(RESULTS, "metrics")
    described = {name: (row[0], row[1]) for name, row in rows.items()}
    assert described == {name: (metric.unit, metric.better or "none") for name, metric in METRICS.items()}


@pytest.fixture(scope="module")
def comparison() -> meshsim.Comparison:
    """Return a comparison of what the reference has for an example."""
    example = next(content for _, content in blocks(REFERENCE) if is_whole(content))
    return meshsim.compare(meshsim.load(example), replications=2)


@pytest.mark.slow
def test_every_column_of_a_comparison_is_in_the_page_about_results(comparison: meshsim.Comparison) -> None:
    text = RESULTS.read_text(encoding="utf-8")
    part = text[text.index("\n`Comparison.metrics` (and") : text.index("\n`Comparison.differences` has")]
    rows = re.findall(r"^\| (`.*?) \|", part, flags=re.MULTILINE)
    described = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    keys = {"deployment", "phase", "metric", "flow"}
    assert sorted(described) == sorted(set(comparison.metrics.columns) - keys)


@pytest.mark.slow
def test_the_sample_of_json_has_all_that_a_comparison_says(comparison: meshsim.Comparison) -> None:
    text = RESULTS.read_text(encoding="utf-8")
    sample = json.loads(text.split("### compare and run\n\n```json\n")[1].split("```")[0])
    found = comparison.to_json()
    assert sample.keys() == {"folder", "complete", *found}
    for said, meant in zip(_values(sample), _values(found), strict=False):
        assert said.keys() == meant.keys()
    assert sample["warm_up"][0].keys() == found["warm_up"][0].keys()
    assert sample["verdicts"][0].keys() == found["verdicts"][0].keys()
    assert list(sample["expectations"][0]) == list(Result.__dataclass_fields__)


def test_every_column_of_what_is_expected_is_in_the_page_about_results() -> None:
    text = RESULTS.read_text(encoding="utf-8")
    part = text.split("a row for each expectation and deployment: ")[1].split("(as in `metrics`)")[0]
    assert re.findall(r"`(\w+)`", part.replace("`expect`", "")) == list(Result.__dataclass_fields__)


def _values(data: dict[str, Any]) -> list[dict[str, Any]]:
    return list(data["phases"][0]["metrics"][0]["values"].values())


def test_every_flow_is_explained() -> None:
    assert all(f"`{flow}`" in RESULTS.read_text(encoding="utf-8") for flow in FLOWS)


def test_every_conformance_case_and_every_known_difference_is_in_the_page_about_them() -> None:
    text = CONFORMANCE.read_text(encoding="utf-8")
    assert [case.name for case in cases() if f"| `{case.name}` | {case.title} | " not in text] == []
    differences = [f"| `{points}` | `{outcomes}` | " for points, outcomes, _ in LIMITATIONS]
    assert [row for row in differences if row not in text] == []


def test_every_response_flag_is_in_the_life_of_a_request() -> None:
    text = LIFE.read_text(encoding="utf-8")
    never = {"UR"}  # only an HTTP/2 server that resets a stream, which no scenario has
    shown = {*flags.NAMES, "URX", "DI"} - {""} - never
    assert [flag for flag in sorted(shown) if f"\n| {flag} |" not in text] == []


def test_the_life_of_a_request_names_modules_that_exist() -> None:
    named = re.findall(r"`(\w+\.py)`", LIFE.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / "meshsim" / "dataplane" / name).exists()] == []


# --- pages ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MECHANISMS)
def test_a_page_about_a_mechanism_has_its_headings_in_order(name: str) -> None:
    text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == HEADINGS


@pages
def test_every_relative_link_leads_to_something(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        file, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        found = (page.parent / file) if file else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(target)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """Return the names that headings and anchors of a page can be linked by."""
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'id="([^"]+)"', text))


def test_the_index_links_every_page() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    missing = [page.name for page in (ROOT / "docs").glob("*.md") if f"({page.name})" not in index]
    assert sorted(missing) == ["index.md"]


@pages
def test_snippets_give_what_the_page_says(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if ">>>" not in text:
        return
    # The end of a fence is not part of what is expected.
    test = doctest.DocTestParser().get_doctest(text.replace("```", ""), {}, page.name, str(page), 0)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    runner.run(test)
    assert runner.summarize(verbose=False).failed == 0


def programs() -> Iterator[Any]:
    """Yield the blocks of Python that are no dialogues."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
            if ">>>" not in match[1]:
                yield pytest.param(match[1], id=f"{page.name}:{text[: match.start()].count(chr(10)) + 1}")


@pytest.mark.slow
@pytest.mark.parametrize("program", [*programs()])
def test_every_program_runs_as_it_stands(
    program: str, comparison: meshsim.Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(own_balancers, "_REGISTERED", {})
    file = tmp_path / "program.py"
    file.write_text(program, encoding="utf-8")
    try:
        runpy.run_path(str(file), {"comparison": comparison})
    finally:
        plt.close("all")
