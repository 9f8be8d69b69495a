"""Upstream hosts for a real Envoy, over HTTP/1.1 and /2, that answer, fail, hang, reset, refuse or queue as told."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from tests.conformance.cases import Endpoint, within
from tests.conformance.records import FAILED, GAVE_UP, Attempt

NUMBER, WORK, ATTEMPT = "x-request-number", "x-work", "x-envoy-attempt-count"
PREFACE = b"PRI * HTTP/2.0"


class Host:
    """One endpoint: a listening socket, its connections, its queue, and a record of every attempt."""

    def __init__(self, endpoint: Endpoint, address: str, port: int, seed: int, clock: Callable[[], float]) -> None:
        self.endpoint, self.address, self.port, self.clock = endpoint, address, port, clock
        self.random = random.Random(f"{seed}/{endpoint.index}")
        self.attempts: list[Attempt] = []
        self.connections = 0
        self._open: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._silent: list[socket.socket] = []
        self._busy = 0
        self._queue: deque[tuple[float, Callable[[], None]]] = deque()

    async def start(self) -> None:
        """Listen as the endpoint says."""
        if self.endpoint.listen == "blackhole":
            self._fill_backlog()
        elif self.endpoint.listen == "accept":
            await self.listen()

    async def listen(self) -> None:
        """Accept connections from now on."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), self.address, self.port, backlog=512)

    def refuse(self) -> None:
        """Close the door and every connection."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._open):
            connection.abort()

    def stop(self) -> None:
        """Close everything."""
        self.refuse()
        for each in self._silent:
            each.close()

    def schedule(self, begin: float) -> None:
        """Plan the windows in which connections are refused; ``begin`` is the loop's time of second 0."""
        loop = asyncio.get_running_loop()
        for since, until in self.endpoint.refuse_windows:
            loop.call_at(begin + since, self.refuse)
            loop.call_at(begin + until, lambda: asyncio.ensure_future(self.listen()))

    def _fill_backlog(self) -> None:
        """Listen with a full queue of connections: the kernel drops every further handshake."""
        door = socket.socket()
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((self.address, self.port))
        door.listen(0)
        self._silent.append(door)
        for _ in range(4):
            visitor = socket.socket()
            visitor.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                visitor.connect((self.address, self.port))
            self._silent.append(visitor)

    # --- what becomes of a request ------------------------------------------------------------------------------

    def request(self, answer: Answer, headers: Mapping[str, str]) -> Attempt:
        """Take a request: answer now or later, never, or with a reset."""
        now = self.clock()
        if NUMBER not in headers:  # a health check
            answer.send(503 if within(self.endpoint.hc_fail_windows, now) else 200)
            return Attempt(-1, 0, self.endpoint.index, now, now, 200)
        number = int(headers.get(ATTEMPT, 1))
        attempt = Attempt(int(headers[NUMBER]), number, self.endpoint.index, now, now, GAVE_UP)
        self.attempts.append(attempt)
        if within(self.endpoint.hang_windows, now) or self._happens(self.endpoint.hang):
            return attempt
        if self._happens(self.endpoint.reset):
            attempt.status = FAILED
            asyncio.get_running_loop().call_soon(answer.reset)
            return attempt
        status = self._status(now, number)
        work = self.endpoint.service * float(headers.get(WORK, 1.0))
        attempt.service = work
        self._serve(work, lambda: self._finish(attempt, answer, status))
        return attempt

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self.random.random() < probability

    def _status(self, now: float, number: int) -> int:
        if self.endpoint.status_by_attempt:
            planned = self.endpoint.status_by_attempt
            return planned[min(number, len(planned)) - 1]
        for failure in self.endpoint.fail:
            if (not failure.windows or within(failure.windows, now)) and self._happens(failure.prob):
                return failure.status
        return 200

    def _serve(self, work: float, done: Callable[[], None]) -> None:
        if not self.endpoint.servers:
            self._after(work, done)
        elif self._busy < self.endpoint.servers:
            self._busy += 1
            self._after(work, lambda: self._next(done))
        else:
            self._queue.append((work, done))

    def _next(self, done: Callable[[], None]) -> None:
        done()
        if self._queue:
            work, then = self._queue.popleft()
            self._after(work, lambda: self._next(then))
        else:
            self._busy -= 1

    def _after(self, delay: float, done: Callable[[], None]) -> None:
        if delay > 0:
            asyncio.get_running_loop().call_later(delay, done)
        else:
            done()

    def _finish(self, attempt: Attempt, answer: Answer, status: int) -> None:
        if attempt.status == GAVE_UP and answer.send(status):
            attempt.status, attempt.end = status, self.clock()

    def lost(self, attempt: Attempt) -> None:
        """Note that the client took back a request that was not answered yet."""
        if attempt.status in {GAVE_UP, FAILED}:
            attempt.status, attempt.end = FAILED, self.clock()

    def opened(self, connection: Connection) -> None:
        """Count a connection."""
        self.connections += 1
        self._open.add(connection)

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self._open.discard(connection)


