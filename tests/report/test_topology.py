from __future__ import annotations

import pytest

from meshsim.mesh.graph import build
from meshsim.report import style
from meshsim.report.plots import Plots
from meshsim.report.topology import read
from meshsim.results.frames import concatenate
from tests.report import synthetic


def _gids(axes, start):
    artists = [*axes.patches, *axes.lines, *axes.texts]
    return [str(a.get_gid()).removeprefix(start) for a in artists if str(a.get_gid()).startswith(start)]


@pytest.fixture(scope="module")
def panels(plots):
    return plots.topology()


def test_there_is_a_panel_for_each_deployment_with_its_control_planes_counted(panels):
    assert [axes.get_title(loc="left") for axes in panels] == [
        "multi-primary: 3 control planes",
        "primary-remote: 1 control plane",
        "hybrid: 2 control planes",
    ]


def test_every_cluster_is_a_box_and_every_control_plane_a_hexagon(panels):
    assert [_gids(axes, "cluster ") for axes in panels] == [["eu-1", "eu-2", "us-1"]] * 3
    assert [_gids(axes, "plane ") for axes in panels] == [["eu-1", "eu-2", "us-1"], ["eu-1"], ["eu-1", "us-1"]]


def test_an_arrow_leads_to_every_cluster_that_another_cluster_controls(panels):
    assert [_gids(axes, "controls ") for axes in panels] == [[], ["eu-1 eu-2", "eu-1 us-1"], ["eu-1 eu-2"]]


def test_networks_and_marks_are_in_the_legend(plots):
    labels = [text.get_text() for text in plots.topology().figure.legends[0].get_texts()]
    assert labels[:3] == ["network net-eu", "network net-us", "east-west gateway"]
    assert labels[-1] == "controls another cluster"


def test_the_plan_is_read_in_the_order_of_the_file():
    plan = read(build(synthetic.document(), "primary-remote"))
    assert plan.regions == {"eu (aws:eu-west-1)": ("eu-1", "eu-2"), "us (aws:us-east-1)": ("us-1",)}
    assert plan.networks == {"eu-1": "net-eu", "eu-2": "net-eu", "us-1": "net-us"}
    assert plan.gateways == {"eu-1", "eu-2", "us-1"}
    assert plan.planes[0].serves == ("eu-1", "eu-2", "us-1")


def _external(**changes):
    deployments = {"external": {}, "direct": {"model": "primary-remote", "access": "direct"}}
    return Plots(synthetic.document(**{"deployments": deployments, "timeline": [], **changes}), concatenate([]))


def test_a_control_plane_outside_all_clusters_has_a_box_and_a_gateway_of_its_own():
    outside, direct = _external().topology()
    assert _gids(outside, "outside ") == ["external"]
    assert _gids(outside, "plane ") == ["external"]
    assert _gids(outside, "controls ") == ["external eu-1", "external eu-2", "external us-1"]
    assert "plane external" in _gids(outside, "gateway ")
    assert _gids(direct, "outside ") == []


def test_it_stands_in_its_own_region_even_where_no_cluster_is():
    regions = {**synthetic.document().model_dump()["regions"], "ops": {}}
    plots = _external(deployments={"external": {"place": "ops"}}, regions=regions, latency=_NEAR)
    (axes,) = (axes for axes in plots.topology() if axes.get_title(loc="left"))
    assert _gids(axes, "region ") == ["eu (aws:eu-west-1)", "us (aws:us-east-1)", "ops"]


_NEAR = [{"between": ["ops", region], "rtt": "9ms"} for region in ("eu", "us")]


def test_lines_that_avoid_gateways_are_dashed_and_in_the_legend():
    figure = _external().topology().figure
    outside, direct = ([line for line in axes.lines if line.get_lw() == 1.3] for axes in figure.axes)
    assert [line.get_linestyle() for line in outside] == ["-"] * 3
    assert [line.get_linestyle() for line in direct] == ["--"] * 2
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[3:] == [
        "control plane, in the cluster it runs in and serves",
        "control plane outside all clusters",
        "its gateway",
        "controls another cluster",
        "controls another cluster, directly",
    ]


def test_four_deployments_make_a_square():
    four = ["multi-primary", "primary-remote", "hybrid", "external"]
    figure = _external(deployments=four).topology().figure
    spans = [axes.get_subplotspec() for axes in figure.axes]
    assert [(span.rowspan.start, span.colspan.start) for span in spans] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def _twelve():
    names = [f"europe-west-{i}" for i in range(1, 13)]
    clusters = {name: {"region": "eu" if i % 2 else "us"} for i, name in enumerate(names)}
    return synthetic.document(clusters=clusters, timeline=[])


def test_twelve_clusters_fit_their_panels_and_no_box_meets_another():
    figure = Plots(_twelve(), concatenate([])).topology().figure
    for axes in figure.axes:
        boxes = [p.get_extents().frozen() for p in axes.patches if str(p.get_gid()).startswith("cluster ")]
        assert len(boxes) == 12
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.slow
def test_long_names_stay_inside_their_boxes():
    figure = Plots(_twelve(), concatenate([])).topology().figure
    figure.set_dpi(style.PNG_DPI)  # what is drawn and what is measured have one scale
    style.render(figure, "png")
    for axes in figure.axes:
        boxes = [p.get_window_extent() for p in axes.patches if str(p.get_gid()).startswith("cluster ")]
        words = [text.get_window_extent() for text in axes.texts if text.get_text() not in ("", *_regions(axes))]
        assert words
        for word in words:
            assert any(box.x0 <= word.x0 and word.x1 <= box.x1 + 1 for box in boxes)


def _regions(axes):
    return [text.get_text() for text in axes.texts if text.get_text().startswith("region ")]
