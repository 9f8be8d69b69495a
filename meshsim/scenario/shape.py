"""Following a place in the schema: which model, field and choices belong to a path of the file."""

from __future__ import annotations

import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ForwardRef, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Tag
from pydantic.fields import FieldInfo
from typing_extensions import TypeAliasType

from meshsim.scenario import schema
from meshsim.scenario.fields import Constant, Empirical, Exponential, Gamma, Lognormal
from meshsim.scenario.schema import Document, EntryLoad, Load
from meshsim.scenario.tree import Node, Path

#: Forms of a distribution whose name a user may leave out.
_WRAPPERS = (Constant, Exponential, Lognormal, Gamma, Empirical)


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in the file, as the schema sees it.

    Parameters
    ----------
    path
        The place as a user knows it, without the names of union members.
    node
        What stands there; None if nothing does.
    annotation
        The type that is wanted there.
    model
        The model that the last key belongs to.
    is_key
        The key itself is meant, not its value.
    fits
        The member of a union that was followed has the shape of what stands there.
    """

    path: Path
    node: Node | None
    annotation: Any
    model: type[BaseModel] | None = None
    is_key: bool = False
    fits: bool = True


def field_names(model: type[BaseModel]) -> list[str]:
    """Return the fields of a model as files name them.

    Examples
    --------
    >>> field_names(schema.Between)
    ['from', 'to']
    """
    return [info.alias or name for name, info in model.model_fields.items()]


def choices(annotation: Any) -> list[str]:
    """Return the words that a type allows, or nothing.

    Examples
    --------
    >>> choices(schema.Rollout.model_fields["event"].annotation)
    ['rollout']
    """
    core = _core(annotation)
    return [str(word) for word in get_args(core)] if get_origin(core) is Literal else []


def event_names() -> list[str]:
    """Return the events of a timeline.

    Examples
    --------
    >>> "pod_churn" in event_names()
    True
    """
    union = get_args(Document.model_fields["timeline"].annotation)[0]
    return [word for member in get_args(_core(union)) for word in choices(member.model_fields["event"].annotation)]


def follow(location: Sequence[str | int], root: Node) -> Spot:
    """Return the spot that a validation error's location means.

    Parameters
    ----------
    location
        Keys, indices and, between them, names of union members.
    root
        The file.

    Examples
    --------
    >>> from meshsim.scenario.tree import from_python
    >>> follow(("timeline", 0, "rollout", "start"), from_python({"timeline": [{"start": 3}]})).path
    ('timeline', 0, 'start')
    """
    spot = Spot((), root, Document)
    for part in location:
        if part == "[key]":
            return Spot(spot.path, spot.node, spot.annotation, spot.model, is_key=True, fits=spot.fits)
        following = _step(spot, part)
        if following is None:
            break
        spot = following
    return spot


def _step(spot: Spot, part: str | int) -> Spot | None:
    core = _core(spot.annotation)
    origin = get_origin(core)
    if origin in (Union, types.UnionType):
        return _member(spot, core, str(part))
    if isinstance(core, type) and issubclass(core, BaseModel):
        return _field(spot, core, str(part))
    if origin is dict or core is dict:
        value = get_args(core)[1] if get_args(core) else Any
        return _into(spot, _listed(spot.node, part), value, None)
    if origin is list:
        return _into(spot, part, get_args(core)[0], None)
    return None


def _into(spot: Spot, part: str | int, annotation: Any, model: type[BaseModel] | None) -> Spot:
    node = spot.node.child(part) if spot.node is not None else None
    return Spot((*spot.path, part), node, annotation, model, fits=spot.fits)


def _field(spot: Spot, model: type[BaseModel], part: str) -> Spot:
    named = {info.alias or name: info for name, info in model.model_fields.items()}
    info: FieldInfo | None = named.get(part)
    if info is not None and spot.node is not None and isinstance(spot.node.value, list):
        # A list that stands for a mapping with this one field (`eu: [eu-1, eu-2]`).
        return Spot(spot.path, spot.node, info.annotation, model, fits=spot.fits)
    if info is not None and model in _WRAPPERS and (spot.node is None or spot.node.child(part) is None):
        return Spot(spot.path, spot.node, info.annotation, model, fits=spot.fits)
    if info is not None:
        return _into(spot, part, info.annotation, model)
    return _into(spot, part, EntryLoad if model is Load else None, model)


def _member(spot: Spot, union: Any, part: str) -> Spot:
    """Follow one member of a union: by its tag, by its event, or by the shape that its name begins with."""
    for member in get_args(union):
        tags = [extra.tag for extra in getattr(member, "__metadata__", ()) if isinstance(extra, Tag)]
        core = _core(member)
        event = getattr(core, "model_fields", {}).get("event")
        if part in tags or (event is not None and part in choices(event.annotation)):
            return Spot(spot.path, spot.node, member, spot.model, fits=spot.fits)
    wants_mapping = part.startswith("dict")
    is_mapping = spot.node is not None and isinstance(spot.node.value, dict)
    members = [member for member in get_args(union) if (get_origin(_core(member)) is dict) == wants_mapping]
    return Spot(spot.path, spot.node, members[0], spot.model, fits=wants_mapping == is_mapping)


def _listed(node: Node | None, part: str | int) -> str | int:
    """Return the index of a name in a list that stands for a mapping (``deployments: [hybrid]``)."""
    if node is not None and isinstance(node.value, list):
        return next((index for index, item in enumerate(node.value) if item.value == part), 0)
    return part


def _core(annotation: Any) -> Any:
    """Return a type without Annotated, aliases and ``| None``."""
    while True:
        if isinstance(annotation, str | ForwardRef):
            annotation = getattr(schema, annotation if isinstance(annotation, str) else annotation.__forward_arg__)
        elif isinstance(annotation, TypeAliasType):
            annotation = annotation.__value__
        elif get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, types.UnionType) and type(None) in get_args(annotation):
            members = [member for member in get_args(annotation) if member is not type(None)]
            annotation = members[0] if len(members) == 1 else Union[tuple(members)]  # noqa: UP007  members are computed
        else:
            return annotation