class Answer:
    """The way back of one request over HTTP/1.1; ``send`` returns whether there still was one."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def send(self, status: int) -> bool:
        """Send an answer with an empty body."""
        return self.connection.write(b"HTTP/1.1 %d x\r\ncontent-length: 0\r\n\r\n" % status)

    def reset(self) -> None:
        """Reset the connection."""
        self.connection.abort()


class StreamAnswer(Answer):
    """The way back of one HTTP/2 stream."""

    def __init__(self, connection: Connection, stream: int) -> None:
        super().__init__(connection)
        self.stream = stream

    def send(self, status: int) -> bool:
        """Send an answer without a body."""
        return self.connection.respond(self.stream, status)


class Connection(asyncio.Protocol):
    """A connection from Envoy: it speaks HTTP/2 if the first bytes say so, otherwise HTTP/1.1."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.buffer = b""
        self.transport: Any = None
        self.http2: Any = None
        self.waiting: dict[int, Attempt] = {}

    def connection_made(self, transport: Any) -> None:
        """Count it and answer without delay."""
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.host.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note of requests that will not be answered."""
        del exc
        self.host.closed(self)
        for attempt in self.waiting.values():
            self.host.lost(attempt)
        self.waiting.clear()

    def abort(self) -> None:
        """Reset the connection."""
        self.transport.abort()

    def write(self, data: bytes) -> bool:
        """Write if the connection is still open."""
        if self.transport.is_closing():
            return False
        self.transport.write(data)
        return True

    def data_received(self, data: bytes) -> None:
        """Read requests."""
        if self.http2 is None and not self.buffer and data.startswith(PREFACE[: len(data)]):
            self._begin_http2()
        if self.http2 is not None:
            self._read_http2(data)
            return
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            pairs = (line.split(":", 1) for line in head.decode("latin-1").split("\r\n")[1:])
            headers = {name.lower(): value.strip() for name, value in pairs}
            self.waiting[0] = self.host.request(Answer(self), headers)

    # --- HTTP/2 ---------------------------------------------------------------------------------------------------

    def _begin_http2(self) -> None:
        from h2.config import H2Configuration
        from h2.connection import H2Connection
        from h2.settings import SettingCodes

        self.http2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        if self.host.endpoint.h2_max_streams:
            limit = {SettingCodes.MAX_CONCURRENT_STREAMS: self.host.endpoint.h2_max_streams}
            self.http2.local_settings.update(limit)
        self.http2.initiate_connection()

    def _read_http2(self, data: bytes) -> None:
        from h2 import events

        for event in self.http2.receive_data(data):
            if isinstance(event, events.RequestReceived):
                answer = StreamAnswer(self, event.stream_id)
                self.waiting[event.stream_id] = self.host.request(answer, dict(event.headers))
            elif isinstance(event, events.StreamReset) and event.stream_id in self.waiting:
                self.host.lost(self.waiting.pop(event.stream_id))
        self.write(self.http2.data_to_send())

    def respond(self, stream: int, status: int) -> bool:
        """Answer on a stream, unless it was reset meanwhile."""
        from h2.exceptions import ProtocolError

        try:
            self.http2.send_headers(stream, [(":status", str(status))], end_stream=True)
        except ProtocolError:
            return False
        return self.write(self.http2.data_to_send())
