"""A document of which some sections are not known: checks go as far as what they ask for is."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from meshsim.scenario.schema import Document

#: Sections that say together which phases results have.
_PHASES = frozenset({"duration", "sample", "timeline", "warm_up"})
#: A mesh that has whatever results can be asked for: phases before, during and after a fault, and tags of data.
_OBLIGING = {
    "name": "obliging",
    "regions": {"r": {}},
    "clusters": {"c": {"region": "r", "security_domain": "d", "data_residency": ["r"]}},
    "services": {"s": {"endpoints": {"e": {}}, "data_residency": ["r"]}},
    "load": {"s": {"rate": "1/s"}},
    "timeline": [{"event": "cluster_down", "start": "2m", "duration": "1m", "target": {"cluster": "c"}}],
}
#: Sections that Istio's resources stand in or are read with, and what each has in it when there is nothing.
_OF_RESOURCES: dict[str, Any] = {"istio": [], "mesh_config": {}, "regions": {}, "services": {}, "timeline": []}


class NotKnownError(Exception):
    """A section is asked for that is not known."""


class Partial(Document, defer_build=True):
    """A document that knows only some of its sections."""

    def __getattr__(self, name: str) -> Any:
        if name in Document.model_fields:
            raise NotKnownError(name)
        raise AttributeError(name)


def without(document: Document, sections: Collection[str]) -> Document:
    """Return a document that does not know some of its sections, and says so to who asks for them.

    Parameters
    ----------
    document
        The document, which may not know others already.
    sections
        Fields of a document.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> part = without(Document.model_validate(EXAMPLE), ["load"])
    >>> part.seed
    1
    >>> part.load
    Traceback (most recent call last):
    meshsim.scenario.partial.NotKnownError: load
    """
    if not sections:
        return document
    known = {name: value for name, value in document.__dict__.items() if name not in sections}
    part = Partial.model_construct(**known)
    for name in Document.model_fields:
        if name not in known:
            part.__dict__.pop(name, None)
    return part


def if_known(document: Document, section: str) -> Any:
    """Return a section of a document, or None where the document does not know it.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> part = without(Document.model_validate(EXAMPLE), ["load"])
    >>> if_known(part, "seed"), if_known(part, "load")
    (1, None)
    """
    return document.__dict__.get(section)


def obliging(document: Document, sections: Collection[str]) -> Document:
    """Return a document with sections that have whatever results can be asked for, in the place of some.

    Checks of what is asked of results, such as metrics and their phases, then say only what is wrong in any case.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> obliging(Document.model_validate(EXAMPLE), ["duration"]).timeline[0].event
    'cluster_down'
    """
    if not sections:
        return document
    replaced = set(sections) & {"clusters", "services"} | (_PHASES if _PHASES & set(sections) else frozenset())
    whole = Document.model_validate(_OBLIGING)
    return document.model_copy(update={name: getattr(whole, name) for name in replaced})


def emptied(document: Document) -> Document:
    """Return a document that has nothing where it does not know what Istio's resources are and what they name.

    What is read of its resources is then wrong by itself, and not for want of what it names.

    Examples
    --------
    >>> from meshsim.scenario.scenario import EXAMPLE
    >>> part = without(Document.model_validate(EXAMPLE), ["services"])
    >>> emptied(part).services, emptied(part).regions["eu"].zones
    ({}, ['a', 'b'])
    """
    unknown = _OF_RESOURCES.keys() - document.__dict__.keys()
    if "regions" in unknown:  # where endpoints of services lie cannot be looked up
        unknown |= {"services"}
    return document.model_copy(update={name: _OF_RESOURCES[name] for name in unknown}) if unknown else document
