"""DestinationRules: which one a client uses for a service, and what it says for a subset and a port."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from meshsim.scenario.istio import hosts
from meshsim.scenario.istio.resolve import Setting

#: The blocks that settings for a port replace, all four at once (util.go, MergeSubsetTrafficPolicy).
PORT_BLOCKS = ("connectionPool", "loadBalancer", "outlierDetection", "tls")

Blocks = tuple[tuple[str, tuple[Setting, ...]], ...]


@dataclass(frozen=True, slots=True)
class TrafficPolicy:
    """A ``trafficPolicy``: the settings of each block that is present, and of each port.

    Parameters
    ----------
    blocks
        (name of the block, its settings), in the order of the resource.
    ports
        (port number, blocks).
    """

    blocks: Blocks = ()
    ports: tuple[tuple[int, Blocks], ...] = ()

    def over(self, base: Mapping[str, tuple[Setting, ...]], port: int) -> dict[str, tuple[Setting, ...]]:
        """Return the blocks in force where this policy stands above others.

        Source: spec §1; Istio pilot/pkg/networking/util/util.go: a block replaces the one below it, and settings for
        the port replace all four blocks that a port may have.

        Parameters
        ----------
        base
            The blocks below.
        port
            The port; 0 = the only one, so that the settings of the only port listed are meant.
        """
        blocks = {**base, **dict(self.blocks)}
        own = dict(self.ports)
        found = own.get(port) if port else next(iter(own.values()), None) if len(own) == 1 else None
        if found is None:
            return blocks
        kept = {name: settings for name, settings in blocks.items() if name not in PORT_BLOCKS}
        return {**kept, **dict(found)}


@dataclass(frozen=True, slots=True)
class Subset:
    """A subset: its name, the labels of its pods, and what it sets besides its DestinationRule."""

    name: str
    labels: tuple[tuple[str, str], ...] = ()
    policy: TrafficPolicy = TrafficPolicy()
    title: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class DestinationRule:
    """A DestinationRule, or several of one host and namespace merged.

    Parameters
    ----------
    namespace
        The resource's namespace.
    host
        A full name or wildcard.
    policy
        What it sets for the whole host; None where it has no ``trafficPolicy``.
    subsets
        In the order of the resources.
    export_to
        Namespaces of the clients that see it; empty = all.
    selector
        Labels of the clients that use it; empty = all.
    title
        Kind, namespace and name, for messages.
    """

    namespace: str
    host: str
    policy: TrafficPolicy | None = None
    subsets: tuple[Subset, ...] = ()
    export_to: tuple[str, ...] = ()
    selector: tuple[tuple[str, str], ...] = ()
    title: str = field(default="", compare=False)

    @property
    def identity(self) -> tuple[object, ...]:
        """What rules that are merged have in common."""
        return self.namespace, self.host, tuple(sorted(self.export_to)), tuple(sorted(self.selector))

    def seen_from(self, namespace: str) -> bool:
        """Tell whether clients of a namespace see the rule.

        Examples
        --------
        >>> DestinationRule("shop", "cart", export_to=(".",)).seen_from("bank")
        False
        """
        own = "." in self.export_to and namespace == self.namespace
        return own or not self.export_to or "*" in self.export_to or namespace in self.export_to

    def subset(self, name: str) -> Subset | None:
        """Return a subset by its name."""
        return next((subset for subset in self.subsets if subset.name == name), None)

    def settings(self, subset: str = "", port: int = 0) -> tuple[Setting, ...]:
        """Return what is in force for a subset and a port; for all of the service where no subset is named."""
        blocks = (self.policy or TrafficPolicy()).over({}, port)
        found = self.subset(subset)
        if found is not None:
            blocks = found.policy.over(blocks, port)
        return tuple(setting for settings in blocks.values() for setting in settings)


def merged(rules: Iterable[DestinationRule]) -> tuple[DestinationRule, ...]:
    """Merge the rules of one host, namespace, audience and selector, as istiod does.

    Source: Istio pilot/pkg/model/destination_rule.go: the first ``trafficPolicy`` counts, and the first subset of a
    name; rules with other ``exportTo`` or ``workloadSelector`` stay apart.

    Examples
    --------
    >>> first = DestinationRule("shop", "cart", TrafficPolicy(), (Subset("v1"),))
    >>> (both,) = merged([first, DestinationRule("shop", "cart", None, (Subset("v1"), Subset("v2")))])
    >>> [subset.name for subset in both.subsets]
    ['v1', 'v2']
    """
    found: dict[tuple[object, ...], DestinationRule] = {}
    for rule in rules:
        first = found.get(rule.identity)
        if first is None:
            found[rule.identity] = rule
            continue
        more = tuple(subset for subset in rule.subsets if first.subset(subset.name) is None)
        policy = rule.policy if first.policy is None else first.policy
        found[rule.identity] = replace(first, policy=policy, subsets=(*first.subsets, *more))
    return tuple(found.values())


def chosen(
    rules: Sequence[DestinationRule],
    service: hosts.Service,
    root: str,
    client_namespace: str | None = None,
    client_labels: Mapping[str, str] | None = None,
) -> DestinationRule | None:
    """Return the rule that a client uses for a service, or None.

    Source: Istio pilot/pkg/model/push_context.go: the client's namespace comes first, then the service's, then the
    root namespace; within one the most precise host wins, then a rule that selects the client by its labels, then the
    first resource.

    Parameters
    ----------
    rules
        Rules in the order of the files, merged.
    service
        (name, namespace).
    root
        Istio's root namespace.
    client_namespace
        The client's namespace; None = any: the service's namespace comes first, then all others, then the root.
    client_labels
        The client's labels; None = a client that no ``workloadSelector`` selects.
    """
    name = hosts.full_name(service)
    best: tuple[tuple[int, int, bool], DestinationRule] | None = None
    for rule in rules:
        place = _place(rule, service[1], root, client_namespace)
        if place is None or not hosts.matches(rule.host, name) or not _selects(rule, client_labels):
            continue
        key = (place, -hosts.precision(rule.host), not rule.selector)
        if best is None or key < best[0]:
            best = (key, rule)
    return best[1] if best else None


def _place(rule: DestinationRule, service: str, root: str, client: str | None) -> int | None:
    """Return how early the rule's namespace is looked up; None where it is not, or does not show the rule."""
    if client is None:
        return {root: 2, service: 0}.get(rule.namespace, 1)
    return {root: 2, service: 1, client: 0}.get(rule.namespace) if rule.seen_from(client) else None


def _selects(rule: DestinationRule, labels: Mapping[str, str] | None) -> bool:
    return all(labels is not None and labels.get(key) == value for key, value in rule.selector)
