"""A client that sends a workload to a real Envoy at the given times, over connections of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from typing import Any

from tests.conformance.records import FAILED, GAVE_UP, Request


class Client:
    """Sends requests over HTTP/1.1 and keeps its connections, or opens a ``fresh`` one for each."""

    def __init__(self, address: str, port: int, clock: Callable[[], float], *, fresh: bool, timeout: float) -> None:
        self.address, self.port, self.clock = address, port, clock
        self.fresh, self.timeout = fresh, timeout
        self._idle: list[_Line] = []

    async def send(self, number: int, due: float, headers: Mapping[str, str]) -> Request:
        """Send one request and wait for its answer, at most ``timeout`` seconds."""
        sent = self.clock()
        lines = [f"{name}: {value}" for name, value in ({"host": "upstream"} | dict(headers)).items()]
        text = "\r\n".join(["GET / HTTP/1.1", *lines, "", ""]).encode()
        status, line = FAILED, None
        try:
            line = self._idle.pop() if self._idle and not self.fresh else await self._connect()
            status = await asyncio.wait_for(line.ask(text), self.timeout)
        except TimeoutError:
            status = GAVE_UP
        except OSError:
            status = FAILED
        if line is not None:
            self._keep(line, status)
        return Request(number, due, sent, self.clock(), status)

    def _keep(self, line: _Line, status: int) -> None:
        if status > 0 and not self.fresh and not line.closed:
            self._idle.append(line)
        else:
            line.close()

    async def _connect(self) -> _Line:
        loop = asyncio.get_running_loop()
        _, line = await loop.create_connection(_Line, self.address, self.port)
        return line

    def close(self) -> None:
        """Close idle connections."""
        for line in self._idle:
            line.close()


class _Line(asyncio.Protocol):
    """A client connection with at most one request on it."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.answer: asyncio.Future[int] | None = None
        self.buffer = b""
        self.closed = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(exc or ConnectionResetError("closed without an answer"))

    def ask(self, text: bytes) -> asyncio.Future[int]:
        """Write a request; the future holds the status of its answer."""
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(text)
        return self.answer

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found or len(rest) < _length(head):
            return
        status = int(head.split(b" ", 2)[1])
        self.buffer = b""
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(status)

    def close(self) -> None:
        with contextlib.suppress(AttributeError):
            self.transport.abort()


def _length(head: bytes) -> int:
    """Return how long the body of an answer is; Envoy's own answers have one."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0
