"""Istio's kinds: where each is found in the API, and its field table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from meshsim.errors import did_you_mean
from meshsim.scenario.istio import fields_extensions, fields_mesh, fields_routes, fields_traffic, fields_workloads
from meshsim.scenario.istio.fields import ANY, STRING, Table, table

_NETWORKING = ("v1", "v1beta1", "v1alpha3")
_SECURITY = ("v1", "v1beta1")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of Istio's API.

    Parameters
    ----------
    group, versions
        As in ``apiVersion``; resources of all versions have the same fields.
    spec
        The fields of ``spec``.
    """

    group: str
    versions: tuple[str, ...]
    spec: Table

    @property
    def table(self) -> Table:
        """Return the fields of a whole resource."""
        whole = {"apiVersion": STRING, "kind": STRING, "metadata": ANY, "status": ANY}
        spec = "spec!" if self.spec.required or self.spec.verify else "spec"
        return table({**{name: kind.inert() for name, kind in whole.items()}, spec: self.spec})


def _kind(group: str, versions: tuple[str, ...], spec: Table) -> Kind:
    return Kind(f"{group}.istio.io", versions, spec)


KINDS: Mapping[str, Kind] = {
    "DestinationRule": _kind("networking", _NETWORKING, fields_traffic.DESTINATION_RULE),
    "VirtualService": _kind("networking", _NETWORKING, fields_routes.VIRTUAL_SERVICE),
    "Gateway": _kind("networking", _NETWORKING, fields_workloads.GATEWAY),
    "ServiceEntry": _kind("networking", _NETWORKING, fields_workloads.SERVICE_ENTRY),
    "WorkloadEntry": _kind("networking", _NETWORKING, fields_workloads.WORKLOAD_ENTRY),
    "WorkloadGroup": _kind("networking", _NETWORKING, fields_workloads.WORKLOAD_GROUP),
    "Sidecar": _kind("networking", _NETWORKING, fields_workloads.SIDECAR),
    "ProxyConfig": _kind("networking", ("v1beta1",), fields_workloads.PROXY_CONFIG),
    "EnvoyFilter": _kind("networking", ("v1alpha3",), fields_extensions.ENVOY_FILTER),
    "PeerAuthentication": _kind("security", _SECURITY, fields_extensions.PEER_AUTHENTICATION),
    "RequestAuthentication": _kind("security", _SECURITY, fields_extensions.REQUEST_AUTHENTICATION),
    "AuthorizationPolicy": _kind("security", _SECURITY, fields_extensions.AUTHORIZATION_POLICY),
    "Telemetry": _kind("telemetry", ("v1", "v1alpha1"), fields_extensions.TELEMETRY),
    "WasmPlugin": _kind("extensions", ("v1alpha1",), fields_extensions.WASM_PLUGIN),
    "TrafficExtension": _kind("extensions", ("v1alpha1",), fields_extensions.TRAFFIC_EXTENSION),
    "IstioOperator": _kind("install", ("v1alpha1",), fields_mesh.ISTIO_OPERATOR),
}

_GROUPS = {kind.group for kind in KINDS.values()}


def is_istio(api_version: str) -> bool:
    """Tell whether an ``apiVersion`` belongs to Istio, in this or an older version.

    Examples
    --------
    >>> is_istio("networking.istio.io/v1"), is_istio("apps/v1")
    (True, False)
    """
    return api_version.partition("/")[0].endswith(".istio.io")


def is_gone(api_version: str) -> bool:
    """Tell whether an ``apiVersion`` is of a group that Istio has removed, such as ``config.istio.io``.

    Examples
    --------
    >>> is_gone("config.istio.io/v1alpha2"), is_gone("networking.istio.io/v1")
    (True, False)
    """
    return is_istio(api_version) and api_version.partition("/")[0] not in _GROUPS


def kind_problem(api_version: str, name: str) -> tuple[str, str]:
    """Return (field, message) of what is wrong with the type of an Istio resource, or two empty texts.

    Examples
    --------
    >>> kind_problem("networking.istio.io/v1", "DestinationRules")[1][:70]
    "unknown kind 'DestinationRules'; did you mean 'DestinationRule'? (one "
    """
    kind = KINDS.get(name)
    if kind is None:
        group = api_version.partition("/")[0]
        members = [member for member, known in KINDS.items() if known.group == group]
        return "kind", f"unknown kind '{name}'{did_you_mean(name, members, limit=20)}"
    versions = [f"{kind.group}/{version}" for version in kind.versions]
    if api_version not in versions:
        return "apiVersion", f"{name} has no version '{api_version}'{did_you_mean(api_version, versions)}"
    return "", ""
