"""Where pods and proxies are, and the labels by which Istio compares them."""

from __future__ import annotations

from typing import NamedTuple

from meshsim.scenario.istio.balancing import CLUSTER_LABEL, NETWORK_LABEL, REGION_LABEL, SUBZONE_LABEL, ZONE_LABEL
from meshsim.scenario.outside import Labels, Outside

#: In place of the cluster of an endpoint that is in none.
OUTSIDE = ""


class Endpoint(NamedTuple):
    """A pod of the service, as the API servers know it.

    ``ready`` is false for a pod that runs without being ready; terminating pods are never endpoints. ``tls`` is false
    for a pod that does not take Istio's mutual TLS: it has no sidecar, or a PeerAuthentication disables it.
    """

    pod: int
    cluster: str
    network: str
    region: str
    zone: str
    weight: int = 1
    workload: str = ""
    labels: Labels = ()
    subzone: str = ""
    ready: bool = True
    tls: bool = True


def outside_endpoint(number: int, outside: Outside, *, tls: bool) -> Endpoint:
    """Return an endpoint that is in no cluster: it is known to every control plane, and local to every cluster.

    Examples
    --------
    >>> outside_endpoint(7, Outside("10.0.0.1", "eu", "a", ("eu", "a", "")), tls=False).region
    'eu'
    """
    region, zone, subzone = outside.locality
    return Endpoint(
        number, OUTSIDE, outside.network, region, zone, outside.weight, outside.name, outside.labels, subzone, tls=tls
    )


class Client(NamedTuple):
    """Where the proxy that asks is, and the labels of its pod."""

    cluster: str
    network: str
    region: str
    zone: str
    subzone: str = ""
    labels: Labels = ()


def label(place: Endpoint | Client, name: str) -> str:
    """Return the value of a label, empty where there is none; istiod adds those of the topology to every pod.

    Examples
    --------
    >>> label(Client("eu-1", "eu", "eu-west-1", "a", labels=(("version", "v1"),)), "version")
    'v1'
    >>> label(Client("eu-1", "eu", "eu-west-1", "a"), "topology.kubernetes.io/region")
    'eu-west-1'
    """
    topology = {
        CLUSTER_LABEL: place.cluster,
        NETWORK_LABEL: place.network,
        REGION_LABEL: place.region,
        ZONE_LABEL: place.zone,
        SUBZONE_LABEL: place.subzone,
    }
    found = topology.get(name)
    return dict(place.labels).get(name, "") if found is None else found
