"""What VirtualServices say, and what a client proxy does with a request because of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from meshsim.scenario.istio import hosts
from meshsim.scenario.istio.clients import MESH, Client, Request
from meshsim.scenario.istio.matching import Match, pattern
from meshsim.scenario.istio.policy import Retry
from meshsim.scenario.istio.resolve import DEFAULT, Setting

__all__ = [
    "Client",
    "Destination",
    "Fault",
    "HttpRule",
    "Mirror",
    "Request",
    "Rewrite",
    "Route",
    "TcpRule",
    "VirtualService",
    "Weighted",
]


#: Istio's retries from 1.24 on.
DEFAULT_RETRY = Retry()


@dataclass(frozen=True, slots=True)
class Destination:
    """An Envoy cluster: a service, or one of its subsets.

    Parameters
    ----------
    service
        Name in the scenario; empty for a host that it does not have.
    subset
        Empty for the whole service.
    host
        As the resource names it, for messages.

    Examples
    --------
    >>> Destination("cart", "v1") == Destination("cart", "v1", "cart.shop.svc.cluster.local")
    True
    """

    service: str
    subset: str = ""
    host: str = field(default="", compare=False)


Weighted = tuple[tuple[Destination, int], ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """Failures that the client's proxy makes up before it routes a request (spec §3.5; TranslateFault).

    Parameters
    ----------
    delay
        Seconds.
    delay_percent
        Percent of requests that are delayed. Default 0, also where a resource leaves it out.
    abort_code
        HTTP status of the answer; 0 = none.
    abort_percent
        Percent of requests that are answered so, after the delay if there is one; drawn independently. Default 0.

    Examples
    --------
    >>> Fault().abort_percent
    0.0
    """

    delay: float = 0.0
    delay_percent: float = 0.0
    abort_code: int = 0
    abort_percent: float = 0.0


@dataclass(frozen=True, slots=True)
class Mirror:
    """A destination that gets copies whose answers nobody waits for.

    Parameters
    ----------
    destination
        Who gets them.
    percent
        Of requests. Istio's default is 100.

    Examples
    --------
    >>> Mirror(Destination("cart", "v2"), 10.0).percent
    10.0
    """

    destination: Destination
    percent: float = 100.0


@dataclass(frozen=True, slots=True)
class Route:
    """What a client proxy does with a request. Two routes are equal if they do the same, whatever they come from.

    Parameters
    ----------
    destinations
        With weights above 0; drawn once per request, also for its retries. Empty where the proxy answers itself.
    timeout
        Seconds for the whole request with all its tries; None = no limit, the default (spec §3.4).
    retry
        Retries of failed tries. With ``consistentHash``, and no retries of its own, a route does not avoid hosts that
        it tried before.
    fault
        Failures made up on the way.
    mirrors
        Who gets copies.
    direct_code
        HTTP status that the proxy answers itself: a redirect, a direct response, 404 without a route, 502 for an
        unknown host under REGISTRY_ONLY; 0 = none.
    no_route
        Whether no rule takes the request: flag NR.
    path, authority
        What the destination sees, after rewriting.
    name
        ``VirtualService ns/name (file:line) http[0]``, or ``Istio default``.
    sources
        Where each part comes from: ``timeout``, ``retry.attempts``, ``destinations``, ``fault``, ``mirrors``,
        ``rewrite``.

    Examples
    --------
    >>> Route(((Destination("cart"), 100),)).retry.attempts
    2
    """

    destinations: Weighted = ()
    timeout: float | None = None
    retry: Retry = DEFAULT_RETRY
    fault: Fault = Fault()
    mirrors: tuple[Mirror, ...] = ()
    direct_code: int = 0
    no_route: bool = False
    path: str = "/"
    authority: str = ""
    name: str = field(default=DEFAULT, compare=False)
    sources: Mapping[str, str] = field(default_factory=dict, compare=False, hash=False)

    @property
    def reached(self) -> tuple[Destination, ...]:
        """Return where requests and their copies go, the copies last.

        Examples
        --------
        >>> [one.service for one in Route(((Destination("cart"), 100),), mirrors=(Mirror(Destination("new")),)).reached]
        ['cart', 'new']
        """
        return (*(one for one, _ in self.destinations), *(mirror.destination for mirror in self.mirrors))


# --- what a VirtualService says -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rewrite:
    r"""What the destination sees instead of the path and host that were asked for.

    Parameters
    ----------
    uri
        In place of the part of the path that matched; empty = no change.
    authority
        Empty = no change.
    regex, substitution
        Every fit of an RE2 expression in the path is replaced; ``\1`` is its first group.
    """

    uri: str = ""
    authority: str = ""
    regex: str = ""
    substitution: str = ""

    def path(self, path: str, match: Match) -> str:
        r"""Return the path that the destination sees (RouteAction.prefix_rewrite, regex_rewrite).

        Examples
        --------
        >>> Rewrite(uri="/v2").path("/cart", Match()), Rewrite("", "", "^/(.*)$", r"/x/\1").path("/a", Match())
        ('/v2cart', '/x/a')
        """
        if self.regex:
            text = re.sub(
                r"\\(.)", lambda found: rf"\g<{found[1]}>" if found[1].isdecimal() else r"\\", self.substitution
            )
            return pattern(self.regex).sub(text, path)
        if not self.uri:
            return path
        uri = match.uri
        matched = 1 if uri is None else len(uri.value) if uri.kind == "prefix" else len(path)
        return self.uri + path[matched:]


@dataclass(frozen=True, slots=True)
class HttpRule:
    """One entry of ``http``; None and empty values are those that the resource leaves away.

    Parameters
    ----------
    source, number
        Where it stands.
    matches
        It takes a request if one of these does, or if there are none.
    destinations, direct_code
        Where requests go, or what they are answered.
    timeout, retry
        Settings.
    fault, rewrite, mirror, mirror_percent, mirrors
        As in the resource.
    delegate
        (namespace, name) of the VirtualService whose rules stand in for this one.
    """

    source: str = field(default="", compare=False)
    number: str = field(default="http[0]", compare=False)
    matches: tuple[Match, ...] = ()
    destinations: Weighted = ()
    direct_code: int = 0
    timeout: Setting | None = None
    retry: tuple[Setting, ...] = ()
    fault: Fault | None = None
    rewrite: Rewrite | None = None
    mirror: Destination | None = None
    mirror_percent: float | None = None
    mirrors: tuple[Mirror, ...] = ()
    delegate: tuple[str, str] | None = None

    @property
    def copies(self) -> tuple[Mirror, ...]:
        """Return who gets copies; a percentage of 0 means nobody, none means everything (MirrorPercent)."""
        percent = 100.0 if self.mirror_percent is None else self.mirror_percent
        first = () if self.mirror is None else (Mirror(self.mirror, percent),)
        return tuple(one for one in (*first, *self.mirrors) if one.percent > 0)


@dataclass(frozen=True, slots=True)
class TcpRule:
    """One entry of ``tcp`` or ``tls``.

    Parameters
    ----------
    source, number
        Where it stands.
    matches
        Conditions on client and port; empty = all.
    destinations
        Where connections go.
    names
        Hosts of ``sniHosts``; empty for ``tcp``.
    """

    source: str = field(default="", compare=False)
    number: str = field(default="tcp[0]", compare=False)
    matches: tuple[Match, ...] = ()
    destinations: Weighted = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VirtualService:
    """A VirtualService, delegates merged in.

    Parameters
    ----------
    title
        For messages.
    namespace, name
        As in its metadata.
    hosts
        Full names and wildcards; a delegate has none.
    gateways
        Full names, or ``mesh``.
    export_to
        Namespaces whose clients see it; ``*`` = all.
    outside
        Those of the hosts that no service of the scenario has.
    http, tcp
        Rules; those of ``tls`` come before those of ``tcp``.
    """

    title: str = field(default="", compare=False)
    namespace: str = "default"
    name: str = ""
    hosts: tuple[str, ...] = ()
    gateways: tuple[str, ...] = (MESH,)
    export_to: tuple[str, ...] = ("*",)
    outside: tuple[str, ...] = ()
    http: tuple[HttpRule, ...] = ()
    tcp: tuple[TcpRule, ...] = ()

    def seen_by(self, namespace: str) -> bool:
        """Tell whether clients in a namespace, or a root VirtualService in it, see it.

        Examples
        --------
        >>> VirtualService(namespace="shop", export_to=(".",)).seen_by("bank")
        False
        """
        return any(
            place in {"*", namespace} or (place == "." and namespace == self.namespace) for place in self.export_to
        )

    def precision(self, name: str) -> int:
        """Return how precisely its hosts mean a full name; 0 where they do not."""
        return max((hosts.precision(host) for host in self.hosts if hosts.matches(host, name)), default=0)

    def leads_to(self, service: str) -> bool:
        """Tell whether one of its HTTP rules sends requests to a service."""
        return any(one.service == service for rule in self.http for one, _ in rule.destinations)
