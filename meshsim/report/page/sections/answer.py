"""The first section: what happens to users, what it costs more, and how sure that is, one sentence each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from meshsim.analysis.failing import ANSWERED
from meshsim.analysis.phases import FAULTS
from meshsim.analysis.summary import WHOLE
from meshsim.analysis.verdicts import Verdict, verdicts
from meshsim.report.metrics import shown
from meshsim.report.numbers import duration, percentage, quantity
from meshsim.report.page.marks import table
from meshsim.report.page.parts import NAME, Section, Table
from meshsim.report.page.study import Difference, Line, Study
from meshsim.report.shorten import listed, short
from meshsim.report.timing import spans
from meshsim.report.verdicts import more_replications
from meshsim.report.what_if import sentences as variants

#: Regions of entry that have a row of their own on the first page, and deployments that a sentence names.
_REGIONS, _NAMED = 3, 4
#: Of costs.
_UNIT = "USD a month"


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the answer and the question that it answers."""

    asks: str
    says: str


def answer(study: Study) -> Section:
    """Return the section."""
    return Section("answer", "The answer", lead=tuple(variants(study.manifest)), tables=(_short(study),))


def sentences(study: Study) -> tuple[Sentence, ...]:
    """Return the answer, never stronger than the numbers: what is not beyond chance is said not to be."""
    return (
        Sentence("What happens to users?", _users(study)),
        Sentence(f"What does it cost{' more' * (len(study.deployments) > 1)}?", _costs(study)),
        Sentence("How sure is that?", _sure(study)),
    )


def circumstances(study: Study) -> str:
    """Return what goes wrong, and when, in words."""
    timeline = study.document.timeline
    faults = [event for event in timeline if event.event in FAULTS] or list(timeline)
    if not faults:
        return f"During {study.when}"
    found = [short(span.name, NAME) for span in spans(study.document.model_copy(update={"timeline": faults}))]
    start, end = duration(study.decisive.start), duration(study.decisive.end)
    return f"While {listed([f'“{name}”' for name in found], 2)} ({start} to {end})"


# --- users ------------------------------------------------------------------------------------------------------


def _users(study: Study) -> str:
    success, tail = study.line("success_rate"), study.line("latency_p99")
    if success is None:
        return "No user request ended, so there is nothing to tell."
    said = f"{circumstances(study)}, user requests succeed at {_values(study, success)}{_verdict(study, success)}."
    said += _failing(study, success)
    if tail is not None:
        said += f" 99 % of all, failed ones too, end within {_values(study, tail)}{_verdict(study, tail)}."
    where = "; ".join(part for part in (_hardest(study), _slowest(study)) if part)
    return f"{said} By where users enter, {where}." if where else said


def _failing(study: Study, success: Line) -> str:
    """Return under whom so many requests fail that little else matters, where not every value is told."""
    names = [short(name, NAME) for name in study.deployments if success.mean(name) < ANSWERED]
    if not names or len(study.deployments) <= _NAMED:
        return ""
    return f" Fewer than {percentage(ANSWERED)} succeed under {listed(names, _NAMED)}."


def _values(study: Study, line: Line) -> str:
    """Return each deployment's value with its interval; of many, the lowest and the highest."""
    names = [name for name in study.deployments if line.mean(name) == line.mean(name)]
    if len(names) > _NAMED:
        first, last = min(names, key=line.mean), max(names, key=line.mean)
        if _same(line.mean(first), line.mean(last)):
            return f"{line.text(first)} (each)"
        tied = [
            [short(name, NAME) for name in names if _same(line.mean(name), line.mean(end))] for end in (first, last)
        ]
        return f"{line.text(first)} ({_few(tied[0])}) to {line.text(last)} ({_few(tied[1])})"
    return listed([f"{line.text(name)} ({short(name, NAME)})" for name in names]) or "no known rate"


def _same(one: float, other: float) -> bool:
    """Return whether two means differ by no more than sums round."""
    return math.isclose(one, other, rel_tol=1e-12)


def _verdict(study: Study, line: Line) -> str:
    """Return who is better, as far as that is known; nothing where there is nothing to compare."""
    if len(line.rows) < 2:
        return ""
    why_not = {
        "one replication cannot tell them apart": study.replications < 2,
        "too few requests to tell them apart": any(row.get("requests_needed", 0) for row in line.rows.values()),
        "the same in every replication": line.same,
        f"they differ the same way in each of {study.replications} replications, too few to rule chance out": (
            not line.decided and any(line.steady(name) for name in line.rows)
        ),
        f"no difference beyond chance with these {study.replications} replications": (
            not line.decided and not any(line.discounted(name) for name in line.rows)
        ),
    }
    said = next((words for words, holds in why_not.items() if holds), "") or (_order(line) if line.decided else "")
    return f": {'; '.join(filter(None, (said, _no_merit(line))))}"


