"""Asking the processor to fetch what is needed soon, which takes it long and us no time."""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from meshsim.dataplane.state import LINE


def _nothing(array: Any, index: int) -> None:
    """Fetch nothing: the interpreter has other worries."""


def _fetcher(lines: int) -> Any:
    """Return what fetches the first lines of an item of an array; one that does not exist does no harm."""
    if numba.config.DISABLE_JIT:
        return _nothing

    @intrinsic
    def fetch(typing_context: Any, array: Any, index: Any) -> Any:  # noqa: ARG001 (Numba's signature)
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            from numba.np.arrayobj import make_array

            kind = signature.args[0]
            found = make_array(kind)(context, builder, arguments[0])
            byte, word = ir.IntType(8), ir.IntType(32)
            size = context.get_abi_sizeof(context.get_data_type(kind.dtype))
            start = builder.bitcast(found.data, byte.as_pointer())
            item = builder.gep(start, [builder.mul(arguments[1], ir.Constant(arguments[1].type, size))])
            asked = ir.FunctionType(ir.VoidType(), [byte.as_pointer(), word, word, word])
            prefetch = builder.module.declare_intrinsic("llvm.prefetch", [byte.as_pointer()], asked)
            for line in range(lines):
                place = builder.gep(item, [ir.Constant(ir.IntType(64), line * LINE)])
                builder.call(prefetch, [place, word(0), word(3), word(1)])  # to read, to keep, data
            return context.get_dummy_value()

        return types.void(array, types.int64), generate

    return fetch


#: The first line of an item, the first two, and the four of eight events of the calendar.
fetch, fetch_two, fetch_events = _fetcher(1), _fetcher(2), _fetcher(4)
