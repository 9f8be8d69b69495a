"""Ctrl-C and SIGTERM: what they do to the command line at each moment, always without a traceback."""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

#: Signals that ask a program to end.
_ASKING = (signal.SIGINT, signal.SIGTERM)
#: Seconds after which a request to end is repeated that was heard where nothing could come of it.
_AGAIN = 0.02
#: Seconds after which a process that was asked to end does, whatever it waits for.
PATIENCE = 30.0

_heard: list[int] = []
_held: list[int] = []


def end_at_once() -> None:
    """Let a request to end do so at once and without a word: nothing can be lost yet, or any more."""
    _on_request(_leave)


def ignore() -> None:
    """Let a request to end change nothing, as while the process ends."""
    _on_request(signal.SIG_IGN)


def hold() -> None:
    """Let a request to end wait while tables are saved: `interrupts` hears it. After an earlier one it is ignored."""
    if _heard:
        ignore()
        _wait_for(0.0)
    else:
        _on_request(lambda number, _: _held.append(number))


@contextlib.contextmanager
def ends_at_once() -> Iterator[None]:
    """Let a request to end do so at once while the body does what can be done again."""
    with _restored():
        end_at_once()
        yield


@contextlib.contextmanager
def interrupts() -> Iterator[None]:
    """Let the first request to end raise `KeyboardInterrupt` in the body; those that follow change nothing.

    Raises
    ------
    KeyboardInterrupt
        At once if a request has been held.
    """
    with _restored():
        _on_request(_interrupt)
        if _held:
            _interrupt(_held.pop(), None)
        before = sys.unraisablehook
        sys.unraisablehook = _repeat
        try:
            yield
        except Exception as error:
            if _heard and _is_an_interrupt(error):  # it came where a library makes another exception of it
                raise KeyboardInterrupt from error
            raise
        finally:
            sys.unraisablehook = before


def status() -> int:
    """Return the exit status that shells expect of what was stopped: 128 and the number of the signal.

    Examples
    --------
    >>> status()
    130
    """
    return 128 + (_heard[-1] if _heard else signal.SIGINT)


def _is_an_interrupt(error: BaseException | None) -> bool:
    """Return whether an exception is, or was made of, `KeyboardInterrupt`.

    Examples
    --------
    >>> try:
    ...     raise ValueError from KeyboardInterrupt()
    ... except ValueError as error:
    ...     _is_an_interrupt(error), _is_an_interrupt(ValueError())
    (True, False)
    """
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _on_request(handler: Any) -> None:
    if threading.current_thread() is threading.main_thread():  # only there can it be set
        for number in _ASKING:
            signal.signal(number, handler)


@contextlib.contextmanager
def _restored() -> Iterator[None]:
    before = [(number, signal.getsignal(number)) for number in _ASKING]
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before:
                signal.signal(number, handler)


def _leave(number: int, _: Any) -> None:
    _end(128 + number)


def _end(code: int) -> None:
    """End the process at once, and its children: they hear no Ctrl-C and would wait for work for minutes."""
    processes = sys.modules.get("multiprocessing.process")  # which may be half imported
    for child in getattr(processes, "active_children", tuple)():
        child.terminate()  # joblib's processes cannot be killed
    os._exit(code)


def _interrupt(number: int, _: Any) -> None:
    ignore()
    _heard.append(number)
    _wait_for(PATIENCE)
    raise KeyboardInterrupt


def _wait_for(seconds: float) -> None:
    """End the process after some seconds, or never (0), where the system can tell it.

    A library that held a lock when the interrupt came may never give it back, and wait for it while it cleans up.
    """
    if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGALRM, _leave_all_behind)
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _leave_all_behind(_: int, __: Any) -> None:
    os.write(2, b"stopped; what had finished is kept\n")
    _end(status())


def _repeat(what: Any) -> None:
    """Ask again where Python has dropped the interrupt, as it does in the middle of a finaliser."""
    if not issubclass(what.exc_type, KeyboardInterrupt) or not _heard:
        sys.__unraisablehook__(what)
        return
    _on_request(_interrupt)
    later = threading.Timer(_AGAIN, _thread.interrupt_main, [_heard[-1]])
    later.daemon = True
    later.start()
