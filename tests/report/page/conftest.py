from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from meshsim.report.page.study import Study
from meshsim.report.page.writing import files
from meshsim.report.plots import Plots
from tests.report import synthetic


@pytest.fixture(scope="session")
def study(plots: Plots) -> Study:
    """Return three deployments, four replications each, one control plane lost from 90 s to 190 s."""
    return Study(plots, synthetic.manifest(plots.document))


@pytest.fixture(scope="session")
def report(tmp_path_factory) -> Path:
    """Return a folder with a whole report: hostile names, three deployments, five replications."""
    folder = tmp_path_factory.mktemp("report")
    plots = Plots(synthetic.hostile(), synthetic.tables(5))
    made = files(Study(plots, synthetic.manifest(plots.document)), synthetic.HOSTILE)
    for name, content in made.items():
        (folder / name).write_bytes(content)
    return folder


def entering(tables, clusters) -> Study:
    """Return a study of users who enter by these clusters in turn."""
    of_users = tables["latency"]["kind"].to_numpy() == "ingress"
    changed = dict(tables)
    for name, rows in (("requests", np.ones(len(tables["requests"]), dtype=bool)), ("latency", of_users)):
        changed[name] = tables[name].assign(cluster=np.where(rows, np.resize(clusters, len(rows)), ""))
    return Study(Plots(synthetic.document(), changed), {})
