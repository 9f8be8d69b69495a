"""Load in time windows: what of a run is counted, and what is said of the rest."""

from __future__ import annotations

import math

import pytest

import meshsim
from meshsim.analysis.phases import Phase, phases
from meshsim.analysis.summary import distributions, summarize, timeline
from meshsim.analysis.warm_up import doubts
from meshsim.analysis.windows import needs_load
from meshsim.errors import ResultsError, ScenarioError
from meshsim.experiment.wanted import bound
from meshsim.results.histogram import bin_of
from meshsim.scenario.scenario import EXAMPLE
from tests.analysis.test_summary import Tables, value

RUN = ("a", 0)
WINDOWS = ((10.0, 20.0), (40.0, 45.0))
SPANS = [
    Phase("before", 5.0, 25.0, WINDOWS[:1]),
    Phase("during", 25.0, 50.0, WINDOWS[1:]),
    Phase("after", 50.0, 90.0, ()),
]


def tables(ends=(20, 45)):
    """Return results of a request a second in windows, of one in the lead-in and one that was late, which both fail."""
    found = Tables()
    for start in range(5, 90, 5):
        inside = any(first <= start < last for first, last in WINDOWS)
        code, count = (200, 5) if inside else (503, 1)
        if inside or start in (5, *ends):
            found.add("requests", RUN, start, code=code, count=count, latency_sum=0.1 * count)
            found.add(
                "calls", RUN, start, code=code, count=count, attempts=count, destination_cluster="c", flow="local"
            )
            found.add("latency", RUN, start, kind="request", bin=int(bin_of([0.1 if inside else 9.0])[0]), count=count)
        found.add("config", RUN, start, cluster="c", proxies=2, stale_seconds=1.0)
        found.add("pods", RUN, start, service="web", busy_seconds=5.0 * inside, worker_seconds=5.0, ready_seconds=5.0)
        found.add("proxies", RUN, start, kind="sidecar", busy_seconds=2.5 * inside, worker_seconds=5.0)
    return found.built()


def test_only_what_ends_in_windows_counts():
    summary = summarize(tables(), SPANS)
    assert value(summary, "requests", "before") == 10
    assert value(summary, "requests", "during") == 5
    assert value(summary, "requests") == 15
    assert value(summary, "calls") == 15
    assert value(summary, "success_rate") == 1.0
    assert value(summary, "latency_p99") == pytest.approx(0.1, rel=0.05)


def test_rates_are_per_counted_second_and_shares_of_what_was_there_meanwhile():
    summary = summarize(tables(), SPANS)
    assert [value(summary, "requests_per_second", phase) for phase in ("before", "during", "all")] == [1.0, 1.0, 1.0]
    assert value(summary, "utilisation") == 1.0
    assert value(summary, "sidecar_utilisation") == 0.5


@pytest.mark.parametrize("name", ["requests", "requests_per_second", "success_rate", "errors", "latency_p50", "calls"])
def test_a_phase_without_a_window_is_unknown_not_zero(name):
    assert math.isnan(value(summarize(tables(), SPANS), name, "after"))


def test_what_does_not_depend_on_load_counts_all_the_time():
    summary = summarize(tables(), SPANS)
    assert [value(summary, "stale_proxy_seconds", phase) for phase in ("before", "during", "after")] == [4, 5, 8]
    assert value(summary, "ready_pods") == 1.0


def test_metrics_that_need_load_are_those_that_are_unknown_without():
    summary = summarize(tables(), SPANS)
    there, gone = (
        summary[summary["phase"] == name].set_index(["metric", "flow"])["value"] for name in ("during", "after")
    )
    known = there.dropna().index
    unknown = {name for name, flow in known if math.isnan(gone[name, flow])}
    assert unknown == {name for name, _ in known if needs_load(name)}
    assert unknown


def test_an_expectation_of_a_phase_that_is_not_sampled_is_warned_of_and_a_search_for_it_refused():
    down = {"event": "cluster_down", "start": "40s", "duration": "20s", "target": {"cluster": "eu-1"}}
    expect = [{"metric": name, "phase": "after", "at_least": 0} for name in ("success_rate", "stale_share")]
    sampled = {"windows": [{"at": "35s", "duration": "10s"}], "around_events": None}
    found = meshsim.load({**EXAMPLE, "duration": "100s", "timeline": [down], "sample": sampled, "expect": expect})
    said = "success_rate needs load, and no window of sample lies in the phase 'after'"
    assert found.warnings == (f"expect[0].phase: {said}: it will not hold",)
    with pytest.raises(ScenarioError, match=f"--until: {said}"):
        bound("success_rate in after < 99%", found.document)


def test_recovery_is_known_only_once_somebody_looks_again():
    windows = ((10.0, 20.0), (50.0, 55.0), (80.0, 85.0))
    found = Tables()
    for start, code in ((10, 200), (15, 200), (50, 503), (80, 200)):
        found.add("requests", RUN, start, code=code, count=100)
    for start in range(5, 90, 5):
        found.add("config", RUN, start, cluster="c", proxies=1)
    spans = [
        Phase("before", 5.0, 25.0, windows[:1]),
        Phase("during", 25.0, 50.0, ()),
        Phase("after", 50.0, 90.0, windows[1:]),
    ]
    assert value(summarize(found.built(), spans), "time_to_recover") == 30.0


def test_buckets_outside_of_windows_have_no_load_to_speak_of():
    frame = timeline(tables(), windows=WINDOWS)
    success = frame[(frame["metric"] == "success_rate") & (frame["flow"] == "all")].set_index("start")["mean"]
    assert success.dropna().index.tolist() == [10, 15, 40]
    assert not frame[frame["metric"] == "stale_share"]["mean"].isna().any()


def test_distributions_are_of_windows():
    frame = distributions(tables(), 5.0, 90.0, WINDOWS)
    assert frame["seconds"].max() == pytest.approx(0.1, rel=0.05)


def test_a_bucket_across_the_edge_of_a_window_is_refused():
    with pytest.raises(ResultsError, match="crosses the edge"):
        summarize(tables(), [Phase("all", 5.0, 90.0, ((10.0, 22.0),))])


def test_a_sampled_run_is_not_asked_whether_it_settled_but_whether_it_is_saturated():
    assert [doubt.kind for doubt in doubts(tables(), SPANS)] == ["saturated"]
    assert "web in " in doubts(tables(), SPANS)[0].words


def test_phases_have_the_windows_that_lie_in_them():
    down = {"event": "cluster_down", "start": "40s", "duration": "20s", "target": {"cluster": "eu-1"}}
    sampled = {"windows": [{"at": "35s", "duration": "10s"}], "around_events": None}
    found = phases({**EXAMPLE, "duration": "100s", "timeline": [down], "sample": sampled})
    assert [(phase.name, phase.windows, phase.counted) for phase in found] == [
        ("before", ((35.0, 40.0),), 5.0), ("during", ((40.0, 45.0),), 5.0), ("after", (), 0.0),
    ]  # fmt: skip
