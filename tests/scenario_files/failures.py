"""A run of the failure table, the cells that are asked of it, and what several of them have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

import meshsim

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "scenarios" / "failures"

MP, PR, EX, HY = "multi-primary", "primary-remote", "external", "hybrid"
MODELS = (MP, PR, EX)
EVERY = ("eu-1", "eu-2", "us-1")
#: Whose control plane is that of eu-1, or the one outside all clusters.
SERVED = {MP: ("eu-1",), PR: EVERY, EX: EVERY, HY: ("eu-1", "eu-2")}

#: Minutes at which things happen in (nearly) all the files.
FAILS, BACK, END = 5, 30, 35
#: The first renewals fail at once, so the first certificates run out half of their life later, the last a whole one.
FIRST_EXPIRY, LAST_EXPIRY = FAILS + 10, FAILS + 20
POD_GOES, FRONTEND_GOES, SCALED, APPLIED = 17, 19, 21, 23
#: Streams end when they are 10 min old, give or take 10 %.
STREAMS_OVER = FAILS + 11


# --- what is asked of a run ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """A run of one model; times are minutes."""

    model: str
    comparison: meshsim.Comparison

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        return self.comparison.tables

    @property
    def served(self) -> tuple[str, ...]:
        return SERVED[self.model]

    @property
    def others(self) -> tuple[str, ...]:
        return tuple(cluster for cluster in EVERY if cluster not in self.served)

    @property
    def plane(self) -> str:
        return EX if self.model == EX else "eu-1"

    def rows(self, table: str, since: float, until: float, **where: object) -> pd.DataFrame:
        """Return the rows of a table that lie in a span of time and have some values."""
        found = self.tables[table]
        found = found[(found["start"] >= 60 * since - 1e-6) & (found["end"] <= 60 * until + 1e-6)]
        for column, value in where.items():
            found = found[found[column] == value]
        return found

    def answered(self, cluster: str, since: float, until: float) -> float:
        """Return the share of the users' requests entering by a cluster that are answered."""
        return share(self.rows("requests", since, until, cluster=cluster))

    def waited(self, cluster: str, since: float, until: float) -> float:
        """Return how long users who enter by a cluster wait on average, seconds."""
        rows = self.rows("requests", since, until, cluster=cluster)
        return float(rows["latency_sum"].sum() / rows["count"].sum())

    def calls(self, since: float, until: float, **where: object) -> pd.DataFrame:
        return self.rows("calls", since, until, **where)

    def handshakes(self, cluster: str, since: float, until: float) -> float:
        """Return the share of calls to audit that succeed: each needs a new connection."""
        return share(self.calls(since, until, source_cluster=cluster, destination="audit"))

    def attempts(self, since: float, until: float, **where: object) -> float:
        rows = self.calls(since, until, **where)
        return float(rows["attempts"].sum() / rows["count"].sum())

    def level(self, what: str, cluster: str, at: float) -> float:
        """Return how many proxies of a cluster were stale, disconnected, … in the time bucket of an instant."""
        rows = self.tables["config"]
        row = rows[(rows["cluster"] == cluster) & (rows["start"] <= 60 * at) & (60 * at < rows["end"])].iloc[0]
        return float(row[f"{what}_seconds"] / (row["end"] - row["start"]))

    def expired(self, cluster: str, at: float) -> float:
        """Return the share of a cluster's sidecars whose certificate has run out; gateways are not counted as such."""
        rows = self.tables["config"]
        row = rows[(rows["cluster"] == cluster) & (rows["start"] <= 60 * at) & (60 * at < rows["end"])].iloc[0]
        return self.level("expired", cluster, at) / float(row["proxies"])

    def pods(self, what: str, cluster: str, since: float, until: float) -> float:
        return float(self.rows("pods", since, until, cluster=cluster, service="catalog")[what].sum())

    def istiod(self, what: str, name: str, since: float, until: float) -> float:
        return float(self.rows("control_planes", since, until, control_plane=name)[what].sum())

    def happened(self, kind: str, subject: str, since: float = 0.0, until: float = END) -> int:
        events = self.tables["events"]
        here = (events["time"] >= 60 * since) & (events["time"] < 60 * until)
        return int((here & (events["kind"] == kind) & (events["subject"] == subject)).sum())


def share(rows: pd.DataFrame) -> float:
    return float(rows.loc[rows["code"] == 200, "count"].sum() / rows["count"].sum())


@cache
def ran(row: str, model: str) -> Run:
    """Run a scenario once for all tests."""
    return Run(model, meshsim.run(meshsim.load(FOLDER / f"{row}.yaml"), model))


# --- the cells -----------------------------------------------------------------------------------------------------

Check = Callable[[Run], None]
CELLS: list[tuple[str, str, str, Check]] = []


def cell(row: str, models: str | Iterable[str], column: str) -> Callable[[Check], Check]:
    """Note a cell of the table: its row, the models for which it says the same, and its column."""

    def note(check: Check) -> Check:
        CELLS.extend((row, model, column, check) for model in ((models,) if isinstance(models, str) else models))
        return check

    return note


