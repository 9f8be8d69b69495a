"""Load balancers of the user's own: each is compiled by itself and called by its address, so nothing else is anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from meshsim.dataplane.jit import jit
from meshsim.dataplane.world import WORLD
from meshsim.errors import Problem, ScenarioError
from meshsim.scenario.own_balancers import OwnBalancer

#: What is returned in place of a host where the function raised an exception.
RAISED = -(1 << 63)

#: As machine code: the world, the state of the balancer, where the available hosts begin, how many, and two draws.
_SIGNATURE = types.int64(WORLD, types.int64, types.int64, types.int64, types.float64, types.float64)
#: What is around a function: it gathers what that asks for by name, and keeps its memory.
_AROUND = """
def around(w, row, first, count, u1, u2):
    active, weights = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.float64)
    for place in range(count):
        slot = w.slots[w.available[first + place]]
        active[place], weights[place] = slot.active, slot.weight
    balancer = w.balancers[row]
    memory = np.empty(1, dtype=np.int64)
    memory[0] = balancer.next
    chosen = choose({parameters})
    balancer.next = memory[0]
    return int(chosen)
"""

#: What a function gets: `active`, `weights` and so on.
_WHOLES, _FLOATS = types.Array(types.int64, 1, "C"), types.Array(types.float64, 1, "C")
_TYPES = {"active": _WHOLES, "weights": _FLOATS, "memory": _WHOLES, "u1": types.float64, "u2": types.float64}

#: Address → the balancer, and the code at it, which stays as long as any world may have its address.
_KNOWN: dict[int, tuple[OwnBalancer, Any]] = {}
_ADDRESSES: dict[OwnBalancer, int] = {}


def address_of(balancer: OwnBalancer) -> int:
    """Return the address of a balancer's machine code, which is made when it is first asked for.

    Raises
    ------
    ScenarioError
        If the function cannot be compiled, or returns something else than a whole number.
    """
    if balancer not in _ADDRESSES:
        if numba.config.DISABLE_JIT:
            code: Any = _around(balancer, _checked(balancer))
            address = len(_ADDRESSES) + 1
        else:
            code = _compiled(balancer)
            address = code.address
        _ADDRESSES[balancer] = address
        _KNOWN[address] = balancer, code
    return _ADDRESSES[balancer]


def _around(balancer: OwnBalancer, choose: Any) -> Any:
    names: dict[str, Any] = {"np": np, "choose": choose}
    exec(_AROUND.format(parameters=", ".join(balancer.parameters)), names)  # noqa: S102 (our text, checked names)
    return names["around"]


def _checked(balancer: OwnBalancer) -> Callable[..., Any]:
    """Return the function as it is, but let it return nothing else than a whole number."""

    def checked(*given: Any) -> Any:
        chosen = balancer.choose(*given)
        if not isinstance(chosen, int | np.integer | np.bool_):
            raise _problem(balancer, f"returns {chosen!r}, which is not a whole number")
        return chosen

    return checked


def _compiled(balancer: OwnBalancer) -> Any:
    # Bounds are checked and divisions by zero raise: a mistake here must not harm the memory of the run.
    choose = numba.njit(boundscheck=True, nogil=True)(balancer.choose)
    around = numba.njit(nogil=True)(_around(balancer, choose))

    def guarded(w: Any, row: int, first: int, count: int, u1: float, u2: float) -> Any:
        try:
            return around(w, row, first, count, u1, u2)
        except Exception:  # noqa: BLE001 (none can leave machine code)
            return RAISED

    given = tuple(_TYPES[name] for name in balancer.parameters)
    try:
        choose.compile(given)
        returned = choose.overloads[given].signature.return_type
        if isinstance(getattr(returned, "type", returned), types.Integer | types.Boolean):
            return numba.cfunc(_SIGNATURE)(guarded)
    except Exception as problem:
        # Numba raises what the compiled code's constants raise, too, such as AttributeError.
        why = f"cannot be compiled: {_reason(problem)} (NUMBA_DISABLE_JIT=1 runs it as it is)"
        raise _problem(balancer, why) from problem
    cut = "; int() makes one" if isinstance(returned, types.Float) else ""
    raise _problem(balancer, f"returns {returned}, which is not a whole number{cut}")


def _reason(problem: Exception) -> str:
    """Return the line of a message of Numba's that says what is wrong: where it happened comes before and after."""
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("Failed in ", 'File "', "During: ", "- "))]
    if len(told) > 1 and told[0].endswith(":"):
        return f"{told[0]} {told[1].removeprefix('>>> ')}"
    return told[0] if told else type(problem).__name__


def _problem(balancer: OwnBalancer, message: str) -> ScenarioError:
    return ScenarioError([Problem(message, file=f"load balancer {balancer.name}")])


@intrinsic
def _call_compiled(context, address, w, row, first, count, u1, u2):  # noqa: ARG001 (Numba's signature)
    """Call machine code by its address."""

    def build(context, builder, signature, arguments):  # noqa: ARG001 (Numba's signature)
        address, *given = arguments
        called = ir.FunctionType(ir.IntType(64), [one.type for one in given])
        return builder.call(builder.inttoptr(address, called.as_pointer()), given)

    return types.int64(types.int64, *_SIGNATURE.args), build


def _call_plain(address, w, row, first, count, u1, u2):
    """Call the Python function, where nothing is compiled."""
    return _KNOWN[int(address)][1](w, row, first, count, u1, u2)


_call = _call_plain if numba.config.DISABLE_JIT else _call_compiled


@jit
def pick(w, own, row, first, count, u1, u2):
    """Return the host that the balancer at an address chooses of the ``count`` available ones from ``first`` on.

    The first answer that is no place of a host is noted for `check`, which ends the run. Nothing here allocates or
    raises: what could would cost every call, whatever its balancer.
    """
    chosen = _call(own, w, row, first, count, u1, u2)
    if chosen < 0 or chosen >= count:
        clock = w.clock[0]
        if clock.own_hosts == 0:
            clock.own_balancer, clock.own_answer, clock.own_hosts, clock.own_at = own, chosen, count, clock.now
        chosen = 0
    return w.available[first + chosen]


def check(clock: Any) -> None:
    """Look whether a balancer's answer was no place of a host.

    Parameters
    ----------
    clock
        The one record of `state.CLOCK`.

    Raises
    ------
    ScenarioError
        If so.
    """
    if not clock["own_hosts"]:
        return
    balancer, _ = _KNOWN[int(clock["own_balancer"])]
    answer, hosts = int(clock["own_answer"]), int(clock["own_hosts"])
    what = "raised an exception" if answer == RAISED else f"returned {answer}"
    at = f"when it had to choose one of {hosts} hosts, 0 to {hosts - 1}, at {float(clock['own_at']):g} s"
    raise _problem(balancer, f"{what} {at}")
