"""Host names of Istio's resources: short names, wildcards, and which services they mean."""

from __future__ import annotations

from collections.abc import Collection

from meshsim.errors import did_you_mean

#: Domain of Kubernetes services; meshsim knows no other.
DOMAIN = "svc.cluster.local"

Service = tuple[str, str]


def full_name(service: Service) -> str:
    """Return the host name of a service, given as (name, namespace).

    Kubernetes' names have no dots, so a name with dots is a host already: that of a ServiceEntry.

    Examples
    --------
    >>> full_name(("cart", "shop")), full_name(("api.example.com", "shop"))
    ('cart.shop.svc.cluster.local', 'api.example.com')
    """
    return service[0] if "." in service[0] else f"{service[0]}.{service[1]}.{DOMAIN}"


def resolved(host: str, namespace: str) -> str:
    """Return the full name of a host as Istio reads it: only a name without dots belongs to the resource's namespace.

    Examples
    --------
    >>> resolved("cart", "shop"), resolved("cart.shop", "shop"), resolved("*.shop.svc.cluster.local", "x")
    ('cart.shop.svc.cluster.local', 'cart.shop', '*.shop.svc.cluster.local')
    """
    return host if "." in host or host.startswith("*") else full_name((host, namespace))


def matches(pattern: str, name: str) -> bool:
    """Tell whether a full name or wildcard means a full name.

    Examples
    --------
    >>> matches("*.shop.svc.cluster.local", "cart.shop.svc.cluster.local"), matches("*", "a.b")
    (True, True)
    """
    return name.endswith(pattern[1:]) if pattern.startswith("*") else pattern == name


def precision(pattern: str) -> int:
    """Return how precise a pattern is: a full name beats every wildcard, a long wildcard beats a short one.

    Examples
    --------
    >>> precision("a.b") > precision("*.shop.svc.cluster.local") > precision("*")
    True
    """
    return len(pattern) if pattern.startswith("*") else 1_000_000


def no_service(host: str, services: Collection[Service]) -> str:
    """Return the message for a host that means no service of the scenario.

    Examples
    --------
    >>> no_service("cart", [("cart", "shop")])
    "matches no service of the scenario: it has no effect; did you mean 'cart.shop.svc.cluster.local'?"
    """
    message = "matches no service of the scenario: it has no effect"
    name, _, rest = host.partition(".")
    same_name = sorted(full_name(service) for service in services if service[0] == name)
    if same_name:
        return f"{message}; did you mean '{same_name[0]}'?"
    # A name of the outside world has no near service.
    return message + ("" if rest and not rest.endswith(DOMAIN) else did_you_mean(name, [name for name, _ in services]))
