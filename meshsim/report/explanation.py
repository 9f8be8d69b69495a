"""An explanation of what one proxy sees and will do, as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from meshsim.report.numbers import NOTHING
from meshsim.report.numbers import duration as in_words

if TYPE_CHECKING:
    from meshsim.explain import Asked, EndpointView, Explanation, UpstreamView

_DEFAULT = "Istio default"
#: Values in seconds, by the end of their name.
_SECONDS = ("timeout", "interval", "time", "duration")


def text(found: Explanation) -> str:
    """Return an explanation as lines of plain text.

    Parameters
    ----------
    found
        As `meshsim.explain.explain` returns it.
    """
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Explanation) -> Iterator[str]:
    where = f"{found.region}/{found.zone}, network {found.network}"
    yield f"{found.proxy} ({where}) to {found.service}"
    yield f"{found.scenario}, {found.deployment}, at {in_words(found.time)}"
    if found.behind:
        yield "The control plane knows of endpoints that this proxy has not applied yet."
    alike: dict[tuple[str, ...], list[str]] = {}
    for one in found.requests:
        alike.setdefault(tuple(_route(one)), []).append(_request(one))
    for lines, heads in alike.items():
        yield ""
        yield from heads
        yield from lines
    for upstream in found.upstreams:
        yield ""
        yield from _upstream(upstream)


def _request(one: Asked) -> str:
    carried = ", ".join(f"{name}: {value or '*'}" for name, value in one.request.headers.items())
    return f"{one.request.method} {one.request.path}{f' with {carried}' if carried else ''}"


def _route(one: Asked) -> Iterator[str]:
    from meshsim.explain import retries

    route = one.route
    yield f"  rule      {route.name}"
    if route.direct_code:
        yield f"  answer    {route.direct_code}{' NR' if route.no_route else ''} by the proxy itself"
        return
    whole = sum(weight for _, weight in route.destinations) or 1
    for number, (end, weight) in enumerate(route.destinations):
        name = "/".join(filter(None, (end.service or end.host, end.subset)))
        yield f"  {'to' if not number else '':<9} {name} {100 * weight / whole:.3g} %"
    for mirror in route.mirrors:
        yield f"  copy to   {mirror.destination.service} {mirror.percent:g} %"
    if route.path != one.request.path:
        yield f"  path      {route.path} ({route.sources.get('rewrite', _DEFAULT)})"
    limit = in_words(route.timeout) if route.timeout else "none"
    yield f"  timeout   {limit} ({route.sources.get('timeout', _DEFAULT)})"
    values = {name: (value, source) for name, value, source in retries(route)}
    attempts, source = values["attempts"]
    yield f"  retries   {attempts} ({source})"
    if attempts:
        codes = values["status_codes"][0]
        on = ",".join(map(str, (*values["conditions"][0], *codes)))
        yield f"            on {on} ({values['conditions'][1]})"
        per_try = values["per_try_timeout"][0]
        yield f"            per try {in_words(per_try) if per_try else 'no timeout'} ({values['per_try_timeout'][1]})"
    fault = route.fault
    if fault.delay_percent:
        yield f"  fault     {fault.delay_percent:g} % delayed by {in_words(fault.delay)}"
    if fault.abort_percent:
        yield f"  fault     {fault.abort_percent:g} % answered {fault.abort_code}"


def _upstream(one: UpstreamView) -> Iterator[str]:
    yield "/".join(filter(None, (one.destination.service, one.destination.subset))).upper()
    if not one.exists:
        yield "  no DestinationRule has this subset: requests get 503 NC"
    elif not one.live:
        yield "  not there: no request of the scenario goes to it"
    elif not one.endpoints:
        yield "  no endpoints: requests get 503 UH"
    else:
        yield from _table(_ENDPOINTS, [_endpoint(row) for row in one.endpoints])
        yield ""
        rows = [
            (
                f"P{row.number}",
                f"{row.healthy}/{row.hosts}",
                f"{row.load} %",
                "panic" if row.panic else "",
                row.balancer,
            )
            for row in one.priorities
        ]
        yield from _table(("priority", "healthy", "load", "", "picks"), rows)
        used = [f"{name} {count}" + (f" of {limit}" if limit is not None else "") for name, count, limit in one.used]
        yield ""
        yield f"  in use: {', '.join(used)}; hosts ejected: {one.ejected}"
    yield ""
    yield from _policy(one)


_ENDPOINTS = (
    "endpoint", "locality", "priority", "weight", "share", "health", "active", "connections", "errors", "",
)  # fmt: skip


def _endpoint(row: EndpointView) -> tuple[str, ...]:
    health = row.status + (f" until {in_words(row.returns)}" if row.returns is not None else "")
    notes = [f"gateway for {row.behind} pods"] if row.gateway else []
    if not row.told:
        notes.append("not told yet (merge window)")
    if row.waiting:
        notes.append(f"{row.waiting} waiting")
    if row.ejections:
        notes.append(f"ejected {row.ejections} times" if row.ejections > 1 else "ejected once")
    weight = f"{row.weight:g}" + (f" of locality {row.locality_weight:g}" if row.locality_weight else "")
    return (
        row.name, "/".join(filter(None, (row.region, row.zone))), f"P{row.priority}", weight,
        f"{100 * row.share:.3g} %",
        health, str(row.active), str(row.connections), str(row.errors) if row.errors else NOTHING, ", ".join(notes),
    )  # fmt: skip


def _policy(one: UpstreamView) -> Iterator[str]:
    from meshsim.explain import settings

    values = settings(one.policy)
    given = [(name, _shown(name, value), source) for name, value, source in values if source != _DEFAULT]
    if given:
        yield from _table(("policy", "value", "from"), given)
    defaults = [f"{name} {_shown(name, value)}" for name, value, source in values if source == _DEFAULT]
    if defaults:
        yield from _wrapped("  Istio defaults: ", defaults)


def _shown(name: str, value: Any) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and value in {2**32 - 1, 2**31 - 1}:
        return "unlimited"
    if isinstance(value, float) and name.endswith(_SECONDS):
        return in_words(value)
    if isinstance(value, tuple):
        return ", ".join(_pair(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _pair(part: Any) -> str:
    if not isinstance(part, tuple):
        return str(part)
    first, second = part
    if isinstance(second, tuple):
        return f"{first} → {' '.join(f'{name} {weight} %' for name, weight in second)}"
    return f"{first} → {second}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table, columns as wide as what is in them."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(cells)}".rstrip()


def _wrapped(first: str, parts: Sequence[str], width: int = 118) -> Iterator[str]:
    """Yield a list of parts as lines of at most ``width`` characters."""
    line = first
    for number, part in enumerate(parts):
        piece = part + (", " if number + 1 < len(parts) else "")
        if len(line) + len(piece) > width:
            yield line.rstrip()
            line = " " * 4
        line += piece
    yield line.rstrip()
