"""Checks of variants (`what_if`): whose they are, what they are called, and what they may change."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meshsim.errors import ScenarioError
from meshsim.scenario.checks.configuration import deleted_twice, no_resource, parse_key, resources_of
from meshsim.scenario.checks.finding import Finding, unknown
from meshsim.scenario.overrides import parse_path
from meshsim.scenario.schema import Document
from meshsim.scenario.schema_what_if import TITLE
from meshsim.scenario.tree import Path

_NAMES = "letters, digits, blanks and ._,+%()-, with a letter or digit first, at most 60 characters"
#: What a comparison has once for all that it compares.
SHARED = (
    "decision",
    "description",
    "duration",
    "expect",
    "include",
    "name",
    "replications",
    "sample",
    "seed",
    "warm_up",
    "what_if",
)


def base_of(document: Document) -> str:
    """Return the deployment that variants are variants of.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> base_of(Document.model_validate(EXAMPLE))
    'multi-primary'
    """
    named = document.what_if.deployment if document.what_if is not None else None
    return next(iter(document.deployments)) if named is None else named


def variants_are_of_a_deployment(document: Document) -> Iterator[Finding]:
    """Yield a base that does not exist, and variants that are called as a deployment is."""
    if document.what_if is None:
        return
    if base_of(document) not in document.deployments:
        yield unknown(("what_if", "deployment"), "deployment", base_of(document), document.deployments)
    for name in document.what_if.variants:
        if name in document.deployments:
            message = "is the name of a deployment; a variant stands beside it, and needs one of its own"
            yield Finding(("what_if", "variants", name), message)
        elif re.fullmatch(TITLE, name) is None:
            yield Finding(("what_if", "variants", name), f"is no name of a variant; use {_NAMES}")


def variants_change_what_they_may(document: Document) -> Iterator[Finding]:
    """Yield variants that change nothing, and changes that cannot be read or are not a variant's to make."""
    for name, variant in document.what_if.variants.items() if document.what_if is not None else ():
        path: Path = ("what_if", "variants", name)
        if not (variant.apply or variant.delete or variant.set_):
            yield Finding(path, "changes nothing; give resources to apply or delete, or fields to set")
        yield from deleted_twice((*path, "delete"), variant.delete)
        known = resources_of(document) or ()
        for place, text in enumerate(variant.delete):
            if parse_key(text) is None:
                yield Finding((*path, "delete", place), no_resource(text, known))
        for text in variant.set_:
            if said := refusal(text, base_of(document)):
                yield Finding((*path, "set", text), said)


def refusal(text: str, base: str) -> str:
    """Return why a variant of a deployment may not set a field; empty if it may.

    Parameters
    ----------
    text
        The path, as the file has it.
    base
        The deployment.

    Examples
    --------
    >>> refusal("seed", "hybrid"), refusal("gateways.eu-1.replicas", "hybrid")
    ("seed is the same for all that is compared, and not a variant's to set", '')
    """
    try:
        keys = parse_path(text)
    except ScenarioError as error:
        return error.problems[0].message
    if keys[0] in SHARED:
        return f"{keys[0]} is the same for all that is compared, and not a variant's to set"
    if keys[0] == "deployments" and keys[1:2] != (base,):
        return f"has no effect: variants are of {base}; set deployments.{base}…"
    if keys[0] == "istio" and len(keys) == 1:
        return "would replace all resources; use apply and delete"
    return ""
