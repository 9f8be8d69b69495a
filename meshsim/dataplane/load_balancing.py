"""Load balancers: which of a priority's hosts an attempt goes to (spec §2.2 to 2.5).

To add one: write a function that returns a slot, give it a number and a name in `BALANCERS`, and a line in `pick`.
"""

from __future__ import annotations

from meshsim.dataplane.jit import jit

ROUND_ROBIN, RANDOM, LEAST_REQUEST = range(3)

#: Istio's name of every balancer → its number here.
BALANCERS = {"ROUND_ROBIN": ROUND_ROBIN, "RANDOM": RANDOM, "LEAST_REQUEST": LEAST_REQUEST}


@jit
def pick(w, balancer, level, hosts, first, count, u1, u2):
    """Return a slot out of ``hosts[first : first + count]``; ``u1`` and ``u2`` are uniforms."""
    if balancer == RANDOM:
        return random(hosts, first, count, u1)
    if level.weighted == 1:
        return earliest_deadline(w, balancer, level, hosts, first, count)
    if balancer == LEAST_REQUEST:
        return least_request(w, hosts, first, count, u1, u2)
    return round_robin(level, hosts, first, count)


@jit
def random(hosts, first, count, u):
    """Return any host, whatever its weight (measured: Envoy's RANDOM ignores weights)."""
    return hosts[first + int(u * count)]


@jit
def round_robin(level, hosts, first, count):
    """Return the next host in turn; the turn moves on at every pick, retries included."""
    turn = level.next
    level.next = turn + 1
    return hosts[first + turn % count]


@jit
def least_request(w, hosts, first, count, u1, u2):
    """Return the less busy of two hosts drawn with replacement; a tie goes to the first drawn (least_request_lb.cc)."""
    one = hosts[first + int(u1 * count)]
    other = hosts[first + int(u2 * count)]
    return other if w.slots[other].active < w.slots[one].active else one


@jit
def earliest_deadline(w, balancer, level, hosts, first, count):
    """Return the host with the earliest deadline and queue it again, 1/weight later (edf_scheduler.h).

    LEAST_REQUEST divides the weight by the host's active requests plus one, read now, the new one not yet counted.
    """
    best = hosts[first]
    for index in range(first + 1, first + count):
        slot = hosts[index]
        if w.slots[slot].deadline < w.slots[best].deadline or (
            w.slots[slot].deadline == w.slots[best].deadline and w.slots[slot].order < w.slots[best].order
        ):
            best = slot
    host = w.slots[best]
    weight = host.weight / (host.active + 1.0) if balancer == LEAST_REQUEST else host.weight
    level.deadline = host.deadline
    level.next += 1
    host.deadline += 1.0 / weight
    host.order = level.next
    return best


@jit
def rebuild(w, upstream):
    """Start the schedulers anew after a change of hosts, with some picks made beforehand.

    Without them, proxies that were updated together would send to the same hosts in step; Envoy makes as many as
    its own seed says, modulo the number of hosts.
    """
    up = w.upstreams[upstream]
    balancer = w.policies[up.policy].balancer
    seed = int(w.proxies[up.proxy].seed)
    for p in range(up.priorities):
        level = w.priorities[upstream, p]
        if level.weighted == 0:
            continue
        level.deadline = 0.0
        panic = level.panic == 1
        count = level.total if panic else level.healthy
        hosts = w.members if panic else w.available
        for index in range(level.first, level.first + count):
            host = w.slots[hosts[index]]
            weight = host.weight / (host.active + 1.0) if balancer == LEAST_REQUEST else host.weight
            level.next += 1
            host.deadline = 1.0 / weight
            host.order = level.next
        if count > 0:
            for _ in range(seed % int(count)):
                earliest_deadline(w, balancer, level, hosts, level.first, count)
