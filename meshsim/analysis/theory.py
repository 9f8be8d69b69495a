"""Closed forms of queueing theory, which the simulator must agree with."""

from __future__ import annotations

import math
from collections.abc import Sequence

# Kleinrock = L. Kleinrock, Queueing Systems, volume 1: Theory, Wiley 1975.
# Harchol-Balter = M. Harchol-Balter, Performance Modeling and Design of Computer Systems, Cambridge 2013.


def mm1_wait(rate: float, demand: float) -> float:
    """Return the mean wait (seconds) of an M/M/1 queue.

    Source: Kleinrock §3.2.

    Parameters
    ----------
    rate
        Arrivals per second.
    demand
        Mean service time, seconds.

    Raises
    ------
    ValueError
        If the queue is not stable.

    Examples
    --------
    >>> round(mm1_wait(80.0, 0.01), 9)
    0.04
    """
    load = _stable(rate, demand, 1)
    return load / (1 - load) * demand


def mm1_response(rate: float, demand: float) -> float:
    """Return the mean response time (seconds) of an M/M/1 queue.

    Source: Kleinrock §3.2.

    Raises
    ------
    ValueError
        If the queue is not stable.

    Examples
    --------
    >>> round(mm1_response(80.0, 0.01), 9)
    0.05
    """
    return mm1_wait(rate, demand) + demand


def mm1_response_quantile(rate: float, demand: float, q: float) -> float:
    """Return the ``q`` quantile (seconds) of the response time of a first-come-first-served M/M/1 queue.

    The response time is exponential. Source: Kleinrock §5.12, Harchol-Balter §26.

    Raises
    ------
    ValueError
        If the queue is not stable or ``q`` is not in [0, 1).

    Examples
    --------
    >>> round(mm1_response_quantile(80.0, 0.01, 0.99), 4)
    0.2303
    """
    if not 0 <= q < 1:
        raise ValueError(f"quantile {q} is not in [0, 1)")
    return -math.log1p(-q) * mm1_response(rate, demand)


def erlang_b(servers: int, load: float) -> float:
    """Return the fraction of arrivals lost by ``servers`` servers without a queue (M/G/c/c).

    Source: A. K. Erlang 1917; the recursion over servers: Kleinrock §3.6.

    Parameters
    ----------
    servers
        How many can be in service at once.
    load
        Offered load in erlangs: arrivals per second times mean service time.

    Examples
    --------
    >>> erlang_b(1, 1.0), round(erlang_b(10, 7.0), 5)
    (0.5, 0.07874)
    """
    lost = 1.0
    for busy in range(1, servers + 1):
        lost = load * lost / (busy + load * lost)
    return lost


def erlang_c(servers: int, load: float) -> float:
    """Return the fraction of arrivals that must wait in an M/M/c queue.

    Source: Kleinrock §3.5.

    Raises
    ------
    ValueError
        If the queue is not stable.

    Examples
    --------
    >>> round(erlang_c(1, 0.8), 9), round(erlang_c(2, 1.5), 5)
    (0.8, 0.64286)
    """
    utilisation = _stable(load, 1.0, servers)
    lost = erlang_b(servers, load)
    return lost / (1 - utilisation * (1 - lost))


def mmc_wait(rate: float, demand: float, servers: int) -> float:
    """Return the mean wait (seconds) of an M/M/c queue.

    Source: Kleinrock §3.5.

    Raises
    ------
    ValueError
        If the queue is not stable.

    Examples
    --------
    >>> round(mmc_wait(150.0, 0.01, 2), 6)
    0.012857
    """
    return erlang_c(servers, rate * demand) * demand / (servers - rate * demand)


def mmc_response(rate: float, demand: float, servers: int) -> float:
    """Return the mean response time (seconds) of an M/M/c queue.

    Source: Kleinrock §3.5.

    Raises
    ------
    ValueError
        If the queue is not stable.

    Examples
    --------
    >>> round(mmc_response(150.0, 0.01, 2), 6)
    0.022857
    """
    return mmc_wait(rate, demand, servers) + demand


def md1_wait(rate: float, demand: float) -> float:
    """Return the mean wait (seconds) of an M/D/1 queue, whose every service takes ``demand``.

    Source: Kleinrock §5.6; half of the M/M/1 wait.

    Raises
    ------
    ValueError
        If the queue is not stable.

    Examples
    --------
    >>> round(md1_wait(80.0, 0.01), 9)
    0.02
    """
    return mg1_wait(rate, demand, demand**2)


def mg1_wait(rate: float, demand: float, second_moment: float) -> float:
    """Return the mean wait (seconds) of an M/G/1 queue: the Pollaczek-Khinchine formula.

    Source: Kleinrock §5.6, Harchol-Balter §23.

    Parameters
    ----------
    rate
        Arrivals per second.
    demand
        Mean service time, seconds.
    second_moment
        Mean of the squared service time, seconds².

    Raises
    ------
    ValueError
        If the queue is not stable, or no distribution has these moments.

    Examples
    --------
    >>> round(mg1_wait(80.0, 0.01, 2 * 0.01**2), 9)
    0.04
    """
    load = _stable(rate, demand, 1)
    if second_moment < demand**2 * (1 - 1e-12):
        raise ValueError(f"second moment {second_moment} is below the square of the mean {demand}")
    return rate * second_moment / (2 * (1 - load))


