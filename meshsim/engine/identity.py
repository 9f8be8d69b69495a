"""Workload certificates: who has which, when it is renewed, and who asks in vain (spec §5.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import simpy
from numpy.typing import NDArray

from meshsim.dataplane import state
from meshsim.engine.environment import Process
from meshsim.errors import SimulationError

if TYPE_CHECKING:
    from meshsim.engine.control_plane import IstiodGroup
    from meshsim.engine.mesh import Mesh, Proxy

#: istio-agent asks for a certificate, and again after these pauses (seconds, up or down by a part of them).
RETRIES = (0.1, 0.2, 0.4, 0.8, 1.6)
RETRY_JITTER = 0.1
#: Then Envoy asks istio-agent again, after a pause from zero to this many seconds, which doubles up to a limit.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
#: How often (seconds) it is looked whether those who ask in vain would be heard now.
LOOK = 1.0
#: How often it is looked whether a proxy that was down when its certificate had to be renewed is up again.
REVIVAL = 60.0
#: A certificate is used for at least this long (seconds), however early it has to be renewed.
SHORTEST_USE = 1.0
#: Root certificates that the masks of the data plane have room for.
MOST_ROOTS = 62

#: Rounds of tries that are drawn at once.
_ROUNDS = 64


class Tries:
    """When a proxy without luck asks for its certificate: the first time at once.

    Nothing happens at these times; they are looked up when somebody might be there to answer.

    Examples
    --------
    >>> tries = Tries(np.random.default_rng(1), 0.0)
    >>> tries.after(-1.0), 0.09 <= tries.after(0.0) <= 0.11, tries.take()
    (0.0, True, 1)
    """

    def __init__(self, random: np.random.Generator, now: float) -> None:
        self._random = random
        self._times: NDArray[np.float64] = np.array([now])
        self._pause = FIRST_PAUSE
        self._made = 0

    def after(self, time: float) -> float:
        """Return the first try after a time; times must not go back."""
        while self._times[-1] <= time:
            self._made += len(self._times)
            self._times = self._times[-1] + np.cumsum(self._pauses())
        passed = int(np.searchsorted(self._times, time, side="right"))
        self._made += passed
        self._times = self._times[passed:]
        return float(self._times[0])

    def take(self) -> int:
        """Return how many tries have passed since the last call."""
        made, self._made = self._made, 0
        return made

    def _pauses(self) -> NDArray[np.float64]:
        """Draw the pauses of some rounds: those of istio-agent and then Envoy's."""
        longest = np.minimum(self._pause * 2.0 ** np.arange(_ROUNDS), LONGEST_PAUSE)
        self._pause = min(2.0 * float(longest[-1]), LONGEST_PAUSE)
        jitter = 1.0 + RETRY_JITTER * (2.0 * self._random.random((_ROUNDS, len(RETRIES))) - 1.0)
        envoy = self._random.random(_ROUNDS) * longest
        return np.column_stack((np.array(RETRIES) * jitter, envoy)).ravel()


@dataclass(slots=True, eq=False)
class Certificate:
    """The certificate of a proxy: times in seconds, ``renewal`` is when it is renewed; ``trusts``: a mask of roots."""

    random: np.random.Generator
    issued: float = 0.0
    expires: float = 0.0
    renewal: float = 0.0
    root: int = state.NONE
    trusts: int = 0


@dataclass(slots=True, eq=False)
class _Request:
    """A certificate that nobody signs for the time being."""

    proxy: Proxy
    tries: Tries
    answered: simpy.Event


