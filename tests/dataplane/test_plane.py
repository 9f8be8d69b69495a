from __future__ import annotations

import pytest

from meshsim.scenario.schema import Sidecar

TWO = {"enabled": True, "cpu": "0s", "latency": "0s", "handshake": "0s", "concurrency": 2}


@pytest.mark.parametrize(
    ("other", "workers"),
    [({"concurrency": 1}, 1), ({"concurrency": 8}, 8), ({"enabled": False}, 0), ({}, 2)],
)
def test_a_new_pod_takes_over_only_a_sidecar_with_as_many_worker_threads(Bench, echo, other, workers):
    # Concurrency may differ between the workloads of a service: by ProxyConfig, or by having no sidecar at all.
    bench = Bench({"web": echo()}, sidecar=TWO)
    (gone,) = bench.pods["web"]
    bench.plane.kill(gone, 0.0, silent=False, for_good=True)
    own = Sidecar.model_validate({**TWO, **other})
    first, second = (
        bench.plane.add_pod(0, 0, name, cluster=0, zone=0, sidecar=sidecar)
        for name, sidecar in (("own", own), ("alike", Sidecar.model_validate(TWO)))
    )
    assert bench.world.proxies[bench.proxy_of(first)].workers == workers
    assert bench.world.proxies[bench.proxy_of(second)].workers == 2
    assert (bench.proxy_of(first) == bench.proxy_of(gone)) == (workers == 2)
    assert (bench.proxy_of(second) == bench.proxy_of(gone)) == (workers != 2)
