"""What is timed is right: each model has the mean latency that theory gives, and both mesh models agree."""

import importlib

import pytest
from workloads import MESH, WORKLOADS

from meshsim.engine.simulation import Simulation

EXACT = ("W1", "W2", "W3")


def answer(module, workload, requests, seed=5):
    job = importlib.import_module(module).prepare(WORKLOADS.get(workload, workload), requests, seed)
    job.run()
    return job.read()


def test_theory_gives_the_latencies_that_are_known():
    assert [round(1e3 * WORKLOADS[name].latency, 2) for name in EXACT] == [50.0, 35.33, 104.0]
    assert WORKLOADS["W2p"].latency is None


@pytest.mark.sample(4)
@pytest.mark.parametrize("workload", EXACT)
@pytest.mark.parametrize("module", ["meshsim_scenario", "simpy_processes", "simpy_callbacks", "python_heap"])
def test_mean_latency_is_what_theory_says(module, workload):
    described = WORKLOADS[workload]
    found = answer(module, workload, 15_000)
    assert found.ended == pytest.approx(15_000, rel=0.03)
    assert found.calls == pytest.approx(described.tiers * found.ended, rel=0.001)
    assert abs(found.latency - described.latency) < 4 * described.noise(found.ended), (found, described.latency)


@pytest.mark.slow
@pytest.mark.parametrize("workload", EXACT)
def test_mean_latency_of_the_compiled_loop_is_what_theory_says(workload):
    found = answer("compiled_heap", workload, 200_000)
    assert abs(found.latency - WORKLOADS[workload].latency) < 4 * WORKLOADS[workload].noise(200_000)


@pytest.mark.sample(1)
@pytest.mark.parametrize(("workload", "latency"), [("W2p", 0.0205), ("W3p", 0.0802)])
@pytest.mark.parametrize("module", ["meshsim_scenario", "simpy_processes"])
def test_models_with_proxies_agree(module, workload, latency):
    """What they agree on is the mean over 400,000 requests of the compiled loop."""
    found = answer(module, workload, 10_000)
    assert found.latency == pytest.approx(latency, rel=0.08)
    assert found.calls == pytest.approx(WORKLOADS[workload].tiers * found.ended, rel=0.001)


@pytest.mark.slow
def test_models_of_online_boutique_agree():
    own, idiomatic = (answer(module, MESH, 6_000) for module in ("meshsim_scenario", "simpy_processes"))
    assert own.calls / own.ended == pytest.approx(idiomatic.calls / idiomatic.ended, rel=0.03)
    assert own.latency == pytest.approx(idiomatic.latency, rel=0.15)


def test_every_mesh_mechanism_is_there_although_proxies_take_no_time():
    described = importlib.import_module("meshsim_scenario").described(WORKLOADS["W2"], 100, 1)
    assert not described.warnings
    assert described.document.sidecar.enabled
    assert described.resources.policy("tier0", "default", "1.31").load_balancer == "RANDOM"
    assert described.document.ingress["z0"].cpu == described.document.sidecar.cpu == 0.0
    simulation = Simulation(described, "multi-primary")
    simulation.run()
    assert int(simulation.mesh.plane.world.clock[0].calls_ended) > 0
