"""The ranking of control-plane placements in Istio's documentation (Deployment Models) comes out of runs."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

import meshsim

pytestmark = pytest.mark.slow

FILE = Path(__file__).parents[2] / "scenarios" / "control-plane-placement.yaml"
#: From the lowest availability to the highest.
RANKING = ["one-in-a-region", "two-in-a-region", "one-in-a-zone", "two-in-a-zone", "one-in-each-cluster"]
#: After an outage proxies of the place itself still have to come back: as long as their back-off, and istiod's start.
BACK = 60.0


@pytest.fixture(scope="module")
def elsewhere() -> pd.DataFrame:
    """Return proxy-seconds without istiod outside of what was lost: a row for each run, a column for each placement."""
    scenario = meshsim.load(FILE)
    config = meshsim.compare(scenario).tables["config"].copy()
    config["lost"] = False
    for event in scenario.document.timeline:
        target = event.target
        zone = "" if target.zone is None else target.zone[-1]
        hit = config["cluster"] == target.cluster if target.cluster else config["cluster"].str.startswith(zone)
        config["lost"] |= hit & config["start"].between(event.start, event.start + event.duration + BACK)
    kept = config[~config["lost"]]
    return kept.pivot_table("disconnected_seconds", "replication", "deployment", "sum")


def test_the_nearer_control_planes_are_the_fewer_proxies_lose_theirs(elsewhere):
    assert sorted(RANKING) == sorted(elsewhere.columns)
    for worse, better in pairwise(RANKING):
        assert (elsewhere[worse] > 1.05 * elsewhere[better]).all(), (worse, better)


def test_with_a_control_plane_in_each_cluster_no_other_cluster_notices(elsewhere):
    # Streams that end at their age and begin anew take a fraction of a second each.
    assert elsewhere["one-in-each-cluster"].max() < 0.01 * elsewhere["one-in-a-region"].min()
