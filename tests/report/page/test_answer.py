from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from meshsim.analysis.verdicts import Verdict
from meshsim.report.page.sections.answer import _known, answer, circumstances, sentences
from meshsim.report.page.study import Study
from meshsim.report.plots import Plots
from meshsim.results.frames import concatenate
from tests.report import synthetic
from tests.report.page.conftest import entering


def told(study):
    return [sentence.says for sentence in sentences(study)]


def test_three_questions_are_answered(study):
    assert [sentence.asks for sentence in sentences(study)] == [
        "What happens to users?", "What does it cost more?", "How sure is that?",
    ]  # fmt: skip
    assert all(says.endswith(".") for says in told(study))


def test_every_number_of_the_first_sentence_is_one_of_the_comparison_with_its_interval(study):
    says = told(study)[0]
    for name in study.deployments:
        assert f"{study.line('success_rate').text(name)} ({name})" in says
        assert f"{study.line('latency_p99').text(name)} ({name})" in says


def test_a_winner_is_named_where_it_beats_all_others_beyond_chance(study):
    line = study.line("success_rate")
    assert line.best == "multi-primary"
    assert "multi-primary is the best" in told(study)[0]


@pytest.mark.slow
def test_nobody_wins_where_nothing_is_beyond_chance():
    alike = dict.fromkeys(("multi-primary", "hybrid"), ("eu-1",))
    tables = synthetic.tables(3, alike)
    rows = tables["requests"]
    failed = (rows["code"] >= 500) & (rows["deployment"] == "hybrid") & (rows["replication"] == 0)
    tables["requests"] = rows[~failed]  # one of three replications differs
    says = told(Study(Plots(synthetic.document(), tables), {}))[0]
    assert "no difference beyond chance with these 3 replications" in says
    assert "best" not in says


@pytest.mark.slow
def test_what_is_the_same_everywhere_is_called_so():
    tables = synthetic.tables(3, dict.fromkeys(("multi-primary", "hybrid"), ("eu-1",)))
    assert "the same in every replication" in told(Study(Plots(synthetic.document(), tables), {}))[0]


def test_one_replication_tells_nothing_from_chance():
    study = Study(Plots(synthetic.document(), synthetic.tables(1)), {})
    first, _, sure = told(study)
    assert "one replication cannot tell them apart" in first
    assert "nothing here can be told from chance" in sure
    assert "±" not in first


def test_numbers_agree_with_their_verbs():
    assert "None of these 2 numbers is known" in _known([verdict(9), verdict(9)])
    assert "1 of these 2 numbers is known" in _known([verdict(0), verdict(9)])
    assert "2 of these 3 numbers are known" in _known([verdict(0), verdict(0), verdict(1)])
    assert _known([verdict(0), verdict(0), verdict(1)]).endswith("latency p99, would take about 1 more replication.")
    assert _known([verdict(2_000)]).startswith("This number is not known")
    assert "not worth simulating" in _known([verdict(2_000)])


def verdict(more):
    return Verdict("latency_p99", "all", "open", "", more)


def test_a_latency_of_failed_requests_is_no_merit():
    tables = synthetic.tables(3)
    calls = tables["requests"]
    broken = (calls["deployment"] == "hybrid") & (calls["start"] >= synthetic.FAULT[0])
    tables["requests"] = calls.assign(code=calls["code"].where(~broken, 503))
    quick = tables["latency"]
    tables["latency"] = quick.assign(bin=quick["bin"].where(quick["deployment"] != "hybrid", quick["bin"] - 50))
    says = told(Study(Plots(synthetic.document(), tables), {}))[0]
    assert "under hybrid it is no merit, as fewer than 90 % of the requests succeeded" in says
    assert "hybrid is the best" not in says


def test_one_deployment_is_not_compared():
    study = Study(Plots(synthetic.document(), synthetic.tables(3, {"hybrid": ("eu-1",)})), {})
    first, costs, sure = told(study)
    assert [sentence.asks for sentence in sentences(study)][1] == "What does it cost?"
    assert not re.search(r"\b(best|worst|better)\b", first + costs + sure)


def test_a_run_without_requests_says_so():
    assert told(Study(Plots(synthetic.document(), concatenate([])), {}))[0].startswith("No user request ended")


@pytest.mark.slow
def test_many_deployments_are_told_by_their_ends():
    many = {f"d{i}": ("eu-1",) * (1 + i % 3) for i in range(12)}
    own = {name: {"control_planes": {"eu-1": ["eu-1", "eu-2", "us-1"]}} for name in many}
    document = synthetic.document(deployments={**own})
    says = told(Study(Plots(document, synthetic.tables(2, many)), {}))
    assert all(len(one) < 1500 for one in says)
    assert re.search(r"succeed at [^(]+ \(d2, d5, d8 and d11\) to [^(]+ \(d0, d3, d6 and d9\)", says[0])


