"""Which pods have a sidecar, and the worker threads of proxies, as the scenario and Istio's resources have them."""

from __future__ import annotations

from meshsim.scenario.istio import IstioResources
from meshsim.scenario.requests import EAST_WEST_LABELS, INGRESS_LABELS, INGRESS_NAMESPACE, labels_of
from meshsim.scenario.schema import Document, EastWestGateway, Gateway
from meshsim.scenario.selectors import outside_of


def has_sidecar(document: Document, service: str, workload: str) -> bool:
    """Tell whether the pods of a workload have a sidecar; endpoints outside all clusters may have none.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> has_sidecar(load({**EXAMPLE, "sidecar": {"enabled": False}}).document, "web", "web")
    False
    """
    outside = outside_of(document, service).get(workload)
    return document.sidecar.enabled and (outside is None or outside.sidecar)


def sidecar_threads(document: Document, resources: IstioResources, service: str, workload: str) -> int:
    """Return the worker threads of a workload's sidecar: as a ProxyConfig or MeshConfig asks, else the scenario's own.

    Parameters
    ----------
    document, resources
        The scenario, and what Istio's resources in it say.
    service, workload
        Whose sidecar.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> scenario = load({**EXAMPLE, "mesh_config": {"defaultConfig": {"concurrency": 4}}})
    >>> sidecar_threads(scenario.document, scenario.resources, "web", "web")
    4
    """
    labels = labels_of(document, service, workload)
    asked = resources.concurrency(document.services[service].namespace, labels)
    return asked or document.sidecar.concurrency  # 0 is one for each processor of the node, which nobody tells


def gateway_threads(settings: Gateway, resources: IstioResources) -> int:
    """Return the worker threads of a gateway's replicas: its own ``concurrency`` if it has one, else as of sidecars.

    Source: Istio 1.18, upgrade notes: ``concurrency`` of ProxyConfig, for the mesh or a pod, holds for gateways, too.

    Examples
    --------
    >>> from meshsim.scenario import load
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> resources = load({**EXAMPLE, "mesh_config": {"defaultConfig": {"concurrency": 4}}}).resources
    >>> gateway_threads(Gateway(), resources), gateway_threads(Gateway(concurrency=1), resources)
    (4, 1)
    """
    if "concurrency" in settings.model_fields_set:
        return settings.concurrency
    labels = EAST_WEST_LABELS if isinstance(settings, EastWestGateway) else INGRESS_LABELS
    return resources.concurrency(INGRESS_NAMESPACE, labels) or settings.concurrency
