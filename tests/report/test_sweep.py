"""What is printed and drawn of sweeps, searches and sensitivity studies."""

from __future__ import annotations

import pandas as pd
import pytest

from meshsim.analysis.wanted import Wanted
from meshsim.report import sweep, sweep_pictures
from meshsim.report.style import render
from meshsim.report.sweep_progress import Progress, sweeping

P99 = Wanted("latency_p99")


def made_up(varied: dict[str, list], deployments: tuple[str, ...] = ("hybrid", "multi-primary")) -> pd.DataFrame:
    rows = []
    names = list(varied)
    for point, values in enumerate(zip(*varied.values(), strict=True)):
        for at, name in enumerate(deployments):
            for metric, mean in (("latency_p99", 0.1 * (point + 1) * (at + 1)), ("success_rate", 1 - 0.001 * point)):
                own = {"point": point, **dict(zip(names, values, strict=True)), "deployment": name, "phase": "all"}
                rows.append({**own, "metric": metric, "flow": "all", "mean": mean, "half_width": mean / 50, "n": 5})
    frame = pd.DataFrame(rows).assign(missing=0, never=0, events=float("nan"), same=False)
    return frame.assign(low=frame["mean"] - frame["half_width"], high=(frame["mean"] + frame["half_width"]))


def test_a_sweep_is_a_row_for_each_point_with_deployments_side_by_side() -> None:
    text = sweep.plain(
        made_up({"services.web.replicas": [1, 2], "load.scale": [0.5, 1.0]}),
        ["services.web.replicas", "load.scale"],
        [P99],
    )
    assert text.splitlines()[:3] == [
        "latency p99",
        "  web.replicas  load.scale      hybrid  multi-primary",
        "  1             0.5         100 ± 2 ms     200 ± 4 ms",
    ]
    assert "n = 5 replications" in text


def test_many_deployments_make_more_blocks_of_the_same_width() -> None:
    names = tuple(f"deployment-number-{number}" for number in range(9))
    text = sweep.plain(made_up({"load.scale": [1.0, 2.0]}, names), ["load.scale"], [P99])
    assert max(map(len, text.splitlines())) <= sweep.WIDTH
    assert text.count("latency p99") == 3


@pytest.mark.parametrize(
    "varied",
    [
        {"load.scale": [0.5, 1.0, 2.0]},
        {"load.web.rate": ["100/s", "200/s"]},
        {"services.web.replicas": ["{a: 1}", "{a: 2}"]},
        {"load.scale": [1.0, 1.0, 2.0, 2.0], "services.web.replicas": [1, 2, 1, 2]},
        {"a": [1.0, 2.0], "b": ["x", "y"], "c": [3, 4], "d": [1, 1]},
    ],
)
@pytest.mark.parametrize(
    "metric",
    [Wanted("success_rate"), *(pytest.param(other, marks=pytest.mark.slow) for other in (P99, Wanted("errors")))],
)
def test_every_sweep_can_be_drawn(varied: dict[str, list], metric: Wanted) -> None:
    figure = sweep_pictures.picture(made_up(varied), list(varied), metric).figure
    assert render(figure, "png").startswith(b"\x89PNG")


def test_numbers_that_json_lacks_are_none() -> None:
    assert sweep.records(pd.DataFrame({"a": [float("nan"), 1.0], "b": [("x",), ()]})) == [
        {"a": None, "b": ["x"]},
        {"a": 1.0, "b": []},
    ]


def test_progress_names_the_slowest_point_and_what_is_left() -> None:
    from meshsim.experiment import Unit
    from meshsim.experiment.points import Landed

    times = iter([0.0, 10.0])
    progress = Progress(4, lambda: next(times))
    for where, calls, seconds, found in (("a=1", 0, 9.0, True), ("a=2", 1000, 1.0, False), ("a=3", 3000, 4.0, False)):
        progress.landed(Landed(where, Unit("hybrid", 0), calls, seconds, found))
    assert progress.slowest() == [("a=3", 4.0), ("a=2", 1.0)]
    assert progress.line() == "3/4 units, 1 found, 400 calls/s, 5 s left; slowest: a=3 (4 s)"


def test_a_terminal_gets_a_live_table() -> None:
    from rich.console import Console

    from meshsim.experiment import Unit
    from meshsim.experiment.points import Landed

    progress = Progress(4)
    progress.landed(Landed("load.scale=2", Unit("hybrid", 0), 1000, 1.5, False))
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(progress.table())
    text = console.export_text()
    assert "1/4 units" in text
    assert "load.scale=2" in text
    console.file.close()


def test_who_wants_no_progress_gets_none() -> None:
    with sweeping(4, quiet=True) as watch:
        assert watch is None
