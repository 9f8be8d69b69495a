"""No number is printed without a bound, or as if it were known exactly."""

from __future__ import annotations

import math
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from meshsim.analysis.comparison import compare
from meshsim.analysis.expectations import Result
from meshsim.analysis.means import known
from meshsim.analysis.wanted import Wanted
from meshsim.experiment.breaking import Breaking, Look, State
from meshsim.experiment.sensitivity import _end
from meshsim.report import expectations, html, sweep, sweep_pictures, tables
from meshsim.report.cells import FAILING, cell, hidden, how_to_read, printed
from meshsim.report.style import render
from meshsim.scenario.schema_expect import Expectation

WITHOUT_WIDTH = re.compile(r"± 0(?:\.0+)?(?![.\d])")


def agreed(replications: int = 5) -> pd.DataFrame:
    """Return the comparison of two deployments in which every replication had the same of everything."""
    values = {
        "requests": 8_000.0, "success_rate": 1.0, "errors": 0.0, "latency_p99": 0.2, "stale_share": 0.0,
        "disconnected_share": 1.0, "stale_proxy_seconds": 0.0, "time_to_recover": 0.0, "control_planes": 3.0,
    }  # fmt: skip
    rows = [
        (name, number, "all", metric, "all", value)
        for name in ("a", "b")
        for number in range(replications)
        for metric, value in values.items()
    ]
    return compare(pd.DataFrame(rows, columns=["deployment", "replication", "phase", "metric", "flow", "value"]))


def test_a_comparison_says_what_is_known_of_each_number():
    sheet = tables.lay_out(agreed(), full=True)
    assert {row.metric: row.cells[0].text for row in sheet.sections[0].rows} == {
        "requests": "8,000 (all 5)",
        "success_rate": "100 (>99.9925) %",
        "errors": "0 (<0.60)",
        "latency_p99": "200.0 ± 1.6 ms",
        "stale_share": "0 % (all 5)",
        "disconnected_share": "100 % (all 5)",
        "stale_proxy_seconds": "0 (all 5)",
        "time_to_recover": "0 s (all 5)",
        "control_planes": "3",
    }
    assert "(all 5): the same in each of 5 replications, which makes no interval" in sheet.how_to_read("*")


@pytest.mark.parametrize("write", [tables.plain, tables.markdown, html.table_html])
def test_no_form_of_a_comparison_has_an_interval_without_width(write):
    text = write(agreed(), full=True)
    assert not WITHOUT_WIDTH.search(text)
    assert "(all 5)" in text.replace("\\", "")


def swept() -> pd.DataFrame:
    parts = []
    for point in (0, 1):
        own = agreed()
        own.insert(0, "point", point)
        own.insert(1, "load.scale", [0.5, 1.0][point])
        parts.append(own)
    return pd.concat(parts, ignore_index=True)


def test_a_sweep_has_bounds_and_ends_with_a_verdict_for_each_metric():
    text = sweep.plain(swept(), ["load.scale"], [Wanted("success_rate"), Wanted("stale_share")])
    assert not WITHOUT_WIDTH.search(text)
    assert "100 (>99.9925) %" in text
    assert "0 % (all 5)" in text
    assert text.splitlines()[-3:] == [
        "verdict",
        "  success rate   at 2 of 2 points: the same in every replication",
        "  stale proxies  at 2 of 2 points: the same in every replication",
    ]


def test_the_table_of_a_sweep_has_bounds_in_its_columns():
    frame = swept()
    rates = frame[frame["metric"] == "success_rate"]
    assert (rates["half_width"] > 0).all()
    assert (rates["low"] < 1).all()
    assert frame[frame["metric"] == "stale_share"]["half_width"].isna().all()


@pytest.mark.sample(1)
@pytest.mark.parametrize("varied", [["load.scale"], ["load.scale", "services.web.replicas"], ["a", "load.scale", "c"]])
def test_pictures_of_a_sweep_show_bounds_of_what_never_failed(varied):
    frame = swept().assign(**{name: 1 for name in varied if name != "load.scale"})
    figure = sweep_pictures.picture(frame, varied, Wanted("success_rate")).figure
    assert render(figure, "png").startswith(b"\x89PNG")
    if len(varied) == 2:
        assert {text.get_text() for axes in figure.axes[:2] for text in axes.texts} == {"100\n>99.9925"}
    elif len(varied) == 1:
        [band, _] = figure.axes[0].collections
        assert band.get_paths()[0].vertices[:, 1].min() == pytest.approx(99.9925, abs=1e-4)


def test_a_breaking_point_shows_the_bound_that_decided():
    look = Look("1", 1.0, State.FINE, 1.0, 7.5e-5, 5, 0.999925, 1.0, True, 0.0)
    search = type("Search", (), {})()
    search.bound, search.axis = (
        type("B", (), {"wanted": Wanted("success_rate")})(),
        type("A", (), {"path": "load.scale"})(),
    )
    search.confidence, search.most = 0.9875, 24
    text = sweep.breaking([Breaking("a", (look, look._replace(state=State.BROKEN)))], search)
    assert "100 (>99.9925) %" in text
    assert "(<9) or (>9)" in text


