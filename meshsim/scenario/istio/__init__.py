"""Istio's own resources, read strictly and resolved to the policy a client proxy applies to each service."""

from meshsim.scenario.istio.policy import CircuitBreaker, Locality, OutlierDetection, Policy, Retry
from meshsim.scenario.istio.resources import IstioResources, read_resources
from meshsim.scenario.istio.versions import Profile, profile

__all__ = [
    "CircuitBreaker",
    "IstioResources",
    "Locality",
    "OutlierDetection",
    "Policy",
    "Profile",
    "Retry",
    "profile",
    "read_resources",
]
