from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from meshsim.analysis.summary import timeline as over_time
from meshsim.report import style
from meshsim.report.plots import Plots
from meshsim.report.timeline import ready, split, success
from meshsim.report.timeline import timeline as draw
from meshsim.results.frames import concatenate
from meshsim.scenario.sampling import windows
from tests.report import synthetic


@pytest.fixture(scope="module")
def panels(plots):
    return plots.timeline()


def test_panels_say_what_is_seen_and_in_which_unit(panels):
    titles = [axes.get_title(loc="left") for axes in panels]
    assert titles == [
        "primary-outage: what happens when",
        "User requests that succeeded",
        "Latency that 99 % of user requests stayed below",
        "Proxies whose endpoints were behind the truth",
        "Proxies without a control plane",
        "Pods ready (dotted: asked for)",
        "Calls by distance, multi-primary",
        "Calls by distance, primary-remote",
        "Calls by distance, hybrid",
    ]
    assert [axes.get_ylabel() for axes in panels[1:7]] == [
        "success rate (%)",
        "p99 latency",
        "stale proxies (%)",
        "without (%)",
        "pods",
        "calls (%)",
    ]
    assert panels[-1].get_xlabel() == "simulated time (min)"


def test_every_event_is_named_once_and_shaded_in_every_panel_of_lines(panels):
    assert {text.get_text() for text in panels[0].texts} == {
        "pod churn: all",
        "istiod of eu-1 is lost",
        "cart v2",
        "frontend v2",
    }
    for axes in panels[1:5]:
        shaded = {patch.get_gid() for patch in axes.patches}
        assert {"warm-up", "event pod churn: all", "event istiod of eu-1 is lost"} <= shaded
        assert {"event cart v2", "event frontend v2"} <= {line.get_gid() for line in axes.lines}


def test_each_panel_has_a_line_and_a_band_for_each_deployment_in_its_own_colour(panels):
    looks = style.looks(synthetic.FROZEN)
    for axes in panels[1:5]:
        lines = {line.get_label(): line for line in axes.lines if line.get_label() in looks}
        assert {name: line.get_color() for name, line in lines.items()} == {n: k.colour for n, k in looks.items()}
        assert len(axes.collections) == len(looks)


def test_lines_show_the_analysis_numbers_unchanged(plots):
    frame = over_time(plots.tables)
    axes = success(frame, style.picture(4, 2).subplots())
    wanted = frame[(frame["metric"] == "success_rate") & (frame["flow"] == "all") & (frame["deployment"] == "hybrid")]
    drawn = next(line for line in axes.lines if line.get_label() == "hybrid")
    assert drawn.get_ydata() == pytest.approx(100 * wanted["mean"].to_numpy())
    assert drawn.get_xdata()[:2] == pytest.approx([2.5, 7.5])


def test_the_split_stacks_all_flows_to_100_percent(plots):
    axes = split(over_time(plots.tables), "hybrid", style.picture(4, 2).subplots())
    assert [patch.get_label() for patch in axes.patches] == ["local", "cross-zone", "cross-region"]
    assert axes.patches[-1].get_data().values == pytest.approx(100.0)
    assert [to_hex(patch.get_facecolor()).upper() for patch in axes.patches] == list(style.FLOW_COLOURS.values())


def test_calls_that_reached_no_pod_are_a_part_of_their_own_and_none_is_drawn_as_local():
    tables = synthetic.tables(2, {"hybrid": ("eu-1",)})
    calls = tables["calls"]
    lost = (calls["flow"] == "cross-region") & calls["start"].between(90.0, 180.0)
    gone = calls["destination_cluster"].mask(lost, "")
    tables["calls"] = calls.assign(destination_cluster=gone, flow=calls["flow"].mask(lost, "local"))
    frame = over_time(tables)
    local, *_, top = split(frame, "hybrid", style.picture(4, 2).subplots()).patches
    during = (
        calls[calls["start"] == 120.0].groupby("flow")["count"].sum() / calls["count"][calls["start"] == 120.0].sum()
    )
    at = 120 // 5
    assert (top.get_label(), to_hex(top.get_facecolor())) == ("reached no pod", style.UNREACHED)
    assert top.get_data().values == pytest.approx(100.0)
    assert top.get_data().values[at] - top.get_data().baseline[at] == pytest.approx(
        100 * during["cross-region"], abs=0.3
    )
    assert local.get_data().values[at] == pytest.approx(100 * during["local"], abs=0.3)
    labels = [text.get_text() for one in draw(frame, synthetic.document()).figure.legends for text in one.get_texts()]
    assert "calls that reached no pod" in labels


