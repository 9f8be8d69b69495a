"""Fetching what the next events need into the processor's cache, while the present one is handled.

In a large mesh nearly every record that an event looks at comes from memory, and waiting for it takes most of the time.
Numbers do not depend on it; where all fits into the cache anyway it is left out.
"""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from meshsim.dataplane.calendar import SYN
from meshsim.dataplane.jit import jit

#: From so many connections on it is worth while.
LARGE = 8192
#: Bytes that the processor fetches at a time.
_LINE = 64


def _nothing(array: Any, index: int) -> None:
    """Fetch nothing: the interpreter has other worries."""


@intrinsic
def _fetch(typing_context: Any, array: Any, index: Any) -> Any:  # noqa: ARG001 (Numba's signature)
    """Fetch a record of an array; one that does not exist does no harm."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        from numba.np.arrayobj import make_array

        kind = signature.args[0]
        found = make_array(kind)(context, builder, arguments[0])
        byte, word = ir.IntType(8), ir.IntType(32)
        size = context.get_abi_sizeof(context.get_data_type(kind.dtype))
        start = builder.bitcast(found.data, byte.as_pointer())
        record = builder.gep(start, [builder.mul(arguments[1], ir.Constant(arguments[1].type, size))])
        asked = ir.FunctionType(ir.VoidType(), [byte.as_pointer(), word, word, word])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", [byte.as_pointer()], asked)
        for offset in range(0, size, _LINE):
            place = builder.gep(record, [ir.Constant(ir.IntType(64), offset)])
            builder.call(fetch, [place, word(0), word(3), word(1)])  # to read, to keep, data
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


fetch = _nothing if numba.config.DISABLE_JIT else _fetch


@jit
def look_ahead(w):
    """Fetch what the next event needs, and the frames of the two that may come after it."""
    clock = w.clock[0]
    heap = w.heap
    if clock.scheduled < 3:
        return
    if heap[0].kind < SYN:
        frame = w.frames[heap[0].subject]
        fetch(w.proxies, frame.proxy)
        fetch(w.pods, frame.pod)
        fetch(w.connections, frame.connection)
        fetch(w.slots, frame.slot)
        fetch(w.upstreams, frame.upstream)
        fetch(w.frames, frame.parent)
    for number in range(1, 3):
        if heap[number].kind < SYN:
            fetch(w.frames, heap[number].subject)
