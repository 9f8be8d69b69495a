"""Waterfalls: a row a call, its waiting coloured by what for; legible however many calls there are."""

from __future__ import annotations

import pandas as pd
import pytest

from meshsim.analysis.critical_path import PARTS
from meshsim.report.waterfall import LOOKS, MOST, waterfalls


def request(deployment: str, calls: int, shown: str = "typical") -> list[dict]:
    """Return a request whose calls follow one another, each one second on a link and one in service."""
    both = {"deployment": deployment, "shown": shown, "quantile": 2.0 * calls, "latency": 2.0 * calls}
    rows = []
    for number in range(calls):
        began, ended = (0.0, 2.0 * calls) if number == 0 else (2.0 * number, 2.0 * number + 2)
        own = {**both, "number": number, "parent": -1 if number == 0 else 0, "kind": "call", "source": "web",
               "destination": f"service-{number}", "source_cluster": "eu-1",
               "destination_cluster": "us-1" if number % 2 else "eu-1"}  # fmt: skip
        rows.append({**own, "part": "", "began": began, "ended": ended})
        rows.append({**own, "part": "link there", "began": 2.0 * number, "ended": 2.0 * number + 1})
        rows.append({**own, "number": 1000 + number, "parent": number, "kind": "computation", "part": "service",
                     "began": 2.0 * number + 1, "ended": 2.0 * number + 2})  # fmt: skip
    return rows


def labels(axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def test_every_call_has_a_row_with_its_cluster_where_that_is_another_one():
    axes = waterfalls(pd.DataFrame(request("hybrid", 5)))[0]
    assert labels(axes) == [
        "service-0", "· service-1 in us-1", "· service-2", "· service-3 in us-1", "· service-4",
    ]  # fmt: skip
    assert axes.get_title(loc="left") == "hybrid: typical request (median 10 s), 10 s"
    assert "ms" in axes.get_xlabel()


def test_coloured_bars_add_up_to_the_latency_in_milliseconds():
    axes = waterfalls(pd.DataFrame(request("hybrid", 5)))[0]
    coloured = [bars for bars in axes.containers if bars.get_label() in PARTS]
    assert {bars.get_label() for bars in coloured} == {"link there", "service"}
    assert sum(bar.get_width() for bars in coloured for bar in bars) == pytest.approx(10_000.0)


def test_of_many_calls_those_that_took_most_are_drawn_and_the_rest_is_counted():
    rows = request("hybrid", 60)
    axes = waterfalls(pd.DataFrame(rows))[0]
    assert len(labels(axes)) == MOST
    assert labels(axes)[0] == "service-0"
    assert f"{60 - MOST} of 60 calls, 1m12s in all, are not shown" in axes.get_xlabel()


def test_typical_and_p99_stand_side_by_side_for_the_first_two_deployments():
    rows = [
        row for name in ("a", "b", "c") for shown in ("typical", "p99") for row in request(name, 3, shown)
    ]  # fmt: skip
    titles = [axes.get_title(loc="left") for axes in waterfalls(pd.DataFrame(rows))]
    assert [title[:9] for title in titles] == ["a: typica", "a: p99 re", "b: typica", "b: p99 re"]


def test_nothing_traced_is_said():
    nothing = pd.DataFrame(request("hybrid", 2)).iloc[:0]
    with pytest.raises(ValueError, match="no request was traced"):
        waterfalls(nothing)


def test_every_part_looks_different():
    assert len(set(LOOKS.values())) == len(PARTS)
