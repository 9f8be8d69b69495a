from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from meshsim.analysis.wanted import Wanted
from meshsim.report import style, sweep_pictures
from meshsim.report.panels import Panels, canvas
from meshsim.report.plots import Plots
from tests.report.test_sweep import made_up

SEVERAL = ("topology", "timeline", "distributions", "bars", "flags", "heat_map", "flow_matrix")
ONE: dict[str, Callable[..., Axes]] = {
    "metric": lambda plots, ax=None: plots.metric("success_rate", ax=ax),
    "cost": lambda plots, ax=None: plots.cost("before", ax=ax),
    "curves": lambda _, ax=None: sweep_pictures.picture(
        made_up({"load.scale": [1.0, 2.0]}), ["load.scale"], Wanted("latency_p99"), ax=ax
    ),
}


@pytest.mark.sample(2)
@pytest.mark.parametrize("name", SEVERAL)
def test_a_plot_of_several_panels_returns_its_axes_and_a_notebook_shows_them(plots: Plots, name: str) -> None:
    panels = getattr(plots, name)()
    assert isinstance(panels, np.ndarray)
    assert all(isinstance(axes, Axes) for axes in panels)
    assert isinstance(panels.figure, style.Picture)


@pytest.mark.sample(2)
@pytest.mark.parametrize("name", SEVERAL)
def test_a_plot_of_several_panels_takes_the_place_of_axes(plots: Plots, name: str) -> None:
    figure = Figure(figsize=(12, 9), layout="constrained")
    left, right = figure.subplots(1, 2)
    panels = getattr(plots, name)(ax=right)
    assert right not in figure.axes
    assert {left, *panels} <= set(figure.axes)
    assert panels._repr_png_() is None  # whoever made the figure shows it


@pytest.mark.parametrize("name", ONE)
def test_a_plot_of_one_panel_draws_in_the_axes_given(plots: Plots, name: str) -> None:
    ax = Figure(layout="constrained").subplots()
    assert ONE[name](plots, ax=ax) is ax
    assert ax.get_legend() is not None
    own = ONE[name](plots)
    assert isinstance(own, Axes)
    assert own.get_legend() is None
    assert own.figure.legends


def test_any_axes_of_a_picture_show_the_whole_of_it() -> None:
    axes = style.picture(2, 1).subplots()
    assert axes._repr_png_().startswith(b"\x89PNG")
    assert Panels([axes])._repr_png_().startswith(b"\x89PNG")


def test_axes_outside_a_grid_cannot_make_room() -> None:
    with pytest.raises(ValueError, match="takes the place of Axes made by subplots"):
        canvas(Figure().add_axes((0, 0, 1, 1)), 1, 1)


def test_a_metric_that_was_not_measured_is_named(plots: Plots) -> None:
    with pytest.raises(ValueError, match="the run has no value of pods_lost, all"):
        plots.metric("pods_lost")
