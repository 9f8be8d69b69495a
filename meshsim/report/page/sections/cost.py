"""The sixth section: what each deployment costs, part by part, or what it uses where there are no prices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meshsim.analysis.cost import breakdown, doubts
from meshsim.analysis.summary import WHOLE
from meshsim.report.cost_bars import PARTS, TOTAL, cost_bars
from meshsim.report.numbers import digits, duration
from meshsim.report.page.marks import table
from meshsim.report.page.parts import NAME, Cell, Figure, Row, Section, Table
from meshsim.report.page.study import Line, Study
from meshsim.report.panels import picture_of
from meshsim.report.shorten import short

#: Where the lines of the bill are.
_BILL = ("bill.csv beside this page has the bill line by line, each with its price and where that comes from.",)
#: How the total splits otherwise: by what pods ask for, or by what they used.
SPLIT = ("cost_reserved", "cost_used")

#: What is used, whatever it costs.
USED = (
    "control_planes", "istiod_cpu", "istiod_memory", "cross_region_bytes", "cross_region_calls", "sidecar_utilisation",
    "gateway_utilisation",
)  # fmt: skip


def cost(study: Study) -> Section:
    """Return the section."""
    money = priced(study)
    used = [line for name in USED if (line := study.line(name, phase=WHOLE)) is not None]
    lines = [("cost", line) for line in money] + [("what is used", line) for line in used]
    lead = _left_out(study) if money else "No costs were computed for this run; this is what would be paid for."
    caption = f"Cost of a month like {_ordinary(study)}; what is used is of the whole run"
    tables = [table(study, "cost", caption, lines, whole=True)] if lines else []
    figure = _picture(study)
    return Section(
        "cost",
        "Cost",
        (lead,),
        tuple(tables),
        (figure,) if figure else (),
        tail=(*_BILL, *doubts(study.document)) if money else (),
        aside=(_bill(study),) if money else (),
    )


def _left_out(study: Study) -> str:
    """Return that the services' own pods are not in the cost, and whether that matters here."""
    asked = study.line("desired_pods", phase=study.ordinary.name)
    measured = asked is not None and all(asked.tells(name) for name in study.deployments)
    several = measured and len(study.deployments) > 1
    same = "; every deployment asks for about the same number of them" if several else ""
    return study.unbilled or f"The cost leaves out CPU and memory of the services' own pods{same}."


def priced(study: Study) -> list[Line]:
    """Return the total cost, its parts, and how it splits otherwise."""
    return [
        line for name in (TOTAL, *PARTS, *SPLIT) if (line := study.line(name, phase=study.ordinary.name)) is not None
    ]


def _picture(study: Study) -> Figure | None:
    total = study.line(TOTAL, phase=study.ordinary.name)
    if total is None:
        return None
    said = ", ".join(f"{short(name, NAME)} {total.text(name)}" for name in total.rows)
    return Figure(
        "cost",
        picture_of(cost_bars(study.plots.comparison, study.ordinary.name)),
        f"Cost of a month like {_ordinary(study)}, by part; whiskers are the 95 % interval of the total. See which part"
        " makes the difference.",
        f"Stacked bars of cost by part, one a deployment. {said}",
    )


def _ordinary(study: Study) -> str:
    """Return the phase whose use a month is made of, in words."""
    return f"{study.ordinary_in_words} ({duration(study.ordinary.start)} to {duration(study.ordinary.end)})"


def _bill(study: Study) -> Table:
    """Return what is paid for, line by line."""
    frame = study.plots.each(lambda tables, document: breakdown(tables, [study.ordinary], document))
    rows = [_line_of_bill({str(name): value for name, value in line.items()}) for line in frame.to_dict("records")]
    header = ("what", "a month", "price of one", "together", "source of the price")
    caption = f"The bill of a month like {_ordinary(study)}, means over the replications"
    return Table("bill", caption, header, tuple(rows), doubts(study.document), wide=True)


def _line_of_bill(line: Mapping[str, Any]) -> Row:
    source = f"{line['source']} ({line['doubt']})" if line["doubt"] else str(line["source"])
    cells = (
        Cell(f"{digits(line['quantity'], 4)} {line['unit']}"),
        Cell(f"{digits(line['price'], 4)} USD"),
        Cell(f"{line['usd']:,.2f} USD"),
        Cell(short(source, 200)),
    )
    what = f"{line['part'].replace('_', ' ')}: {line['place']}, {line['resource']}"
    return Row(short(what, 2 * NAME), cells, group=short(line["deployment"], NAME))
