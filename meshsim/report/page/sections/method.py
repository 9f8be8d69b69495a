"""The eighth section: how the numbers came about, what they leave out, and the command that makes them again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from meshsim.report.numbers import duration
from meshsim.report.page.parts import Cell, Row, Section, Table
from meshsim.report.page.sections.trade_offs import by_criteria
from meshsim.report.page.study import Study
from meshsim.report.shorten import short

#: How the checklist points to other parts of the manifest.
_FIELD = re.compile(r"`(\w+)`")
#: What no run has, in short; docs/limitations.md says it in full.
NOT_MODELLED = (
    "Comparisons are better than absolute figures: the deployments of one run share all that is wrong with the model.",
    (
        "Nothing was validated against a running mesh of several clusters; the data plane's rules come from"
        " measurements on Envoy, and queues are checked against theory."
    ),
    "Latencies rest on the compute times written into the scenario; links have no bandwidth.",
    (
        "Not modelled: ambient mode, egress gateways, authorisation, DNS, telemetry, node capacity and scheduling,"
        " mixed versions of the control plane within a run, users who lose patience or go elsewhere."
    ),
    (
        "What istiod computes per proxy and service is assumed within what published figures allow: compare"
        " deployments, do not plan its capacity by it."
    ),
)


def method(study: Study) -> Section:
    """Return the section."""
    return Section(
        "method",
        "Method, assumptions, and how to repeat it",
        lead=(_command(study),),
        tables=(_run(study), _glossary(study), _stress(study)),
        tail=(*NOT_MODELLED, *(f"Warning of the scenario: {short(words, 600)}" for words in study.warnings)),
    )


def _command(study: Study) -> str:
    import shlex

    words = [str(word) for word in study.manifest.get("command") or []]
    if not words:
        words = ["meshsim", "compare", f"{study.document.name}.yaml"]
        compared = [part for name in study.deployments for part in ("--deployment", name)]
        words += ["--what-if"] if study.manifest.get("what_if") else compared
    return shlex.join(words)


def _run(study: Study) -> Table:
    facts, document = study.manifest, study.document
    counts = facts.get("replications", {})
    versions = facts.get("versions", {})
    system = facts.get("platform", {})
    said = {
        "scenario": f"{short(document.name, 200)}, hash {str(facts.get('scenario_hash', ''))[:16]}",
        "seed": str(facts.get("seed", document.seed)),
        "replications": f"{counts.get('finished', study.replications)} of {counts.get('asked', '?')} asked for",
        "simulated time": f"{duration(document.duration)}; warm-up, not counted: {duration(document.warm_up)}",
        "phases": ", ".join(f"{p.name} {duration(p.start)} to {duration(p.end)}" for p in study.phases),
        "written": str(facts.get("written", "")),
        "took": duration(float(facts["wall_time"])) if facts.get("wall_time") else "",
        "load balancers of our own": ", ".join(
            f"{name}, hash {str(of)[:16]}" for name, of in (facts.get("load_balancers") or {}).items()
        ),
        "machine": ", ".join(str(system[key]) for key in ("system", "machine", "processors") if key in system),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }
    rows = tuple(Row(name, (Cell(short(text, 600)),)) for name, text in said.items() if text)
    return Table("run", "The run", ("what", "value"), rows, wide=True)


def _glossary(study: Study) -> Table:
    """Return what every metric means that the trade-off table shows."""
    rows = {row.name or row.label: row.about for row in by_criteria(study).rows if row.about}
    found = tuple(Row(name, (Cell(about),)) for name, about in rows.items())
    return Table("glossary", "What the rows of the tables are", ("row", "meaning"), found, wide=True)


def _stress(study: Study) -> Table:
    rows = tuple(Row(name, (Cell(short(text, 600)),)) for name, text in _flat(study.manifest.get("stress", {})) if text)
    caption = "What a simulation study has to report (STRESS-DES checklist)"
    return Table("stress", caption, ("item", "value"), rows, wide=True)


def _flat(block: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Return the items of the checklist as text; the list of all metrics is a table of its own."""
    for name, value in block.items():
        if name == "1.2 outputs":
            yield name, "the metrics of this page, defined in docs/results.md; all of them are in metrics.csv"
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                yield f"{name}: {key}", _words(inner)
        else:
            yield name, _words(value)


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key.replace('_', ' ')}: {_words(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        mark = "; " if any(isinstance(inner, Mapping) for inner in value) else ", "
        return mark.join(_words(inner) for inner in value)
    return _FIELD.sub(r"“\1” of manifest.json", str(value))
