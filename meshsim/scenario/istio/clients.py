"""Who sends a request, and the request as rules see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from meshsim.scenario.istio import hosts

#: The gateway name that stands for every sidecar.
MESH = "mesh"
#: The gateway name of a client that serves whatever Gateway a resource names, as an ingress gateway does.
ANY_GATEWAY = "*"


@dataclass(frozen=True, slots=True)
class Client:
    """The proxy that sends a request.

    Parameters
    ----------
    namespace
        Of its workload.
    labels
        Of its pods.
    gateway
        ``mesh`` for a sidecar, ``namespace/name`` for a gateway that serves this Gateway, ``*`` for one that serves
        any.

    Examples
    --------
    >>> Client("shop", {"app": "web"}).gateway
    'mesh'
    """

    namespace: str = "default"
    labels: Mapping[str, str] = field(default_factory=dict)
    gateway: str = MESH


@dataclass(frozen=True, slots=True)
class Request:
    """What matches look at.

    Parameters
    ----------
    service, namespace
        Whom it is for.
    port
        The service's.
    method, path
        As in HTTP; the path begins with ``/`` and has no query.
    headers
        Values by name in lower case.
    query
        Values of the query parameters.
    authority
        The host it asks for; the service's full name where it is empty.
    protocol
        ``tcp`` for services without HTTP.

    Examples
    --------
    >>> Request("cart", "shop", path="/cart").method
    'GET'
    """

    service: str
    namespace: str = "default"
    port: int = 80
    method: str = "GET"
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    authority: str = ""
    protocol: str = "http"

    @property
    def host(self) -> str:
        """Return the host it asks for."""
        return self.authority or hosts.full_name((self.service, self.namespace))


def serves(gateways: Sequence[str], gateway: str) -> bool:
    """Tell whether a client is meant by a list of gateways.

    Examples
    --------
    >>> serves(["mesh"], "mesh"), serves(["shop/front"], "*"), serves(["mesh"], "*")
    (True, True, False)
    """
    return gateway in gateways or (gateway == ANY_GATEWAY and any(name != MESH for name in gateways))


def gateway_name(name: str, namespace: str) -> str:
    """Return the full name of a gateway that a resource in a namespace names.

    Examples
    --------
    >>> gateway_name("front", "shop"), gateway_name("./front", "shop"), gateway_name("front.infra.svc", "shop")
    ('shop/front', 'shop/front', 'infra/front')
    """
    if name == MESH:
        return name
    home, slash, rest = name.partition("/")
    if slash:
        return f"{namespace}/{rest}" if home == "." else name
    short, dot, more = name.partition(".")
    return f"{more.split('.')[0]}/{short}" if dot else f"{namespace}/{name}"
