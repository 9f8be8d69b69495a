from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from itertools import pairwise

import html5lib
import pytest

from meshsim.report.page.rendering import drawn, page
from meshsim.report.page.sections.answer import sentences
from meshsim.report.page.study import Study
from meshsim.report.page.writing import SECTIONS
from meshsim.report.plots import Plots
from meshsim.results.frames import concatenate
from tests.report import synthetic

XHTML = "{http://www.w3.org/1999/xhtml}"


def text_of(plots):
    """Return the page without its pictures, which take most of the time and have tests of their own."""
    study = Study(plots, synthetic.manifest(plots.document), synthetic.HOSTILE)
    ready = [drawn(replace(section(study), figures=())) for section in SECTIONS]
    words = {"title": synthetic.HOSTILE, "question": synthetic.HOSTILE, "run": synthetic.HOSTILE}
    return page(ready, sentences(study), words)


#: Three deployments make a page that is longer and no different.
TWO = {name: synthetic.FROZEN[name] for name in ("multi-primary", "primary-remote")}


@pytest.fixture(scope="module")
def text():
    return text_of(Plots(synthetic.hostile(), synthetic.tables(2, TWO)))


@pytest.fixture(scope="module")
def tree(text):
    parser = html5lib.HTMLParser(strict=True)
    return parser.parse(text)


def all_of(tree, name):
    return list(tree.iter(f"{XHTML}{name}"))


def test_the_page_is_valid_html_in_one_language(tree):
    assert tree.get("lang") == "en"
    identifiers = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(identifiers) == len(set(identifiers))


def test_there_are_eight_sections_and_headings_in_order(tree):
    heading = re.compile(rf"{re.escape(XHTML)}h([1-6])")
    levels = [int(found[1]) for element in tree.iter() if (found := heading.fullmatch(element.tag))]
    assert levels.count(1) == 1
    assert levels.count(2) == len(SECTIONS) == 8
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_second_section_has_scores_as_its_second_part(tree):
    section = next(element for element in all_of(tree, "section") if element.get("id") == "trade-offs")
    assert [element.text for element in section.iter(f"{XHTML}h3")] == ["Scores, by criteria and weights"]
    assert [element.get("id") for element in section.iter(f"{XHTML}table")] == ["table-trade-offs", "table-scores"]


def test_text_from_a_scenario_is_never_markup(tree, text):
    assert len(all_of(tree, "script")) == 1
    assert len(all_of(tree, "title")) == 1
    assert "alert('x')</script>" not in text
    assert "{{ 7*7 }}" in text
    assert "49 }}" not in text


def test_nothing_is_fetched(tree, text):
    for element in tree.iter():
        for attribute in ("src", "href", "srcset", "data", "action", "poster", "xlink:href"):
            assert (element.get(attribute) or "#").startswith(("#", "data:"))
    assert not all_of(tree, "link")
    assert "@import" not in text
    assert "url(" not in text


def test_the_policy_forbids_everything_but_the_one_script(tree):
    policy = next(m.get("content") for m in all_of(tree, "meta") if m.get("http-equiv") == "Content-Security-Policy")
    script = all_of(tree, "script")[0].text
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{digest}'" in policy


def test_tables_have_captions_and_scopes(tree):
    tables = all_of(tree, "table")
    assert len(tables) >= 6
    for table in tables:
        assert table.find(f"{XHTML}caption").text
        heads = list(table.iter(f"{XHTML}th"))
        assert heads
        assert all(head.get("scope") in ("col", "row", "rowgroup") for head in heads)


def test_the_first_thing_to_tab_to_skips_to_the_answer(tree):
    link = all_of(tree, "a")[0]
    assert (link.get("class"), link.get("href")) == ("skip", "#answer")


def test_contents_lead_to_sections_that_exist(tree):
    there = {element.get("id") for element in tree.iter()}
    assert all(link.get("href")[1:] in there for link in all_of(tree, "a"))


@pytest.mark.sample(1)
@pytest.mark.parametrize("missing", ["everything", "other deployments", "events"])
def test_whatever_is_missing_there_is_a_valid_page(missing):
    document = synthetic.document() if missing == "other deployments" else synthetic.document(timeline=[])
    tables = {
        "everything": lambda: concatenate([]),
        "other deployments": lambda: synthetic.tables(1, {"hybrid": ("eu-1",)}),
        "events": lambda: synthetic.tables(2),
    }[missing]()
    found = html5lib.HTMLParser(strict=True).parse(text_of(Plots(document, tables)))
    assert len(all_of(found, "h2")) == 8


@pytest.mark.slow
def test_the_same_numbers_make_the_same_page(text):
    assert text == text_of(Plots(synthetic.hostile(), synthetic.tables(2, TWO)))
