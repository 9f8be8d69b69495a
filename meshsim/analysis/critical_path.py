"""The critical path of a request: what its time went for, instant by instant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from meshsim.analysis.grid import runs
from meshsim.analysis.phases import Phase, counted_at
from meshsim.results.histogram import quantile

if TYPE_CHECKING:
    import pandas as pd

#: What time goes for, by the columns of the table ``spans`` that it is in, in the order of a request.
PARTS: dict[str, tuple[str, ...]] = {
    "client's sidecar": ("client_sidecar",),
    "connection": ("connection",),
    "link there": ("link_there", "link_on"),
    "east-west gateway": ("gateway",),
    "server's sidecar": ("server_sidecar",),
    "queue": ("queue",),
    "service": ("computing",),
    "link back": ("link_back",),
    "retries": ("retries",),
    "injected delay": ("injected",),
    "no answer": ("lost",),
}
#: Which requests are shown, by name: the quantile of latency that they are the nearest to.
SHOWN = {"typical": 0.5, "p99": 0.99}
_PART_OF = {column: part for part, columns in PARTS.items() for column in columns}
#: Columns of a call in the order in which its parts follow one another.
_CALL = (
    "injected", "retries", "client_sidecar", "connection", "link_there", "gateway", "link_on", "server_sidecar",
    "inside", "link_back", "lost",
)  # fmt: skip
#: Two instants nearer than this (seconds) are one.
_SAME = 1e-12

Span = Mapping[Any, Any]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the critical path, seconds of simulated time.

    Parameters
    ----------
    number
        Of the span that it is spent in.
    part
        What for, one of `PARTS`.
    began, ended
        From when to when.
    """

    number: int
    part: str
    began: float
    ended: float


def critical_path(spans: Sequence[Span]) -> list[Piece]:
    """Return what each instant of one user request went for: the pieces follow one another without a gap.

    From its end one goes back: a call's parts are known; while the called service worked, what counts is what ended
    last, then what ended last before that began, and so on. What others did meanwhile made nobody wait. Time inside a
    pod in which nothing was done is time in its queue.

    Parameters
    ----------
    spans
        The rows of the table ``spans`` of one user request, by number; the first is the request itself.

    Examples
    --------
    >>> nothing = dict.fromkeys([*_CALL, "queue", "computing"], 0.0) | {"waited": 1}
    >>> user = {**nothing, "number": 0, "parent": -1, "kind": "call", "began": 0.0, "ended": 5.0,
    ...         "link_there": 1.0, "inside": 3.0, "link_back": 1.0}
    >>> work = {**nothing, "number": 1, "parent": 0, "kind": "computation", "began": 2.0, "ended": 4.0,
    ...         "computing": 2.0}
    >>> [(piece.part, piece.ended - piece.began) for piece in critical_path([user, work])]
    [('link there', 1.0), ('queue', 1.0), ('service', 2.0), ('link back', 1.0)]
    """
    below: dict[int, list[Span]] = {}
    for span in spans:
        if span["waited"] and span["parent"] >= 0:
            below.setdefault(int(span["parent"]), []).append(span)
    found = list(_call(spans[0], below, float(spans[0]["began"]), float(spans[0]["ended"])))
    return found[::-1]


def _call(span: Span, below: Mapping[int, list[Span]], since: float, until: float) -> Iterator[Piece]:
    """Yield the pieces of a call between two instants, the last first."""
    names = [name for name in _CALL if span[name] > 0.0]
    ends = float(span["began"]) + np.cumsum([span[name] for name in names])
    high = until
    for at in reversed(range(len(names))):
        low = since if at == 0 else min(max(float(ends[at - 1]), since), high)
        if low < high:
            name = names[at]
            if name == "inside":
                yield from _inside(span, below, low, high)
            else:
                yield Piece(int(span["number"]), _PART_OF[name], low, high)
        high = low


def _inside(span: Span, below: Mapping[int, list[Span]], since: float, until: float) -> Iterator[Piece]:
    """Yield what a pod did for a call between two instants, the last first."""
    number, now = int(span["number"]), until
    done = [own for own in below.get(number, ()) if own["began"] < until]
    # Of what was not finished yet the one that would have ended last.
    done.sort(key=lambda own: (min(own["ended"], until), own["ended"]), reverse=True)
    for own in done:
        end, began = min(own["ended"], until), max(float(own["began"]), since)
        if end > now + _SAME or began >= now:
            continue  # others were waited for meanwhile
        if now - end > _SAME:
            yield Piece(number, "queue", float(end), now)
            now = float(end)
        if own["kind"] == "call":
            yield from _call(own, below, began, now)
        else:
            start = min(max(float(own["began"]) + float(own["queue"]), began), now)
            yield from _pieces(int(own["number"]), (("service", start, now), ("queue", began, start)))
        now = began
    yield from _pieces(number, (("queue", since, now),))


