"""ns.py: packets whose size is their demand, ports that send one unit a second, and wires.

Its own generators stamp a packet before they wait for its time, so the source is written here.
"""

from __future__ import annotations

import random

import simpy
from ns.demux.random_demux import RandomDemux
from ns.packet.packet import Packet
from ns.packet.sink import PacketSink
from ns.port.port import Port
from ns.port.wire import Wire
from workloads import Answer, Job

NAME, PACKAGE = "ns.py", "ns.py"
WORKLOADS = ("W1", "W2", "W3")


class Sized:
    """Gives each packet the size that a tier takes to send; packets would else be as large everywhere."""

    def __init__(self, draw, out):
        self.draw, self.out = draw, out

    def put(self, packet):
        packet.size = self.draw() / 8  # ports count bits
        self.out.put(packet)


def prepare(workload, requests, seed):
    env = simpy.Environment()
    random.seed(seed)
    sink = PacketSink(env, rec_arrivals=False)
    out = sink
    for _ in range(workload.passes // 2):
        out = wired(env, workload.link, out)
    for number in range(workload.tiers):
        out = tier(env, workload, out)
        if workload.remote or number + 1 < workload.tiers:
            out = wired(env, workload.link, out)
    env.process(source(env, workload.rate, requests, out))

    def read():
        waits = sink.waits[0]
        return Answer(len(waits), sum(waits) / len(waits), workload.tiers * len(waits))

    return Job(env.run, read)


def source(env, rate, requests, out):
    for number in range(requests):
        yield env.timeout(random.expovariate(rate))
        out.put(Packet(env.now, 1.0, number))


def wired(env, link, out):
    wire = Wire(env, lambda: link)
    wire.out = out
    return wire


def tier(env, workload, out):
    demux = RandomDemux(env, [1 / workload.pods] * workload.pods)
    for number in range(workload.pods):
        demux.outs[number] = Port(env, rate=1.0)
        demux.outs[number].out = out
    return Sized(lambda: random.expovariate(1 / workload.demand), demux)
