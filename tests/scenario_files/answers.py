"""What tests ask of the scenarios that answer users' questions."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pandas as pd

import meshsim
from meshsim.analysis.phases import Phase, phases
from meshsim.analysis.statistics import Estimate, interval

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "scenarios" / "questions"
FILES = sorted(FOLDER.glob("*.yaml"))
#: As many replications as the file asks for, at most.
REPLICATIONS = 4

Quantity = Callable[[pd.DataFrame], float]


@cache
def ran(name: str) -> tuple[meshsim.Comparison, dict[str, Phase]]:
    """Run a scenario once for all tests."""
    scenario = meshsim.load(FOLDER / f"{name}.yaml")
    spans = {phase.name: phase for phase in phases(scenario.document)}
    spans["all"] = Phase("all", scenario.document.warm_up, scenario.document.duration)
    spans["run"] = Phase("run", 0.0, scenario.document.duration)
    replications = min(scenario.document.replications, REPLICATIONS)
    return meshsim.compare(scenario, replications=replications), spans


def value(
    name: str,
    quantity: Quantity,
    phase: str = "all",
    since: float = 0.0,
    until: float = math.inf,
    *,
    source: str = "*",
    destination: str = "catalog",
) -> Estimate:
    """Return a quantity of the calls to the catalog that ended in a phase, or in seconds of it after its start.

    ``run`` is a phase of its own, so that seconds are those of the run; ``source`` is the cluster of the caller.
    """
    run, spans = ran(name)
    calls = run.tables["calls"]
    begins, ends = spans[phase].start + since, min(spans[phase].end, spans[phase].start + until)
    calls = calls[(calls["destination"] == destination) & (calls["start"] >= begins) & (calls["start"] < ends)]
    calls = calls if source == "*" else calls[calls["source_cluster"] == source]
    return interval([quantity(of_one) for _, of_one in calls.groupby("replication")])


def proxies(name: str, column: str, phase: str, since: float = 0.0, until: float = math.inf, *, cluster: str) -> float:
    """Return the share of a cluster's proxies in a state, such as ``disconnected_seconds``, over all replications."""
    run, spans = ran(name)
    config = run.tables["config"]
    begins, ends = spans[phase].start + since, min(spans[phase].end, spans[phase].start + until)
    config = config[(config["cluster"] == cluster) & (config["start"] >= begins) & (config["start"] < ends)]
    return float(config[column].sum() / (config["proxies"] * (config["end"] - config["start"])).sum())


def metric(name: str, wanted: str, phase: str = "all", flow: str = "all") -> float:
    """Return the mean of a metric over the replications."""
    metrics = ran(name)[0].metrics
    chosen = (metrics["metric"] == wanted) & (metrics["phase"] == phase) & (metrics["flow"] == flow)
    (mean,) = metrics.loc[chosen, "mean"]
    return float(mean)


def share(calls: pd.DataFrame, chosen: pd.Series) -> float:
    return float(calls.loc[chosen, "count"].sum() / calls["count"].sum())


def succeeds(calls: pd.DataFrame) -> float:
    return share(calls, calls["code"] == 200)


def errors(calls: pd.DataFrame) -> float:
    return float(calls.loc[calls["code"] != 200, "count"].sum())


def leaves(calls: pd.DataFrame) -> float:
    """Return the share of the calls answered beyond the ocean, of those that reached a pod."""
    return share(calls[calls["destination_cluster"] != ""], calls["destination_cluster"] == "us-1")


def attempts(calls: pd.DataFrame) -> float:
    return float(calls["attempts"].sum() / calls["count"].sum())


def latency(calls: pd.DataFrame) -> float:
    return float(calls["latency_sum"].sum() / calls["count"].sum())


def flagged(flag: str) -> Quantity:
    return lambda calls: share(calls, calls["response_flag"] == flag)


def between(low: float, estimate: Estimate, high: float) -> bool:
    """Return whether the whole interval lies within bounds; a thousandth of requests may end in the next phase."""
    assert low - 1e-3 <= estimate.low, f"{estimate} is below {low}"
    assert estimate.high <= high + 1e-3, f"{estimate} is above {high}"
    return True


def shares_of_pods(name: str) -> list[list[float]]:
    """Return for each replication the shares of the catalog's pods, the most used one first."""
    run, _ = ran(name)
    log = run.tables["access_log"]
    log = log[log["destination"] == "catalog"]
    return [pods["upstream_host"].value_counts(normalize=True).tolist() for _, pods in log.groupby("replication")]
