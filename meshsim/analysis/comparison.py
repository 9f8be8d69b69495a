"""Deployments compared: means with their bounds, paired differences of all pairs, and who is better beyond chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meshsim.analysis.enough import USUAL, tolerance
from meshsim.analysis.metrics import PERCENTILES, metric
from meshsim.analysis.multiple_comparisons import Differences, all_pairs
from meshsim.analysis.rare_events import clopper_pearson, least_difference, requests_for
from meshsim.analysis.statistics import Estimate, intervals, replications_for

if TYPE_CHECKING:
    import pandas as pd

Values = NDArray[np.float64]

#: What a summary calls a row of.
KEYS = ["phase", "metric", "flow"]

#: Metrics that count events: metric → what they are counted among.
_AMONG = {"success_rate": "requests", "errors": "requests", "call_errors": "calls"}


def compare(summary: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """Return means over replications with their intervals, and who is better than whom beyond chance.

    Parameters
    ----------
    summary
        As `meshsim.analysis.summary.summarize` returns it.
    confidence
        Of the interval of a mean, and of all differences of a row together.

    Returns
    -------
    pandas.DataFrame
        Columns ``deployment, phase, metric, flow, mean, half_width, n, missing, never, low, high, events,
        requests_needed, difference, difference_half_width, verdict, beats, alike, replications_needed``;
        docs/statistics.md says what they mean. ``missing`` counts replications without a value; ``never`` those of
        them that had not recovered when the run ended. ``low`` and ``high`` are the interval's ends, wider than
        ``half_width`` says where events are few.
        ``requests_needed`` is 0, or what a replication lacks for a percentile to have a meaning. The verdict against
        the first deployment is ``better``, ``worse``, ``no difference seen``, ``differs`` (where neither way is
        better), or empty for the first. ``beats`` and ``alike`` are tuples of deployments: those that are worse beyond
        chance, and those that have the same value in every replication. ``replications_needed`` is about how many it
        takes in all to know the mean, and its differences to the others, to ± 5 %: 0 if they are, nan if that is open.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [(name, replication, "all", "latency_p99", "all", 0.1 * replication + extra)
    ...         for name, extra in (("hybrid", 0.0), ("primary-remote", 0.05)) for replication in range(3)]
    >>> columns = ["deployment", "replication", "phase", "metric", "flow", "value"]
    >>> table = compare(pd.DataFrame(rows, columns=columns))
    >>> table[["deployment", "mean", "difference", "verdict", "beats"]].round(6)
           deployment  mean  difference verdict              beats
    0          hybrid  0.10         NaN          (primary-remote,)
    1  primary-remote  0.15        0.05   worse                 ()
    """
    cube = _cube_of(summary)
    size = len(cube.deployments) * len(cube.names)
    frame = estimates(cube.deployments, cube.names, cube.values, confidence)
    low, high = _bounds(cube, frame, confidence)
    frame = frame.assign(never=_rows(cube.never).sum(axis=1), low=low, high=high, events=_total(cube.events))
    frame = frame.assign(requests_needed=_rows(cube.needed[..., None])[:, 0])
    first = {"difference": np.full(size, np.nan), "difference_half_width": np.full(size, np.nan)}
    said = np.full((len(cube.deployments), len(cube.names)), "no difference seen", dtype=object)
    said[:1] = ""
    beats, alike = (_empty_tuples(said.shape) for _ in range(2))
    widest, needed = (found.reshape(said.shape) for found in _own_needs(frame))
    for pair in all_pairs(cube.values, confidence):
        more = _needed(pair.mean, pair.half_width, pair.n, pair.confidence, np.maximum(*widest[[pair.a, pair.b]]))
        needed[pair.a], needed[pair.b] = np.fmax(needed[pair.a], more), np.fmax(needed[pair.b], more)
        words = _words(cube, pair)
        if pair.a == 0:
            place = slice(pair.b * len(cube.names), (pair.b + 1) * len(cube.names))
            first["difference"][place], first["difference_half_width"][place] = pair.mean, pair.half_width
            said[pair.b] = words
        same = (pair.n > 0) & np.all(cube.same(pair), axis=1)
        for here, there, word in ((pair.b, pair.a, "better"), (pair.a, pair.b, "worse")):
            _append(beats[here], words == word, cube.deployments[there])
            _append(alike[here], same, cube.deployments[there])
    return frame.assign(
        **first,
        verdict=said.ravel(),
        beats=beats.ravel(),
        alike=alike.ravel(),
        replications_needed=needed.ravel(),
    )


def differences(summary: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """Return the paired differences of all pairs of deployments, with intervals that hold together in every row.

    Returns
    -------
    pandas.DataFrame
        Columns ``deployment, than, phase, metric, flow, difference, half_width, n, confidence, verdict``:
        ``deployment`` less ``than``, the confidence of that interval alone, and whether ``deployment`` is ``better``,
        ``worse``, ``differs``, or there is ``no difference seen``.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [(name, replication, "all", "latency_p99", "all", 0.1 * replication + extra)
    ...         for name, extra in (("hybrid", 0.0), ("primary-remote", 0.05)) for replication in range(3)]
    >>> columns = ["deployment", "replication", "phase", "metric", "flow", "value"]
    >>> differences(pd.DataFrame(rows, columns=columns))[["deployment", "than", "difference", "verdict"]].round(6)
           deployment    than  difference verdict
    0  primary-remote  hybrid        0.05   worse
    """
    import pandas as pd

    cube = _cube_of(summary)
    parts = [
        cube.names.assign(
            difference=pair.mean,
            half_width=pair.half_width,
            n=pair.n,
            confidence=pair.confidence,
            verdict=_words(cube, pair).astype(str),
        ).pipe(_labelled, cube.deployments[pair.b], cube.deployments[pair.a])
        for pair in all_pairs(cube.values, confidence)
    ]
    columns = ["deployment", "than", *KEYS, "difference", "half_width", "n", "confidence", "verdict"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _labelled(frame: pd.DataFrame, deployment: str, than: str) -> pd.DataFrame:
    frame.insert(0, "deployment", deployment)
    frame.insert(1, "than", than)
    return frame


# --- one summary as arrays --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Cube:
    """Values by deployment, row and replication, and what is known of the events behind them."""

    deployments: list[str]
    names: pd.DataFrame
    values: Values
    never: NDArray[np.bool_]
    #: Events counted and what they were counted among; nan for rows that count none.
    events: Values
    trials: Values
    #: By deployment and row: requests a replication needs, where one of them has fewer.
    needed: NDArray[np.int64]

    def same(self, pair: Differences) -> NDArray[np.bool_]:
        """Return which values of two deployments are the same, or both missing."""
        a, b = self.values[pair.a], self.values[pair.b]
        return np.asarray(np.isclose(a, b, rtol=1e-12, atol=0.0, equal_nan=True))


def _cube_of(summary: pd.DataFrame) -> _Cube:
    deployments, names, values = cube(summary, KEYS)
    never = np.isinf(values)
    values[never] = np.nan  # one that never recovered has no place in a mean of seconds
    events, trials, needed = np.full(values.shape, np.nan), np.full(values.shape, np.nan), np.zeros(values.shape[:2])
    row = {key: at for at, key in enumerate(names.itertuples(index=False, name=None))}
    for (phase, name, flow), at in row.items():
        base = str(name).partition(":")[0]
        among = row.get((phase, _AMONG.get(base, "requests"), flow))
        if among is None:
            continue
        if base in _AMONG:
            trials[:, at] = values[:, among]
            counted = values[:, at] if base != "success_rate" else (1 - values[:, at]) * values[:, among]
            events[:, at] = np.round(counted)
        elif base.startswith("latency_p"):
            wanted = requests_for(PERCENTILES[base.removeprefix("latency_")])
            few = np.any((values[:, among] < wanted) & ~np.isnan(values[:, at]), axis=1)
            needed[:, at] = np.where(few, wanted, 0)
    return _Cube(deployments, names, values, never, events, trials, needed.astype(np.int64))


def _bounds(cube: _Cube, frame: pd.DataFrame, confidence: float) -> tuple[Values, Values]:
    """Return the ends of the intervals: Student's, or those of the events where these are wider, and no impossible."""
    mean, half, n = (frame[name].to_numpy(dtype=float) for name in ("mean", "half_width", "n"))
    low, high = mean - half, mean + half
    events, trials = _total(cube.events), _total(cube.trials)
    known = (trials > 0) & (events >= 0) & (events <= trials)
    least, most = clopper_pearson(np.where(known, events, 0), np.where(known, trials, 0), confidence)
    successes = (frame["metric"] == "success_rate").to_numpy()
    scale = np.where(successes, 1.0, trials / np.maximum(n, 1))
    least, most = np.where(successes, 1 - most, least * scale), np.where(successes, 1 - least, most * scale)
    # One replication has no interval; of what never happened, or always did, it has a bound all the same.
    extreme = known & ((events == 0) | (events == trials))
    usable = np.where(extreme | (known & (n > 1)), True, False)
    low, high = np.where(usable, np.fmin(low, least), low), np.where(usable, np.fmax(high, most), high)
    shares = np.array([metric(str(name)).unit == "fraction" for name in frame["metric"]], dtype=bool)
    inside = np.isfinite(mean) & (mean >= 0)  # a metric of somebody's own may be negative
    low = np.where(inside, np.maximum(low, 0.0), low)
    return low, np.where(shares & inside & (mean <= 1), np.minimum(high, 1.0), high)