def tornado(**more: object) -> pd.DataFrame:
    row = {
        "deployment": "a", "metric": "success_rate", "field": "load.scale", "end": "high", "value": "2", "base": 1.0,
        "base_low": 0.9999, "base_high": 1.0, "base_same": True, "base_events": 0.0, "base_n": 5, "mean": 1.0,
        "low": 0.9999, "high": 1.0, "same": True, "events": 0.0, "end_n": 5, "difference": 0.0, "half_width": 1e-4,
        "difference_same": True, "n": 5, "beyond_chance": False, "swing": 0.0,
    }  # fmt: skip
    return pd.DataFrame([{**row, **more}])


def test_a_tornado_has_bounds_and_ends_with_a_verdict():
    text = sweep.tornado(tornado())
    assert not WITHOUT_WIDTH.search(text)
    assert "100 (>99.990) % at the base" in text
    assert "0 ± 0.010 points" in text
    assert text.endswith("no effect of load.scale seen with these 5 replications\n")
    other = tornado(metric="pods_blocked", mean=0.0, base=0.0, low=math.nan, base_low=math.nan, half_width=math.nan)
    assert "0 (all 5)" in sweep.tornado(other)
    assert "depends on load.scale" in sweep.tornado(tornado(beyond_chance=True))


def test_a_tornado_tells_what_is_the_same_in_every_replication_from_no_effect():
    more = {"metric": "pods_blocked", "mean": 3.0, "difference": 3.0, "half_width": math.nan, "steady": True}
    assert sweep.tornado(tornado(**more)).endswith(
        "with load.scale it differs the same way in each of 5 replications; 6 that agree would rule\n"
        "                     chance out\n"
    )
    none = {"mean": math.nan, "difference": math.nan, "difference_same": False, "n": 0}
    assert sweep.tornado(tornado(**none)).endswith("nothing was observed\n")
    assert sweep.tornado(pd.concat([tornado(), tornado(field="mtls", **none)])).endswith(
        "no effect of load.scale seen with these 5 replications; with mtls nothing was observed\n"
    )


@pytest.mark.parametrize("column", ["base_requests_needed", "requests_needed"])
def test_a_tornado_shows_no_difference_of_percentiles_of_too_few_requests(column):
    few = {"metric": "latency_p99", "beyond_chance": True, "difference_same": False, column: 1000}
    text = sweep.tornado(tornado(**few))
    assert text.endswith("too few requests: 1,000 in each replication are needed\n")
    assert [line.split()[-2:] for line in text.splitlines() if line.startswith("  load.scale")] == [["too", "few"]]
    both = pd.concat([tornado(**few), tornado(**{**few, column: 0, "field": "mtls"})])
    assert (
        sweep.tornado(both)
        .replace("\n                    ", "")
        .endswith("depends on mtls; too few requests with load.scale: 1,000 in each replication are needed\n")
    )
    axes = sweep_pictures.tornado(tornado(**few, end="low"), "a", "latency_p99")
    assert "2: too few" in [text.get_text().strip() for text in axes.texts]


def test_indices_of_what_never_changes_are_none():
    row = {"deployment": "a", "metric": "success_rate", "field": "load.scale", "points": 32, "replications": 2}
    nothing = dict.fromkeys(("first_order", "first_order_half_width", "total", "total_half_width"), math.nan)
    text = sweep.indices(pd.DataFrame([{**row, **nothing}])).replace("\n", " ")
    assert "the same at every point, so there is nothing to explain" in text
    assert "± 0" not in text


def test_an_expectation_that_fails_says_what_was_found_with_its_bound():
    found = Result(
        0, "a", "all", "errors", "all", 1.0, math.nan, 0.0, 0.6, 5, 0, False, False, "", 0.0, 0.6, True, 0.0
    )  # fmt: skip
    assert "is 0 (<0.60), not at least 1" in expectations.lines([found], [Expectation(metric="errors", at_least=1)])[0]


def test_only_marks_that_are_there_are_explained():
    rows = {
        "success_rate": {"mean": 0.999, "half_width": 0.001, "n": 5},
        "errors": {"mean": 0.0, "half_width": 0.3, "low": 0.0, "high": 3.0, "events": 0, "n": 5},
        "pods_blocked": {"mean": 0.0, "n": 3, "same": True},
        "latency_p99": {"mean": 0.1, "n": 5, "requests_needed": 1000},
        "time_to_recover": {"mean": math.nan, "n": 0, "never": 5},
    }
    signs = {name: printed(name, row).signs for name, row in rows.items()}
    assert how_to_read(signs.pop("success_rate")) == []
    assert [words.partition(":")[0] for words in how_to_read(frozenset().union(*signs.values()))] == [
        "(<9) or (>9)", "(all 3)", "too few", "never",
    ]  # fmt: skip


def test_what_all_replications_agree_on_while_requests_failed_has_both_signs():
    row = {"mean": 0.0, "half_width": math.nan, "n": 5, "same": True, "failing": True}
    found = printed("cross_region_requests", row)
    assert found.text.endswith(f"(all 5){FAILING}")
    said = how_to_read(found.signs)
    assert [words.partition(":")[0] for words in said] == ["(all 5)", FAILING.strip()]


