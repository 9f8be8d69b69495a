"""Sweeps, breaking points and sensitivity as tables: for a terminal, a pipe, and as JSON-able data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from meshsim.analysis.rare_events import least_difference
from meshsim.analysis.verdicts import said
from meshsim.report.cells import ABSENT, FEWER, TOO_FEW, Printed, Sign, agreed, agreeing, how_to_read, printed
from meshsim.report.metrics import shown
from meshsim.report.numbers import NOTHING, quantity, quantity_parts
from meshsim.report.shorten import short
from meshsim.report.verdicts import block

if TYPE_CHECKING:
    import pandas as pd

    from meshsim.analysis.wanted import Wanted
    from meshsim.experiment.breaking import Breaking
    from meshsim.experiment.find import Search

#: Columns of text, as wide as those of a comparison.
WIDTH = 110
#: Metrics shown where nobody asks for others.
METRICS = ("success_rate", "latency_p99")
_CELL = 24


def grid(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """Return a table as text: the first columns, of ``words``, to the left, the others to the right.

    Examples
    --------
    >>> print(grid("success rate", ["load", "hybrid"], [["0.5", "100 %"], ["2", "99 %"]]))
    success rate
      load  hybrid
      0.5    100 %
      2       99 %
    """
    widths = [max(len(row[at]) for row in [header, *rows]) for at in range(len(header))]
    lines = [title]
    for row in [header, *rows]:
        cells = [
            cell.ljust(width) if at < words else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)


def names(paths: Sequence[str]) -> list[str]:
    """Return short names of paths: as many of their last parts as tell them apart, two at least.

    Examples
    --------
    >>> names(["gateways.eu.replicas", "services.web.replicas", "load.scale"])
    ['eu.replicas', 'web.replicas', 'load.scale']
    """
    for parts in range(2, 20):
        found = [".".join(path.split(".")[-parts:]) for path in paths]
        if len(set(found)) == len(set(paths)):
            return found
    return list(paths)


def plain(summary: pd.DataFrame, varied: Sequence[str], metrics: Sequence[Wanted], width: int = WIDTH) -> str:
    """Return the means of a sweep as text: a block for each metric, a row for each point, deployments side by side.

    Parameters
    ----------
    summary
        As `meshsim.experiment.sweep.summary` returns it.
    varied
        Paths of what varies.
    metrics
        What to show.
    width
        Columns of text; more deployments than fit make more blocks.
    """
    deployments = [str(name) for name in dict.fromkeys(summary["deployment"])]
    points = summary.drop_duplicates("point").set_index("point")[list(varied)]
    first = names(varied)
    taken = sum(
        2 + max(len(name), *(len(_value(value)) for value in points[path]))
        for name, path in zip(first, varied, strict=True)
    )
    across = max((width - 2 - taken) // (_CELL + 2), 1)
    blocks, signs = [], set[Sign]()
    for metric in metrics:
        rows = metric.of(summary)
        for start in range(0, len(deployments), across):
            own = deployments[start : start + across]
            found = {point: [_cell(rows, point, name, metric) for name in own] for point in points.index}
            cells = [
                [*(_value(value) for value in values), *(one.text for one in found[point])]
                for point, values in zip(points.index, points.itertuples(index=False), strict=True)
            ]
            header = [*first, *(short(name, _CELL) for name in own)]
            blocks.append(grid(_title(metric), header, cells, len(first)))
            signs |= {sign for row in found.values() for one in row for sign in one.signs}
    return "\n\n".join([*blocks, *_footer(summary, signs, width), *_verdicts(summary, metrics, width)]) + "\n"


def _footer(summary: pd.DataFrame, signs: Collection[Sign], width: int) -> list[str]:
    n = int(summary["n"].max()) if len(summary) else 0
    words = (
        f"mean ± half width of the 95 % interval over n = {n} replications of each point"
        if n > 1
        else "1 replication of each point, so no intervals: run with --replications 5 or more"
    )
    return ["\n".join(line for text in (words, "; ".join(how_to_read(signs))) for line in wrap(text, width))]


def _verdicts(summary: pd.DataFrame, metrics: Sequence[Wanted], width: int) -> list[str]:
    """Return, for each metric, at how many points which deployment is better, if any is."""
    if "beats" not in summary or summary["deployment"].nunique() < 2:
        return []
    lines = []
    for metric in metrics:
        counted = Counter(said(group.set_index("deployment"))[1] for _, group in metric.of(summary).groupby("point"))
        points = sum(counted.values())
        lines += [(_title(metric), f"at {n} of {points} points: {words}") for words, n in counted.most_common()]
    label = max((len(name) for name, _ in lines), default=0) + 4
    return ["\n".join(["verdict", *block(lines, min(label, 40), width)])] if lines else []


def _title(metric: Wanted) -> str:
    flow = "" if metric.flow == "all" else f", {metric.flow}"
    return shown(metric.metric).label + flow + ("" if metric.phase == "all" else f", {metric.phase}")


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _cell(rows: pd.DataFrame, point: Any, deployment: str, metric: Wanted) -> Printed:
    own = rows[(rows["point"] == point) & (rows["deployment"] == deployment)]
    if not len(own):
        return ABSENT
    return printed(metric.metric, own.iloc[0].to_dict())


def breaking(found: Sequence[Breaking], search: Search) -> str:
    """Return where deployments break as text, with every point that was looked at."""
    metric = search.bound.wanted
    lines = [f"{search.axis.path}, until {search.bound}"]
    width = max(len(one.deployment) for one in found)
    lines += [f"  {one.deployment:<{width}}  {one}" for one in found]
    looks = [
        (one, look, printed(metric.metric, {**look._asdict(), "n": look.n - look.missing}))
        for one in found
        for look in one.looks
    ]
    rows = [[one.deployment, look.value, mean.text, str(look.n), look.state.value] for one, look, mean in looks]
    header = ["deployment", names([search.axis.path])[0], _title(metric), "n", "is"]
    note = (
        f"An interval of a look has {100 * search.confidence:.4g} % confidence: 95 % for all looks at a point."
        f" Fine and broken are points whose whole interval says so; up to {search.most} replications each"
    )
    note = "; ".join([note, *how_to_read(sign for _, _, mean in looks for sign in mean.signs)])
    return (
        "\n".join(lines)
        + "\n\n"
        + grid("what was looked at", header, rows)
        + "\n\n"
        + "\n".join(wrap(note, WIDTH))
        + "\n"
    )


def tornado(frame: pd.DataFrame) -> str:
    """Return a tornado as text: fields with the largest effect first, then which of them have one beyond chance."""
    blocks, signs, verdicts = [], set[Sign](), []
    for (deployment, metric), rows in frame.groupby(["deployment", "metric"], sort=False):
        name, records_ = str(metric).split(" ")[0], rows.to_dict(orient="records")
        base = _base(name, records_[0])
        found = [(row, _end(name, row), _change(name, row)) for row in records_]
        cells = [[row["field"], str(row["value"]), mean.text, change.text] for row, mean, change in found]
        blocks.append(
            grid(f"{metric}, {deployment}: {base.text} at the base", ["field", "at", "mean", "difference"], cells, 2)
        )
        signs = signs.union(base.signs, *(mean.signs | change.signs for _, mean, change in found))
        verdicts.append((f"{metric}, {short(str(deployment), _CELL)}", _depends(records_)))
    n = int(frame["n"].max())
    note = (
        f"differences to the base with 95 % intervals, paired over n = {n} replications" if n > 1 else "1 replication"
    )
    notes = [line for text in (note, "; ".join(how_to_read(signs))) for line in wrap(text, WIDTH)]
    label = max(len(name) for name, _ in verdicts) + 4
    return "\n\n".join([*blocks, "\n".join(notes), "\n".join(["verdict", *block(verdicts, label, WIDTH)])]) + "\n"


def at_base(name: str, row: Mapping[Any, Any]) -> str:
    """Return the mean of a tornado's base, with its bound where it is all or nothing.

    Examples
    --------
    >>> at_base("success_rate", {"base": 1.0, "base_low": 0.9998, "base_high": 1.0, "base_events": 0, "n": 3})
    '100 (>99.980) %'
    """
    return _base(name, row).text


def _base(name: str, row: Mapping[Any, Any]) -> Printed:
    own = {key.removeprefix("base_"): value for key, value in row.items() if str(key).startswith("base_")}
    # Studies that were saved before it was counted have no number of the base's own.
    return printed(name, {"n": row["n"], **own, "mean": row["base"]})


def _end(name: str, row: Mapping[Any, Any]) -> Printed:
    return printed(name, {**row, "n": row["end_n"], "half_width": math.nan})


def _change(name: str, row: Mapping[Any, Any]) -> Printed:
    """Return a difference; of shares in percentage points."""
    mean, unit = float(row["difference"]), shown(name).unit
    if not math.isfinite(mean):
        return ABSENT
    if _lacking(row):
        return Printed(TOO_FEW, TOO_FEW, frozenset({FEWER}))
    parts = quantity_parts(unit, mean, float(row["half_width"]))
    parts = parts._replace(mean=("+" if mean > 0 else "") + parts.mean)
    if unit == "fraction":
        parts = parts._replace(unit="points")
    if not (bool(row["difference_same"]) and math.isnan(row["half_width"])):
        return Printed(str(parts), parts.alone)
    return Printed(f"{parts} {agreeing(row['n'])}", parts.alone, frozenset({agreed(int(row["n"]))}))


def _lacking(row: Mapping[Any, Any]) -> int:
    """Return how many requests a replication needs for a percentile at the base and at this end; 0 for enough."""
    return int(max(row.get("base_requests_needed", 0), row.get("requests_needed", 0)))


def _depends(rows: Sequence[Mapping[Any, Any]]) -> str:
    """Return on which fields a metric depends beyond chance."""
    lacking = {row["field"]: _lacking(row) for row in rows if _lacking(row)}
    clear = [row for row in rows if not _lacking(row)]
    said = [_effects(clear, len(rows))] if clear else []
    unclear = [field for field in lacking if field not in {row["field"] for row in clear}]
    if unclear or not clear:
        where = f" with {', '.join(unclear)}" if clear else ""
        said.append(f"too few requests{where}: {max(lacking.values()):,} in each replication are needed")
    return "; ".join(said)


def _effects(rows: Sequence[Mapping[Any, Any]], ends: int) -> str:
    """Return on which fields a metric depends beyond chance, of so many ends in all."""
    n = max(int(row["n"]) for row in rows)
    if n < 2:
        return "one replication cannot tell differences from chance" if n else "nothing was observed"
    observed = dict.fromkeys(row["field"] for row in rows if row["n"])
    found = dict.fromkeys(row["field"] for row in rows if row["beyond_chance"])
    steady = [field for field in dict.fromkeys(row["field"] for row in rows if row.get("steady")) if field not in found]
    others = [field for field in observed if field not in found and field not in steady]
    unseen = [field for field in dict.fromkeys(row["field"] for row in rows) if field not in observed]
    words = [f"depends on {', '.join(found)}"] if found else []
    if steady:
        enough = least_difference(1 - 0.05 / ends)
        same = f"with {', '.join(steady)} it differs the same way in each of {n} replications"
        words.append(f"{same}; {enough} that agree would rule chance out")
    words += [f"no effect of {', '.join(others)} seen with these {n} replications"] if others else []
    words += [f"with {', '.join(unseen)} nothing was observed"] if unseen else []
    return "; ".join(words)


def indices(frame: pd.DataFrame) -> str:
    """Return Sobol' indices as text."""
    blocks = []
    for (deployment, metric), rows in frame.groupby(["deployment", "metric"], sort=False):
        cells = [
            [
                row["field"], *(
                    TOO_FEW if row.get("requests_needed", 0) else quantity("count", row[of], row[f"{of}_half_width"])
                    for of in ("first_order", "total")
                ),
            ]
            for row in rows.sort_values("total", ascending=False).to_dict(orient="records")
        ]  # fmt: skip
        blocks.append(grid(f"{metric}, {deployment}", ["field", "alone", "with others"], cells))
    points, n = int(frame["points"].iloc[0]), int(frame["replications"].iloc[0])
    note = (
        f"Shares of the variance over {points} points, means of {n} replications, with bootstrap 95 % intervals:"
        " what a field explains alone (first order), and together with others (total)."
    )
    if frame["total"].isna().any():
        note += f" {NOTHING}: the metric is the same at every point, so there is nothing to explain."
    if "requests_needed" in frame and frame["requests_needed"].any():
        note += f" {how_to_read([FEWER])[0]}."
    return "\n\n".join([*blocks, "\n".join(wrap(note, WIDTH))]) + "\n"


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as data that JSON can hold: no number is None, infinity a word.

    Examples
    --------
    >>> import pandas as pd
    >>> records(pd.DataFrame({"mean": [1.5, float("nan")], "metric": ["a", "b"]}))
    [{'mean': 1.5, 'metric': 'a'}, {'mean': None, 'metric': 'b'}]
    """
    return [{str(name): _json(value) for name, value in row.items()} for row in frame.to_dict(orient="records")]


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _json(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(inner) for inner in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def breaking_json(found: Sequence[Breaking], search: Search) -> dict[str, Any]:
    """Return where deployments break as data that JSON can hold."""
    return {
        "vary": search.axis.path,
        "unit": search.axis.unit,
        "until": str(search.bound),
        "resolution": search.resolution,
        "deployments": [
            {
                "deployment": one.deployment,
                "inside": one.inside,
                "fine": None if one.fine is None else one.fine.number,
                "broken": None if one.broken is None else one.broken.number,
                "close": one.close,
                "answer": str(one),
                "looks": [_json({**look._asdict(), "state": look.state.value}) for look in one.looks],
            }
            for one in found
        ],
    }
