from __future__ import annotations

import numpy as np
import pytest

from meshsim.analysis.over_time import latency_over_time
from meshsim.report import style
from meshsim.report.heat_map import heat_map, spread


def test_each_column_is_all_requests_of_its_time(plots):
    mesh = spread(latency_over_time(plots.tables), "hybrid", style.picture(4, 2).subplots())
    shares = np.ma.filled(mesh.get_array(), 0.0)
    assert shares.sum(axis=0) == pytest.approx(100.0)


def test_the_darkest_cell_is_the_largest_share(plots):
    frame = latency_over_time(plots.tables)
    mesh = spread(frame, "hybrid", style.picture(4, 2).subplots())
    largest = 100 * frame[frame["deployment"] == "hybrid"]["share"].max()
    assert mesh.get_array().max() == pytest.approx(largest)


def test_a_panel_for_each_deployment_in_order_over_one_time_axis(plots):
    figure = heat_map(latency_over_time(plots.tables), plots.document).figure
    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in panels] == ["multi-primary", "primary-remote", "hybrid"]
    assert panels[-1].get_xlabel() == "simulated time (min)"
    assert len({axes.get_ylim() for axes in panels}) == 1
    assert all(axes.get_yscale() == "log" for axes in panels)


def test_events_are_ruled(plots):
    figure = heat_map(latency_over_time(plots.tables), plots.document).figure
    assert {"event istiod of eu-1 is lost", "warm-up"} <= {line.get_gid() for line in figure.axes[0].lines}
