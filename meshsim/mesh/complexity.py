"""How much there is to operate under a deployment: counted, not felt."""

from __future__ import annotations

from dataclasses import dataclass

from meshsim.mesh.deployment import ControlPlane, control_planes, ways_through
from meshsim.scenario.schema import Document
from meshsim.scenario.selectors import several_networks

#: Ports of an east-west gateway and of istiod that other clusters need (spec §4.1).
CROSS_NETWORK_PORTS = (15443,)
ISTIOD_PORTS = (15012, 15017)


@dataclass(frozen=True, slots=True)
class Complexity:
    """What a deployment gives its operators to do.

    Parameters
    ----------
    control_planes
        Control planes to run, watch and upgrade.
    istiod_replicas
        Replicas of istiod, all control planes together, before any autoscaling.
    remote_secrets
        Remote secrets to create, rotate and guard: for each control plane one for each cluster that it watches, other
        than its home.
    config_places
        Clusters whose API servers keep Istio configuration that is to be the same everywhere.
    config_objects
        Istio and Gateway API resources of the scenario, as one place keeps them.
    config_copies
        ``config_objects`` x ``config_places``: objects to keep equal.
    roots
        Different root certificates that control planes sign with; more than one needs trust bundles.
    exposed_gateways
        Gateways that other networks or clusters can reach: east-west gateways, and those in front of control planes
        outside all clusters.
    exposed_ports
        Ports open on these, and on istiod where access is direct: 15443 for requests from other networks, 15012 and
        15017 for proxies and webhooks of other clusters.
    blast_radius_clusters
        Clusters in which no pod starts, no certificate is renewed and nothing changes while one control plane is
        lost: the most that one serves.
    """

    control_planes: int
    istiod_replicas: int
    remote_secrets: int
    config_places: int
    config_objects: int
    config_copies: int
    roots: int
    exposed_gateways: int
    exposed_ports: int
    blast_radius_clusters: int


def complexity(document: Document, name: str) -> Complexity:
    """Return what there is to operate under one of a scenario's deployments.

    Parameters
    ----------
    document
        The scenario.
    name
        A key of ``deployments``.

    Raises
    ------
    KeyError
        If the scenario has no such deployment.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> clusters = {"eu-1": {"region": "eu"}, "eu-2": {"region": "eu"}, "eu-3": {"region": "eu"}}
    >>> document = Document.model_validate({**EXAMPLE, "clusters": clusters})
    >>> [complexity(document, name).remote_secrets for name in ("multi-primary", "primary-remote")]
    [6, 2]
    """
    planes = control_planes(document, name)
    exposed = ways_through(document, planes)
    objects = sum(map(_is_configuration, document.istio))
    places = len({plane.config_cluster for plane in planes})
    return Complexity(
        control_planes=len(planes),
        istiod_replicas=sum(plane.replicas for plane in planes),
        remote_secrets=sum(len(plane.secrets) for plane in planes),
        config_places=places,
        config_objects=objects,
        config_copies=objects * places,
        roots=len({plane.root for plane in planes}),
        exposed_gateways=len(exposed) + sum(plane.entrance for plane in planes),
        exposed_ports=_ports(planes, len(exposed) if several_networks(document) else 0),
        blast_radius_clusters=max((len(plane.serves) for plane in planes), default=0),
    )


def _is_configuration(resource: dict[str, object]) -> bool:
    """Tell what a control plane reads from an API server from what installs it, and from Kubernetes' own."""
    group = str(resource.get("apiVersion", "")).partition("/")[0]
    return group.endswith((".istio.io", "gateway.networking.k8s.io")) and group != "install.istio.io"


def _ports(planes: tuple[ControlPlane, ...], between: int) -> int:
    """Return the ports that are open, on so many gateways between networks and on istiod."""
    reached = sum(plane.serves_others for plane in planes)
    return between * len(CROSS_NETWORK_PORTS) + reached * len(ISTIOD_PORTS)
