"""What MeshConfig says about services: which of them stay within their cluster."""

from __future__ import annotations

from collections.abc import Iterator

from meshsim.scenario.istio import hosts
from meshsim.scenario.istio.resolve import Layer

#: Hosts that istiod keeps within a cluster unless MeshConfig says otherwise (spec §4.2).
_LOCAL_BY_DEFAULT = (
    f"*.kube-system.{hosts.DOMAIN}",
    f"kubernetes.default.{hosts.DOMAIN}",
    f"istiod.istio-system.{hosts.DOMAIN}",
)


def cluster_local(mesh: Layer, name: str) -> bool:
    """Tell whether a service stays within its cluster; the most precise host of ``serviceSettings`` decides.

    Source: Istio pilot/pkg/model/cluster_local.go.

    Examples
    --------
    >>> cluster_local({}, "dns.kube-system.svc.cluster.local"), cluster_local({}, "cart.shop.svc.cluster.local")
    (True, False)
    """
    found = [(hosts.precision(host), local) for host, local in _settings(mesh) if hosts.matches(host, name)]
    return max(found)[1] if found else False


def _settings(mesh: Layer) -> Iterator[tuple[str, bool]]:
    """Yield (host, cluster-local); a user's word for a host replaces the default for it."""
    said = mesh["service_settings"].value if "service_settings" in mesh else []
    asked = {
        host: bool((entry.get("settings") or {}).get("clusterLocal"))
        for entry in said
        for host in entry.get("hosts") or ()
    }
    yield from (dict.fromkeys(_LOCAL_BY_DEFAULT, True) | asked).items()
