"""Who controls whom: control planes, where they run, which clusters they serve and watch, and on which path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from meshsim.scenario import schema
from meshsim.scenario.schema import Deployment, Document, EastWestGateway
from meshsim.scenario.selectors import several_networks, zones_of

#: Name of the root certificate that all control planes share unless the scenario says otherwise.
COMMON_ROOT = "common root"


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """One istiod Deployment, and whom it controls.

    Parameters
    ----------
    name
        Name of the control plane.
    home
        Cluster it runs in; empty for one outside all clusters (external control plane).
    serves
        Clusters whose proxies get configuration, certificates and injection from it.
    watches
        Clusters whose API servers it watches: its home, and those it has a remote secret for (spec §4.2), among which
        is always that of its configuration.
    config_cluster
        Cluster whose API server keeps its Istio configuration.
    region, zones
        Where its replicas run.
    replicas
        Replicas of istiod.
    access
        How proxies of other clusters reach it: ``gateway`` or ``direct``.
    gateway_replicas
        Replicas of the gateway in front of a control plane outside all clusters.
    root
        Name of the root certificate that it signs with.
    """

    name: str
    home: str
    serves: tuple[str, ...]
    watches: tuple[str, ...]
    config_cluster: str
    region: str
    zones: tuple[str, ...]
    replicas: int = 1
    access: str = "gateway"
    gateway_replicas: int = 1
    root: str = COMMON_ROOT

    @property
    def is_external(self) -> bool:
        """Whether it runs outside all clusters."""
        return not self.home

    @property
    def serves_others(self) -> bool:
        """Whether proxies of any cluster but its home reach it."""
        return any(cluster != self.home for cluster in self.serves)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Clusters that it has a remote secret for: all that it watches, except its home.

        One outside all clusters has one for the cluster of its configuration, too (istio.io, Install Istio with an
        External Control Plane: ``create-remote-secret --type=config``).

        Examples
        --------
        >>> ControlPlane("eu-1", "eu-1", ("eu-1",), ("eu-1", "us-1"), "eu-1", "eu", ("a",)).secrets
        ('us-1',)
        """
        return tuple(cluster for cluster in self.watches if cluster != self.home)

    @property
    def entrance(self) -> bool:
        """Whether it has a gateway of its own in front: outside all clusters, unless access is direct (spec §4.1)."""
        return self.is_external and self.access != "direct"

    def gateway_to(self, cluster: str) -> str | None:
        """Return the cluster whose east-west gateway carries a served cluster's xDS, CA and injection traffic.

        Parameters
        ----------
        cluster
            A cluster this control plane serves.

        Returns
        -------
        str or None
            The home cluster for a remote one (spec §4.1: ports 15012 and 15017 of its east-west gateway). None where
            istiod is reached without one: at home, where access is direct, and where it is external and has a gateway
            of its own.

        Examples
        --------
        >>> plane = ControlPlane("eu-1", "eu-1", ("eu-1", "us-1"), ("eu-1", "us-1"), "eu-1", "eu", ("a",))
        >>> plane.gateway_to("us-1"), plane.gateway_to("eu-1")
        ('eu-1', None)
        """
        return None if cluster == self.home or self.access == "direct" or self.is_external else self.home


def control_planes(document: Document, name: str) -> tuple[ControlPlane, ...]:
    """Return the control planes of one of a scenario's deployments.

    Parameters
    ----------
    document
        The scenario.
    name
        A key of ``deployments``.

    Raises
    ------
    KeyError
        If the scenario has no such deployment, or it names no preset (the scenario's own checks come first).

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> clusters = {"eu-1": {"region": "eu"}, "eu-2": {"region": "eu"}}
    >>> document = Document.model_validate({**EXAMPLE, "clusters": clusters})
    >>> [(plane.home, plane.serves) for plane in control_planes(document, "primary-remote")]
    [('eu-1', ('eu-1', 'eu-2'))]
    """
    deployment = document.deployments[name]
    described = deployment.control_planes or _PRESETS[deployment.model or name](document, deployment)
    return tuple(_control_plane(document, deployment, plane, body) for plane, body in described.items())


