"""Variants of a deployment (``what_if``) as results have them: which scenario each is, and what it changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from meshsim.report.shorten import listed, short
from meshsim.scenario.scenario import document_of
from meshsim.scenario.schema import Document

if TYPE_CHECKING:
    import pandas as pd

#: Characters of a name, and of what a variant changes, in a sentence.
_NAME, _CHANGES = 60, 600
#: Numbers of pods that a sentence has, and deployments for each.
_COUNTS = 5


def documents_of(manifest: Mapping[str, Any]) -> dict[str, Document]:
    """Return the scenario of each variant by its name, with a deployment of that name in place of their base.

    So whatever looks up a deployment in its scenario (`meshsim.mesh.deployment.control_planes`) finds a variant.

    Raises
    ------
    pydantic.ValidationError
        If one is not of this version.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> manifest = {"what_if": {"deployment": "hybrid", "variants": [{"name": "two", "scenario": EXAMPLE}]}}
    >>> documents_of(manifest)["two"].deployments["two"].model
    'hybrid'
    >>> documents_of({"what_if": None})
    {}
    """
    what_if = manifest.get("what_if") or {"variants": []}
    found = {}
    for variant in what_if["variants"]:
        document, base = document_of(variant["scenario"]), what_if["deployment"]
        own = document.deployments[base]
        named = {str(variant["name"]): own.model_copy(update={"model": own.model or base})}
        found[str(variant["name"])] = document.model_copy(update={"deployments": named})
    return found


def by_document(
    tables: Mapping[str, pd.DataFrame],
    document: Document,
    documents: Mapping[str, Document],
    made: Callable[[Mapping[str, pd.DataFrame], Document], pd.DataFrame],
) -> pd.DataFrame:
    """Return a frame made of tables and the scenario that they are of, with the parts of variants one after the other.

    Parameters
    ----------
    tables
        Of a run.
    document
        The scenario of all that are no variants.
    documents
        The scenarios of variants, by name.
    made
        Makes the frame.

    Examples
    --------
    >>> from meshsim.results.frames import concatenate
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> tables = concatenate([])
    >>> len(by_document(tables, Document.model_validate(EXAMPLE), {}, lambda tables, document: tables["calls"]))
    0
    """
    if not documents:
        return made(tables, document)
    import pandas as pd

    parts = [made({name: table[~table["deployment"].isin(documents)] for name, table in tables.items()}, document)]
    for variant, own in documents.items():
        parts.append(made({name: table[table["deployment"] == variant] for name, table in tables.items()}, own))
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def lines(manifest: Mapping[str, Any], width: int) -> list[str]:
    """Return what each variant is, as lines of text; none where deployments were compared.

    Examples
    --------
    >>> one = {"name": "two gateways", "description": "", "changes": ["set gateways.eu-1.replicas to 2"]}
    >>> lines({"what_if": {"deployment": "hybrid", "variants": [one]}}, 80)
    ['Variants of hybrid, which is shown as it is:', '  two gateways: set gateways.eu-1.replicas to 2']
    """
    what_if = manifest.get("what_if")
    if not what_if:
        return []
    said = [f"Variants of {what_if['deployment']}, which is shown as it is:"]
    for variant in what_if["variants"]:
        about = f" ({variant['description']})" if variant.get("description") else ""
        said += wrap(f"  {variant['name']}: {'; '.join(variant['changes'])}{about}", width, subsequent_indent="    ")
    return said


def sentences(manifest: Mapping[str, Any]) -> list[str]:
    """Return what each variant is, a sentence each; none where deployments were compared.

    Examples
    --------
    >>> one = {"name": "two gateways", "description": "", "changes": ["set gateways.eu-1.replicas to 2"]}
    >>> sentences({"what_if": {"deployment": "hybrid", "variants": [one]}})[1]
    '“two gateways” is hybrid with: set gateways.eu-1.replicas to 2.'
    """
    what_if = manifest.get("what_if")
    if not what_if:
        return []
    base = short(str(what_if["deployment"]), _NAME)
    said = [f"What is compared are {base} as the scenario has it, and variants of it."]
    for variant in what_if["variants"]:
        changes = short("; ".join(map(str, variant["changes"])), _CHANGES)
        about = f" ({short(str(variant['description']), _CHANGES)})" if variant.get("description") else ""
        said.append(f"“{short(str(variant['name']), _NAME)}” is {base} with: {changes}{about}.")
    return said


def left_out(comparison: pd.DataFrame, phase: str) -> str:
    """Return what `unbilled` says of a comparison, whose costs are told of a phase; nothing where it has no costs."""
    from meshsim.analysis.unbilled import pods_apart

    return unbilled(pods_apart(comparison, phase)) if (comparison["metric"] == "cost").any() else ""


def unbilled(pods: Mapping[str, float]) -> str:
    """Return that the services' own pods are not in the cost, where deployments differ in them; else nothing.

    Parameters
    ----------
    pods
        As `meshsim.analysis.unbilled.pods_apart` returns it.

    Examples
    --------
    >>> unbilled({"as it is": 8.0, "pods at home": 12.0})[-47:]
    'for 8 (as it is) and 12 (pods at home) of them.'
    """
    if not pods:
        return ""
    together: dict[float, list[str]] = {}
    for name, count in pods.items():
        together.setdefault(round(count, 1), []).append(short(name, _NAME))
    ordered = sorted(together.items())
    ends = ordered if len(ordered) <= _COUNTS else [ordered[0], ordered[-1]]
    told = [f"{count:,g} ({', '.join(names[:_COUNTS])})" for count, names in ends]
    asked = " to ".join(told) if len(ordered) > _COUNTS else listed(told)
    return (
        "The cost leaves out CPU and memory of the services' own pods, which are not the same here: the services ask"
        f" for {asked} of them."
    )


def to_json(manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the same as data that JSON can hold, without the scenarios; None where deployments were compared.

    Examples
    --------
    >>> to_json({"what_if": {"deployment": "hybrid", "variants": []}})
    {'deployment': 'hybrid', 'variants': []}
    """
    what_if = manifest.get("what_if")
    if not what_if:
        return None
    kept = ("name", "description", "changes", "scenario_hash")
    variants = [{key: variant[key] for key in kept if key in variant} for variant in what_if["variants"]]
    return {"deployment": what_if["deployment"], "variants": variants}