@pytest.mark.slow
def test_one_replication_has_no_interval_in_the_legend():
    plots = Plots(synthetic.document(timeline=[]), synthetic.tables(1, {"hybrid": ("eu-1",)}))
    labels = [text.get_text() for legend in plots.timeline().figure.legends for text in legend.get_texts()]
    assert labels == ["hybrid", "local calls", "cross-zone calls", "cross-region calls", "warm-up (30 s)"]


@pytest.mark.slow
def test_two_replications_have_lines_but_no_band_that_covers_everything(plots):
    frame = over_time(plots.tables).assign(n=2)
    axes = success(frame, style.picture(4, 2).subplots())
    for band in axes.collections:
        assert np.ptp(band.get_paths()[0].vertices[:, 1]) == pytest.approx(np.ptp(_line(axes, band)))


def _line(axes, band):
    at = list(axes.collections).index(band)
    return axes.lines[at].get_ydata()


@pytest.mark.slow
def test_what_hardly_happens_has_no_panel():
    tables = synthetic.tables(1)
    config = tables["config"]
    tables["config"] = config.assign(disconnected_seconds=config["disconnected_seconds"] * 0.009, expired_seconds=60.0)
    titles = [axes.get_title(loc="left") for axes in Plots(synthetic.document(), tables).timeline()]
    assert "Proxies without a control plane" not in titles
    assert titles[4] == "Proxies whose certificate had expired"


def test_so_many_events_that_they_cannot_be_named_are_counted():
    event = {"event": "pod_churn", "start": "40s", "duration": "200s", "rate": "1/min", "target": {"service": "*"}}
    document = synthetic.document(timeline=[event] * 15)
    assert "(3 more not named)" in Plots(document, concatenate([])).timeline()[0].get_title(loc="left")


def test_a_run_without_any_rows_still_makes_a_picture():
    assert len(Plots(synthetic.document(), concatenate([])).timeline()) == 4


@pytest.mark.slow
def test_what_is_not_sampled_is_hatched_where_it_depends_on_load_and_no_line_is_drawn_there():
    sampled = synthetic.document(sample={"windows": [{"at": "100s", "duration": "50s"}], "around_events": None})
    frame = over_time(synthetic.tables(), windows=windows(sampled))
    panels = {axes.get_title(loc="left"): axes for axes in draw(frame, sampled)}
    success_, stale_ = (panels[name] for name in (
        "User requests that succeeded", "Proxies whose endpoints were behind the truth"
    ))  # fmt: skip
    assert [gaps(axes) for axes in (success_, panels["Calls by distance, hybrid"])] == [[(30, 100), (150, 300)]] * 2
    assert gaps(stale_) == []
    for line in success_.lines:
        times, values = line.get_data()
        if len(times) > 2:
            assert all((100 < time < 150) == np.isfinite(value) for time, value in zip(times, values, strict=True))


def gaps(axes):
    """Return from when to when a panel is hatched as not sampled, seconds."""
    hatched = [patch for patch in axes.patches if patch.get_gid() == "no load"]
    boxes = [patch.get_extents().transformed(axes.transData.inverted()) for patch in hatched]
    return [(round(box.x0), round(box.x1)) for box in boxes]


def test_pods_that_are_not_ready_have_a_panel_with_how_many_are_asked_for(plots):
    frame = over_time(plots.tables)
    axes = ready(frame, style.picture(4, 2).subplots())
    wanted = frame[(frame["metric"] == "ready_pods") & (frame["deployment"] == "hybrid")]
    drawn = next(line for line in axes.lines if line.get_label() == "hybrid")
    assert drawn.get_ydata() == pytest.approx(wanted["mean"].to_numpy())
    asked = next(line for line in axes.lines if line.get_gid() == "desired hybrid")
    assert set(asked.get_ydata()) == {12.0}


def test_pods_that_are_all_ready_have_no_panel():
    tables = synthetic.tables(1)
    tables["pods"] = tables["pods"].assign(ready_seconds=tables["pods"]["desired_seconds"])
    titles = [axes.get_title(loc="left") for axes in Plots(synthetic.document(), tables).timeline()]
    assert "Pods ready (dotted: asked for)" not in titles
