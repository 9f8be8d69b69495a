from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from meshsim.report.page.sections.distributions import distributions
from meshsim.report.page.study import Study
from meshsim.report.plots import Plots
from meshsim.results.tables import TABLES
from tests.report import synthetic


def spans(deployments: tuple[str, ...]) -> pd.DataFrame:
    """Return ten requests of each deployment that end between 100 s and 110 s, a millisecond of each in a gateway."""
    rows: list[dict[str, Any]] = []
    blank = {column.name: "" if column.dtype == "str" else 0 for column in TABLES["spans"]}
    for deployment in deployments:
        for trace in range(10):
            took = 0.01 * (trace + 1)
            named = {"deployment": deployment, "trace": trace, "parent": -1, "kind": "call", "waited": 1, "code": 200}
            times = {"began": 100.0 + trace, "ended": 100.0 + trace + took, "gateway": 0.001, "link_on": took - 0.001}
            rows.append({**blank, **named, **times, "source": "ingress", "destination": "frontend"})
    return pd.DataFrame(rows)[[column.name for column in TABLES["spans"]]]


@pytest.fixture(scope="module")
def traced(plots: Plots) -> Study:
    tables = {**plots.tables, "spans": spans(plots.deployments)}
    return Study(Plots(plots.document, tables), synthetic.manifest(plots.document))


@pytest.mark.slow
def test_where_the_time_of_requests_went_is_a_picture_and_a_table(traced):
    section = distributions(traced)
    assert "waterfall" in [figure.name for figure in section.figures]
    (table,) = section.tables
    assert len(table.header) == 1 + 2 * len(traced.deployments)
    assert [row.label for row in table.rows] == ["link there", "east-west gateway", "all"]
    assert all(cell.text.startswith("1 ms, ") for cell in table.rows[1].cells)


@pytest.mark.slow
def test_nothing_is_shown_of_a_run_without_traced_requests(study):
    section = distributions(study)
    assert "waterfall" not in [figure.name for figure in section.figures]
    assert section.tables == ()
