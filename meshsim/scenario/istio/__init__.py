"""Istio's own resources, read strictly and resolved to the policy a client proxy applies to each service."""

from meshsim.scenario.istio.clients import Client, Request
from meshsim.scenario.istio.policy import CircuitBreaker, Locality, OutlierDetection, Policy, Retry
from meshsim.scenario.istio.reading import read_resources
from meshsim.scenario.istio.resources import IstioResources
from meshsim.scenario.istio.routes import Destination, Fault, Mirror, Route
from meshsim.scenario.istio.versions import Profile, profile

__all__ = [
    "CircuitBreaker",
    "Client",
    "Destination",
    "Fault",
    "IstioResources",
    "Locality",
    "Mirror",
    "OutlierDetection",
    "Policy",
    "Profile",
    "Request",
    "Retry",
    "Route",
    "profile",
    "read_resources",
]
