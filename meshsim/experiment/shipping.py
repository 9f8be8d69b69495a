"""How load balancers of the user's own reach the processes that compute: as text beside the scenario."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Callable, Iterable
from typing import Any

from meshsim.errors import Problem, ScenarioError
from meshsim.scenario import own_balancers


def packed(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the registered balancers that any of the texts names, each as a name, a hash and the pickled function.

    Functions of a module that can be imported go by its name, others (of a notebook or a script) as they are. One that
    cannot be pickled goes without: it is there in this process, which may be all that computes.

    Examples
    --------
    >>> packed(['{"simple": "ROUND_ROBIN"}'])
    ()
    """
    named = own_balancers.mentioned(" ".join(texts))
    return tuple(f"{one.name} {one.hash} {_pickled(one.choose)}" for one in named)


def _pickled(function: Callable[..., Any]) -> str:
    import cloudpickle

    try:
        return base64.b85encode(cloudpickle.dumps(function)).decode()
    except (pickle.PicklingError, TypeError):
        return ""


def unpack(balancers: Iterable[str]) -> None:
    """Register balancers that came from another process, those that are not there already.

    Raises
    ------
    ScenarioError
        If a function could not be pickled, or is of a module that is missing here.
    """
    for words in balancers:
        name, digest, content = words.split(" ")
        if own_balancers.is_registered(name, digest):
            continue
        own_balancers.register(name, _loaded(name, content), digest)


def _loaded(name: str, content: str) -> Callable[..., Any]:
    file = f"load balancer {name}"
    if not content:
        message = "uses what cannot be sent to other processes; use --jobs 1, or keep it in a module of its own"
        raise ScenarioError([Problem(message, file=file)])
    try:
        function: Callable[..., Any] = pickle.loads(base64.b85decode(content))  # noqa: S301 (from who gave the task)
    except (ImportError, AttributeError) as problem:
        message = f"a worker lacks the module that it is in ({problem}): install it there"
        raise ScenarioError([Problem(message, file=file)]) from problem
    return function
