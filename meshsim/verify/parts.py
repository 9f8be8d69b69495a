"""Scenarios in one zone where nothing takes time but what they say, and what is read from their tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from meshsim.results.histogram import quantile
from meshsim.scenario.requests import INGRESS

if TYPE_CHECKING:
    import pandas as pd

Tables = Mapping[str, "pd.DataFrame"]
Reader = Callable[[Tables], "pd.Series[float]"]
Spec = dict[str, Any]

#: A proxy that costs nothing. It has one worker thread, as each has its own turn of ROUND_ROBIN and connections.
FREE: Spec = {"cpu": "0s", "latency": "0s", "handshake": "0s", "concurrency": 1}
#: Mean service time of most cases, seconds.
DEMAND = 0.01


# --- scenarios --------------------------------------------------------------------------------------------------


def mesh(services: Mapping[str, Spec], load: Spec, *, measured: float, warm_up: float = 50.0, **more: Any) -> Spec:
    """Return a scenario in one zone where links and proxies take no time.

    Parameters
    ----------
    services
        By name; the first is the one that users call.
    load
        Of the first service.
    measured, warm_up
        Seconds.
    more
        Other fields of the scenario.
    """
    return {
        "name": "verify",
        "regions": {"r": {"zones": ["z"]}},
        "clusters": {"c": {"region": "r"}},
        "latency": [{"between": ["r/z", "r/z"], "rtt": "0s"}],
        "services": dict(services),
        "load": {next(iter(services)): load},
        "sidecar": {"enabled": False},
        "ingress": {"c": FREE},
        "deployments": ["multi-primary"],
        "duration": f"{warm_up + measured}s",
        "warm_up": f"{warm_up}s",
        **more,
    }


def service(*script: Any, **fields: Any) -> Spec:
    """Return a service with one endpoint, ``x``, and no limit on what a pod computes at once by default."""
    return {"workers": 10_000, "endpoints": {"x": {"script": list(script)}}, **fields}


def exponential(mean: float = DEMAND) -> Spec:
    """Return a computation of exponential length (seconds)."""
    return {"compute": {"exponential": f"{mean}s"}}


def rate(per_second: float) -> Spec:
    """Return Poisson load."""
    return {"rate": f"{per_second}/s"}


def rule(host: str, **policy: Any) -> Spec:
    """Return a DestinationRule with this traffic policy."""
    spec = {"host": host, "trafficPolicy": policy}
    return _resource("DestinationRule", host, spec)


def route(host: str, **http: Any) -> Spec:
    """Return a VirtualService, for sidecars and ingress gateways, whose only route has these fields."""
    routes = [{"route": [{"destination": {"host": host}}], **http}]
    spec = {"hosts": [host], "gateways": ["mesh", "ingress"], "http": routes}
    return _resource("VirtualService", host, spec)


def _resource(kind: str, name: str, spec: Spec) -> Spec:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def pool(host: str, **http: Any) -> Spec:
    """Return a DestinationRule with these HTTP connection pool limits."""
    return rule(host, connectionPool={"http": http})


# --- what is read from the tables -------------------------------------------------------------------------------


def mean_latency(tables: Tables) -> pd.Series[float]:
    """Return the mean latency (seconds) of users' requests that were answered with 200."""
    rows = tables["requests"]
    sums = rows[rows["code"] == 200].groupby("replication")[["latency_sum", "count"]].sum()
    return sums["latency_sum"] / sums["count"]


def latency_quantile(q: float) -> Reader:
    """Return a reader of a quantile (seconds) of users' latencies."""

    def read(tables: Tables) -> pd.Series[float]:
        rows = tables["latency"]
        groups = rows[rows["kind"] == "request"].groupby("replication")[["bin", "count"]]
        found: pd.Series[float] = groups.apply(lambda group: quantile(group["bin"], group["count"], q))
        return found

    return read


def throughput(tables: Tables) -> pd.Series[float]:
    """Return users' requests that ended per second."""
    rows = tables["requests"]
    ended: pd.Series[float] = rows.groupby("replication")["count"].sum()
    return ended / float(rows["end"].max() - rows["start"].min())


def share(table: str = "requests", **wanted: Any) -> Reader:
    """Return a reader of the fraction of a table's count that has these values, of those to the same destination."""

    def read(tables: Tables) -> pd.Series[float]:
        rows = tables[table]
        if "destination" in wanted:
            rows = rows[rows["destination"] == wanted["destination"]]
        hit = rows
        for column, value in wanted.items():
            hit = hit[hit[column] == value]
        hits, total = (part.groupby("replication")["count"].sum() for part in (hit, rows))
        return hits.reindex(total.index, fill_value=0) / total

    return read


def attempts(destination: str) -> Reader:
    """Return a reader of the attempts at a service per request of a user."""

    def read(tables: Tables) -> pd.Series[float]:
        rows = tables["calls"]
        made = rows[rows["destination"] == destination].groupby("replication")["attempts"].sum()
        return made / rows[rows["source"] == INGRESS].groupby("replication")["count"].sum()

    return read
