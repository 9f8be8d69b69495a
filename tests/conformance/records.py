"""What an arm reports of one run, the same whether a simulator or a real Envoy ran: requests, attempts, ejections."""

from __future__ import annotations

from dataclasses import dataclass, field

#: Statuses of requests that got no HTTP answer.
FAILED, GAVE_UP = -1, -2

#: Flags that are written before the others; the rest follow as the proxy wrote them.
FLAG_ORDER = ("DI", "FI", "URX", "UO")


@dataclass(slots=True)
class Request:
    """A request as its client saw it; times in seconds since the load began.

    ``attempts`` is what the proxy says: 0 if none was made, 1 even if it never reached a host.
    """

    number: int
    due: float
    sent: float
    done: float
    status: int
    flags: tuple[str, ...] = ()
    attempts: int = 1
    key: str = ""

    @property
    def ok(self) -> bool:
        """Tell whether the client got what it asked for."""
        return 200 <= self.status < 400

    @property
    def latency(self) -> float:
        """Seconds from sending to the end of the answer."""
        return self.done - self.sent

    @property
    def flag(self) -> str:
        """Response flags in one order, ``-`` for none."""
        ranked = sorted(dict.fromkeys(self.flags), key=lambda flag: (flag not in FLAG_ORDER, _rank(flag)))
        return ",".join(ranked) or "-"


@dataclass(slots=True)
class Attempt:
    """An attempt that reached an endpoint; ``status`` is negative when it was reset or never answered.

    ``service`` is the time in service, seconds, without waiting for a server; negative if it was not served.
    """

    request: int
    number: int
    endpoint: int
    start: float
    end: float
    status: int
    service: float = -1.0


@dataclass(slots=True)
class Ejection:
    """A host leaves (``eject``) or returns; ``enforced`` is False for what was noticed but not acted on."""

    time: float
    host: str
    eject: bool
    kind: str = ""
    enforced: bool = True
    info: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Recording:
    """All of one run; ``connections`` are those accepted by each endpoint, ``counters`` are the proxy's own."""

    seed: int
    requests: list[Request]
    attempts: list[Attempt]
    ejections: list[Ejection] = field(default_factory=list)
    connections: dict[int, int] = field(default_factory=dict)
    counters: dict[str, float] = field(default_factory=dict)


def _rank(flag: str) -> int:
    return FLAG_ORDER.index(flag) if flag in FLAG_ORDER else 0