def _total(values: Values) -> Values:
    """Return the sum over replications of each deployment and row, nan where none has a value."""
    flat = _rows(values)
    return np.where(np.isnan(flat).all(axis=1), np.nan, np.nansum(flat, axis=1))


def _words(cube: _Cube, pair: Differences) -> NDArray[Any]:
    """Return, by row, what the difference says of ``b`` against ``a``."""
    beyond = pair.beyond_chance & (cube.needed[pair.a] == 0) & (cube.needed[pair.b] == 0)
    gap = np.nansum(cube.events[pair.b] - cube.events[pair.a], axis=1)
    counted = ~np.isnan(cube.events[[pair.a, pair.b]]).all(axis=(0, 2))
    least = np.array([least_difference(level) for level in pair.confidence])
    beyond &= ~counted | (np.abs(gap) >= least)
    return np.array(
        [
            _word(str(name), difference) if there else "no difference seen"
            for name, difference, there in zip(cube.names["metric"], pair.mean, beyond, strict=True)
        ],
        dtype=object,
    )


def _own_needs(frame: pd.DataFrame) -> tuple[Values, Values]:
    """Return, by deployment and row, how wide an interval may be, and how many replications that takes."""
    mean, half, low, high = (frame[name].to_numpy(dtype=float) for name in ("mean", "half_width", "low", "high"))
    longer = np.where(np.isnan(half), np.nan, np.maximum(high - mean, mean - low))
    named = zip(frame["metric"], mean, strict=True)
    wanted = np.array([tolerance(str(name), at, USUAL) for name, at in named], dtype=float)
    n = frame["n"].to_numpy()
    return wanted, _needed(mean, np.fmax(half, longer), n, np.full(len(n), 0.95), wanted)