def lognormal_moments(median: float, sigma: float) -> tuple[float, float]:
    """Return mean (seconds) and second moment (seconds²) of a lognormal.

    Source: N. Johnson, S. Kotz, N. Balakrishnan, Continuous Univariate Distributions, volume 1, Wiley 1994, §14.3.

    Parameters
    ----------
    median
        Seconds.
    sigma
        Standard deviation of the logarithm.

    Examples
    --------
    >>> mean, second = lognormal_moments(0.01, 0.5)
    >>> round(mean, 6), round(second, 8)
    (0.011331, 0.00016487)
    """
    return median * math.exp(sigma**2 / 2), median**2 * math.exp(2 * sigma**2)


def tandem_response(rate: float, demands: Sequence[float]) -> float:
    """Return the mean time (seconds) through M/M/1 queues one after the other.

    Each is as if alone: J. R. Jackson, Networks of waiting lines, Operations Research 5(4), 1957.

    Parameters
    ----------
    rate
        Arrivals per second at the first.
    demands
        Mean service time of each, seconds.

    Raises
    ------
    ValueError
        If one of the queues is not stable.

    Examples
    --------
    >>> round(tandem_response(70.0, [0.01, 0.01, 0.01]), 6)
    0.1
    """
    return sum(mm1_response(rate, demand) for demand in demands)


def mmck_blocking(rate: float, demand: float, servers: int, capacity: int) -> float:
    """Return the fraction of arrivals that find ``capacity`` in an M/M/c/K queue and are turned away.

    Source: Kleinrock §3.6; with ``capacity == servers`` it is Erlang's loss formula, with one server M/M/1/K.

    Parameters
    ----------
    rate
        Arrivals per second.
    demand
        Mean service time, seconds.
    servers, capacity
        How many are served at once, and how many fit in, served or waiting.

    Raises
    ------
    ValueError
        If ``capacity`` is below ``servers``.

    Examples
    --------
    >>> round(mmck_blocking(100.0, 0.01, 1, 4), 9), round(mmck_blocking(7.0, 1.0, 10, 10), 5)
    (0.2, 0.07874)
    """
    return _mmck(rate, demand, servers, capacity)[-1]


def mmck_response(rate: float, demand: float, servers: int, capacity: int) -> float:
    """Return the mean response time (seconds) of those who are let into an M/M/c/K queue.

    Source: Kleinrock §3.6, by Little's law.

    Raises
    ------
    ValueError
        If ``capacity`` is below ``servers``.

    Examples
    --------
    >>> round(mmck_response(100.0, 0.01, 1, 4), 9)
    0.025
    """
    inside = _mmck(rate, demand, servers, capacity)
    return sum(number * share for number, share in enumerate(inside)) / (rate * (1 - inside[-1]))


def closed_throughput(users: int, think: float, demand: float, servers: int = 1) -> float:
    """Return the requests per second that ``users`` make who think, ask and wait for the answer (machine repair).

    Source: Kleinrock §3.8 (M/M/c//M).

    Parameters
    ----------
    users
        How many there are.
    think
        Mean exponential time between an answer and the next request, seconds.
    demand
        Mean exponential service time, seconds.
    servers
        How many are served at once.

    Examples
    --------
    >>> round(closed_throughput(2, 1.0, 1.0), 9)
    0.8
    """
    weights = [1.0]
    for inside in range(1, users + 1):
        weights.append(weights[-1] * (users - inside + 1) / think * demand / min(inside, servers))
    total = sum(weights)
    return sum(min(inside, servers) / demand * weight / total for inside, weight in enumerate(weights))


def closed_response(users: int, think: float, demand: float, servers: int = 1) -> float:
    """Return the mean response time (seconds) that ``users`` see who think, ask and wait for the answer.

    By Little's law from `closed_throughput`: users = throughput · (response + think).

    Examples
    --------
    >>> round(closed_response(2, 1.0, 1.0), 9)
    1.5
    """
    return users / closed_throughput(users, think, demand, servers) - think


def choices_response(load: float, demand: float, choices: int = 2) -> float:
    """Return the mean response time (seconds) where each arrival joins the shortest of ``choices`` random queues.

    The limit of many servers, Poisson arrivals and exponential service. Source: M. Mitzenmacher, The power of two
    choices in randomized load balancing, IEEE Transactions on Parallel and Distributed Systems 12(10), 2001.

    Parameters
    ----------
    load
        Utilisation of a server, below 1.
    demand
        Mean service time, seconds.
    choices
        Queues looked at; 1 is random balancing.

    Raises
    ------
    ValueError
        If the servers are overloaded or nothing is looked at.

    Examples
    --------
    >>> round(choices_response(0.9, 1.0), 4), round(choices_response(0.9, 1.0, choices=1), 4)
    (2.6141, 10.0)
    """
    if choices < 1:
        raise ValueError(f"{choices} choices: at least one queue must be looked at")
    _stable(load, 1.0, 1)
    total, exponent = 0.0, 0  # (choices**k - choices) / (choices - 1) is choices times the last one, plus choices
    while (term := load**exponent) > 1e-17:
        total += term
        exponent = choices * (exponent + 1)
    return total * demand


def _stable(rate: float, demand: float, servers: int) -> float:
    """Return the utilisation, or refuse a queue that grows without end."""
    utilisation = rate * demand / servers
    if not 0 <= utilisation < 1:
        raise ValueError(f"utilisation {utilisation:.4g} is not in [0, 1): the queue has no steady state")
    return utilisation


def _mmck(rate: float, demand: float, servers: int, capacity: int) -> list[float]:
    """Return the steady-state probability of each number inside an M/M/c/K queue."""
    if capacity < servers:
        raise ValueError(f"capacity {capacity} is below the number of servers {servers}")
    weights = [1.0]
    for inside in range(1, capacity + 1):
        weights.append(weights[-1] * rate * demand / min(inside, servers))
    total = sum(weights)
    return [weight / total for weight in weights]
