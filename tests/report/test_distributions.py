from __future__ import annotations

import pandas as pd
import pytest

from meshsim.report import style
from meshsim.report.distributions import distributions, tail
from tests.report import synthetic


@pytest.fixture(scope="module")
def figure(plots):
    return plots.distributions().figure


def test_a_column_for_each_flow_with_the_distribution_above_its_tail(figure):
    assert [axes.get_title(loc="left") for axes in figure.axes[:4]] == [
        "All requests",
        "All calls local",
        "Crossed a zone",
        "Crossed a region",
    ]
    assert figure.axes[0].get_ylabel() == "requests at most this slow"
    assert figure.axes[4].get_ylabel() == "requests slower than this"
    assert figure.axes[4].get_xlabel() == "latency"


def test_the_title_names_the_phase(figure):
    assert figure.get_suptitle().endswith(": during, 1m30s to 3m10s")


def test_each_panel_has_a_curve_for_each_deployment(figure):
    for axes in figure.axes:
        assert set(synthetic.FROZEN) <= {line.get_label() for line in axes.lines}


def test_latency_is_logarithmic_and_the_tail_reaches_beyond_p99_9(figure):
    for axes in figure.axes[4:]:
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        assert axes.get_ylim()[0] < 0.001
    assert "0.1 % (p99.9)" in [label.get_text() for label in figure.axes[4].get_yticklabels()]


def test_the_tail_is_what_the_distribution_leaves():
    frame = pd.DataFrame(
        {"deployment": ["a"] * 3, "flow": ["all"] * 3, "seconds": [0.1, 0.2, 0.4], "share": [0.5, 0.9, 1.0]}
    )
    drawn = tail(frame, "all", style.picture(4, 2).subplots()).lines[0].get_ydata()
    assert drawn == pytest.approx([0.5, 0.1])  # nothing is slower than the slowest: no place on a logarithmic axis


def test_a_flow_whose_requests_all_took_the_same_time_has_no_tail():
    frame = pd.DataFrame({"deployment": ["a"], "flow": ["all"], "seconds": [0.1], "share": [1.0]})
    figure = style.picture(4, 2)
    tail(frame, "all", figure.subplots())
    assert style.render(figure, "png").startswith(b"\x89PNG")


def test_flows_that_nobody_took_are_left_out():
    frame = pd.DataFrame({"deployment": ["a"], "flow": ["all"], "seconds": [0.1], "share": [1.0]})
    assert len(distributions(frame)) == 2
