"""Variants of a scenario: what would be if one thing were otherwise (`what_if`)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from meshsim.scenario.fields import Strict

#: Name of a variant, the head of its column in tables and pictures; a check sees to it, so that a wrong name does not
#: keep a user from seeing what else is wrong.
TITLE = r"^[A-Za-z0-9]([A-Za-z0-9 ._,+%()-]{0,58}[A-Za-z0-9%)+])?$"
VariantName = Annotated[str, WithJsonSchema({"type": "string", "pattern": TITLE})]


class WhatIfVariant(Strict):
    """One variant: the file with resources applied, deleted and fields set."""

    description: str = ""
    apply: Annotated[
        list[dict[str, Any]],
        Field(description="Istio resources, inline or as {path: …}; they replace their like"),
    ] = []
    delete: Annotated[list[str], Field(description="resources to delete, as Kind/name or Kind/namespace/name")] = []
    set_: Annotated[dict[str, Any], Field(alias="set", description="values by path, as --set takes them")] = {}


class WhatIf(Strict):
    """Variants of one deployment, which `meshsim compare --what-if` sets beside it."""

    deployment: Annotated[str | None, Field(description="that they are variants of; the first by default")] = None
    variants: Annotated[dict[VariantName, WhatIfVariant], Field(min_length=1)]
