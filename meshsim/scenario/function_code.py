"""What a function of the user's does, as text that is the same in every process: its code and all that it uses."""

from __future__ import annotations

import builtins
import dis
import hashlib
import inspect
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from types import CodeType, ModuleType
from typing import Any

#: What stands for a name that has no value.
_NOTHING = object()
_GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME")
_ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD")
#: Packages whose functions are told by their names: Numba compiles its own in their place.
_BY_NAME = sys.stdlib_module_names | {"numpy", "numba"}
_RANDOM = re.compile(r"(numpy\.)?random(\.|$)")
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def digest(function: Callable[..., Any]) -> str:
    """Return a hash of what a function does: its code, what it calls and the values it uses, not its comments.

    Raises
    ------
    ValueError
        If it uses a name that has no value yet, or a value that differs from process to process.

    Examples
    --------
    >>> digest(lambda active: 0) == digest(lambda active: 0)
    True
    """
    found = hashlib.sha256()
    for part in _function(function, set()):
        found.update(part.encode() + b"\0")
    return found.hexdigest()


def draws(function: Callable[..., Any]) -> bool:
    """Return whether a function, or one that it calls, mentions ``random`` or uses anything of such a module.

    Examples
    --------
    >>> draws(lambda active: 0)
    False
    """
    for one in _reached(function, {}).values():
        if any("random" in code.co_names for code in _codes(one.__code__)):
            return True
        if any(_RANDOM.match(_module(value)) for value in _used(one).values()):
            return True
    return False


# --- what it uses -----------------------------------------------------------------------------------------------


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield code and all code inside it: of comprehensions, lambdas and inner functions."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _paths(code: CodeType, free: Collection[str]) -> Iterator[tuple[str, ...]]:
    """Yield the names that code looks up outside a function, each with the attributes that it asks for."""
    path: tuple[str, ...] = ()
    for step in dis.get_instructions(code):
        if path and step.opname in _ATTRIBUTES:
            path += (step.argval,)
            continue
        if path:
            yield path
        outside = step.opname in _GLOBALS or (step.opname == "LOAD_DEREF" and step.argval in free)
        path = (step.argval,) if outside else ()


def _used(function: Any) -> dict[str, Any]:
    """Return the values that a function takes from outside, by the names that it has for them; not itself."""
    free = function.__code__.co_freevars
    cells = dict(zip(free, function.__closure__ or (), strict=False))
    found = {}
    for code in _codes(function.__code__):
        for path in _paths(code, free):
            name, depth = path[0], 1
            if name == function.__name__:
                continue
            value = _content(cells[name]) if name in cells else _global(function, name)
            while depth < len(path) and isinstance(value, ModuleType | type):
                value = getattr(value, path[depth], None)
                depth += 1
            found[".".join(path[:depth])] = value
    return found


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _NOTHING


def _global(function: Any, name: str) -> Any:
    return function.__globals__.get(name, getattr(builtins, name, _NOTHING))


def _plain(value: Any) -> Any:
    """Return the function that a value is or was compiled from, if it is the user's; else None."""
    plain = getattr(getattr(value, "_dispatcher", value), "py_func", value)
    if not inspect.isfunction(plain) or str(plain.__module__).partition(".")[0] in _BY_NAME:
        return None
    return plain


def _reached(value: Any, found: dict[int, Any]) -> dict[int, Any]:
    """Return all functions of the user's that a function leads to, itself too, or those of a tuple of functions."""
    if isinstance(value, tuple | list):
        for one in value:
            _reached(one, found)
    plain = _plain(value)
    if plain is not None and id(plain) not in found:
        found[id(plain)] = plain
        for one in _used(plain).values():
            _reached(one, found)
    return found


def _module(value: Any) -> str:
    """Return the name of the module that a value is, or comes from."""
    if isinstance(value, ModuleType):
        return value.__name__
    return str(getattr(value, "__module__", None) or type(getattr(value, "__self__", value)).__module__)


# --- as text ----------------------------------------------------------------------------------------------------


def _function(function: Any, seen: set[int]) -> Iterator[str]:
    seen.add(id(function))
    yield from _code(function.__code__, seen)
    yield from _text([function.__defaults__, function.__kwdefaults__], seen)
    for name, value in _used(function).items():
        if value is _NOTHING:
            raise ValueError(f"{function.__name__} uses {name}, which has no value yet; define it first")
        yield name
        try:
            yield from _text(value, seen)
        except _NotTheSameError:
            message = f"uses {name}, which cannot be told from another value; keep to numbers, arrays and functions"
            raise ValueError(f"{function.__name__} {message}") from None


class _NotTheSameError(Exception):
    """A value has no text that is the same in every process."""


def _code(code: CodeType, seen: set[int]) -> Iterator[str]:
    """Yield what code does, wherever it stands: neither its lines nor its comments."""
    yield f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {code.co_freevars}"
    for constant in code.co_consts:
        yield from _text(constant, seen)


def _text(value: Any, seen: set[int]) -> Iterator[str]:
    """Yield what tells a value from others, in any process."""
    plain = _plain(value)
    if plain is not None:
        if id(plain) not in seen:
            yield from _function(plain, seen)
    elif isinstance(value, CodeType):
        yield from _code(value, seen)
    elif isinstance(value, tuple | list):
        yield f"{type(value).__name__} {len(value)}"
        for one in value:
            yield from _text(one, seen)
    elif isinstance(value, Mapping):
        yield from _text(list(value.items()), seen)
    elif isinstance(value, set | frozenset):
        yield f"set {sorted(' '.join(_text(one, seen)) for one in value)}"
    else:
        yield _simple(value)


def _simple(value: Any) -> str:
    """Return the text of a value that has no others inside."""
    if isinstance(value, ModuleType):
        return value.__name__
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{_module(value)}.{value.__qualname__}"
    if hasattr(value, "tobytes") and hasattr(value, "dtype"):
        if value.dtype.hasobject:
            raise _NotTheSameError
        return f"{value.dtype} {value.shape} {value.tobytes().hex()}"
    text = repr(value)
    if _ADDRESS.search(text) and not isinstance(value, str):
        raise _NotTheSameError
    return text