def _pieces(number: int, stretches: Sequence[tuple[str, float, float]]) -> Iterator[Piece]:
    return (Piece(number, part, low, high) for part, low, high in stretches if low < high)


def paths(tables: Mapping[str, pd.DataFrame], phase: Phase) -> pd.DataFrame:
    """Return the spans of a typical and of a p99 request of each deployment, and what is critical of them.

    Of the traced requests that succeeded in a phase, those count whose latency is the nearest to the median, and to the
    99th percentile, of all that did (all replications together).

    Parameters
    ----------
    tables
        The tables of a run.
    phase
        When the requests ended.

    Returns
    -------
    pandas.DataFrame
        A row a piece of the critical path and one for each span, the piece of which is '': columns ``deployment, shown,
        quantile, latency, trace, request_id, number, parent, kind, source, destination, source_cluster,
        destination_cluster, part, began, ended``. ``shown`` is one of `SHOWN`, ``quantile`` its quantile in seconds,
        ``latency`` the request's; ``began`` and ``ended`` count from when the request began, seconds.

    Examples
    --------
    >>> from meshsim.results.frames import concatenate
    >>> len(paths(concatenate([]), Phase("all", 0.0, 60.0)))
    0
    """
    import pandas as pd

    columns = (
        "deployment", "shown", "quantile", "latency", "trace", "request_id", "number", "parent", "kind", "source",
        "destination", "source_cluster", "destination_cluster", "part", "began", "ended",
    )  # fmt: skip
    rows: list[dict[str, Any]] = []
    for deployment in dict.fromkeys(name for name, _ in runs(tables)):
        for shown, value, spans in _chosen(tables, deployment, phase):
            first = float(spans[0]["began"])
            head = {"shown": shown, "quantile": value, "latency": float(spans[0]["ended"]) - first}
            by_number = {int(span["number"]): span for span in spans}
            stretches = [Piece(number, "", span["began"], span["ended"]) for number, span in by_number.items()]
            for piece in (*stretches, *critical_path(spans)):
                times = {"part": piece.part, "began": piece.began - first, "ended": piece.ended - first}
                rows.append({**by_number[piece.number], **head, **times})
    return pd.DataFrame(rows, columns=list(columns))


def _chosen(
    tables: Mapping[str, pd.DataFrame], deployment: str, phase: Phase
) -> Iterator[tuple[str, float, list[dict[Any, Any]]]]:
    """Yield which request is shown, the quantile that it is to show, and its spans."""
    spans = tables["spans"]
    spans = spans[spans["deployment"] == deployment]
    users = spans[(spans["parent"] < 0) & (spans["code"] < 500) & (spans["code"] > 0)]
    users = users[counted_at(users["ended"], phase)]
    if users.empty:
        return
    latency = tables["latency"]
    latency = latency[(latency["deployment"] == deployment) & (latency["kind"] == "request")]
    latency = latency[(latency["outcome"] == "ok")]
    latency = latency[counted_at((latency["start"] + latency["end"]) / 2, phase)]
    took = (users["ended"] - users["began"]).to_numpy(dtype=float)
    for shown, q in SHOWN.items():
        value = quantile(latency["bin"].to_numpy(), latency["count"].to_numpy(), q)
        nearest = users.iloc[int(np.argmin(np.abs(took - value)))]
        own = spans[(spans["trace"] == nearest["trace"]) & (spans["replication"] == nearest["replication"])]
        yield shown, value, own.sort_values("number").to_dict("records")


def shares(found: pd.DataFrame) -> pd.DataFrame:
    """Return what the time of each request that is shown went for.

    Parameters
    ----------
    found
        As `paths` returns it.

    Returns
    -------
    pandas.DataFrame
        Columns ``deployment, shown, part, seconds, share``, in the order of `PARTS`; the seconds of a request add up to
        its latency. Parts that no request had are left out.

    Examples
    --------
    >>> from meshsim.results.frames import concatenate
    >>> shares(paths(concatenate([]), Phase("all", 0.0, 60.0))).columns.tolist()
    ['deployment', 'shown', 'part', 'seconds', 'share']
    """
    import pandas as pd

    critical = found[found["part"] != ""]
    rows = []
    for (deployment, shown), own in critical.groupby(["deployment", "shown"], sort=False):
        seconds = (own["ended"] - own["began"]).groupby(own["part"]).sum()
        for part in PARTS:
            if part in set(critical["part"]):
                value = float(seconds.get(part, 0.0))
                rows.append((deployment, shown, part, value, value / float(own["latency"].iloc[0])))
    return pd.DataFrame(rows, columns=["deployment", "shown", "part", "seconds", "share"])
