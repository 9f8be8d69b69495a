"""What Istio's resources say: which policy a client applies to a service, where it sends a request, whom it trusts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from meshsim.scenario.istio import destination_rules, hosts, routing, scopes, workloads
from meshsim.scenario.istio.clients import MESH, Client, Request
from meshsim.scenario.istio.destination_rules import DestinationRule
from meshsim.scenario.istio.mesh import cluster_local
from meshsim.scenario.istio.policy import CircuitBreaker, Policy
from meshsim.scenario.istio.resolve import Setting, layer, resolve
from meshsim.scenario.istio.routes import Route, VirtualService
from meshsim.scenario.istio.scopes import MutualTls, PeerAuthentication, ProxyConfig, Sidecar
from meshsim.scenario.istio.versions import profile
from meshsim.scenario.istio.workloads import ExternalService, GatewayResource, Workload

#: Istio's root namespace unless MeshConfig names another.
ROOT_NAMESPACE = "istio-system"


@dataclass(frozen=True, slots=True)
class IstioResources:
    """The traffic policy of a scenario.

    Parameters
    ----------
    destination_rules, virtual_services
        What the resources set, in the order of the files; DestinationRules of one host merged.
    mesh, baseline
        What MeshConfig sets, and what its ``defaultTrafficPolicy`` sets.
    root_namespace
        The namespace whose DestinationRules serve everyone.
    warnings
        What Istio knows and meshsim does not simulate, ``file:line: Kind/name: field: why``, once each. Two sets of
        resources are equal when they mean the same, wherever they stand.
    services
        (name, namespace) of the services that they were read for.
    traffic_distributions
        (service, ``trafficDistribution``) of the services that have one.
    ports
        (service, port) of the services whose port is known.
    peer_authentications, sidecars, proxy_configs, gateways, service_entries, workload_entries
        What the resources of these kinds say; WorkloadEntries are endpoints of the ServiceEntries that select them.
    outside
        (service, host) of the services that have another host than Kubernetes' own.
    """

    destination_rules: tuple[DestinationRule, ...] = ()
    virtual_services: tuple[VirtualService, ...] = ()
    mesh: tuple[Setting, ...] = ()
    baseline: tuple[Setting, ...] = ()
    root_namespace: str = ROOT_NAMESPACE
    warnings: tuple[str, ...] = field(default=(), compare=False)
    services: tuple[hosts.Service, ...] = ()
    peer_authentications: tuple[PeerAuthentication, ...] = ()
    sidecars: tuple[Sidecar, ...] = ()
    proxy_configs: tuple[ProxyConfig, ...] = ()
    gateways: tuple[GatewayResource, ...] = ()
    service_entries: tuple[ExternalService, ...] = ()
    traffic_distributions: tuple[tuple[hosts.Service, str], ...] = ()
    ports: tuple[tuple[hosts.Service, int], ...] = ()
    workload_entries: tuple[Workload, ...] = ()
    outside: tuple[tuple[hosts.Service, str], ...] = ()

    def identity(self, service: str, namespace: str) -> hosts.Service:
        """Return (name, namespace) of a service, with its host for a name where it has one of its own.

        Examples
        --------
        >>> IstioResources(outside=((("pay", "shop"), "api.example.com"),)).identity("pay", "shop")
        ('api.example.com', 'shop')
        """
        return dict(self.outside).get((service, namespace), service), namespace

    def entry(self, service: str, namespace: str) -> ExternalService | None:
        """Return the ServiceEntry that a service stands for, or None for one of Kubernetes.

        Examples
        --------
        >>> IstioResources().entry("cart", "shop") is None
        True
        """
        return workloads.serving(self.service_entries, hosts.full_name(self.identity(service, namespace)))

    def policy(
        self,
        service: str,
        namespace: str,
        version: str,
        subset: str = "",
        *,
        client_namespace: str | None = None,
        client_labels: Mapping[str, str] | None = None,
    ) -> Policy:
        """Return what a client proxy does with requests to a service, or to a subset of it.

        Parameters
        ----------
        service, namespace
            The service.
        version
            The Istio version, such as ``1.31``.
        subset
            A subset of its DestinationRule; one that the rule does not have gets what the whole service gets.
        client_namespace, client_labels
            The client's; None = any client that no ``workloadSelector`` selects (see `destination_rules.chosen`).

        Raises
        ------
        ValueError
            If the version is not one.

        Examples
        --------
        >>> IstioResources().policy("cart", "default", "1.31").connect_timeout
        10.0
        """
        wanted = self.identity(service, namespace)
        rule = self._rule(wanted, client_namespace, client_labels)
        return resolve(
            layer(rule.settings(subset, dict(self.ports).get(wanted, 0)) if rule else ()),
            layer(self.mesh),
            layer(self.baseline),
            profile(version),
            traffic_distribution=dict(self.traffic_distributions).get(wanted, ""),
            cluster_local=self.cluster_local(service, namespace),
            entry=self.entry(service, namespace),
        )

    def subset_labels(
        self,
        service: str,
        namespace: str,
        subset: str,
        *,
        client_namespace: str | None = None,
        client_labels: Mapping[str, str] | None = None,
    ) -> Mapping[str, str]:
        """Return the labels of a subset's pods.

        Raises
        ------
        KeyError
            If the DestinationRule that the client uses has no such subset: Envoy then has no such cluster, and answers
            503 with the flag NC.
        """
        rule = self._rule(self.identity(service, namespace), client_namespace, client_labels)
        found = rule.subset(subset) if rule else None
        if found is None:
            raise KeyError(subset)
        return dict(found.labels)

    def _rule(
        self, service: hosts.Service, namespace: str | None, labels: Mapping[str, str] | None
    ) -> DestinationRule | None:
        return destination_rules.chosen(self.destination_rules, service, self.root_namespace, namespace, labels)

    def cluster_local(self, service: str, namespace: str) -> bool:
        """Tell whether MeshConfig keeps a service within each cluster (spec §4.2; pilot/pkg/model/cluster_local.go).

        Examples
        --------
        >>> IstioResources().cluster_local("cart", "default"), IstioResources().cluster_local("dns", "kube-system")
        (False, True)
        """
        return cluster_local(layer(self.mesh), hosts.full_name(self.identity(service, namespace)))

    def route(self, client: Client, request: Request, version: str) -> Route:
        """Return what a client proxy does with a request: where it goes, how long it may take, how it is retried.

        Parameters
        ----------
        client, request
            Who sends what.
        version
            The Istio version, such as ``1.31``.

        Raises
        ------
        ValueError
            If the version is not one.

        Examples
        --------
        >>> IstioResources().route(Client(), Request("cart"), "1.31").retry.attempts
        2
        """
        closed = self.outbound_policy(client.namespace, client.labels) == "REGISTRY_ONLY"
        seen = client.gateway != MESH or self.visible(
            request.service, request.namespace, client.namespace, client.labels
        )
        if not seen:
            return routing.hidden(request, closed=closed)
        names = _names(self.services, self.outside)
        outside = [host for entry in self.service_entries for host in entry.hosts]
        closed = closed and not any(hosts.matches(host, request.host) for host in outside)
        return routing.find(self.virtual_services, names, self.mesh, client, request, profile(version), closed=closed)

    def mutual_tls(self, namespace: str, labels: Mapping[str, str], port: int = 0) -> MutualTls:
        """Return what the proxy of a workload accepts: mutual TLS only, both, or plain text only (spec §8).

        A client speaks TLS to a workload that is not ``DISABLE``; a workload that is ``STRICT`` refuses plain text.

        Examples
        --------
        >>> IstioResources().mutual_tls("shop", {"app": "cart"})
        'PERMISSIVE'
        """
        return scopes.mutual_tls(self.peer_authentications, namespace, labels, self.root_namespace, port)

    def visible(
        self, service: str, namespace: str, client_namespace: str, client_labels: Mapping[str, str] | None = None
    ) -> bool:
        """Tell whether the Sidecar of a client, and the service's ``exportTo``, let it know a service (spec §8).

        Examples
        --------
        >>> IstioResources().visible("cart", "shop", "bank")
        True
        """
        entry = self.entry(service, namespace)
        exported = entry is None or entry.seen_from(client_namespace)
        return exported and self.in_sidecar(service, namespace, client_namespace, client_labels)

    def in_sidecar(
        self, service: str, namespace: str, client_namespace: str, client_labels: Mapping[str, str] | None = None
    ) -> bool:
        """Tell whether the Sidecar of a client names a service, or the client has none (spec §8).

        Examples
        --------
        >>> IstioResources().in_sidecar("cart", "shop", "bank")
        True
        """
        wanted = self.identity(service, namespace)
        return scopes.visible(self.sidecars, wanted, client_namespace, client_labels or {}, self.root_namespace)

    def outbound_policy(self, client_namespace: str, client_labels: Mapping[str, str] | None = None) -> str:
        """Return what becomes of a client's requests for unknown hosts: ``ALLOW_ANY`` or ``REGISTRY_ONLY``.

        Examples
        --------
        >>> IstioResources().outbound_policy("shop")
        'ALLOW_ANY'
        """
        found = scopes.in_scope(self.sidecars, client_namespace, client_labels or {}, self.root_namespace)
        mesh = layer(self.mesh).get("outbound")
        return (found[0].outbound if found else "") or (mesh.value if mesh else "ALLOW_ANY")

    def inbound_breaker(
        self, service: str, namespace: str, version: str, labels: Mapping[str, str] | None = None
    ) -> CircuitBreaker:
        """Return the limits that the proxy of a server sets for all its clients together.

        Source: spec §1, §8; Istio pilot/pkg/networking/core/cluster.go: the ``inboundConnectionPool`` of the server's
        Sidecar, or else the connection pool of the DestinationRule for its service.

        Parameters
        ----------
        service, namespace
            The service.
        version
            The Istio version.
        labels
            The server's labels.

        Examples
        --------
        >>> IstioResources().inbound_breaker("cart", "shop", "1.31").unlimited
        True
        """
        found = scopes.in_scope(self.sidecars, namespace, labels or {}, self.root_namespace)
        if found and found[0].inbound is not None:
            return resolve(layer(found[0].inbound), {}, {}, profile(version)).circuit_breaker
        return self.policy(service, namespace, version, client_namespace=namespace).circuit_breaker

    def concurrency(self, namespace: str, labels: Mapping[str, str] | None = None) -> int | None:
        """Return the worker threads of a workload's proxy; 0 = one per processor, None = nobody says.

        Examples
        --------
        >>> IstioResources().concurrency("shop") is None
        True
        """
        mesh = layer(self.mesh).get("concurrency")
        wide = mesh.value if mesh else None
        return scopes.concurrency(self.proxy_configs, namespace, labels or {}, self.root_namespace, wide)


@lru_cache(maxsize=16)
def _names(services: tuple[hosts.Service, ...], outside: tuple[tuple[hosts.Service, str], ...]) -> dict[str, str]:
    """Return services by the full names of their hosts; ``outside`` are hosts other than Kubernetes' own."""
    own = dict(outside)
    return {hosts.full_name((own.get(service, service[0]), service[1])): service[0] for service in services}
