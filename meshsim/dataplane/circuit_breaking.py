"""Circuit breakers: limits on connections, pending requests, requests and retries (spec §3.1).

One set of limits per upstream of a proxy, shared by its hosts and worker threads.
"""

from __future__ import annotations

from meshsim.dataplane.jit import jit
from meshsim.scenario.istio.policy import Policy


def lower(row, policy: Policy) -> None:
    """Write a policy's limits into its record."""
    limits = policy.circuit_breaker
    row.max_connections = limits.max_connections
    row.max_pending = limits.max_pending_requests
    row.max_requests = limits.max_requests
    row.max_retries = limits.max_retries
    budget = policy.retry_budget
    row.has_budget = int(budget is not None)
    if budget is not None:
        row.budget = budget.percent / 100.0
        row.budget_minimum = budget.min_retry_concurrency


@jit
def may_connect(policy, up, pool):
    """Return whether a pool may open a connection; each may always open its first one."""
    return up.connections < policy.max_connections or pool.connections == 0


@jit
def may_retry(policy, up):
    """Return whether another retry may run at the same time; a budget takes the place of the limit.

    The attempt that has just failed still counts towards the requests that a budget is a part of.
    """
    if policy.has_budget == 1:
        return up.retrying < max(policy.budget_minimum, int(policy.budget * (up.active + 1 + up.pending)))
    return up.retrying < policy.max_retries
