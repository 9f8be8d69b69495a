"""Deployments compared: means with their bounds, paired differences of all pairs, and who is better beyond chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meshsim.analysis.enough import USUAL, forecast, replications_for_each, tolerance
from meshsim.analysis.means import KEYS, Cube, cube_of, estimates, without_chance
from meshsim.analysis.metrics import metric
from meshsim.analysis.multiple_comparisons import Differences, all_pairs
from meshsim.analysis.rare_events import least_difference
from meshsim.analysis.statistics import agreeing

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["compare", "differences", "estimates"]

Values = NDArray[np.float64]

#: Verdicts on what is not beyond chance, and on what is better only because requests failed.
UNSEEN, NOT_JUDGED = "no difference seen", "not judged"


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
        Columns ``deployment, phase, metric, flow, mean, half_width, n, missing, never, low, high, same, events, trials,
        spread, requests_needed, failing, difference, difference_half_width, verdict, beats, alike, steady, discounted,
        replications_needed``; docs/statistics.md says what they mean. ``missing`` counts replications without a value;
        ``never`` those of them that had not recovered when the run ended; where there are any, the row is compared in
        order (`meshsim.analysis.multiple_comparisons.in_order`) and has no ``difference``. ``low`` and ``high`` are the
        interval's ends, and ``half_width`` its longer side; nan where there is none, as where all values are the
        ``same``.
        ``requests_needed`` is 0, or what a replication lacks for a percentile to have a meaning; ``failing`` whether
        so many requests failed that the number is no merit (`meshsim.analysis.failing`). The verdict against the first
        deployment is ``better``, ``worse``, ``no difference seen``, ``differs`` (where neither way is better), ``not
        judged`` (better only as requests failed), or empty for the first. Tuples of deployments: ``beats`` has those
        that are worse beyond chance, ``alike`` those that have the same value in every replication, ``steady`` those
        from which it differs the same way in every replication, of which there are too few to be beyond chance, and
        ``discounted`` those that it would beat if failed requests were a merit. ``replications_needed`` is about how
        many it takes in all to know the mean, and its differences to the others, to ± 5 %: 0 if they are, nan if that
        is open.

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
    cube = cube_of(summary)
    size = len(cube.deployments) * len(cube.names)
    frame = cube.means(confidence)
    first = {"difference": np.full(size, np.nan), "difference_half_width": np.full(size, np.nan)}
    said = np.full((len(cube.deployments), len(cube.names)), UNSEEN, dtype=object)
    said[:1] = ""
    beats, alike, steady, discounted = (_empty_tuples(said.shape) for _ in range(4))
    widest, needed = (found.reshape(said.shape) for found in _own_needs(frame, confidence))
    for pair in all_pairs(cube.ordered, confidence):
        more = replications_for_each(pair.half_width, pair.n, pair.confidence, np.maximum(*widest[[pair.a, pair.b]]))
        needed[pair.a], needed[pair.b] = np.fmax(needed[pair.a], more), np.fmax(needed[pair.b], more)
        words = _words(cube, pair)
        if pair.a == 0:
            place = slice(pair.b * len(cube.names), (pair.b + 1) * len(cube.names))
            first["difference"][place], first["difference_half_width"][place] = pair.mean, pair.half_width
            said[pair.b] = words
        same = (pair.n > 0) & np.all(cube.same(pair), axis=1)
        apart = ~same & (words == UNSEEN) & _without_spread(cube, pair)
        for here, there, word, lower in ((pair.b, pair.a, "better", -1), (pair.a, pair.b, "worse", 1)):
            _append(beats[here], words == word, cube.deployments[there])
            _append(alike[here], same, cube.deployments[there])
            _append(steady[here], apart, cube.deployments[there])
            _append(discounted[here], (words == NOT_JUDGED) & (pair.sign * lower > 0), cube.deployments[there])
    return frame.assign(
        **first,
        verdict=said.ravel(),
        beats=beats.ravel(),
        alike=alike.ravel(),
        steady=steady.ravel(),
        discounted=discounted.ravel(),
        replications_needed=needed.ravel(),
    )


def differences(summary: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """Return the paired differences of all pairs of deployments, with intervals that hold together in every row.

    Returns
    -------
    pandas.DataFrame
        Columns ``deployment, than, phase, metric, flow, difference, half_width, n, confidence, verdict``:
        ``deployment`` less ``than``, the confidence of that interval alone, and whether ``deployment`` is ``better``,
        ``worse``, ``differs``, there is ``no difference seen``, or it is ``not judged``; see `compare`.

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

    cube = cube_of(summary)
    parts = [
        cube.names.assign(
            difference=pair.mean,
            half_width=pair.half_width,
            n=pair.n,
            confidence=pair.confidence,
            verdict=_words(cube, pair).astype(str),
        ).pipe(_labelled, cube.deployments[pair.b], cube.deployments[pair.a])
        for pair in all_pairs(cube.ordered, confidence)
    ]
    columns = ["deployment", "than", *KEYS, "difference", "half_width", "n", "confidence", "verdict"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _labelled(frame: pd.DataFrame, deployment: str, than: str) -> pd.DataFrame:
    frame.insert(0, "deployment", deployment)
    frame.insert(1, "than", than)
    return frame


def _words(cube: Cube, pair: Differences) -> NDArray[Any]:
    """Return, by row, what the difference says of ``b`` against ``a``."""
    beyond = pair.beyond_chance & (cube.needed[pair.a] == 0) & (cube.needed[pair.b] == 0)
    gap = np.nansum(cube.events[pair.b] - cube.events[pair.a], axis=1)
    counted = ~np.isnan(cube.events[[pair.a, pair.b]]).all(axis=(0, 2))
    least = np.array([least_difference(level) for level in pair.confidence])
    exempt = np.array([without_chance(str(name)) for name in cube.names["metric"]], dtype=bool)
    beyond &= ~counted | (np.abs(gap) >= least)
    # Differences that all agree have no spread: then it is as with coins again, a replication each.
    beyond &= counted | (pair.n >= least) | ~pair.agreeing | exempt
    # What failed requests spare is no merit of the lower one.
    spared = np.where(pair.sign < 0, cube.failing[pair.b], cube.failing[pair.a])
    return np.array(
        [
            UNSEEN if not there else NOT_JUDGED if free else _word(str(name), difference)
            for name, difference, there, free in zip(cube.names["metric"], pair.sign, beyond, spared, strict=True)
        ],
        dtype=object,
    )


def _without_spread(cube: Cube, pair: Differences) -> NDArray[np.bool_]:
    """Return which rows differ by the same in every replication, or of which one side always ended, the other never."""
    enough = (cube.needed[pair.a] == 0) & (cube.needed[pair.b] == 0) & (pair.n > 1)
    return np.asarray(enough & (pair.parted | ((np.abs(pair.mean) > 0) & pair.agreeing)))


def _own_needs(frame: pd.DataFrame, confidence: float) -> tuple[Values, Values]:
    """Return, by deployment and row, how wide an interval may be, and how many replications that takes."""
    mean, half = (frame[name].to_numpy(dtype=float) for name in ("mean", "half_width"))
    named = zip(frame["metric"], mean, strict=True)
    wanted = np.array([tolerance(str(name), at, USUAL) for name, at in named], dtype=float)
    n = frame["n"].to_numpy()
    needed = forecast(frame, wanted, confidence)
    enough = np.where(n < agreeing(confidence), float(agreeing(confidence)), 0.0)
    needed = np.where(frame["same"] & np.isnan(half), enough, needed)
    return wanted, np.where(frame["never"] > 0, np.nan, needed)  # no replication more makes a mean of it


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