def _no_merit(line: Line) -> str:
    """Return whose value is low only as its requests failed."""
    names = [short(name, NAME) for name in line.rows if line.discounted(name)]
    if not names:
        return ""
    return f"under {_few(names)} it is no merit, as fewer than {percentage(ANSWERED)} of the requests succeeded"


def _few(names: Sequence[str]) -> str:
    """Return names, or how many there are."""
    return listed(names) if len(names) <= _NAMED else f"{len(names)} deployments"


def _order(line: Line) -> str:
    """Return who is better than whom beyond chance."""
    ends = [f"{short(name, NAME)} is the {word}" for name, word in ((line.best, "best"), (line.worst, "worst")) if name]
    if not ends:
        return f"{_pairs(line)}; nothing else is beyond chance"
    rest = [name for name in line.rows if name not in (line.best, line.worst)]
    open_ = len(rest) > 1 and not any(other in line.beats(name) for name in rest for other in rest)
    return f"{listed(ends)}{', between the others no difference is beyond chance' if open_ else ''}"


def _pairs(line: Line) -> str:
    found = [
        f"{short(name, NAME)} is better than {_few([short(other, NAME) for other in line.beats(name)])}"
        for name in line.rows if line.beats(name)
    ]  # fmt: skip
    return "; ".join(found[:_NAMED]) + (f"; and {len(found) - _NAMED} more such" if len(found) > _NAMED else "")


def _hardest(study: Study) -> str:
    """Return for whom it is worst, by the region where users enter."""
    lines = {region: found["success_rate"] for region, found in study.entries.items() if "success_rate" in found}
    every = [
        (line.mean(name), region, name)
        for region, line in lines.items() for name in line.rows if line.mean(name) == line.mean(name)
    ]  # fmt: skip
    if len(lines) < 2 or not every:
        return ""
    return _extreme("the lowest success rate", lines, every, min(every)[0])


def _slowest(study: Study) -> str:
    """Return which region of entry has the highest p99, of those where enough requests tell one."""
    lines = {region: found["latency_p99"] for region, found in study.entries.items() if found.get("latency_p99")}
    every = [
        (line.mean(name), region, name) for region, line in lines.items() for name in line.rows if line.tells(name)
    ]
    if len({region for _, region, _ in every}) < 2:
        return ""
    return _extreme("the highest p99", lines, every, max(every)[0])


def _extreme(what: str, lines: Mapping[str, Line], every: Sequence[tuple[float, str, str]], value: float) -> str:
    """Return the lowest or highest value and all that have it, by region; nothing where all have it."""
    having = [(region, name) for mean, region, name in every if _same(mean, value)]
    if len(having) == len(every):
        return ""
    under: dict[str, list[str]] = {}
    for region, name in having:
        under.setdefault(region, []).append(short(name, NAME))
    where = [
        f"of region {short(region, NAME)} under {_under(names, len(lines[region].rows))}"
        for region, names in under.items()
    ]
    return f"{what} is {lines[having[0][0]].text(having[0][1])}, {listed(where, _NAMED)}"


def _under(names: Sequence[str], of: int) -> str:
    """Return which deployments, of so many, share a value."""
    return "each" if len(names) == of > 1 else listed(names, _NAMED)


# --- costs ------------------------------------------------------------------------------------------------------


def _costs(study: Study) -> str:
    money = _money(study)
    said = [found for found in (money or _cpu(study), study.unbilled if money else "", _planes(study)) if found]
    return " ".join(said) or "Nothing that costs was measured."


def _money(study: Study) -> str:
    line = study.line("cost", phase=study.ordinary.name)
    if line is None or len(line.rows) < 2:
        return "" if line is None else f"It costs {line.text(next(iter(line.rows)))} {_UNIT}."
    cheapest = min(line.rows, key=line.mean)
    differences = study.differences("cost", study.ordinary.name)
    others = {name: differences.get((name, cheapest)) for name in line.rows if name != cheapest}
    more = {name: found for name, found in others.items() if found is not None and _tells(found)}
    nothing = [short(name, NAME) for name in others if name not in more]
    open_ = [f"{_few(nothing)} not distinguishably more"] if nothing else []
    best = "is the cheapest" if line.best == cheapest else "has the lowest mean"
    return (
        f"In {_UNIT} at the load of {study.ordinary_in_words}, {short(cheapest, NAME)} {best}"
        f" ({line.text(cheapest)}); beside it {listed([*_dearer(more), *open_])}."
    )


def _tells(found: Difference) -> bool:
    return found.beyond_chance or (found.half_width == 0 and found.mean != 0)