class Identity:
    """Certificates of all proxies of a run.

    Parameters
    ----------
    mesh
        The run.
    """

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.settings = mesh.document.identity
        self._roots: dict[str, int] = {}
        self._held: dict[Proxy, Certificate] = {}
        self._waiting: dict[tuple[str, int], dict[Proxy, _Request]] = {}
        self._looking = False
        self._looked = 0.0

    def begin(self) -> None:
        """Give every proxy there is a certificate, as if this had gone on for ever, and renew it from now on."""
        for proxy in self.mesh.proxies.values():
            if self._is_up(proxy) and self._needs_one(proxy):
                certificate = self._hold(proxy)
                use = self._use(certificate)
                self._sign(proxy, certificate, self.mesh.env.now - use * certificate.random.random(), use)
                self.mesh.env.process(self._keep(proxy, certificate))

    def issue(self, proxy: Proxy) -> Process:
        """Get a new proxy its first certificate; end when it has one, or has been forgotten. It is renewed later on."""
        self.forget(proxy)
        certificate = self._hold(proxy)
        yield from self._obtain(proxy, certificate)
        if self._held.get(proxy) is certificate:
            self.mesh.env.process(self._keep(proxy, certificate))

    def forget(self, proxy: Proxy) -> None:
        """Drop a proxy that is gone: its certificate is not renewed any more."""
        certificate = self._held.pop(proxy, None)
        if certificate is None:
            return
        self._note_expiry(proxy, certificate)
        request = self._requests(proxy).pop(proxy, None)
        if request is not None:
            request.tries.after(self.mesh.env.now)
            self._count(request)
            request.answered.succeed()

    def settle(self) -> None:
        """Bring the count of requests in vain up to the last look; those that came later may yet be heard."""
        for requests in self._waiting.values():
            for request in requests.values():
                request.tries.after(self._looked)
                self._count(request)

    # --- roots ----------------------------------------------------------------------------------------------

    def number(self, root: str) -> int:
        """Return the bit that stands for a root certificate in the data plane.

        Raises
        ------
        SimulationError
            If there are more roots than bits.
        """
        if root not in self._roots and len(self._roots) == MOST_ROOTS:
            raise SimulationError(f"more than {MOST_ROOTS} root certificates, which is not modelled")
        return self._roots.setdefault(root, len(self._roots))

    def change_root(self, group: IstiodGroup, root: str, *, told_since: float | None = None) -> None:
        """Let a control plane sign with another root; proxies hear of it with their next certificate.

        Parameters
        ----------
        group
            The control plane; which roots it tells proxies to trust from now on is up to its ``trusts``.
        root
            Name of the new root.
        told_since
            Certificates issued since then (seconds) have come with trust in the new root already; None: none has.
        """
        group.root = root
        bit = 1 << self.number(root)
        for proxy, certificate in self._held.items():
            if told_since is not None and certificate.issued >= told_since and self._group(proxy) is group:
                certificate.trusts |= bit
                self._write(proxy, certificate)

    # --- one certificate ------------------------------------------------------------------------------------

    def _group(self, proxy: Proxy) -> IstiodGroup:
        return self.mesh.group_of(proxy.client.cluster)

    def _is_up(self, proxy: Proxy) -> bool:
        return self.mesh.plane.is_alive(proxy.number)

    def _needs_one(self, proxy: Proxy) -> bool:
        """Return whether a proxy is one: pods without a sidecar are proxies without workers."""
        return proxy.kind != state.SIDECAR or bool(self.mesh.plane.proxies["workers"][proxy.number])

    def _hold(self, proxy: Proxy) -> Certificate:
        certificate = self._held[proxy] = Certificate(self.mesh.streams.of(f"certificate/{proxy.name}"))
        return certificate

    def _use(self, certificate: Certificate) -> float:
        """Draw for how long a certificate is used before it is renewed, seconds."""
        settings = self.settings
        jitter = settings.renewal_jitter * (2.0 * certificate.random.random() - 1.0)
        left = min(max(settings.renewal + jitter, 0.0), 1.0)
        return max((1.0 - left) * settings.certificate_ttl, SHORTEST_USE)

    def _sign(self, proxy: Proxy, certificate: Certificate, issued: float, use: float) -> None:
        group = self._group(proxy)
        certificate.issued, certificate.renewal = issued, issued + use
        certificate.expires = issued + self.settings.certificate_ttl
        certificate.root = self.number(group.root)
        certificate.trusts = sum(1 << self.number(root) for root in dict.fromkeys(group.trusts))
        self._write(proxy, certificate)

    def _write(self, proxy: Proxy, certificate: Certificate) -> None:
        self.mesh.plane.set_certificate(
            proxy.number, expires=certificate.expires, root=certificate.root, trusts=certificate.trusts
        )

    def _note_expiry(self, proxy: Proxy, certificate: Certificate) -> None:
        """Note for how long a certificate that is replaced or dropped had run out."""
        now = self.mesh.env.now
        if certificate.issued < certificate.expires < now:  # else it is valid, or the first is still to come
            self.mesh.recorder.certified(proxy.client.cluster, certificate.expires, now)

    def _keep(self, proxy: Proxy, certificate: Certificate) -> Process:
        """Renew a certificate again and again: one event each time, as long as somebody signs."""
        env = self.mesh.env
        while True:
            yield env.at(max(certificate.renewal, env.now))
            while self._held.get(proxy) is certificate and not self._is_up(proxy):
                yield env.timeout(REVIVAL)
            if self._held.get(proxy) is not certificate:
                return
            yield from self._obtain(proxy, certificate)

    def _obtain(self, proxy: Proxy, certificate: Certificate) -> Process:
        """Ask until the certificate is signed, or nobody wants it any more."""
        if not self._group(proxy).signs(proxy):
            yield self._wait(proxy, certificate)
            if self._held.get(proxy) is not certificate:
                return
        self._note_expiry(proxy, certificate)
        self.mesh.recorder.control_planes[self._group(proxy).plane.name].certificates += 1
        self._sign(proxy, certificate, self.mesh.env.now, self._use(certificate))

    # --- those who ask in vain ------------------------------------------------------------------------------

    def _requests(self, proxy: Proxy) -> dict[Proxy, _Request]:
        """Return who asks in vain at a proxy's place: either all of them are heard there, or none."""
        return self._waiting.setdefault((proxy.client.cluster, proxy.zone), {})

    def _wait(self, proxy: Proxy, certificate: Certificate) -> simpy.Event:
        env = self.mesh.env
        random = self.mesh.streams.of(f"certificate request/{proxy.name}/{certificate.issued}")
        request = self._requests(proxy)[proxy] = _Request(proxy, Tries(random, env.now), env.event())
        if not self._looking:
            self._looking = True
            env.process(self._look())
        return request.answered

    def _look(self) -> Process:
        """Look every now and then whether those who ask in vain would be heard, while there are any."""
        while any(self._waiting.values()):
            before = self._looked = self.mesh.env.now
            yield self.mesh.env.timeout(LOOK)
            for request in [request for place in self._waiting.values() for request in self._heard(place)]:
                if request.tries.after(before) <= self.mesh.env.now:
                    self._count(request)
                    del self._requests(request.proxy)[request.proxy]
                    request.answered.succeed()
        self._looking = False

    def _heard(self, place: dict[Proxy, _Request]) -> Iterator[_Request]:
        """Yield the requests of a place, if they would be signed now."""
        up = (request for request in place.values() if self._is_up(request.proxy))
        first = next(up, None)
        if first is not None and self._group(first.proxy).signs(first.proxy):
            yield first
            yield from up

    def _count(self, request: _Request) -> None:
        plane = self._group(request.proxy).plane.name
        self.mesh.recorder.control_planes[plane].refused_certificates += request.tries.take()
