from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from meshsim.analysis.metrics import METRICS, metric
from meshsim.analysis.phases import Phase
from meshsim.analysis.summary import compare, distributions, summarize, timeline
from meshsim.errors import ResultsError
from meshsim.results.frames import frame
from meshsim.results.histogram import bin_of
from meshsim.results.tables import FLOWS, TABLES
from meshsim.scenario.scenario import EXAMPLE
from meshsim.scenario.schema import Document

PHASES = [Phase("before", 10.0, 20.0), Phase("during", 20.0, 40.0), Phase("after", 40.0, 60.0)]
BUCKET = 5.0


class Tables:
    """Result tables written row by row."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple]] = {name: [] for name in TABLES}

    def add(self, table: str, run: tuple[str, int], start: float | None = None, end: float | None = None, **values):
        default = {"str": "", "int64": 0, "float64": 0.0}
        known = {"deployment": run[0], "replication": run[1]}
        if start is not None:
            known |= {"start": start, "end": start + BUCKET if end is None else end}
        if "flow" in [column.name for column in TABLES[table]]:
            known["flow"] = "local"
        known |= values
        self.rows[table].append(tuple(known.get(column.name, default[column.dtype]) for column in TABLES[table]))
        return self

    def built(self) -> dict[str, pd.DataFrame]:
        return {
            name: frame(name, {c.name: [row[i] for row in rows] for i, c in enumerate(TABLES[name])})
            for name, rows in self.rows.items()
        }


def value(
    summary: pd.DataFrame, name: str, phase: str = "all", flow: str = "all", run: tuple[str, int] = ("a", 0)
) -> float:
    rows = summary[
        (summary["metric"] == name)
        & (summary["phase"] == phase)
        & (summary["flow"] == flow)
        & (summary["deployment"] == run[0])
        & (summary["replication"] == run[1])
    ]
    assert len(rows) == 1
    return float(rows["value"].iloc[0])


RUN = ("a", 0)


def test_requests_are_counted_by_phase_flow_and_flag():
    tables = Tables()
    tables.add("requests", RUN, 5.0, code=503, count=1000)  # in the warm-up
    tables.add("requests", RUN, 10.0, code=200, count=90, latency_sum=9.0)
    tables.add("requests", RUN, 15.0, code=404, count=5, latency_sum=0.5)
    tables.add("requests", RUN, 15.0, code=503, count=3, response_flag="UF,URX", flow="cross-region", latency_sum=6.0)
    tables.add("requests", RUN, 15.0, code=500, count=1, flow="cross-region")
    tables.add("requests", RUN, 15.0, code=0, count=1, response_flag="DC", flow="cross-region")
    tables.add("requests", RUN, 20.0, code=200, count=40, flow="cross-zone")
    summary = summarize(tables.built(), PHASES)
    assert value(summary, "requests", "before") == 100
    assert value(summary, "requests_per_second", "before") == 10.0
    assert value(summary, "success_rate", "before") == 0.95  # 404 is an answer, 0 is none
    assert value(summary, "success_rate", "before", "local") == 1.0
    assert value(summary, "success_rate", "before", "cross-region") == 0.0
    assert math.isnan(value(summary, "success_rate", "before", "cross-zone"))
    assert value(summary, "latency_mean", "before") == pytest.approx(0.155)
    assert value(summary, "errors", "before") == 5
    flags = summary[(summary["phase"] == "before") & summary["metric"].str.startswith("errors:")]
    assert dict(zip(flags["metric"], flags["value"], strict=True)) == {
        "errors:-": 1,
        "errors:DC": 1,
        "errors:UF,URX": 3,
    }
    assert value(summary, "errors:UF,URX", "during") == 0
    assert value(summary, "cross_region_requests", "before") == 5
    assert value(summary, "success_rate", "during", "cross-zone") == 1.0
    assert value(summary, "requests_per_second", "during") == 2.0
    assert value(summary, "requests", "after") == 0
    assert math.isnan(value(summary, "success_rate", "after"))
    assert value(summary, "requests") == 140  # all phases, without the warm-up
    assert value(summary, "requests_per_second") == 140 / 50


def test_latency_is_that_of_user_requests_failed_ones_included():
    tables = Tables()
    for start, seconds, count, outcome in ((10.0, 0.010, 98, "ok"), (15.0, 1.0, 2, "error"), (20.0, 0.5, 10, "ok")):
        tables.add("latency", RUN, start, kind="request", outcome=outcome, bin=int(bin_of(seconds)), count=count)
    tables.add("latency", RUN, 10.0, kind="call", outcome="ok", bin=int(bin_of(9.0)), count=1000)
    summary = summarize(tables.built(), PHASES)
    assert value(summary, "latency_p50", "before") == pytest.approx(0.010, rel=0.016)
    assert value(summary, "latency_p99", "before") == pytest.approx(1.0, rel=0.016)
    assert value(summary, "latency_p99.9", "during") == pytest.approx(0.5, rel=0.016)
    assert value(summary, "latency_p99", "before", "local") == value(summary, "latency_p99", "before")
    assert math.isnan(value(summary, "latency_p50", "before", "cross-zone"))
    assert math.isnan(value(summary, "latency_p50", "after"))


def test_calls_give_traffic_split_retries_and_bytes_across_regions():
    tables = Tables()
    near = {
        "destination_cluster": "eu",
        "code": 200,
        "count": 60,
        "attempts": 60,
        "request_bytes": 7,
        "response_bytes": 7,
    }
    far = {"flow": "cross-region", "code": 200, "count": 20, "attempts": 30, "request_bytes": 300, "response_bytes": 50}
    tables.add("calls", RUN, 10.0, **near)
    tables.add("calls", RUN, 10.0, **far, destination_cluster="us")
    tables.add("calls", RUN, 10.0, code=503, response_flag="UH", count=20, attempts=60, destination_cluster="")
    summary = summarize(tables.built(), PHASES)
    assert value(summary, "calls", "before") == 100
    assert [value(summary, "call_share", "before", flow) for flow in FLOWS] == [0.75, 0.0, 0.25]
    assert value(summary, "call_unreached_share", "before") == 0.2
    assert value(summary, "attempts_per_call", "before") == 1.5
    assert (value(summary, "call_errors", "before"), value(summary, "call_errors:UH", "before")) == (20, 20)
    assert value(summary, "cross_region_calls", "before") == 20
    assert value(summary, "cross_region_bytes", "before") == 350
    assert value(summary, "cross_region_bytes", "during") == 0


def test_a_users_request_that_fails_is_no_failed_call_between_services():
    tables = Tables()
    tables.add("requests", RUN, 10.0, code=503, count=3)
    tables.add("calls", RUN, 10.0, source="ingress", destination_cluster="eu", code=503, count=3, attempts=3)
    tables.add("calls", RUN, 10.0, source="ingress", destination_cluster="eu", code=200, count=7, attempts=7)
    behind = {"source": "frontend", "response_flag": "UH", "code": 503, "flow": "cross-region"}
    tables.add("calls", RUN, 10.0, **behind, count=3, attempts=9, destination_cluster="us")
    summary = summarize(tables.built(), PHASES)
    flags = set(summary.loc[summary["metric"].str.startswith("call_errors:"), "metric"])
    assert [value(summary, name, "before") for name in ("errors", "calls", "call_errors")] == [3, 3, 3]
    assert value(summary, "call_success_rate", "before") == 0.0
    assert flags == {"call_errors:UH"}
    assert value(summary, "attempts_per_call", "before") == 19 / 13  # how far calls went and how often they were tried
    assert value(summary, "call_share", "before", "cross-region") == 3 / 13  # is asked of all of them


def test_staleness_convergence_pods_and_utilisation_are_summed_over_clusters():
    tables = Tables()
    for cluster, stale in (("eu", 30.0), ("us", 10.0)):
        tables.add("config", RUN, 20.0, cluster=cluster, proxies=10, stale_seconds=stale, pushes=4)
    tables.add("convergence", RUN, 20.0, bin=int(bin_of(0.2)), count=99)
    tables.add("convergence", RUN, 20.0, bin=int(bin_of(20.0)), count=2)
    pods = {"blocked_seconds": 12.0, "rejected": 5, "blocked": 2, "started": 1, "busy_seconds": 30.0}
    pods |= {"desired_seconds": 40.0, "ready_seconds": 30.0, "worker_seconds": 60.0}
    tables.add("pods", RUN, 20.0, service="cart", **pods)
    tables.add("pods", RUN, 20.0, service="web", desired_seconds=20.0, ready_seconds=20.0, worker_seconds=40.0)
    for kind, busy in (("sidecar", 1.0), ("ingress", 2.0), ("east-west", 3.0)):
        tables.add("proxies", RUN, 20.0, kind=kind, busy_seconds=busy, worker_seconds=10.0)
    tables.add("totals", RUN, quantity="control planes", value=3.0)
    summary = summarize(tables.built(), PHASES)
    expected = {
        "stale_proxy_seconds": 40.0,
        "stale_share": 0.4,
        "pushes": 8,
        "pods_blocked": 2,
        "pods_rejected": 5,
        "blocked_pod_seconds": 12.0,
        "pods_started": 1,
        "ready_pods": 2.5,  # 50 pod-seconds in a phase of 20 seconds
        "desired_pods": 3.0,
        "utilisation": 0.3,
        "sidecar_utilisation": 0.1,
        "ingress_utilisation": 0.2,
        "gateway_utilisation": 0.3,
    }
    assert {name: pytest.approx(value(summary, name, "during")) for name in expected} == expected
    assert value(summary, "convergence_p50", "during") == pytest.approx(0.2, rel=0.016)
    assert value(summary, "convergence_p99", "during") == pytest.approx(20.0, rel=0.016)
    assert value(summary, "control_planes") == 3
    assert value(summary, "stale_proxy_seconds", "before") == 0


def test_who_had_no_control_plane_no_valid_certificate_or_another_configuration_is_summed_over_clusters():
    tables = Tables()
    for cluster, seconds in (("eu", 30.0), ("us", 10.0)):
        tables.add(
            "config", RUN, 20.0, cluster=cluster, proxies=10, disconnected_seconds=seconds,
            drift_seconds=seconds / 2, expired_seconds=seconds / 10,
        )  # fmt: skip
    summary = summarize(tables.built(), PHASES)
    expected = {
        "disconnected_proxy_seconds": 40.0,
        "disconnected_share": 0.4,
        "config_drift_seconds": 20.0,
        "expired_proxy_seconds": 4.0,
        "expired_share": 0.04,
    }
    assert {name: value(summary, name, "during") for name in expected} == pytest.approx(expected)
    assert value(summary, "disconnected_proxy_seconds", "before") == 0


def test_istiod_is_summed_over_control_planes_except_for_what_the_largest_needs():
    tables = Tables()
    counts = {"full_pushes": 1, "refused_connections": 2, "certificates": 3, "refused_certificates": 4}
    for plane, up, memory, connected in (("eu", 5.0, 2e8, 30), ("us", 0.0, 3e8, 10)):
        for start in (20.0, 25.0):
            tables.add(
                "control_planes", RUN, start, control_plane=plane, ready_seconds=2 * up, up_seconds=up, cpu_seconds=2.5,
                memory_bytes=memory if start == 20.0 else 1e8, connected=connected, **counts, rejected_configurations=5,
            )  # fmt: skip
    summary = summarize(tables.built(), PHASES)
    expected = {
        "control_plane_availability": 0.5,
        "istiod_cpu": 0.5,  # 10 CPU-seconds in a phase of 20 seconds
        "istiod_memory": 3e8,
        "istiod_connected": 30,
        "full_pushes": 4,
        "refused_connections": 8,
        "certificates_issued": 12,
        "certificates_refused": 16,
        "config_rejections": 20,
    }
    assert {name: value(summary, name, "during") for name in expected} == pytest.approx(expected)
    assert math.isnan(value(summary, "istiod_memory", "before"))


def test_a_bucket_across_the_edge_of_a_phase_is_refused():
    tables = Tables().add("requests", RUN, 17.5, 22.5, code=200, count=1).built()
    with pytest.raises(ResultsError, match=r"the time bucket from 17.5 s to 22.5 s crosses the edge of a phase"):
        summarize(tables, PHASES)


def test_edges_that_differ_by_rounding_alone_are_the_same():
    tables = Tables().add("requests", RUN, 0.1 * 3 + 9.7, 20.0 + 2e-9, code=200, count=1).built()
    assert value(summarize(tables, PHASES), "requests", "before") == 1


def test_every_run_has_every_metric_whatever_happened_in_it():
    tables = Tables()
    for run in (("b", 0), ("b", 1), ("a", 0), ("a", 1)):
        tables.add("requests", run, 10.0, code=200, count=1)
    tables.add("requests", ("b", 1), 10.0, code=503, response_flag="UO", count=1)
    summary = summarize(tables.built(), PHASES)
    assert list(dict.fromkeys(summary["deployment"])) == ["b", "a"]  # as compared, not by the alphabet
    assert len(set(summary.groupby(["deployment", "replication"]).size())) == 1
    assert value(summary, "errors:UO", "before", run=("a", 1)) == 0
    assert all(metric(name) for name in summary["metric"].unique())


def test_every_described_metric_is_measured():
    tables = (
        Tables().add("requests", RUN, 10.0, code=200, count=1).add("totals", RUN, quantity="control planes", value=1)
    )
    tagged = {"eu-1": {"region": "eu", "security_domain": "shop", "data_residency": ["eu"]}}
    document = Document.model_validate({**EXAMPLE, "clusters": tagged, "deployments": {"a": {"model": "hybrid"}}})
    summary = summarize(tables.built(), PHASES, document)
    assert {name.partition(":")[0] for name in summary["metric"]} == set(METRICS)


# --- recovery ---------------------------------------------------------------------------------------------------


def recovery(success: list[float | None], before: float = 0.999) -> float:
    """Return the time to recover where the buckets after the fault had these success rates (None: no requests)."""
    tables = Tables()
    for start in (10.0, 15.0):
        _requests(tables, start, before)
    for number, rate in enumerate(success):
        if rate is not None:
            _requests(tables, 40.0 + number * BUCKET, rate)
    return value(summarize(tables.built(), PHASES), "time_to_recover")


def _requests(tables: Tables, start: float, success: float) -> None:
    good = round(100_000 * success)
    tables.add("requests", RUN, start, code=200, count=good)
    tables.add("requests", RUN, start, code=503, count=100_000 - good)


@pytest.mark.parametrize(
    ("success", "seconds"),
    [
        ([1.0, 1.0, 1.0, 1.0], 0.0),
        ([0.9985, 0.9985, 0.9985, 0.9985], 0.0),  # within 0.1 percentage points of 99.9 %
        ([0.9, 0.95, 0.999, 0.999], 10.0),
        ([0.999, 0.999, 0.9, 0.999], 15.0),
        ([0.9, 0.9, 0.9, 0.9], math.inf),
        ([0.999, 0.999, 0.999, 0.9], math.inf),
        ([0.9, 0.999, None, None], 5.0),
        ([0.9, None, None, None], math.inf),
        ([None, None, None, None], math.nan),
    ],
)
def test_recovery_ends_with_the_last_bad_bucket(success, seconds):
    assert recovery(success) == pytest.approx(seconds, nan_ok=True)


def test_a_bucket_like_the_worst_before_the_fault_is_not_the_faults_doing():
    tables = Tables()
    for start, rate in ((10.0, 1.0), (15.0, 0.99), (40.0, 0.99), (45.0, 0.9), (50.0, 0.99), (55.0, 1.0)):
        _requests(tables, start, rate)
    assert value(summarize(tables.built(), PHASES), "time_to_recover") == 10.0


def test_configuration_recovers_when_staleness_is_back_to_what_it_was():
    tables = Tables()
    for start, share in ((10.0, 0.0), (15.0, 0.05), (30.0, 0.9), (40.0, 0.5), (45.0, 0.07), (50.0, 0.055), (55.0, 0.0)):
        tables.add("config", RUN, start, cluster="eu", proxies=10, stale_seconds=share * 10 * BUCKET)
    assert value(summarize(tables.built(), PHASES), "config_recovery") == 10.0


def test_there_is_no_recovery_without_a_before_and_a_fault():
    tables = Tables().add("requests", RUN, 10.0, code=200, count=1).built()
    for spans in ([Phase("all", 10.0, 60.0)], PHASES[1:]):
        assert "time_to_recover" not in set(summarize(tables, spans)["metric"])


def test_a_fault_that_lasts_to_the_end_has_no_recovery():
    tables = (
        Tables().add("requests", RUN, 10.0, code=200, count=1).add("requests", RUN, 55.0, code=200, count=1).built()
    )
    summary = summarize(tables, [Phase("before", 10.0, 20.0), Phase("during", 20.0, 60.0)])
    assert math.isnan(value(summary, "time_to_recover"))


def test_a_share_of_proxies_is_never_more_than_all_though_some_died_within_the_bucket():
    tables = Tables().add("config", RUN, 10.0, cluster="eu", proxies=9, disconnected_seconds=10 * BUCKET).built()
    assert value(summarize(tables, PHASES), "disconnected_share", phase="before") == 1.0


# --- comparison -------------------------------------------------------------------------------------------------


def summary_of(**values: list[float]) -> pd.DataFrame:
    """Return a summary in which each deployment has these values of p99 and of the rate, by replication."""
    rows = [
        (name, replication, "all", measure, "all", number)
        for name, numbers in values.items()
        for replication, number in enumerate(numbers)
        for measure in ("latency_p99", "control_plane_availability", "calls")
    ]
    return pd.DataFrame(rows, columns=["deployment", "replication", "phase", "metric", "flow", "value"])


def test_deployments_are_compared_with_the_first_replication_by_replication():
    noise = np.random.default_rng(3).normal(0.0, 50.0, 8)
    table = compare(summary_of(first=list(noise), second=list(noise + 1 + np.linspace(-0.1, 0.1, 8))))
    table = table.set_index(["deployment", "metric"])
    assert table.loc[("first", "latency_p99"), ["n", "missing", "verdict"]].tolist() == [8, 0, ""]
    assert math.isnan(table.loc[("first", "latency_p99"), "difference"])
    assert table.loc[("second", "latency_p99"), "difference"] == pytest.approx(1.0)
    assert table.loc[("second", "latency_p99"), "half_width"] > 20
    assert table.loc[("second", "latency_p99"), "difference_half_width"] < 0.1
    assert table.loc["second", "verdict"].to_dict() == {
        "latency_p99": "worse",
        "control_plane_availability": "better",
        "calls": "differs",
    }


def test_noise_is_not_a_difference():
    table = compare(summary_of(first=[1.0, 2.0, 3.0], second=[2.0, 1.5, 3.2]))
    assert table[table["deployment"] == "second"]["verdict"].unique().tolist() == ["no difference seen"]


def test_one_replication_shows_no_difference_and_no_interval():
    table = compare(summary_of(first=[1.0], second=[9.0]))
    assert table["half_width"].isna().all()
    assert table[table["deployment"] == "second"]["verdict"].unique().tolist() == ["no difference seen"]
    assert table["mean"].tolist() == [1.0] * 3 + [9.0] * 3


def test_replications_without_a_value_are_counted():
    table = compare(summary_of(first=[1.0, 2.0, 3.0], second=[1.0, math.nan, 3.0])).set_index(["deployment", "metric"])
    assert table.loc[("second", "calls"), ["mean", "n", "missing"]].tolist() == [2.0, 2, 1]
    assert table.loc[("second", "calls"), "difference"] == 0.0


def test_what_never_recovered_leaves_the_mean_alone_and_has_no_difference():
    table = compare(summary_of(first=[1.0, 2.0, math.inf], second=[math.inf] * 3)).set_index(["deployment", "metric"])
    assert math.isnan(table.loc[("second", "calls"), "difference"])
    assert table.loc[("first", "calls"), ["mean", "n", "missing", "never"]].tolist() == [1.5, 2, 1, 1]
    assert math.isnan(table.loc[("second", "calls"), "mean"])
    assert table.loc[("second", "calls"), "verdict"] == "no difference seen"


def test_a_deployment_that_finished_fewer_replications_is_compared_over_those():
    table = compare(summary_of(first=[1.0, 2.0, 9.0], second=[2.0, 3.0])).set_index(["deployment", "metric"])
    assert table.loc[("second", "latency_p99"), ["difference", "verdict"]].tolist() == [1.0, "worse"]


# --- over time --------------------------------------------------------------------------------------------------


def test_the_timeline_has_a_mean_and_interval_per_bucket():
    tables = Tables()
    for replication, failed in ((0, 10), (1, 30)):
        for start in (0.0, 5.0):
            tables.add("requests", ("a", replication), start, code=200, count=100 - failed)
            tables.add("requests", ("a", replication), start, code=503, count=failed)
            tables.add("pods", ("a", replication), start, service="cart", ready_seconds=10.0)
            tables.add("config", ("a", replication), start, proxies=10, stale_seconds=5.0 if start else 0.0)
            tables.add("latency", ("a", replication), start, kind="request", bin=int(bin_of(0.02)), count=5)
            tables.add("calls", ("a", replication), start, code=200, count=1, destination_cluster="eu")
    table = timeline(tables.built())
    assert table.columns.tolist()[:7] == ["deployment", "start", "end", "metric", "flow", "mean", "half_width"]
    rows = table[table["flow"] == "all"].set_index(["metric", "start"])
    assert rows.loc[("success_rate", 5.0), "mean"] == pytest.approx(0.8)
    assert rows.loc[("success_rate", 5.0), "half_width"] == pytest.approx(12.7062 * 0.1, rel=1e-4)
    assert rows.loc[("success_rate", 5.0), "end"] == 10.0
    assert rows.loc[("ready_pods", 0.0), "mean"] == 2.0
    assert rows.loc["stale_share", "mean"].tolist() == [0.0, 0.1]
    assert rows.loc[("latency_p99", 0.0), "mean"] == pytest.approx(0.02, rel=0.016)
    shares = table[(table["metric"] == "call_share") & (table["start"] == 0.0)]
    assert dict(zip(shares["flow"], shares["mean"], strict=True)) == dict(zip(FLOWS, (1.0, 0.0, 0.0), strict=True))


def test_distributions_reach_one_and_leave_the_warm_up_out():
    tables = Tables()
    for start, seconds, count in ((0.0, 9.0, 50), (10.0, 0.01, 30), (15.0, 0.1, 10)):
        tables.add("latency", RUN, start, kind="request", bin=int(bin_of(seconds)), count=count)
    tables.add("latency", RUN, 10.0, kind="call", bin=int(bin_of(5.0)), count=7)
    table = distributions(tables.built(), 10.0)
    everything = table[table["flow"] == "all"]
    assert everything["share"].tolist() == [0.75, 1.0]
    assert everything["seconds"].tolist() == pytest.approx([0.01, 0.1], rel=0.016)
    assert set(table["flow"]) == {"all", "local"}
