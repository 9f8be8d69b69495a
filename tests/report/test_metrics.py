from __future__ import annotations

import math

from meshsim.analysis.metrics import METRICS
from meshsim.report.cost_bars import PARTS
from meshsim.report.metrics import ROWS, is_key, rank, shown
from meshsim.report.page.sections.cost import SPLIT, USED
from meshsim.report.page.sections.trade_offs import CRITERIA
from meshsim.report.tables import regions


def test_every_row_is_a_metric_that_the_analysis_makes():
    assert set(ROWS) <= set(METRICS)


def test_units_that_are_not_written_stand_in_the_label():
    for name, metric in METRICS.items():
        if name in ROWS and metric.unit.endswith("-seconds"):
            assert metric.unit.split("-")[0] in shown(name).label


def test_details_of_errors_stand_below_the_errors():
    keys = [("latency_p50", "all"), ("errors:UH", "all"), ("errors", "all"), ("success_rate", "all"), ("x", "all")]
    assert [name for name, _ in sorted(keys, key=lambda key: rank(*key))] == [
        "success_rate",
        "errors",
        "errors:UH",
        "latency_p50",
        "x",
    ]


def test_what_says_nothing_is_known_of_every_metric():
    assert shown("stale_share").ordinary == 0.0
    assert shown("control_plane_availability").ordinary == 1.0
    assert math.isnan(shown("time_to_recover").ordinary)
    assert math.isnan(shown("my_own").ordinary)
    assert shown("errors:UH").optional


def test_the_short_table_leaves_out_what_few_people_read():
    assert not is_key("pushes", "all")
    assert not is_key("call_errors:UH", "all")


def test_every_row_of_the_page_has_a_name_that_says_what_it_is_without_the_rows_around_it():
    named = {name for names in (*CRITERIA.values(), PARTS, SPLIT, USED) for name in names}
    for name in named - set(ROWS):
        assert shown(name).label.partition(",")[0] != name.replace("_", " "), name
    assert shown("istiod_connected").label == "proxies on the busiest istiod"
    assert shown("roots").label == "root certificates"


def test_requests_and_shares_of_calls_that_crossed_regions_are_told_apart():
    assert shown("cross_region_requests").label == "requests, cross-region"
    assert "shares of calls count every call that reached a pod" in regions(ROWS)[0]


def test_costs_say_their_unit_in_the_label():
    assert shown("cost").label == "total cost, USD a month"
    assert shown("cost_cross_region").label == "cost of bytes between regions, USD a month"
    assert is_key("cost", "all")
    assert not is_key("cost_sidecars", "all")
