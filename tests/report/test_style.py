from __future__ import annotations

import itertools

import matplotlib as mpl
import pytest
from matplotlib.colors import to_rgb

from meshsim.report import style


def test_the_style_leaves_the_users_settings_alone():
    before = dict(mpl.rcParams)
    with style.style():
        assert mpl.rcParams["text.parse_math"] is False
    assert dict(mpl.rcParams) == before


def test_no_font_is_smaller_than_8_points():
    assert min(value for key, value in style._SETTINGS.items() if key.endswith("size")) >= 8


def test_a_deployment_keeps_its_look_whatever_comes_after_it():
    assert style.looks(["a", "b"])["b"] == style.looks(["a", "b", "a", "c"])["b"]


def test_seven_deployments_differ_in_every_way_that_a_print_can_show():
    looks = list(style.looks("abcdef").values())
    for look, other in itertools.combinations(looks, 2):
        assert look.colour != other.colour
        assert look.marker != other.marker
        assert look.hatch != other.hatch
        assert look.line != other.line


def _grey(colour):
    red, green, blue = to_rgb(colour)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def test_flows_get_darker_with_distance_in_greyscale():
    greys = [_grey(colour) for colour in style.FLOW_COLOURS.values()]
    assert greys == sorted(greys, reverse=True)
    assert min(a - b for a, b in itertools.pairwise(greys)) > 0.1


@pytest.mark.parametrize(("end", "label"), [(100.0, "(s)"), (300.0, "(min)"), (86_400.0, "(h)")])
def test_the_time_axis_has_a_unit_that_fits_and_few_ticks(end, label):
    axes = style.picture(4, 2).subplots()
    style.time_axis(axes, end)
    assert label in axes.get_xlabel()
    assert 3 <= len(axes.get_xticks()) <= 11


@pytest.mark.parametrize(("low", "high"), [(0.1, 0.2), (0.01, 0.09), (0.01, 0.5), (0.001, 10.0)])
def test_a_duration_axis_has_readable_ticks_in_narrow_and_wide_ranges(low, high):
    axes = style.picture(4, 2).subplots()
    style.duration_axis(axes, "y", low, high)
    inside = [tick for tick in axes.get_yticks() if low <= tick <= high]
    assert len(inside) >= 2
    assert axes.yaxis.get_major_formatter()(0.1).endswith("100 ms")


def test_the_success_axis_ends_at_a_tick_of_100_and_never_zooms_in_on_noise():
    axes = style.picture(4, 2).subplots()
    style.success_axis(axes, 99.9999)
    assert 100.0 in axes.get_yticks()
    assert axes.get_ylim()[0] <= 99.9


@pytest.mark.slow
def test_the_same_picture_makes_the_same_bytes_without_a_date():
    def drawn():
        with style.style():
            figure = style.picture(3, 2)
            figure.subplots().plot([1, 2], [3, 4])
        return style.render(figure, "svg")

    assert drawn() == drawn()
    assert b"<dc:date>" not in drawn()


def test_a_notebook_gets_a_png_without_pyplot():
    assert style.picture(1, 1)._repr_png_().startswith(b"\x89PNG")
