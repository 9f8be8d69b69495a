"""Load balancers of the user's own: functions under a name that a DestinationRule may give as ``simple``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from meshsim.errors import Problem, ScenarioError
from meshsim.scenario import function_code

F = TypeVar("F", bound=Callable[..., Any])

#: What such a function may ask for, by name.
PARAMETERS = ("active", "weights", "memory", "u1", "u2")
#: What Istio has a DestinationRule name as ``simple``.
SIMPLE = ("UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST")
#: Names that Istio has, or meshsim uses for what Istio has.
TAKEN = (*SIMPLE, "RING_HASH", "MAGLEV")
#: Entry points of installed packages that are balancers; each is imported when a scenario names it.
GROUP = "meshsim.load_balancers"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class OwnBalancer:
    """A balancer: its name, the plain Python function, which `PARAMETERS` that takes, and a hash of what it does."""

    name: str
    choose: Callable[..., Any]
    parameters: tuple[str, ...]
    hash: str


_REGISTERED: dict[str, OwnBalancer] = {}


def load_balancer(name: str) -> Callable[[F], F]:
    """Return a decorator that makes a function a load balancer which scenarios can name (docs/load-balancing.md).

    The function chooses one of the hosts that a proxy may send an attempt to, and returns its place, from 0. Numba
    compiles it, so it keeps to numbers, arrays and functions that are compiled themselves. It takes any of these, by
    name:

    ``active``
        The requests that the proxy has under way at each host; an array of whole numbers, one a host.
    ``weights``
        The weight of each host; an array of floats.
    ``u1``, ``u2``
        Two random numbers between 0 and 1. Nothing else may be random, or runs would not repeat.
    ``memory``
        An array with one whole number that is kept from choice to choice, one for each worker thread of each client
        proxy and priority; it begins with a random one, 0 or more.

    A name that is registered again stands for the new function from then on.

    Parameters
    ----------
    name
        What a DestinationRule gives as ``loadBalancer.simple``: letters, digits, ``_`` and ``-``.

    Raises
    ------
    ValueError
        If the name is Istio's or no name, or the function asks for anything else, draws random numbers of its own, or
        uses what has no value yet or differs from process to process.

    Examples
    --------
    >>> @load_balancer("LEAST_BUSY")
    ... def least_busy(active, u1):
    ...     best = start = int(u1 * len(active))
    ...     for step in range(1, len(active)):
    ...         other = (start + step) % len(active)
    ...         if active[other] < active[best]:
    ...             best = other
    ...     return best
    >>> forget("LEAST_BUSY")
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name a load balancer; use letters, digits, '_' and '-', a letter first")
    if name in TAKEN:
        raise ValueError(f"'{name}' is a load balancer of Istio's; choose another name")

    def decorate(function: F) -> F:
        register(name, function)
        return function

    return decorate


def register(name: str, function: Callable[..., Any], digest: str = "") -> None:
    """Make a function the balancer of a name; ``digest`` is its hash where that is known, from another process."""
    plain = getattr(function, "py_func", function)  # of one that is compiled already
    parameters = _parameters(name, plain)
    try:
        found = digest or function_code.digest(plain)
    except ValueError as problem:
        raise ValueError(f"load balancer {name}: {problem}") from None
    _REGISTERED[name] = OwnBalancer(name, plain, parameters, found)


def registered() -> tuple[str, ...]:
    """Return all names that are registered."""
    return tuple(_REGISTERED)


def mentioned(text: str) -> tuple[OwnBalancer, ...]:
    """Return the balancers that are registered and whose names are words of a text, such as a scenario as JSON.

    Examples
    --------
    >>> mentioned('{"simple": "ROUND_ROBIN"}')
    ()
    """
    if not _REGISTERED:  # a large scenario is long as text, and a sweep asks for every point
        return ()
    words = set(re.findall(r"[\w-]+", text))
    return tuple(one for one in _REGISTERED.values() if one.name in words)


def is_registered(name: str, digest: str) -> bool:
    """Return whether a name stands for the very balancer with this hash."""
    return name in _REGISTERED and _REGISTERED[name].hash == digest


def forget(name: str) -> None:
    """Take a load balancer out of what scenarios can name."""
    _REGISTERED.pop(name, None)


def find(name: object) -> OwnBalancer | None:
    """Return the load balancer of a name, registered here or offered by an installed package; None for another name.

    Raises
    ------
    ValueError
        If what a package offers cannot be imported, or is no load balancer.
    """
    if isinstance(name, str) and name not in _REGISTERED and name not in TAKEN:
        for point in _offered(name):
            try:
                function = point.load()
            except Exception as problem:
                why = f"{type(problem).__name__}: {problem}"
                message = f"load balancer {name}: an installed package offers it, but importing that fails: {why}"
                raise ValueError(message) from problem
            load_balancer(name)(function)
    return _REGISTERED.get(name) if isinstance(name, str) else None


def get(name: str) -> OwnBalancer:
    """Return the load balancer of a name.

    Raises
    ------
    ScenarioError
        If there is none, or no longer.
    """
    found = find(name)
    if found is None:
        raise ScenarioError([Problem("is not registered in this process", file=f"load balancer {name}")])
    return found


def used(value: Any) -> dict[str, str]:
    """Return the load balancers that resources name as ``simple``, and the hash of each.

    Parameters
    ----------
    value
        Of a document, or a part of it, as JSON has it.

    Examples
    --------
    >>> used({"trafficPolicy": {"loadBalancer": {"simple": "ROUND_ROBIN"}}})
    {}
    """
    found = sorted(set(_simples(value)))
    return {name: one.hash for name in found if (one := find(name)) is not None}


def _simples(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("simple"), str):
            yield value["simple"]
        for inner in value.values():
            yield from _simples(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _simples(inner)


@lru_cache(maxsize=64)
def _offered(name: str) -> tuple[Any, ...]:
    """Return the entry point of an installed package with this name, if there is one."""
    from importlib.metadata import entry_points

    return tuple(entry_points(group=GROUP, name=name))[:1]


# --- what a function is -----------------------------------------------------------------------------------------


def _parameters(name: str, function: Callable[..., Any]) -> tuple[str, ...]:
    """Return what a balancer asks for, or say why it cannot be one."""
    if not inspect.isfunction(function):
        raise ValueError(f"load balancer {name}: {function!r} is not a function")
    parameters = tuple(inspect.signature(function).parameters)
    unknown = [one for one in parameters if one not in PARAMETERS]
    if unknown or not parameters:
        what = f"asks for {', '.join(unknown)}" if unknown else "asks for nothing"
        raise ValueError(f"load balancer {name}: {function.__name__} {what}; it can have {', '.join(PARAMETERS)}")
    if function_code.draws(function):
        raise ValueError(f"load balancer {name}: draws of its own would not repeat; take u1 and u2 instead")
    return parameters
