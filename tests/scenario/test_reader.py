"""Files that are no text, too large, missing, or include one another; what is read is one tree."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from meshsim.errors import ScenarioError
from meshsim.scenario import load
from meshsim.scenario.reader import MAX_BYTES, beside, read
from meshsim.scenario.tree import Place

SPECIAL = "is not a regular file but a pipe, a socket or a device; save it as a file first"


def refusal(name: str = "scenario.yaml") -> str:
    with pytest.raises(ScenarioError) as caught:
        load(name)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "scenario.yaml: the file is empty; a scenario begins with name:, regions:, clusters: …"),
        (
            b"# nothing\n---\n---\n",
            "scenario.yaml: the file is empty; a scenario begins with name:, regions:, clusters: …",
        ),
        (b"- a\n- b\n", "scenario.yaml:1: found a list; a scenario is a mapping with name:, regions:, clusters: …"),
        (
            b"\nhello\n",
            "scenario.yaml:2: found the value 'hello'; a scenario is a mapping with name:, regions:, clusters: …",
        ),
        (b"\x7fELF\x02\x01\x01\x00\x00", "scenario.yaml:1: a NUL byte: this is a binary file, or not UTF-8"),
        ("name: shop".encode("utf-16"), "scenario.yaml:1: a NUL byte: this is a binary file, or not UTF-8"),
        (b"name: caf\xe9\n", "scenario.yaml:1: the byte 0xe9 is not UTF-8 text"),
        (b"a: b\n\x89PNG\r\n\x1a\n", "scenario.yaml:2: the byte 0x89 is not UTF-8 text"),
        (b"a: b\nc: \x1b[31m\n", "scenario.yaml:2: the character U+001B is not allowed in YAML"),
        (
            b"a: b\n" + b"[" * 200,
            "scenario.yaml:2: not valid YAML at column 1: the indentation does not fit the lines above",
        ),
        (b"a: " + b"[" * 200, "scenario.yaml:1: nested deeper than 100 levels"),
        (b"a: " + b"[" * 1_000_000, "scenario.yaml:1: nested deeper than 100 levels"),
        (b"a: " + b"{a: " * 200, "scenario.yaml:1: nested deeper than 100 levels"),
        pytest.param(
            b"a: [" + b"1," * 200_001 + b"1]",
            "scenario.yaml:1: more than 200,000 values once its aliases are expanded",
            marks=pytest.mark.slow,
        ),
        (b"%YAML 3.0\n---\na: b", "scenario.yaml:1: not valid YAML at column 1: the text breaks YAML's rules here"),
    ],
    ids=lambda value: repr(value[:20]) if isinstance(value, bytes) else "",
)
def test_a_file_that_is_no_scenario_is_refused(folder, content, message):
    (folder / "scenario.yaml").write_bytes(content)
    assert refusal() == message


def test_a_file_of_50_megabytes_is_refused_without_reading_it(folder):
    with (folder / "scenario.yaml").open("wb") as stream:
        stream.truncate(50_000_000)
    assert refusal() == "scenario.yaml: the file has 50.0 MB; a scenario has at most 5 MB"


def test_a_device_without_end_is_refused():
    if not Path("/dev/zero").exists():
        pytest.skip("this system has no /dev/zero")
    assert refusal("/dev/zero") == f"/dev/zero: {SPECIAL}"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_without_waiting_for_its_writer(folder):
    os.mkfifo("scenario.yaml")
    assert refusal() == f"scenario.yaml: {SPECIAL}"
    (folder / "all.yaml").write_text("include: [scenario.yaml]")
    assert refusal("all.yaml") == f"all.yaml:1: include[0]: scenario.yaml: {SPECIAL}"
    (folder / "mesh.yaml").write_text("istio: [{path: scenario.yaml}]")
    assert refusal("mesh.yaml").split("\n")[0] == f"mesh.yaml:1: istio[0]: scenario.yaml: {SPECIAL}"


def test_a_file_just_within_the_limit_is_read(folder):
    comment = b"# " + b"x" * 98 + b"\n"
    (folder / "scenario.yaml").write_bytes(b"a: b\n" + comment * ((MAX_BYTES - 5) // len(comment)))
    assert read("scenario.yaml").plain() == {"a": "b"}


def test_a_missing_file_is_named(folder):
    assert refusal("no/such.yaml") == "no/such.yaml: no such file"


def test_a_folder_is_no_scenario(folder):
    (folder / "shop").mkdir()
    assert refusal("shop") == "shop: is a directory; name a file"


def test_a_file_without_permission_is_named(folder, monkeypatch):
    (folder / "scenario.yaml").write_text("a: b")

    def refused(*_args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refused)
    assert refusal() == "scenario.yaml: no permission to read it"


def test_a_name_with_a_nul_character_is_no_file_name(folder):
    assert refusal("a\0b.yaml") == "a\0b.yaml: is not a file name"


def test_a_link_in_a_circle_cannot_be_read(folder):
    (folder / "scenario.yaml").symlink_to("scenario.yaml")
    assert refusal().startswith("scenario.yaml: cannot be read: ")


def test_a_byte_order_mark_is_no_part_of_the_text(folder, base):
    (folder / "scenario.yaml").write_bytes(b"\xef\xbb\xbf" + base.encode())
    assert load("scenario.yaml").document.name == "shop"


# --- includes -------------------------------------------------------------------------------------------------


def test_the_including_file_wins_and_mappings_are_merged(folder, base):
    (folder / "common").mkdir()
    (folder / "common" / "shop.yaml").write_text(base)
    (folder / "scenario.yaml").write_text(
        "include: [common/shop.yaml]\nname: other\nservices: {web: {replicas: 5}}\ntimeline: []\n"
    )
    document = load("scenario.yaml").document
    assert (document.name, document.services["web"].replicas, len(document.services)) == ("other", 5, 2)
    assert (document.timeline, document.include) == ([], [])


def test_of_two_included_files_the_later_wins(folder):
    (folder / "a.yaml").write_text("x: 1\ny: 1\nz: 1")
    (folder / "b.yaml").write_text("x: 2\ny: 2")
    (folder / "scenario.yaml").write_text("include: [a.yaml, b.yaml]\nx: 3")
    assert read("scenario.yaml").plain() == {"x": 3, "y": 2, "z": 1}


def test_an_included_file_is_found_beside_the_one_that_names_it(folder):
    for place in ("a", "b"):
        (folder / place).mkdir()
    (folder / "b" / "two.yaml").write_text("x: 1")
    (folder / "a" / "one.yaml").write_text("include: [../b/two.yaml]")
    (folder / "scenario.yaml").write_text("include: [a/one.yaml]")
    assert read("scenario.yaml").locate(("x",)) == Place("b/two.yaml", 1)


def test_a_problem_of_an_included_file_is_told_at_its_own_line(folder, base):
    (folder / "common.yaml").write_text(base.replace("replicas: 2", "replicas: x"))
    (folder / "scenario.yaml").write_text("include: [common.yaml]\nduration: 5\n")
    assert refusal() == (
        "common.yaml:13: services.web.replicas: found the text 'x'; a whole number, or one by cluster, is wanted\n"
        "scenario.yaml:2: duration: 5 has no unit; write 5s or 5ms"
    )


def test_files_that_include_each_other_are_named_in_order(folder):
    (folder / "scenario.yaml").write_text("name: a\ninclude: [b.yaml]")
    (folder / "b.yaml").write_text("x: 1\ninclude:\n- c.yaml")
    (folder / "c.yaml").write_text("include: [./scenario.yaml]")
    assert refusal() == ("c.yaml:1: include: files include each other: scenario.yaml → b.yaml → c.yaml → scenario.yaml")


def test_includes_within_includes_have_an_end(folder):
    for index in range(30):
        (folder / f"{index}.yaml").write_text(f"include: [{index + 1}.yaml]")
    assert refusal("0.yaml") == "20.yaml:1: include: more than 20 includes within includes"


def test_a_file_included_on_many_ways_is_read_once(folder, monkeypatch):
    for index in range(18):
        (folder / f"{index}.yaml").write_text(f"include: [{index + 1}.yaml, {index + 1}.yaml, {index + 1}.yaml]")
    (folder / "18.yaml").write_text("x: 1")
    assert read("0.yaml").plain() == {"x": 1}


def test_all_missing_includes_are_told(folder):
    (folder / "scenario.yaml").write_text("include:\n- a.yaml\n- b.yaml")
    assert refusal() == (
        "scenario.yaml:2: include[0]: a.yaml: no such file\nscenario.yaml:3: include[1]: b.yaml: no such file"
    )


def test_a_dict_includes_files_relative_to_the_working_directory(folder, base):
    (folder / "common.yaml").write_text(base)
    assert load({"include": ["common.yaml"], "name": "other"}).document.name == "other"
    assert beside(Place(), "a/../b.yaml") == "b.yaml"