def _needed(mean: Values, half_width: Values, n: NDArray[np.int64], confidence: Values, wanted: Values) -> Values:
    """Return about how many replications make each half width as narrow as wanted; 0 where it is, nan if unknown."""
    found = np.where(half_width <= wanted, 0.0, np.nan)
    for at in np.flatnonzero(half_width > wanted):
        estimate = Estimate(float(mean[at]), float(half_width[at]), int(n[at]), confidence=float(confidence[at]))
        found[at] = replications_for(estimate, float(wanted[at])) or np.nan
    return found


def _word(name: str, difference: float) -> str:
    better = metric(name).better
    if better is None:
        return "differs"
    return "better" if (difference > 0) == (better == "higher") else "worse"


def _empty_tuples(shape: tuple[int, ...]) -> NDArray[Any]:
    found = np.empty(shape, dtype=object)
    found.fill(())
    return found


def _append(tuples: NDArray[Any], where: NDArray[np.bool_], name: str) -> None:
    for at in np.flatnonzero(where):
        tuples[at] = (*tuples[at], name)


# --- frames and cubes -------------------------------------------------------------------------------------------


def cube(frame: pd.DataFrame, keys: list[str]) -> tuple[list[str], pd.DataFrame, Values]:
    """Return deployments, names of what was measured, and values by deployment, name and replication."""
    import pandas as pd

    row = frame.groupby(keys, sort=False).ngroup().to_numpy()
    deployment, deployments = pd.factorize(frame["deployment"])
    replication, replications = pd.factorize(frame["replication"], sort=True)
    names = frame[keys].drop_duplicates().reset_index(drop=True)
    values = np.full((len(deployments), len(names), len(replications)), np.nan)
    values[deployment, row, replication] = frame["value"].to_numpy(dtype=float)
    return [str(name) for name in deployments], names, values


def estimates(deployments: Sequence[str], names: pd.DataFrame, values: Values, confidence: float) -> pd.DataFrame:
    """Return a row per deployment and name, with the mean of the replications and its interval."""
    import pandas as pd

    mean, half_width, n = intervals(_rows(values), confidence)
    repeated = pd.concat([names] * len(deployments), ignore_index=True) if deployments else names
    frame = repeated.assign(mean=mean, half_width=half_width, n=n, missing=values.shape[2] - n)
    frame.insert(0, "deployment", [deployment for deployment in deployments for _ in range(len(names))])
    return frame


def _rows(values: NDArray[Any]) -> NDArray[Any]:
    return values.reshape(values.shape[0] * values.shape[1], values.shape[2])
