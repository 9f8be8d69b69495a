from __future__ import annotations

from meshsim.scenario.istio.report import Origin, Report


def origin(index=0, label="Kind/name", title=""):
    return Origin(index, label, lambda path: ("f.yaml", len(path)), title)


def test_a_warning_has_place_resource_field_and_reason():
    report = Report()
    report.warn(origin(), ("spec", "tls"))
    assert report.warnings() == ("f.yaml:2: Kind/name: spec.tls: has no effect in meshsim yet",)


def test_parts_of_a_part_are_left_out():
    report = Report()
    report.warn(origin(), ("spec", "tls", "mode"))
    report.warn(origin(), ("spec", "host"))
    report.warn(origin(), ("spec", "tls"))
    assert [warning.split(": ")[2] for warning in report.warnings()] == ["spec.host", "spec.tls"]


def test_a_warning_for_the_whole_may_point_at_the_field_that_says_so():
    report = Report()
    report.warn(origin(), ("spec", "tls"))
    report.warn(origin(), ("spec",), "is for nobody", ("spec", "host", "name"))
    assert report.warnings() == ("f.yaml:3: Kind/name: spec.host.name: is for nobody",)


def test_the_same_of_several_list_items_is_said_once_and_counted():
    report, one = Report(), origin()
    for index in (0, 0, 1, 2, 2):
        report.warn(one, ("spec", "http", index, "fault"))
    report.warn(origin(1), ("spec", "http", 0, "fault"))
    assert report.warnings() == (
        "f.yaml:4: Kind/name: spec.http[0].fault: has no effect in meshsim yet (and 2 more like it)",
        "f.yaml:4: Kind/name: spec.http[0].fault: has no effect in meshsim yet",
    )


def test_warnings_stand_in_the_order_of_resources_and_lines():
    report = Report()
    report.warn(origin(1, "b"), ("x",))
    report.warn(origin(0, "a"), ("spec", "x"))
    report.warn(origin(0, "a"), ("x",))
    assert [warning.split(":")[1:3] for warning in report.warnings()] == [["1", " a"], ["2", " a"], ["1", " b"]]


def test_an_error_has_place_resource_field_and_reason():
    report = Report()
    report.problem(origin(), ("spec", "http", 0), "is wrong")
    assert [str(problem) for problem in report.problems] == ["f.yaml:3: Kind/name: spec.http[0]: is wrong"]


def test_without_a_file_there_is_no_place():
    nowhere = Origin(0, "MeshConfig", lambda path: ("", 0))
    assert nowhere.at(("connectTimeout",)) == "MeshConfig: connectTimeout"
    assert nowhere.source(("connectTimeout",)) == "MeshConfig"
