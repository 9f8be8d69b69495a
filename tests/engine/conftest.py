"""A small mesh of two regions, and a run of it that can be looked at while it goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from meshsim.engine.simulation import Simulation
from meshsim.scenario import load

BASE: dict[str, Any] = {
    "name": "small",
    "regions": {"eu": {"zones": ["a", "b"]}, "us": {"zones": ["a"]}},
    "clusters": {"c1": {"region": "eu"}, "c2": {"region": "us"}},
    "latency": [{"between": ["eu", "us"], "rtt": "80ms"}],
    "services": {
        "web": {"replicas": 2, "endpoints": {"GET": {"script": [{"call": "app/GET"}]}}},
        "app": {"replicas": 4, "endpoints": {"GET": {}}},
    },
    "load": {"web": {"rate": "10/s"}},
    "kubernetes": {"pod_start": "10s", "watch_latency": "10ms"},
    "deployments": ["multi-primary", "primary-remote"],
    "duration": "120s",
    "warm_up": "0s",
}


class Run(Simulation):
    """A simulation that calls functions at given times."""

    def at(self, time: float, look: Callable[[], Any]) -> list[Any]:
        seen: list[Any] = []

        def wait():
            yield self.env.at(time)
            seen.append(look())

        self.env.process(wait())
        return seen

    def app_pods(self, cluster: str) -> list[str]:
        """Return the names of the app pods that serve in a cluster and are not on their way out."""
        return [
            pod.name for pod in self.clusters[cluster].pods.values()
            if pod.service == "app" and not pod.draining and self.mesh.plane.pods[pod.number].state == 1
        ]  # fmt: skip

    def stale(self) -> dict[str, int]:
        return {name: self.mesh.recorder.stale[name].value for name in self.mesh.clusters}


@pytest.fixture
def run():
    """Return a function that builds a run of the small mesh, changed as told."""

    def built(deployment: str = "multi-primary", **changes: Any) -> Run:
        document = {**BASE, **changes}
        for block in ("kubernetes", "istiod"):
            document[block] = {**BASE.get(block, {}), **changes.get(block, {})}
        return Run(load(document), deployment)

    return built


@pytest.fixture
def event():
    """Return a function that writes an event of the timeline."""

    def written(kind: str, start: str, duration: str | None = None, **fields: Any) -> dict[str, Any]:
        described = {"event": kind, "start": start, **fields}
        return described if duration is None else {**described, "duration": duration}

    return written
