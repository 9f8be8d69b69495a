"""Checks of configuration changes: they change something, and what they delete is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from meshsim.errors import did_you_mean
from meshsim.scenario.checks.finding import Finding, twice
from meshsim.scenario.schema import ConfigChange, Document
from meshsim.scenario.tree import Path

#: Kind, namespace and name of a resource.
Key: TypeAlias = tuple[str, str, str]
_NAMESPACE = "default"


def deleted_resources_exist(document: Document) -> Iterator[Finding]:
    """Yield changes of configuration that change nothing, and deletions of what is neither there nor applied before."""
    present = [key for resource in document.istio if (key := key_of(resource)) is not None]
    for index, event in _in_time(document):
        path: Path = ("timeline", index)
        if not event.apply and not event.delete:
            yield Finding(path, "changes nothing; give resources to apply or delete")
        yield from twice((*path, "delete"), "resource", event.delete)
        # Files that are not read yet may hold anything.
        readable = not any("path" in resource for resource in [*document.istio, *event.apply])
        for place, text in enumerate(event.delete):
            yield from _deletion(text, present, (*path, "delete", place), readable=readable)
        present += [key for resource in event.apply if (key := key_of(resource)) is not None]


def _in_time(document: Document) -> list[tuple[int, ConfigChange]]:
    """Return the changes and their places in the timeline, in the order in which they happen."""
    changes = [(index, event) for index, event in enumerate(document.timeline) if isinstance(event, ConfigChange)]
    return sorted(changes, key=lambda change: change[1].start)


def _deletion(text: str, present: Iterable[Key], path: Path, *, readable: bool) -> Iterator[Finding]:
    key = parse_key(text)
    known = list(dict.fromkeys(format_key(one) for one in present))
    if key is None:
        yield Finding(path, f"{text!r} is no resource; write Kind/name or Kind/namespace/name")
    elif readable and format_key(key) not in known:
        yield Finding(path, f"no {format_key(key)} is there or applied before{did_you_mean(format_key(key), known)}")


def key_of(resource: Mapping[str, Any]) -> Key | None:
    """Return kind, namespace and name of a resource; None for what is none.

    Examples
    --------
    >>> key_of({"kind": "VirtualService", "metadata": {"name": "cart"}})
    ('VirtualService', 'default', 'cart')
    """
    kind, metadata = resource.get("kind"), resource.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not isinstance(kind, str) or not isinstance(name, str) or not isinstance(metadata, Mapping):
        return None
    return kind, str(metadata.get("namespace") or _NAMESPACE), name


def parse_key(text: str) -> Key | None:
    """Return the resource that a text names, as Kind/name or Kind/namespace/name; None if it names none.

    Examples
    --------
    >>> parse_key("DestinationRule/cart"), parse_key("DestinationRule/shop/cart"), parse_key("cart")
    (('DestinationRule', 'default', 'cart'), ('DestinationRule', 'shop', 'cart'), None)
    """
    parts = text.split("/")
    if len(parts) not in {2, 3} or not all(parts):
        return None
    return parts[0], parts[1] if len(parts) == 3 else _NAMESPACE, parts[-1]


def format_key(key: Key) -> str:
    """Return a resource as `delete` names it, with its namespace where that is not the default one.

    Examples
    --------
    >>> format_key(("DestinationRule", "default", "cart")), format_key(("DestinationRule", "shop", "cart"))
    ('DestinationRule/cart', 'DestinationRule/shop/cart')
    """
    kind, namespace, name = key
    return f"{kind}/{name}" if namespace == _NAMESPACE else f"{kind}/{namespace}/{name}"