@pytest.mark.parametrize("write", [tables.plain, tables.markdown, html.table_html])
def test_every_form_of_a_comparison_tells_of_failing_deployments_that_agree(write):
    text = write(agreed().assign(failing=True), full=True).replace("\n", " ")
    assert "the same in each of 5 replications" in text
    assert "that it is low is no merit" in text


def test_the_most_replications_that_agree_stand_for_all_in_the_explanation():
    rows = [{"mean": 0.0, "n": n, "same": True} for n in (3, 12)]
    [said] = how_to_read(frozenset().union(*(printed("pods_blocked", row).signs for row in rows)))
    assert said.startswith("(all 12): ")


@pytest.mark.parametrize(
    "known",
    [
        {"failing": True},
        {"missing": 2},
        {"same": True},
        {"same": True, "failing": True},
        {"half_width": 0.02, "failing": True},
        {"half_width": 0.02, "low": 0.0, "high": 0.3, "events": 2},
    ],
)
@pytest.mark.parametrize(("mean", "alone"), [(0.15, "150 ms"), (250.0, "4m10s")])
def test_a_mean_keeps_its_unit_and_nothing_else_whatever_is_known_of_it(known, mean, alone):
    row = {"mean": mean, "half_width": math.nan, "n": 3, **known}
    assert printed("time_to_recover", row).mean == alone


def test_what_the_digits_hide_is_told_of_failing_deployments_too():
    one = {"mean": 0.1504, "half_width": 0.02, "n": 5, "failing": True}
    assert hidden("latency_p99", one, one | {"mean": 0.1501}) == "300 µs"
    assert hidden("latency_p99", one, one | {"mean": 0.1501, "failing": False}) == "300 µs"
    assert hidden("latency_p99", one, one | {"mean": 1.504e-4, "half_width": 2e-5}) == ""


def test_what_was_not_always_seen_says_in_how_many():
    row = {"mean": 0.0, "half_width": math.nan, "n": 3, "missing": 2, "same": True}
    assert cell("time_to_recover", row) == "0 s (3/5)"


def test_what_did_not_always_recover_says_in_how_many_it_never_did():
    row = {"mean": 10.5, "half_width": 2.1, "n": 4, "missing": 2, "never": 2}
    assert cell("time_to_recover", row) == "10.5 ± 2.1 s (never in 2/6)"
    assert cell("time_to_recover", {**row, "mean": math.inf}) == "never in 2/6"
    [said] = how_to_read(printed("time_to_recover", row).signs)
    assert said.startswith("never in 2/5: in 2 of 5 replications not by the end of the run")


def test_a_breaking_point_and_a_tornado_say_what_never_recovered():
    look = Look("1", 1.0, State.BROKEN, math.inf, math.nan, 6, missing=6, never=6)
    some = look._replace(value="2", number=2.0, state=State.OPEN, missing=2, never=2)
    search = SimpleNamespace(
        bound=SimpleNamespace(wanted=Wanted("time_to_recover"), value=30.0),
        axis=SimpleNamespace(path="load.scale", unit="", log=False), confidence=0.9875, most=24,
    )  # fmt: skip
    found = [Breaking("a", (look, some))]
    lines = [line.split() for line in sweep.breaking(found, search).splitlines()]
    assert ["a", "1", "never", "6", "broken"] in lines
    assert ["a", "2", "never", "in", "2/6", "6", "undecided"] in lines
    assert render(sweep_pictures.breaking(found, search).figure, "png").startswith(b"\x89PNG")
    never = tornado(
        metric="time_to_recover", base=math.inf, base_n=0, base_missing=6, base_never=6, end_n=6, n=6, mean=0.0,
        half_width=math.nan, difference=-math.inf, difference_same=False, beyond_chance=True, swing=math.inf,
    )  # fmt: skip
    assert "time_to_recover, a: never at the base" in sweep.tornado(never)
    assert render(sweep_pictures.tornado(never, "a", "time_to_recover").figure, "png").startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("base", "end", "at_base", "at_end"),
    [
        ([math.inf] * 5, [10.0, 12.0, *[math.nan] * 3], "never at the base", "11 s (2/5)"),
        ([5.0] * 5, [10.0, 12.0, math.inf, math.nan, math.nan], "5 s (all 5) at the base", "never in 1/5"),
        ([5.0, 5.0, *[math.nan] * 3], [10.0] * 5, "5 s (2/5) at the base", "10 s (all 5)"),
    ],
)
def test_each_end_of_a_tornado_counts_its_own_replications(
    base: list[float], end: list[float], at_base: str, at_end: str
) -> None:
    points = [(np.array(values), np.full(5, math.nan)) for values in (base, end)]
    row = _end("time_to_recover", known("time_to_recover", base), *points, 2)
    text = sweep.tornado(tornado(metric="time_to_recover", **row))
    assert f"time_to_recover, a: {at_base}" in text
    assert f"  2   {at_end}" in re.sub(r" {4,}", "   ", text)
