"""What meshsim reads of a Kubernetes Service: its ``trafficDistribution``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meshsim.scenario.tree import Path

_ANNOTATION = "networking.istio.io/traffic-distribution"


def traffic_distribution(document: Mapping[str, Any]) -> tuple[Path, str]:
    """Return (field, value) of a Service's traffic distribution; the annotation wins over the field, as in Istio.

    Examples
    --------
    >>> traffic_distribution({"spec": {"trafficDistribution": "PreferClose"}})
    (('spec', 'trafficDistribution'), 'PreferClose')
    >>> traffic_distribution({"spec": {}})[1]
    ''
    """
    metadata, spec = document.get("metadata"), document.get("spec")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    if isinstance(annotations, Mapping) and annotations.get(_ANNOTATION):
        return ("metadata", "annotations", _ANNOTATION), str(annotations[_ANNOTATION])
    value = spec.get("trafficDistribution") if isinstance(spec, Mapping) else None
    return ("spec", "trafficDistribution"), str(value or "")
