from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from meshsim.report import style
from meshsim.report.flow_matrix import amount, flow_matrix, matrix


def frame(deployments=("hybrid",)):
    rows = [(name, a, b, 10.0, 1e6, 3.0) for name in deployments for a, b in (("a", "a"), ("a", "b"))]
    return pd.DataFrame(rows, columns=["deployment", "source", "destination", "calls", "bytes", "cost"])


def test_rows_are_sources_and_columns_destinations():
    axes = matrix(frame(), "hybrid", "calls", ["a", "b"], style.picture(3, 3).subplots())
    assert np.asarray(axes.images[0].get_array()) == pytest.approx(np.array([[10.0, 10.0], [0.0, 0.0]]))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert [(text.get_position(), text.get_text()) for text in axes.texts] == [((0, 0), "10"), ((1, 0), "10")]


def test_many_clusters_have_a_scale_in_place_of_numbers():
    names = [f"c{i}" for i in range(12)]
    many = frame().replace({"a": "c0", "b": "c1"})
    axes = matrix(many, "hybrid", "calls", names, style.picture(3, 3).subplots())
    assert not axes.texts
    assert axes.get_title() == "hybrid: calls per second (darkest: 10)"


def test_deployments_stand_side_by_side_with_one_scale_each_for_calls_bytes_and_cost():
    figure = flow_matrix(frame(("x", "y")), ["a", "b"]).figure
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [f"{name}: {what}" for what in ("calls per second", "bytes per second", "USD a month")
                      for name in ("x", "y")]  # fmt: skip


@pytest.mark.parametrize("count", [1, 5])
def test_titles_end_before_the_next_matrix_and_the_edge(count):
    names = [f"outlier detection {at} ever" for at in range(count)]
    figure = flow_matrix(frame(names), ["a", "b"]).figure
    figure.draw_without_rendering()
    drawn = [axes for axes in figure.axes if axes.has_data()]
    boxes = [(axes.get_window_extent(), axes._left_title.get_window_extent()) for axes in drawn]
    for place, title in boxes:
        right = [other.x0 for other, _ in boxes if other.y0 == pytest.approx(place.y0) and other.x0 > place.x0 + 1]
        assert title.x1 <= min(right, default=figure.bbox.x1)


def test_what_went_to_endpoints_outside_the_clusters_has_a_column_of_its_own():
    away = pd.concat([frame(), frame().iloc[[1]].assign(destination="in us", calls=7.0)])
    figure = flow_matrix(away, ["a", "b"]).figure
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "in us"]
    assert np.asarray(axes.images[0].get_array()).tolist() == [[10.0, 10.0, 7.0], [0.0, 0.0, 0.0]]
    assert figure.get_suptitle().endswith("“in …”: to endpoints outside the clusters")
    assert "outside" not in flow_matrix(frame(), ["a", "b"]).figure.get_suptitle()


def test_a_cost_that_is_not_zero_is_not_written_as_zero():
    assert [amount("cost", value) for value in (0.0123, 0.4, 3.14, 1234.5)] == ["0.012", "0.4", "3.1", "1,234"]


def test_a_cluster_that_is_not_in_the_scenario_is_left_out():
    axes = matrix(frame(), "hybrid", "calls", ["a"], style.picture(3, 3).subplots())
    assert np.asarray(axes.images[0].get_array()).tolist() == [[10.0]]
