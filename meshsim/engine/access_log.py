"""The access log: a line for each call of a traced request, as in the log of the caller's proxy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from meshsim.dataplane import flags
from meshsim.dataplane.plane import DataPlane
from meshsim.dataplane.state import NONE
from meshsim.dataplane.trace import CALL_ENDED
from meshsim.scenario.requests import INGRESS


def access_log(plane: DataPlane, clusters: Sequence[str], lines: Any) -> Iterator[tuple[Any, ...]]:
    """Yield a row of the table ``access_log`` for each call that ended.

    Parameters
    ----------
    plane
        What the lines are of.
    clusters
        Names behind the data plane's numbers.
    lines
        Of the trace, as `DataPlane.take_trace` returns them.
    """
    for line in lines[lines.kind == CALL_ENDED]:
        proxy, destination = plane.proxies[line.proxy], NONE
        if line.upstream != NONE:
            destination = int(plane.world.upstreams[line.upstream].policy)
        pod = plane.pods[line.host] if line.host != NONE else None
        called = plane.plan.destinations[destination][0]
        operation = plane.plan.operation_names[line.operation] if line.operation != NONE else f"{called}/"
        yield (
            float(line.began),
            float(line.time - line.began),
            f"{int(line.request):016x}",
            plane.plan.services[proxy.service] if proxy.service != NONE else INGRESS,
            plane.proxy_names[line.proxy],
            *operation.split("/", 1),
            plane.plan.envoy_name(destination),
            plane.plan.routes[line.route].name,
            "" if pod is None else plane.pod_names[line.host],
            "" if pod is None else clusters[pod.cluster],
            int(line.attempt),
            int(line.code),
            flags.names(int(line.flag)),
        )
