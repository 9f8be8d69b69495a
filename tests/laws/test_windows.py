"""Load in windows against load all the time: the same users, and numbers that agree."""

from __future__ import annotations

import pandas as pd
import pytest

from meshsim import load
from meshsim.analysis.entries import by_entry
from meshsim.analysis.phases import Phase, phases
from meshsim.analysis.summary import differences, summarize
from meshsim.engine import simulation
from meshsim.engine.simulation import Simulation, bucket_edges, phase_edges
from meshsim.results.frames import concatenate

MESH = {
    "name": "long",
    "regions": {"eu": {"zones": ["a", "b"]}, "us": {"zones": ["a"]}},
    "clusters": {"eu-1": {"region": "eu", "network": "eu"}, "us-1": {"region": "us", "network": "us"}},
    "latency": [{"between": ["eu", "us"], "rtt": "80ms"}],
    "services": {
        "web": {"replicas": 2, "workers": 2, "endpoints": {"GET": {"script": [
            {"compute": {"exponential": "5ms"}}, {"call": "app/GET", "on_error": "fail"}]}}},
        "app": {"replicas": 3, "endpoints": {"GET": {"script": [{"compute": {"exponential": "10ms"}}]}}},
    },
    "load": {"web": {"rate": "50/s", "phases": [{"diurnal": {"period": "3h", "peak_at": "1h"}}]}},
    "timeline": [{
        "event": "service_failing", "start": "70m", "duration": "40m", "fraction": "5%",
        "target": {"service": "app", "cluster": "eu-1"},
    }],
    "deployments": ["multi-primary"],
    "duration": "3h",
    "warm_up": "1m",
}  # fmt: skip
#: A twentieth of the time, evenly, and the beginning and the end of what happens.
SAMPLE = {
    "windows": [{"at": "5m", "duration": "30s", "every": "10m"}],
    "around_events": {"before": "1m", "after": "1m"},
}
REPLICATIONS = 8
#: Headline metrics; with nine intervals at a time each has to be surer.
METRICS = ["success_rate", "latency_p50", "latency_p99"]
CONFIDENCE = 1 - 0.05 / 9


def run(scenario, replication):
    return concatenate([Simulation(scenario, "multi-primary", replication).run()])


def compared(monkeypatch, full_spans):
    """Return the differences of windowed runs to full ones in the headline metrics, with intervals."""
    full, windowed = load(MESH), load({**MESH, "sample": SAMPLE})
    edges, cuts = bucket_edges(windowed), phase_edges(windowed)
    parts = []
    for replication in range(REPLICATIONS):
        with monkeypatch.context() as patched:  # a full run whose time buckets end where windows do
            patched.setattr(simulation, "bucket_edges", lambda *_: edges)
            patched.setattr(simulation, "phase_edges", lambda *_: cuts)
            tables = run(full, replication)
        for name, found in (
            ("full", summarize(tables, full_spans(windowed))),
            ("windowed", summarize(run(windowed, replication), phases(windowed.document))),
        ):
            parts.append(found.assign(deployment=name, replication=replication))
    summary = pd.concat(parts, ignore_index=True)
    summary = summary[(summary["flow"] == "all") & (summary["phase"] != "all")]
    means = summary[summary["deployment"] == "full"].groupby(["phase", "metric"])["value"].mean()
    found = differences(summary[summary["metric"].isin(METRICS)], CONFIDENCE)
    return found.assign(mean=[float(means[row.phase, row.metric]) for row in found.itertuples()])


def the_same_seconds(windowed):
    return phases(windowed.document)


def all_the_time(windowed):
    return [Phase(span.name, span.start, span.end) for span in phases(windowed.document)]


@pytest.mark.slow
@pytest.mark.parametrize("spans", [the_same_seconds, all_the_time])
def test_windowed_and_full_runs_agree(monkeypatch, spans):
    found = compared(monkeypatch, spans)
    assert len(found) == 9
    apart = found[found["difference"].abs() > found["half_width"].fillna(0.0) + 1e-12]
    assert not len(apart), apart.to_string()
    # And they would tell a difference: the intervals are narrow.
    wide = found["half_width"] / found["mean"]
    assert (wide[found["metric"] == "success_rate"] < 0.005).all()
    assert (wide[found["metric"] != "success_rate"] < 0.1).all()


def test_percentiles_by_region_of_entry_are_of_the_requests_in_windows():
    windowed = load({**MESH, "sample": SAMPLE})
    tables, spans = run(windowed, 0), phases(windowed.document)
    found = by_entry(tables, spans, {"eu-1": "eu", "us-1": "us"}).set_index(["phase", "metric", "flow"])["value"]
    everybody = summarize(tables, spans).set_index(["phase", "metric", "flow"])["value"]
    for phase in ("before", "during", "after"):
        between = sorted(found[phase, "latency_p50", f"from {region}"] for region in ("eu", "us"))
        assert between[0] <= everybody[phase, "latency_p50", "all"] <= between[1]
        entered = sum(found[phase, "requests", f"from {region}"] for region in ("eu", "us"))
        assert entered == everybody[phase, "requests", "all"]
