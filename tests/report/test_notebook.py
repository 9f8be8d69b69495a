from __future__ import annotations

import pandas as pd
import pytest

import meshsim
from meshsim.analysis.decision import decide
from meshsim.experiment.breaking import Breaking, Look, State
from meshsim.report.notebook import Decided, Found, Sensitivity, table
from meshsim.report.style import Picture
from tests.analysis.test_decision import COST, document, summary

MESH = {
    "name": "tiny",
    "regions": {"eu": {"zones": ["a"]}},
    "clusters": {"<eu-1>": {"region": "eu"}, "eu-2": {"region": "eu"}},
    "services": {"web": {"endpoints": {"GET /": {}}}},
    "load": {"web": {"rate": "1/s"}},
}


def test_a_graph_counts_what_is_in_it_and_names_who_controls_whom() -> None:
    mesh = {**MESH, "clusters": {"eu-1": {"region": "eu"}, "eu-2": {"region": "eu"}}}
    shown = meshsim.load(mesh).graph("primary-remote")._repr_html_()
    assert "2 clusters" in shown
    assert "<td>eu-1</td><td>eu-1, eu-2</td>" in shown


def test_what_comes_from_a_file_is_escaped() -> None:
    assert table(("<a>",), [("<script>",)]).count("&lt;") == 2


def test_a_topology_is_drawn_before_anything_runs() -> None:
    mesh = {**MESH, "clusters": {"eu-1": {"region": "eu"}}}
    panels = meshsim.load(mesh).topology(["hybrid"])
    assert [axes.get_title(loc="left") for axes in panels] == ["hybrid: 1 control plane"]
    assert panels._repr_png_().startswith(b"\x89PNG")


def test_a_study_draws_what_is_in_it_and_says_what_is_not() -> None:
    rows = [("hybrid", "latency_p99", "load.scale", end, 0.1, 0.01, 0.2, value, True, 0.1, 0.1, 0.1)
            for end, value in (("low", "0.5"), ("high", "2"))]  # fmt: skip
    columns = ["deployment", "metric", "field", "end", "difference", "half_width", "base", "value", "beyond_chance",
               "base_half_width", "base_low", "base_high"]  # fmt: skip
    study = Sensitivity(pd.DataFrame(rows, columns=columns).assign(n=3, base_n=3))
    with pytest.raises(ValueError, match="the study has nothing about errors under hybrid"):
        study.picture("errors")
    assert isinstance(study.picture().figure, Picture)
    assert type(study.head(1)) is pd.DataFrame


def test_what_was_found_is_a_list_that_shows_its_answers() -> None:
    fine = Look("1", 1.0, State.FINE, 1.0, 0.1, 3)
    found = Found([Breaking("<hybrid>", (fine, fine._replace(value="2", number=2.0)))])
    assert "<td>&lt;hybrid&gt;</td><td>does not break from 1 to 2</td>" in found._repr_html_()
    with pytest.raises(ValueError, match=r"not what meshsim\.find returned"):
        found.picture()


def test_a_decision_shows_its_scores_and_what_they_say() -> None:
    found = Decided.of(decide(summary({COST: {"<a>": 1.0, "b": 2.0}}), document({"price": {"metric": COST}})))
    shown = found._repr_html_()
    assert "<th>&lt;a&gt;</th>" in shown
    assert "<td>price (USD/month)</td><td>cost (less is better)</td><td>1 (100 %)</td>" in shown
    assert "<p>&lt;a&gt; has the highest total" in shown
    assert found.winner == "<a>"


def test_a_sweep_shows_its_points_side_by_side_and_draws_in_given_axes() -> None:
    from matplotlib.figure import Figure

    mesh = {**MESH, "clusters": {"eu-1": {"region": "eu"}}, "duration": "4s", "warm_up": "1s", "replications": 2}
    sweep = meshsim.sweep(meshsim.load(mesh), {"load.scale": [20, 40]}, ["hybrid"])
    shown = sweep._repr_html_()
    assert "<th>success_rate, hybrid</th>" in shown
    assert shown.count("<td>100 (") == 2
    ax = Figure().subplots()
    assert sweep.picture(ax=ax) is ax