# --- what cells have in common -------------------------------------------------------------------------------------


def traffic_goes_on(run: Run, clusters: Iterable[str], until: float, at_least: float = 0.999) -> None:
    for cluster in clusters:
        assert run.answered(cluster, FAILS, until) >= at_least, cluster


def endpoints_are_frozen(run: Run, clusters: Iterable[str]) -> None:
    """Both changes make proxies stale, which they stay until what failed is back."""
    for cluster in clusters:
        assert run.level("stale", cluster, POD_GOES - 0.5) == 0, cluster
        assert run.level("stale", cluster, FRONTEND_GOES - 0.5) > 1, cluster
        assert run.level("stale", cluster, SCALED - 0.5) > 1, cluster
        assert run.level("stale", cluster, BACK - 0.5) > 1, cluster
        assert run.level("stale", cluster, END - 0.5) == 0, cluster


def endpoints_are_followed(run: Run, clusters: Iterable[str], besides: int = 0) -> None:
    """No proxy stays behind a change, ``besides`` those that are lost themselves."""
    for cluster in clusters:
        for at in (FRONTEND_GOES, SCALED, APPLIED, BACK):
            assert run.level("stale", cluster, at - 0.5) <= besides, (cluster, at)
        assert run.rows("config", POD_GOES, BACK, cluster=cluster)["pushes"].sum() > 0, cluster


def pods_are_rejected(run: Run, clusters: Iterable[str]) -> None:
    """The webhook's failurePolicy is Fail (spec §5.3): rejected until it is back, tried again, then started."""
    for cluster in clusters:
        assert run.pods("started", cluster, SCALED, BACK) == 0, cluster
        assert run.pods("blocked", cluster, SCALED, BACK) == 1, cluster
        assert run.pods("rejected", cluster, SCALED, BACK) > 10, cluster
        assert run.pods("started", cluster, BACK, END) == 1, cluster


def pods_start(run: Run, clusters: Iterable[str]) -> None:
    for cluster in clusters:
        assert run.pods("started", cluster, SCALED, SCALED + 1) == 1, cluster
        assert run.pods("rejected", cluster, SCALED, BACK) == 0, cluster


def pods_wait(run: Run, clusters: Iterable[str]) -> None:
    """Nothing rejects them, and they do not start either, until what failed is back."""
    for cluster in clusters:
        assert run.pods("started", cluster, SCALED, BACK) == 0, cluster
        assert run.pods("rejected", cluster, SCALED, BACK) == 0, cluster
        assert run.pods("started", cluster, BACK, END) == 1, cluster


def certificates_run_out(run: Run, clusters: Iterable[str]) -> None:
    """None for half of their life, all after a whole one, in between some (spec §5.2: 0, (T-12)/12, 1)."""
    for cluster in clusters:
        assert run.expired(cluster, FIRST_EXPIRY - 0.5) == 0, cluster
        some = [run.expired(cluster, at) for at in (FIRST_EXPIRY + 4, LAST_EXPIRY - 2)]
        assert some[0] < 0.9, cluster
        assert some[1] > 0, cluster
        assert run.expired(cluster, LAST_EXPIRY + 0.5) >= 0.75, cluster
        assert run.expired(cluster, END - 0.5) == 0, cluster


def certificates_are_renewed(run: Run, clusters: Iterable[str], until: float = END) -> None:
    for cluster in clusters:
        assert run.rows("config", 0, until, cluster=cluster)["expired_seconds"].sum() == 0, cluster


def only_new_handshakes_fail(run: Run, clusters: Iterable[str]) -> None:
    """Established connections outlive their certificates (spec §5.2)."""
    for cluster in clusters:
        assert run.handshakes(cluster, FAILS, FIRST_EXPIRY) > 0.999, cluster
        assert run.handshakes(cluster, LAST_EXPIRY + 0.5, BACK) < 0.02, cluster
        kept = run.calls(LAST_EXPIRY + 0.5, BACK, source_cluster=cluster, destination="orders")
        assert share(kept) > 0.95, cluster  # some of its connections are new, too


def configuration_is_refused(run: Run, *planes: str) -> None:
    """The validation webhook's failurePolicy is Fail (spec §5.3): applied when it is back."""
    for plane in planes:
        assert run.happened("configuration refused", plane, APPLIED, BACK) == 1, plane
        assert run.happened("configuration applied", plane, APPLIED, BACK) == 0, plane
        assert run.happened("configuration applied", plane, BACK, END) == 1, plane


def configuration_is_applied(run: Run, *planes: str) -> None:
    for plane in planes:
        assert run.happened("configuration applied", plane, APPLIED, APPLIED + 0.1) == 1, plane


def configuration_arrives(run: Run, clusters: Iterable[str], besides: int = 0) -> None:
    for cluster in clusters:
        assert run.level("drift", cluster, APPLIED + 0.5) <= besides, cluster


def configuration_is_late(run: Run, clusters: Iterable[str]) -> None:
    for cluster in clusters:
        assert run.level("drift", cluster, BACK - 0.5) >= 6, cluster
        assert run.level("drift", cluster, END - 0.5) == 0, cluster
