"""Checks of configuration changes: they change something, and what they delete is there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from meshsim.errors import cut, did_you_mean
from meshsim.scenario.checks.finding import Finding, shortened, twice
from meshsim.scenario.partial import if_known
from meshsim.scenario.schema import ConfigChange, Document
from meshsim.scenario.tree import Path, printable

#: Kind, namespace and name of a resource.
Key: TypeAlias = tuple[str, str, str]
_NAMESPACE = "default"


def deleted_resources_exist(document: Document) -> Iterator[Finding]:
    """Yield changes of configuration that change nothing, and deletions of what is neither there nor applied before."""
    given = resources_of(document)
    present = list(given or ())
    for index, event in _in_time(document):
        path: Path = ("timeline", index)
        if not event.apply and not event.delete:
            yield Finding(path, "changes nothing; give resources to apply or delete")
        yield from deleted_twice((*path, "delete"), event.delete)
        readable = given is not None and not any("path" in resource for resource in event.apply)
        for place, text in enumerate(event.delete):
            yield from _deletion(text, present, (*path, "delete", place), readable=readable)
        present += [key for resource in event.apply if (key := key_of(resource)) is not None]


def resources_of(document: Document) -> list[Key] | None:
    """Return the resources of ``istio:``; None where they are not all known: files not read may hold anything.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> rule = {"kind": "DestinationRule", "metadata": {"name": "web"}}
    >>> resources_of(Document.model_validate({**EXAMPLE, "istio": [rule]}))
    [('DestinationRule', 'default', 'web')]
    >>> resources_of(Document.model_validate({**EXAMPLE, "istio": [rule, {"path": "more.yaml"}]})) is None
    True
    """
    resources = if_known(document, "istio")
    if resources is None or any("path" in resource for resource in resources):
        return None
    return [key for resource in resources if (key := key_of(resource)) is not None]


def _in_time(document: Document) -> list[tuple[int, ConfigChange]]:
    """Return the changes and their places in the timeline, in the order in which they happen."""
    changes = [(index, event) for index, event in enumerate(document.timeline) if isinstance(event, ConfigChange)]
    return sorted(changes, key=lambda change: change[1].start)


def _deletion(text: str, present: Sequence[Key], path: Path, *, readable: bool) -> Iterator[Finding]:
    key = parse_key(text)
    if key is None:
        yield Finding(path, no_resource(text, present if readable else ()))
    elif readable and key not in present:
        yield Finding(path, not_there(text, present, "is there or applied before"))


def deleted_twice(path: Path, texts: Iterable[str]) -> Iterator[Finding]:
    """Yield a finding for each resource that is deleted more than once, however it is written.

    Examples
    --------
    >>> [one.message for one in deleted_twice(("delete",), ["Gateway/in", "Gateway/default/in"])]
    ["the resource 'Gateway/in' is given twice"]
    """
    keys = [key for text in texts if (key := parse_key(text)) is not None]
    yield from twice(path, "resource", map(format_key, keys))


def no_resource(text: str, known: Iterable[Key]) -> str:
    """Return what is wrong with a text that names no resource, and which may be meant.

    Examples
    --------
    >>> no_resource("in", [("Gateway", "x", "in")])
    "'in' is no resource; write Kind/name or Kind/namespace/name; did you mean 'Gateway/x/in'? (one of Gateway/x/in)"
    """
    return f"{shortened(text)} is no resource; write Kind/name or Kind/namespace/name{_nearest(text, known)}"


def not_there(text: str, known: Iterable[Key], where: str = "is there") -> str:
    """Return what to say of a resource that is not there, as it is written, and which may be meant.

    Examples
    --------
    >>> not_there("Sidecar/default/crt", [("Sidecar", "default", "cart")])
    "no Sidecar/default/crt is there; did you mean 'Sidecar/default/cart'? (one of Sidecar/default/cart)"
    >>> not_there("Sidecar/cart", [("Gateway", "shop", "cart")])
    "no Sidecar/cart is there; did you mean 'Gateway/shop/cart'? (one of Gateway/shop/cart)"
    """
    return f"no {printable(cut(text, 80))} {where}{_nearest(text, known)}"


def _nearest(text: str, known: Iterable[Key]) -> str:
    """Suggest the resource that a text resembles, or one of the same name, with its namespace if the text has one."""
    names = {"/".join(key) if text.count("/") == 2 else format_key(key): key for key in known}
    close = difflib.get_close_matches(text, names, n=1, cutoff=0.6)
    alike = [name for name, key in names.items() if key[2] == text.rpartition("/")[2]]
    return did_you_mean([*close, *alike, text][0], names)


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
