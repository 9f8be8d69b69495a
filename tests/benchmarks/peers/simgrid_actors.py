"""SimGrid: a host for each pod with an actor that computes and one that hands answers back; mailboxes and links."""

from __future__ import annotations

import random

from simgrid import Actor, Engine, LinkInRoute, Mailbox, NetZone, this_actor
from workloads import Answer, Job

NAME, PACKAGE = "SimGrid", "simgrid"
WORKLOADS = ("W1", "W2", "W3")
#: An engine cannot be made a second time in a process.
ONCE = True
SPEED = 1e9
#: Latency alone counts: no TCP windows, nothing that bandwidth would limit.
SETTINGS = ("network/model:CM02", "network/TCP-gamma:0", "network/latency-factor:1", "network/bandwidth-factor:1")


class Network:
    """Hosts, actors, and the sum of latencies; a request is the time at which it began, and the pods it passed."""

    def __init__(self, workload, requests, seed):
        self.workload, self.requests, self.draws = workload, requests, random.Random(seed)
        self.ended, self.total = 0, 0.0
        self.engine = Engine(["bench", "--log=root.thresh:error"])
        for setting in SETTINGS:
            Engine.set_config(setting)
        zone = NetZone.create_full_zone("mesh")
        tiers = range(workload.tiers)
        client = zone.create_host("client", SPEED).seal()
        hosts = [[zone.create_host(f"{tier}-{n}", SPEED).seal() for n in range(workload.pods)] for tier in tiers]
        self.connect(zone, [client], hosts[0], workload.link if workload.remote else 0.0)
        for tier in tiers[1:]:
            self.connect(zone, hosts[tier - 1], hosts[tier], workload.link)
        zone.seal()
        self.pods = [[Mailbox.by_name(host.name) for host in row] for row in hosts]
        self.answers = [[Mailbox.by_name(f"{host.name} answers") for host in row] for row in [*hosts, [client]]]
        Actor.create("users", client, self.users)
        Actor.create("answered", client, self.answered, self.answers[-1][0]).daemonize()
        for tier, row in enumerate(hosts):
            for number, host in enumerate(row):
                Actor.create("work", host, self.work, tier, number).daemonize()
                if tier + 1 < workload.tiers:
                    Actor.create("back", host, self.back, tier, number).daemonize()

    def connect(self, zone, those, others, latency):
        for one in those:
            for other in others:
                link = zone.create_link(f"{one.name} {other.name}", 1e15).set_latency(latency).seal()
                zone.add_route(one.netpoint, other.netpoint, None, None, [LinkInRoute(link)], True)

    def users(self):
        for _ in range(self.requests):
            this_actor.sleep_for(self.draws.expovariate(self.workload.rate))
            self.send(self.draws.choice(self.pods[0]), (Engine.clock, ()))

    def send(self, box, request):
        box.put_init(request, 1).detach()

    def work(self, tier, number):
        box, serves = self.pods[tier][number], 1 / self.workload.demand
        box.set_receiver(Actor.self())
        while True:
            began, passed = box.get()
            this_actor.execute(self.draws.expovariate(serves) * SPEED)
            if tier + 1 < self.workload.tiers:
                self.send(self.draws.choice(self.pods[tier + 1]), (began, (*passed, number)))
            else:
                self.reply(began, passed)

    def reply(self, began, passed):
        """Send an answer to the pod that a request came from, or to the client."""
        box = self.answers[len(passed) - 1][passed[-1]] if passed else self.answers[-1][0]
        self.send(box, (began, passed[:-1]))

    def back(self, tier, number):
        box = self.answers[tier][number]
        box.set_receiver(Actor.self())
        while True:
            self.reply(*box.get())

    def answered(self, box):
        box.set_receiver(Actor.self())
        while True:
            began, _ = box.get()
            self.ended += 1
            self.total += Engine.clock - began


def prepare(workload, requests, seed):
    network = Network(workload, requests, seed)
    return Job(
        network.engine.run,
        lambda: Answer(network.ended, network.total / network.ended, workload.tiers * network.ended),
    )
