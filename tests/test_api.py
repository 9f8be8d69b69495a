"""What a notebook does: load, run, compare, look, save, read again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import meshsim
from meshsim.errors import ResultsError, ScenarioError
from tests.report import synthetic

TINY = {
    "name": "tiny",
    "regions": {"eu": {"zones": ["a"]}, "us": {"zones": ["a"]}},
    "latency": [{"between": ["eu", "us"], "rtt": "80ms"}],
    "clusters": {"eu-1": {"region": "eu"}, "us-1": {"region": "us"}},
    "services": {"web": {"replicas": 2, "endpoints": {"GET /": {"script": [{"compute": "1ms"}]}}}},
    "load": {"web": {"rate": "50/s"}},
    "duration": "6s",
    "warm_up": "1s",
    "replications": 2,
}


@pytest.fixture(scope="module")
def comparison() -> meshsim.Comparison:
    return meshsim.compare(meshsim.load(TINY))


def test_a_comparison_has_a_table_with_deployments_side_by_side(comparison: meshsim.Comparison) -> None:
    table = comparison.table()
    assert list(table.columns) == ["multi-primary", "primary-remote", "hybrid"]
    assert table.loc[("all", "success_rate", "all")].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.slow
def test_a_comparison_shows_itself_in_a_notebook(comparison: meshsim.Comparison) -> None:
    assert "success rate" in comparison._repr_html_()
    assert comparison.plot.timeline()._repr_png_().startswith(b"\x89PNG")


def test_a_number_is_told_as_the_table_prints_it(comparison: meshsim.Comparison) -> None:
    assert comparison.text("success_rate", "hybrid").startswith("100 (>99.")
    assert comparison.text("requests") == comparison.text("requests", "multi-primary")
    with pytest.raises(KeyError, match="hybrid during success_rate all"):
        comparison.text("success_rate", "hybrid", phase="during")


def test_runs_and_the_course_of_time_are_data_frames(comparison: meshsim.Comparison) -> None:
    assert set(comparison.runs["replication"]) == {0, 1}
    requests = comparison.over_time.query("deployment == 'hybrid' and metric == 'requests' and flow == 'all'")
    assert requests["end"].is_monotonic_increasing
    assert requests["mean"].sum() > 200
    assert comparison.verdicts[0][0] == "success rate"


def test_what_is_saved_is_read_back(comparison: meshsim.Comparison, tmp_path: Path) -> None:
    again = meshsim.read(comparison.save(tmp_path, pictures=False))
    assert again.table().equals(comparison.table())
    assert meshsim.load(again.manifest["scenario"]).hash == again.manifest["scenario_hash"]


def test_reading_what_is_no_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"is not a whole run: it has no manifest\.json"):
        meshsim.read(tmp_path)


def test_what_was_expected_is_a_data_frame() -> None:
    expect = [{"metric": "stale_share", "phase": "during", "at_most": "10%", "deployment": "multi-*"}]
    document = synthetic.document(expect=expect)
    manifest = {"scenario": document.model_dump(mode="json", by_alias=True), "deployments": list(synthetic.FROZEN)}
    checked = meshsim.Comparison(synthetic.tables(), manifest).check()
    assert checked[["deployment", "holds", "sure"]].to_numpy().tolist() == [["multi-primary", True, True]]
    assert "multi-primary" in checked._repr_html_()


def test_a_check_of_what_expects_nothing_is_an_error_and_no_empty_success() -> None:
    manifest = {"scenario": synthetic.document().model_dump(mode="json", by_alias=True), "deployments": ["hybrid"]}
    with pytest.raises(ScenarioError, match="primary-outage: expect: is missing, so there is nothing to check"):
        meshsim.Comparison(synthetic.tables(1), manifest).check()


def test_a_run_is_a_comparison_of_one() -> None:
    run = meshsim.run(meshsim.load(TINY), "hybrid", replications=1)
    assert list(run.table().columns) == ["hybrid"]
    assert run.manifest["replications"] == {"asked": 1, "finished": 1}


def test_an_unknown_deployment_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(ScenarioError, match=r"unknown deployment 'multi-primry'; did you mean 'multi-primary'\?"):
        meshsim.run(meshsim.load(TINY), "multi-primry")
    with pytest.raises(ScenarioError, match=r"did you mean 'multi-primary'\?"):
        meshsim.load(TINY).graph("multi-primry")
    with pytest.raises(ScenarioError, match=r"did you mean 'multi-primary'\?"):
        meshsim.load(TINY).topology(["multi-primry"])


def test_a_scenario_gives_its_graph_and_shows_itself() -> None:
    scenario = meshsim.load(TINY)
    graph = scenario.graph("hybrid")
    kinds = [kind for _, kind in graph.nodes(data="kind")]
    assert kinds.count("cluster") == 2
    assert kinds.count("control-plane") == 2
    assert "tiny" in scenario._repr_html_()


def test_the_graph_is_written_as_graphml_or_json(tmp_path: Path) -> None:
    scenario = meshsim.load(TINY)
    assert "<graphml" in scenario.export_graph(tmp_path / "mesh.graphml", "hybrid").read_text()
    assert json.loads(scenario.export_graph(tmp_path / "mesh.json").read_text())["nodes"]


def test_a_deployment_named_twice_runs_once() -> None:
    run = meshsim.compare(meshsim.load(TINY), ["hybrid", "hybrid"], replications=1)
    assert run.tables["totals"].value_counts("quantity").max() == 1


@pytest.mark.parametrize(("asked", "said"), [({"replications": 0}, "0 replications"), ({"jobs": 0}, "0 processes")])
def test_nothing_to_run_is_an_error(asked: dict[str, int], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        meshsim.compare(meshsim.load(TINY), **asked)


def test_a_user_s_own_process_watches_a_running_mesh() -> None:
    simulation = meshsim.Simulation(meshsim.load(TINY), "hybrid", stepwise=True)
    seen = []

    def watch():
        while True:
            yield simulation.env.timeout(1.0)
            seen.append(int(simulation.mesh.plane.world.clock[0].arrived))

    simulation.env.process(watch())
    simulation.run()
    assert len(seen) == 5
    assert seen == sorted(seen)
    assert seen[0] > 20


def test_simulations_of_one_s_own_are_a_comparison_like_any_other(comparison: meshsim.Comparison) -> None:
    scenario = meshsim.load(TINY)
    runs = [meshsim.Simulation(scenario, "hybrid", number, stepwise=True) for number in (0, 1)]
    own = meshsim.Comparison.of(runs)
    assert own.manifest["replications"] == {"asked": 2, "finished": 2}
    assert (
        own.table()["hybrid"]
        .loc["all"]
        .equals(comparison.table()["hybrid"].loc["all"].loc[own.table().loc["all"].index])
    )
