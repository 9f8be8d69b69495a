"""Istio resources inline and by file: lists are opened, other objects are skipped with one warning, lines are kept."""

from __future__ import annotations

import pytest

from meshsim.errors import ScenarioError
from meshsim.scenario.manifests import with_resources
from meshsim.scenario.reader import read

RULE = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec: {host: web}\n"
OTHER = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n"


def loaded(folder, text):
    (folder / "scenario.yaml").write_text(text)
    root, warnings, problems = with_resources(read("scenario.yaml"))
    if problems:
        raise ScenarioError(problems)
    return root, warnings


def test_all_documents_of_a_file_are_read_and_keep_their_lines(folder):
    (folder / "rules.yaml").write_text(f"---\n{RULE}---\n# nothing\n---\n{RULE}")
    root, warnings = loaded(folder, "istio:\n- path: rules.yaml\n")
    assert [item["spec"] for item in root.plain()["istio"]] == [{"host": "web"}] * 2
    assert (root.locate(("istio", 1, "spec", "host")).file, root.locate(("istio", 1, "spec", "host")).line) == (
        "rules.yaml",
        12,
    )
    assert warnings == []


def test_a_list_of_objects_is_opened(folder):
    indented = "".join(f"    {line}\n" for line in RULE.splitlines())
    root, _ = loaded(folder, f"istio:\n- kind: List\n  apiVersion: v1\n  items:\n  -\n{indented}")
    assert len(root.plain()["istio"]) == 1
    assert root.locate(("istio", 0, "kind")).line == 7


def test_objects_of_others_are_skipped_with_one_warning_for_each_file(folder):
    (folder / "all.yaml").write_text(f"{OTHER}---\n{OTHER}---\n{RULE}---\napiVersion: v1\nkind: Service\n")
    root, warnings = loaded(folder, "istio: [{path: all.yaml}, {apiVersion: v1, kind: Pod}]")
    assert len(root.plain()["istio"]) == 1
    assert warnings == [
        "all.yaml: 3 objects are not of Istio and have no effect in meshsim: Deployment (2), Service",
        "istio: 1 object is not of Istio and has no effect in meshsim: Pod",
    ]


def test_a_path_is_relative_to_the_file_it_stands_in(folder):
    (folder / "mesh").mkdir()
    (folder / "mesh" / "rules.yaml").write_text(RULE)
    (folder / "mesh" / "common.yaml").write_text("istio: [{path: rules.yaml}]")
    root, _ = loaded(folder, "include: [mesh/common.yaml]")
    assert root.locate(("istio", 0)).file == "mesh/rules.yaml"


def test_everything_that_is_wrong_with_the_files_is_told_at_once(folder):
    (folder / "list.yaml").write_text("- a\n")
    (folder / "chart.yaml").write_text("a: 1\nb: {{ .Values.b }}\n")
    (folder / "twice.yaml").write_text("a: 1\na: 2\n")
    with pytest.raises(ScenarioError) as caught:
        loaded(
            folder,
            "istio:\n- path: no.yaml\n- path: list.yaml\n- path: chart.yaml\n- path: twice.yaml\n- path: 5\n- 7\n",
        )
    assert str(caught.value).split("\n") == [
        "scenario.yaml:2: istio[0]: no.yaml: no such file",
        "list.yaml:1: is not a Kubernetes object: apiVersion: and kind: are wanted",
        "chart.yaml:2: a Helm or Go template ({{ … }}); run helm template first and use what it prints",
        "twice.yaml:2: the key 'a' is given twice, on lines 1 and 2",
        "scenario.yaml:6: istio[4]: write {path: file.yaml}, with nothing beside it",
        "scenario.yaml:7: istio[5]: is not a Kubernetes object: apiVersion: and kind: are wanted",
    ]


def test_a_file_name_cannot_reach_the_terminal(folder):
    with pytest.raises(ScenarioError) as caught:
        loaded(folder, 'istio: [{path: "\\e[31m"}, {path: "a\\0b"}]')
    assert str(caught.value) == (
        "scenario.yaml:1: istio[0]: \\x1b[31m: no such file\nscenario.yaml:1: istio[1]: a\\x00b: is not a file name"
    )


def test_a_service_that_prefers_near_endpoints_is_kept(folder):
    near = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {trafficDistribution: PreferClose}\n"
    (folder / "all.yaml").write_text(f"{near}---\napiVersion: v1\nkind: Service\nmetadata: {{name: other}}\n")
    root, warnings = loaded(folder, "istio: [{path: all.yaml}]\n")
    assert [item["metadata"]["name"] for item in root.plain()["istio"]] == ["web"]
    assert warnings == ["all.yaml: 1 object is not of Istio and has no effect in meshsim: Service"]


def test_a_file_without_resources_has_no_effect_and_is_told_so(tmp_path):
    (tmp_path / "empty.yaml").write_text("# nothing yet\n---\n")
    change = "timeline:\n- event: config_change\n  apply:\n  - {path: empty.yaml}\n"
    (tmp_path / "mesh.yaml").write_text(change)
    _, warnings, _ = with_resources(read(str(tmp_path / "mesh.yaml")))
    [warning] = warnings
    assert warning.endswith("mesh.yaml:4: timeline[0].apply[0]: empty.yaml is empty and has no effect")
