"""Who controls whom: control planes, where they run, which clusters they serve and watch, and on which path."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from meshsim.scenario.schema import Deployment, Document, EastWestGateway


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """One istiod group, and whom it controls.

    Parameters
    ----------
    name
        Name of the control plane.
    home
        Cluster it runs in.
    serves
        Clusters whose proxies get configuration, certificates and injection from it.
    watches
        Clusters whose API servers it watches; always all of the mesh (spec §4.2).
    """

    name: str
    home: str
    serves: tuple[str, ...]
    watches: tuple[str, ...]

    def gateway_to(self, cluster: str) -> str | None:
        """Return the cluster whose east-west gateway carries a served cluster's xDS, CA and injection traffic.

        Parameters
        ----------
        cluster
            A cluster this control plane serves.

        Returns
        -------
        str or None
            The home cluster for a remote one (spec §4.1: ports 15012 and 15017 of its east-west gateway), None for home
            itself, where istiod is reached directly.

        Examples
        --------
        >>> plane = ControlPlane("eu-1", "eu-1", ("eu-1", "us-1"), ("eu-1", "us-1"))
        >>> plane.gateway_to("us-1"), plane.gateway_to("eu-1")
        ('eu-1', None)
        """
        return None if cluster == self.home else self.home


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
    if deployment.control_planes:
        groups: Mapping[str, Sequence[str]] = deployment.control_planes
    else:
        groups = _PRESETS[deployment.model or name](document, deployment)
    everything = tuple(document.clusters)
    return tuple(ControlPlane(plane, served[0], tuple(served), everything) for plane, served in groups.items())


def _multi_primary(document: Document, _deployment: Deployment) -> Mapping[str, Sequence[str]]:
    """One control plane in every cluster."""
    return {cluster: [cluster] for cluster in document.clusters}


def _primary_remote(document: Document, deployment: Deployment) -> Mapping[str, Sequence[str]]:
    """One control plane for all clusters."""
    home = deployment.primary or next(iter(document.clusters))
    return {home: [home, *(cluster for cluster in document.clusters if cluster != home)]}


def _hybrid(document: Document, _deployment: Deployment) -> Mapping[str, Sequence[str]]:
    """One control plane per region, in the region's first cluster."""
    by_region: dict[str, list[str]] = {}
    for name, cluster in document.clusters.items():
        by_region.setdefault(cluster.region, []).append(name)
    return {clusters[0]: clusters for clusters in by_region.values()}


#: A preset turns clusters into control plane → clusters it serves, its home first.
_PRESETS: Mapping[str, Callable[[Document, Deployment], Mapping[str, Sequence[str]]]] = {
    "multi-primary": _multi_primary,
    "primary-remote": _primary_remote,
    "hybrid": _hybrid,
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
    several_networks = len({cluster.network for cluster in document.clusters.values()}) > 1
    homes = [plane.home for plane in planes if len(plane.serves) > 1]
    return {
        name: document.gateways.get(name, EastWestGateway())
        for name in document.clusters
        if several_networks or name in document.gateways or name in homes
    }
