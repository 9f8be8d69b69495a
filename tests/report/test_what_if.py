"""What variants change, and what their cost leaves out, is said wherever a comparison is shown."""

from __future__ import annotations

import html as markup
from types import SimpleNamespace

import pytest

from meshsim.report import terminal
from meshsim.report.html import comparison_html
from meshsim.report.page.sections.answer import sentences
from meshsim.report.page.sections.cost import cost
from meshsim.report.page.sections.trade_offs import trade_offs
from meshsim.report.page.study import Study
from meshsim.report.plots import Plots
from meshsim.report.what_if import documents_of, unbilled
from tests.report import synthetic

#: The deployment itself, and a variant with a second control plane's worth of stale proxies.
ARMS = {"multi-primary": ("eu-1",), "pods at home": ("eu-1", "eu-2")}
LEFT_OUT = "The cost leaves out CPU and memory of the services' own pods, which are not the same here: the services ask"


def variants(**tags: object) -> Study:
    """Return a run of a deployment and of a variant that asks for more pods, whose first cluster has tags."""
    document = synthetic.document()
    clusters = document.model_dump(mode="json", exclude_defaults=True)["clusters"]
    own = synthetic.document(clusters=clusters | {"eu-1": clusters["eu-1"] | tags})
    variant = {
        "name": "pods at home", "description": "<b>more</b>", "changes": ["set services.cart.replicas to 3"],
        "scenario": own.model_dump(mode="json", by_alias=True),
    }  # fmt: skip
    manifest = synthetic.manifest(document, tuple(ARMS))
    manifest["what_if"] = {"deployment": "multi-primary", "variants": [variant]}
    tables = synthetic.tables(3, ARMS)
    pods = tables["pods"]
    more = pods["desired_seconds"].where(pods["deployment"] != "pods at home", 1.5 * pods["desired_seconds"])
    tables["pods"] = pods.assign(desired_seconds=more)
    return Study(Plots(document, tables, documents_of(manifest)), manifest)


@pytest.fixture(scope="module")
def study() -> Study:
    return variants(data_residency=["eu"])


def test_findings_are_those_of_each_variants_own_scenario(study):
    table = next(table for table in trade_offs(study).tables if table.name == "findings")
    assert {row.group for row in table.rows} == {"data sent outside"}
    assert {row.cells[0].text for row in table.rows} == {"pods at home"}
    assert all(row.cells[2].text for row in table.rows)


@pytest.mark.slow
def test_a_finding_of_no_deployment_names_the_variants_that_have_it():
    found = variants(data_residency=["eu"], security_domain="bank")
    table = next(table for table in trade_offs(found).tables if table.name == "findings")
    assert {row.cells[0].text for row in table.rows} == {"pods at home"}


@pytest.mark.slow
def test_tags_of_variants_only_are_seen():
    found = variants(data_residency=["eu", "us"])
    assert any("there is no finding" in line for line in trade_offs(found).lead)


def test_the_page_says_beside_the_cost_that_pods_are_not_in_it(study):
    assert LEFT_OUT in sentences(study)[1].says
    assert cost(study).lead[0].startswith(LEFT_OUT)


def test_the_terminal_says_it_below_the_table(study, capsys):
    terminal.show(study.plots.comparison, study.document, manifest=study.manifest)
    out = " ".join(capsys.readouterr().out.split())
    assert out.startswith("Variants of multi-primary, which is shown as it is: pods at home: set services.cart")
    assert f"note: {LEFT_OUT}" in out


@pytest.mark.slow
def test_a_notebook_says_what_the_variants_are_and_what_the_cost_leaves_out(study):
    plots = study.plots
    text = comparison_html(SimpleNamespace(metrics=plots.comparison, plot=plots, manifest=study.manifest))
    assert "“pods at home” is multi-primary with: set services.cart.replicas to 3 (&lt;b&gt;more&lt;/b&gt;)." in text
    assert text.index("“pods at home” is") < text.index("<table>")
    assert markup.escape(LEFT_OUT) in text


def test_many_different_numbers_of_pods_are_told_by_their_ends():
    said = unbilled({f"d{count}": float(count) for count in range(1, 12)})
    assert said.endswith("the services ask for 1 (d1) to 11 (d11) of them.")