def test_cost_differences_carry_an_interval_or_say_that_they_are_always_the_same(study):
    says = told(study)[1]
    assert re.search(r"\d+(\.\d+)? ± \d|in every replication|not distinguishably", says)
    assert "3 (multi-primary), 1 (primary-remote), 2 (hybrid)" in says


def test_circumstances_name_the_faults_and_not_what_operators_do_every_day(study):
    said = circumstances(study)
    assert "istiod of eu-1 is lost" in said
    assert "cart v2" not in said


def test_the_short_table_answers_for_users_the_mesh_and_the_bill(study):
    labels = [row.label for row in answer(study).tables[0].rows]
    assert labels[0] == "success rate, all users"
    assert {"latency p99, all users", "stale proxies", "time to recover", "control planes"} <= set(labels)
    assert len(labels) <= 14


@pytest.mark.parametrize("clusters", [["eu-1"], ["eu-1", "us-1"], ["us-1", "eu-1"]])
def test_users_of_each_region_have_rows_of_their_own(clusters):
    labels = [row.label for row in answer(entering(synthetic.tables(2), clusters)).tables[0].rows]
    for metric in ("success rate", "latency p99"):
        assert (f"{metric}, users entering in us" in labels) == (len(clusters) > 1)


def test_a_region_with_too_few_requests_for_a_p99_has_its_mean():
    tables = synthetic.tables(2)
    counts = tables["requests"]
    study = entering({**tables, "requests": counts.assign(count=np.minimum(counts["count"], 3))}, ["eu-1", "us-1"])
    labels = [row.label for row in answer(study).tables[0].rows]
    assert "latency mean, users entering in us" in labels
    assert "latency p99, users entering in us" not in labels
    assert "highest p99" not in sentences(study)[0].says


def test_the_answer_names_the_region_that_waits_longest_at_the_tail():
    study = entering(synthetic.tables(2), ["eu-1", "us-1"])
    lines = {region: found["latency_p99"] for region, found in study.entries.items()}
    slowest = max((line.mean(name), region, name) for region, line in lines.items() for name in line.rows)
    assert f"the highest p99 is {lines[slowest[1]].text(slowest[2])}, of region {slowest[1]} under" in told(study)[0]


def of_twins(broken=()):
    """Return a study of three deployments that behave alike, but for those under which all requests fail."""
    one = synthetic.tables(2, {"": ("eu-1",)})
    for name in ("requests", "latency"):
        one[name] = one[name].assign(cluster=np.resize(["eu-1", "eu-1", "us-1"], len(one[name])))
    names = ("multi-primary", "primary-remote", "hybrid")
    parts = [{table: rows.assign(deployment=name) for table, rows in one.items()} for name in names]
    tables = {table: pd.concat([part[table] for part in parts], ignore_index=True) for table in one}
    calls = tables["requests"]
    failed = calls["code"].where(~calls["deployment"].isin(broken), 503)
    return Study(Plots(synthetic.document(), {**tables, "requests": calls.assign(code=failed)}), {})


def test_a_tie_of_deployments_does_not_go_to_one_by_its_name():
    says = told(of_twins())[0]
    assert re.search(r"the lowest success rate is [^;]+, of region \w+ under each; the highest p99", says)
    assert re.search(r"the highest p99 is [^;]+, of region \w+ under each\.", says)
    says = told(of_twins(broken=("multi-primary", "hybrid")))[0]
    both = "under multi-primary and hybrid"
    assert re.search(rf"the lowest success rate is [^;,]+, of region eu {both} and of region us {both};", says)


@pytest.mark.parametrize(
    ("count", "says"), [(3, "d1 .* more.*and d2 .* more"), (7, "6 deployments from .*d1.* to .*d6.* more")]
)
def test_the_dearest_is_told_of_however_many(count, says):
    # One more replica of istiod from one deployment to the next.
    served = ["eu-1", "eu-2", "us-1"]
    own = {f"d{at}": {"control_planes": {"eu-1": {"serves": served, "replicas": 1 + at}}} for at in range(count)}
    tables = synthetic.tables(2, dict.fromkeys(own, ("eu-1", "eu-2", "us-1")))
    money = told(Study(Plots(synthetic.document(deployments=own), tables), {}))[1].split(". Control planes")[0]
    assert re.search(rf"beside it {says}", money)
    assert f"{17.7 * (count - 1):.3g}" in money
