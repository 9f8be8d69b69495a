"""The whole state as one value: an object with an array per kind, which compiled functions get as a single pointer.

A tuple of three dozen arrays would be passed from function to function as some 250 words, which costs more than what
the functions do. `World` lays the addresses and shapes of its arrays side by side in a table; compiled code receives
the table's address and reads an array's own address when it uses it. Without the compiler it is a plain object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, typing
from numba.extending import (
    NativeValue,
    infer_getattr,
    lower_getattr_generic,
    models,
    register_model,
    typeof_impl,
    unbox,
)
from numba.np.arrayobj import make_array, populate_array
from numpy.typing import NDArray

from meshsim.dataplane.state import FIELDS

#: Words of the table per array: its address and up to five lengths.
WORDS = 6


class World:
    """Every array of the compiled room by name; see `meshsim.dataplane.state.FIELDS` for their shapes and types."""

    __slots__ = ("address", "table", *FIELDS)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.table = np.zeros(len(FIELDS) * WORDS, dtype=np.int64)
        self.address = self.table.ctypes.data
        for name in FIELDS:
            self.set(name, arrays[name])

    def set(self, name: str, array: NDArray[Any]) -> None:
        """Put another array in place of one.

        Raises
        ------
        TypeError
            If its type, number of dimensions or memory layout is not that of the field.
        """
        dtype, dimensions = FIELDS[name]
        if array.dtype != dtype or array.ndim != dimensions or not array.flags.c_contiguous:
            raise TypeError(f"World.{name} is a contiguous {dimensions}-dimensional array of {dtype}")
        setattr(self, name, array)
        at = list(FIELDS).index(name) * WORDS
        self.table[at] = array.ctypes.data
        self.table[at + 1 : at + 1 + dimensions] = array.shape


class WorldType(types.Type):
    """Numba's type of `World`."""

    def __init__(self) -> None:
        super().__init__(name="World")


WORLD = WorldType()


def _array_type(name: str) -> types.Array:
    dtype, dimensions = FIELDS[name]
    return types.Array(typing.typeof.typeof(np.zeros(1, dtype)).dtype, dimensions, "C", aligned=True)


@typeof_impl.register(World)
def _typeof_world(value: World, context: Any) -> WorldType:  # noqa: ARG001 (Numba's signature)
    return WORLD


@register_model(WorldType)
class _WorldModel(models.OpaqueModel):
    """A pointer to the table."""


@unbox(WorldType)
def _unbox_world(typ: WorldType, value: Any, context: Any) -> NativeValue:  # noqa: ARG001 (Numba's signature)
    number = context.pyapi.object_getattr_string(value, "address")
    address = context.pyapi.long_as_voidptr(number)
    context.pyapi.decref(number)
    return NativeValue(address)


@infer_getattr
class _WorldAttributes(typing.templates.AttributeTemplate):
    key = WorldType

    def generic_resolve(self, typ: Any, attribute: str) -> Any:  # type: ignore[override]  # noqa: ARG002
        return _array_type(attribute) if attribute in FIELDS else None


@lower_getattr_generic(WorldType)
def _get_array(context: Any, builder: Any, typ: WorldType, value: Any, attribute: str) -> Any:  # noqa: ARG001
    """Build the array of a field from its row of the table; it owns nothing, `World` keeps the memory alive."""
    array_type = _array_type(attribute)
    word = ir.IntType(64)
    table = builder.bitcast(value, word.as_pointer())
    first = list(FIELDS).index(attribute) * WORDS
    words = [
        builder.load(builder.gep(table, [ir.Constant(word, first + number)])) for number in range(array_type.ndim + 1)
    ]
    itemsize = context.get_abi_sizeof(context.get_data_type(array_type.dtype))
    strides = [ir.Constant(word, itemsize)]
    for length in reversed(words[2:]):
        strides.insert(0, builder.mul(strides[0], length))
    array = make_array(array_type)(context, builder)
    populate_array(
        array,
        data=builder.inttoptr(words[0], context.get_data_type(array_type.dtype).as_pointer()),
        shape=cgutils.pack_array(builder, words[1:]),
        strides=cgutils.pack_array(builder, strides),
        itemsize=ir.Constant(word, itemsize),
        meminfo=None,
    )
    return array._getvalue()  # noqa: SLF001 (Numba's own way)