def _dearer(more: Mapping[str, Difference]) -> list[str]:
    """Return how much more each deployment costs; of many, the least and the most."""
    always = {name: "" if found.half_width else "in every replication" for name, found in more.items()}
    by = {name: quantity("count", found.mean, found.half_width or math.nan) for name, found in more.items()}
    if len(more) <= _NAMED:
        return [f"{short(name, NAME)} {by[name]} more {always[name]}".rstrip() for name in more]
    ends = [choose(more, key=lambda name: more[name].mean) for choose in (min, max)]
    told = [f"{by[name]} ({', '.join(filter(None, (short(name, NAME), always[name])))})" for name in ends]
    return [f"{len(more)} deployments from {told[0]} to {told[1]} more"]


def _planes(study: Study) -> str:
    line = study.line("control_planes", phase=WHOLE)
    if line is None:
        return ""
    together: dict[float, list[str]] = {}
    for name in line.rows:
        together.setdefault(line.mean(name), []).append(short(name, NAME))
    if len(together) == 1 and len(line.rows) > 1:
        return f"Control planes to run and upgrade: {next(iter(together)):g} under each."
    counts = [f"{count:g} ({_few(names)})" for count, names in together.items()]
    more = f" and other numbers under {len(together) - _NAMED} more" if len(counts) > _NAMED else ""
    return f"Control planes to run and upgrade: {', '.join(counts[:_NAMED])}{more}."


def _cpu(study: Study) -> str:
    line = study.line("istiod_cpu", phase=WHOLE)
    return f"CPU of all istiods: {_values(study, line)}{_verdict(study, line)}." if line is not None else ""


# --- how sure -----------------------------------------------------------------------------------------------------


def _sure(study: Study) -> str:
    n = study.replications
    if n < 2:
        return (
            "There is one replication, so nothing here can be told from chance; run with --replications 5 or more"
            " to get intervals."
        )
    found = [one for one in verdicts(study.plots.comparison) if one.phase in (study.decisive.name, WHOLE)]
    said = [f"Numbers are means of n = {n} independent replications, with 95 % intervals over them."]
    if len(study.deployments) > 1:
        settled = sum(one.kind in ("best", "order") for one in found)
        shows = f"{settled or 'none'} show{'s' * (settled < 2)} a difference beyond chance"
        said.append(
            "Deployments meet the same requests and pod deaths, so differences are paired: of"
            f" {len(found)} headline comparison{'s' * (len(found) != 1)} {shows}."
        )
    if found:
        said.append(_known(found))
    doubts = len({doubt.words for doubt in study.doubts})
    if doubts:
        said.append(f"There {'are' if doubts > 1 else 'is'} {doubts} reason{'s' * (doubts > 1)} for doubt: section 4.")
    return " ".join(said)


def _known(found: Sequence[Verdict]) -> str:
    """Return how many numbers are known well, and which the least."""
    known = sum(one.more == 0 for one in found)
    who = f"{known or 'None'} of these {len(found)} numbers {'are' if known > 1 else 'is'}"
    if len(found) == 1:
        who = f"This number is{'' if known else ' not'}"
    said = f"{who} known to within 5 % (a success rate: of the share that fails)"
    least = max(found, key=lambda one: one.more or 0)
    if not least.more:
        return f"{said}."
    return f"{said}; the least known, {shown(least.metric).label}, would take {more_replications(least.more)}."


def _tail(found: Mapping[str, Line]) -> Line | None:
    """Return the p99 of a region; the mean where too few requests enter there for one."""
    tail = found.get("latency_p99")
    return tail if tail is not None and all(map(tail.tells, tail.rows)) else found.get("latency_mean")


def _short(study: Study) -> Table:
    lines: list[tuple[str, Line | None]] = [("all users", study.line("success_rate"))]
    regions = list(study.entries.items())[:_REGIONS] if len(study.entries) > 1 else []
    lines += [(f"users entering in {short(region, 24)}", found.get("success_rate")) for region, found in regions]
    lines += [("all users", study.line("latency_p99"))]
    lines += [(f"users entering in {short(region, 24)}", _tail(found)) for region, found in regions]
    lines += [("", study.line(name)) for name in ("stale_share", "disconnected_share", "time_to_recover")]
    lines += [("", study.line("control_planes")), ("", study.line("cost", phase=study.ordinary.name))]
    known = [(of, line) for of, line in lines if line is not None]
    found = table(study, "answer", f"In short: {study.when}", [("", line) for _, line in known])
    rows = [
        replace(row, label=f"{row.label}, {of}" if of else row.label)
        for row, (of, _) in zip(found.rows, known, strict=True)
    ]
    return replace(found, rows=tuple(rows))
