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