def _control_plane(document: Document, deployment: Deployment, name: str, body: schema.ControlPlane) -> ControlPlane:
    home = "" if body.place is not None else body.home or body.serves[0]
    if body.place is not None:
        region, _, zone = body.place.partition("/")
        zones = [zone] if zone else document.regions[region].zones
    else:
        region, zones = document.clusters[home].region, zones_of(document, home)
    config_cluster = body.config_cluster or home or body.serves[0]
    always = [cluster for cluster in (home, config_cluster) if cluster]
    watched = document.clusters if body.watches is None else dict.fromkeys([*always, *body.watches])
    roots = document.identity.roots
    return ControlPlane(
        name, home, tuple(body.serves), tuple(watched), config_cluster, region,
        tuple(zones), body.replicas or document.istiod.replicas, deployment.access, body.gateway_replicas,
        roots.get(name, roots.get(home, COMMON_ROOT)),
    )  # fmt: skip


def _multi_primary(document: Document, _deployment: Deployment) -> Mapping[str, schema.ControlPlane]:
    """One control plane in every cluster."""
    return {cluster: schema.ControlPlane(serves=[cluster]) for cluster in document.clusters}


def _primary_remote(document: Document, deployment: Deployment) -> Mapping[str, schema.ControlPlane]:
    """One control plane for all clusters."""
    home = deployment.primary or next(iter(document.clusters))
    return {home: schema.ControlPlane(serves=_first(home, document.clusters))}


def _hybrid(document: Document, deployment: Deployment) -> Mapping[str, schema.ControlPlane]:
    """One control plane per region, in the region's first cluster unless told otherwise."""
    by_region: dict[str, list[str]] = {}
    for name, cluster in document.clusters.items():
        by_region.setdefault(cluster.region, []).append(name)
    homes = {region: deployment.primaries.get(region, clusters[0]) for region, clusters in by_region.items()}
    return {home: schema.ControlPlane(serves=_first(home, by_region[region])) for region, home in homes.items()}


def _external(document: Document, deployment: Deployment) -> Mapping[str, schema.ControlPlane]:
    """One control plane for all clusters, in none of them."""
    place = deployment.place or next(iter(document.regions))
    config = deployment.primary or next(iter(document.clusters))
    return {"external": schema.ControlPlane(serves=list(document.clusters), place=place, config_cluster=config)}


def _first(home: str, clusters: Iterable[str]) -> list[str]:
    return [home, *(cluster for cluster in clusters if cluster != home)]


#: A preset turns clusters into control planes.
_PRESETS: Mapping[str, Callable[[Document, Deployment], Mapping[str, schema.ControlPlane]]] = {
    "multi-primary": _multi_primary,
    "primary-remote": _primary_remote,
    "hybrid": _hybrid,
    "external": _external,
}


def east_west_gateways(document: Document, planes: Sequence[ControlPlane]) -> dict[str, EastWestGateway]:
    """Return the east-west gateways of a deployment by cluster, in the order of the file.

    A cluster has one where the scenario says so, where there are several networks to join, and where its control plane
    serves other clusters.

    Parameters
    ----------
    document
        The scenario.
    planes
        Control planes of the deployment.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> clusters = {"eu-1": {"region": "eu"}, "eu-2": {"region": "eu"}}
    >>> document = Document.model_validate({**EXAMPLE, "clusters": clusters})
    >>> list(east_west_gateways(document, control_planes(document, "primary-remote")))
    ['eu-1']
    >>> list(east_west_gateways(document, control_planes(document, "multi-primary")))
    []
    """
    used = ways_through(document, planes)
    return {
        name: document.gateways.get(name, EastWestGateway())
        for name in document.clusters
        if name in used or name in document.gateways
    }


def ways_through(document: Document, planes: Sequence[ControlPlane]) -> list[str]:
    """Return the clusters whose east-west gateways carry something: requests between networks, or control.

    Parameters
    ----------
    document
        The scenario.
    planes
        Control planes of the deployment.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> clusters = {"eu-1": {"region": "eu"}, "eu-2": {"region": "eu"}}
    >>> document = Document.model_validate({**EXAMPLE, "clusters": clusters, "gateways": {"eu-2": {}}})
    >>> ways_through(document, control_planes(document, "primary-remote"))
    ['eu-1']
    """
    if several_networks(document):
        return list(document.clusters)
    homes = {plane.gateway_to(cluster) for plane in planes for cluster in plane.serves}
    return [name for name in document.clusters if name in homes]
