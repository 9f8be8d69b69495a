"""Small, seeded, made-up results of three deployments with a fault window, in the columns of `TABLES`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from meshsim.results.histogram import bin_of
from meshsim.results.tables import FLOWS, TABLES
from meshsim.scenario.schema import Document

BUCKET, DURATION, WARM_UP = 5.0, 300.0, 30.0
FAULT = (90.0, 190.0)
CLUSTERS = ("eu-1", "eu-2", "us-1")
#: Clusters whose proxies go stale while the control plane in eu-1 is down.
FROZEN = {"multi-primary": ("eu-1",), "primary-remote": CLUSTERS, "hybrid": ("eu-1", "eu-2")}


def document(**changes: Any) -> Document:
    """Return a scenario of three clusters in two regions and two networks, with overlapping events."""
    plain: dict[str, Any] = {
        "name": "primary-outage",
        "description": "The control plane of the first cluster is lost while services are rolled out.",
        "regions": {
            "eu": {"cloud_region": "aws:eu-west-1", "zones": ["a", "b"]},
            "us": {"cloud_region": "aws:us-east-1"},
        },
        "clusters": {
            "eu-1": {"region": "eu", "network": "net-eu"},
            "eu-2": {"region": "eu", "network": "net-eu"},
            "us-1": {"region": "us", "network": "net-us"},
        },
        "services": {
            "frontend": {"replicas": 2, "endpoints": {"GET /": {"script": [{"call": "cart/get"}]}}},
            "cart": {"replicas": 2, "endpoints": {"get": {}}},
        },
        "load": {"frontend": {"rate": "200/s", "actions": {"browse": {"requests": ["GET /"]}}}},
        "timeline": [
            {
                "event": "control_plane_down",
                "name": "istiod of eu-1 is lost",
                "start": "90s",
                "duration": "100s",
                "target": {"control_plane": "eu-1"},
            },
            {"event": "pod_churn", "start": "80s", "duration": "140s", "rate": "2/min", "target": {"service": "*"}},
            {"event": "rollout", "name": "cart v2", "start": "110s", "target": {"service": "cart"}},
            {"event": "rollout", "name": "frontend v2", "start": "130s", "target": {"service": "frontend"}},
        ],
        "duration": "300s",
        "warm_up": "30s",
        "replications": 4,
    }
    return Document.model_validate(plain | changes)


def tables(replications: int = 4, frozen: Mapping[str, tuple[str, ...]] = FROZEN) -> dict[str, pd.DataFrame]:
    """Return every table of `TABLES`, filled for each deployment of ``frozen``; a caller may change them."""
    runs = [_run_of(*one, replication) for one in frozen.items() for replication in range(replications)]
    return {name: pd.concat([run[name] for run in runs], ignore_index=True) for name in TABLES}


@cache
def _run_of(deployment: str, stale: tuple[str, ...], replication: int) -> dict[str, pd.DataFrame]:
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in TABLES}
    random = np.random.default_rng([replication, len(stale)])
    for start in np.arange(0.0, DURATION, BUCKET):
        key = (deployment, replication, float(start), float(start + BUCKET))
        _bucket(rows, key, stale, random)
    _run(rows, (deployment, replication), stale)
    return {name: _frame(name, rows[name]) for name in TABLES}


def _frame(name: str, rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    columns = TABLES[name]
    frame = pd.DataFrame(rows, columns=[column.name for column in columns])
    return frame.astype({column.name: column.dtype for column in columns})


def _bucket(
    rows: dict[str, list[tuple[Any, ...]]], key: tuple[Any, ...], stale: tuple[str, ...], random: np.random.Generator
) -> None:
    start = key[2]
    # How wrong the frozen endpoints have become: it grows with the outage and goes at its end.
    wrong = min(max(start - FAULT[0], 0.0), 100.0) / 100 * len(stale) / 3 if start < FAULT[1] else 0.0
    for cluster in CLUSTERS:
        behind = cluster in stale and FAULT[0] <= start < FAULT[1]
        late = 20 * BUCKET * 0.9 * wrong if behind else random.exponential(0.4)
        cut_off = 20 * BUCKET if behind else 0.0
        rows["config"].append((*key, cluster, 20, late, cut_off, 0.0, 0.0, 3))
        rows["convergence"].append((*key, cluster, int(bin_of(0.25 + random.exponential(0.1))), 3))
        for kind in ("sidecar", "ingress", "east-west"):
            rows["proxies"].append((*key, cluster, kind, 1.0 + random.random(), 10.0, 5.0))
        for service in ("frontend", "cart"):
            blocked = 1 if behind and start in (110.0, 130.0) else 0
            rows["pods"].append(
                (*key, cluster, service, 10.0, 10.0 - blocked, blocked * BUCKET, blocked, blocked, 0, 2.0, 10.0)
            )
    for plane in {1: CLUSTERS, 2: ("eu-1", "us-1"), 3: ("eu-1",)}[len(stale)]:
        up = 0.0 if plane == "eu-1" and FAULT[0] <= start < FAULT[1] else BUCKET
        served = 20 * len(stale) if plane == "eu-1" else 20
        rows["control_planes"].append(
            (*key, plane, up, up, served if up else 0, 0.1 * up, 2e8 + 5e5 * served, 3, 0, 0, 0, 0, 0, 0)
        )
    for flow, arrivals, latency in zip(FLOWS, (600, 260, 140), (0.012, 0.014, 0.085), strict=True):
        moved = -0.5 if flow == "local" else 0.6
        count = int(random.poisson(arrivals * (1 + moved * wrong)))
        failed = int(random.binomial(count, min(0.0004 + 0.05 * wrong, 1.0)))
        _flow(rows, (*key,), flow, (count - failed, failed), latency * (1 + wrong), random)


def _flow(
    rows: dict[str, list[tuple[Any, ...]]],
    key: tuple[Any, ...],
    flow: str,
    ended: tuple[int, int],
    latency: float,
    random: np.random.Generator,
) -> None:
    far = {"local": "eu-1", "cross-zone": "eu-1", "cross-region": "us-1"}[flow]
    for (code, flag, outcome), count in zip(((200, "", "ok"), (503, "UF,URX", "error")), ended, strict=True):
        if not count:
            continue
        seconds = latency * np.exp(0.5 * random.standard_normal(count)) + (random.random(count) < 0.004) * 0.25
        rows["requests"].append((*key, "frontend", "eu-1", flow, code, flag, count, float(seconds.sum())))
        size = (count * 1000, count * 4000)
        for ends in (("ingress", "frontend"), ("frontend", "cart")):
            reached = (*ends, "eu-1", far, flow, code, flag)
            rows["calls"].append((*key, *reached, count, count, float(seconds.sum()), *size))
        bins, counts = np.unique(bin_of(seconds), return_counts=True)
        for of in (("request", "frontend", ""), ("ingress", "", "eu-1"), ("call", "cart", "")):
            for at, n in zip(bins.tolist(), counts.tolist(), strict=True):
                rows["latency"].append((*key, *of, flow, outcome, at, n))


def _run(rows: dict[str, list[tuple[Any, ...]]], run: tuple[str, int], stale: tuple[str, ...]) -> None:
    rows["events"] += [
        (*run, FAULT[0], "fault begins", "istiod of eu-1 is lost", ""),
        (*run, FAULT[1], "fault ends", "istiod of eu-1 is lost", ""),
    ]
    rows["totals"].append((*run, "control planes", "", {1: 3.0, 2: 2.0, 3: 1.0}[len(stale)]))


# --- for the page -----------------------------------------------------------------------------------------------

#: Everything that could break out of a page, a table or a picture, right-to-left letters, and no end.
HOSTILE = (
    "</title><script>alert('x')</script> \" & | $a$ {{ 7*7 }} \u202e\u05e9\u05dc\u05d5\u05dd"
    " \u0645\u0631\u062d\u0628\u0627 " + "w" * 90
)


def hostile() -> Document:
    """Return the scenario of `document` with hostile text wherever text is free."""
    events = document().model_dump(mode="json", by_alias=True, exclude_defaults=True)["timeline"]
    return document(description=HOSTILE, timeline=[{**event, "name": HOSTILE} for event in events])


def manifest(scenario: Document, deployments: tuple[str, ...] = tuple(FROZEN)) -> dict[str, Any]:
    """Return what a run saves about itself."""
    from meshsim.results.manifest import describe

    return describe(
        scenario.model_dump(mode="json", by_alias=True),
        scenario_hash="ab" * 32,
        seed=1,
        deployments=deployments,
        replications_asked=4,
        replications_finished=4,
        wall_time=12.5,
        command=["meshsim", "compare", "primary outage.yaml"],
        study={"1.1 purpose": "to see", "1.2 outputs": {"x": {"unit": "s"}}, "5.1 software": "`versions`"},
    ) | {"written": "2026-11-23T08:00:00+00:00"}
