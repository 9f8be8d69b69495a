from __future__ import annotations

import shutil
from importlib import resources

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine (Debian: apt install chromium)"),
]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def opened(browser, report):
    """Return a function that opens the report, without network, and what the page complained of."""
    contexts = []

    def open_it(width=1280, height=900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.complaints = []
        page.asked = []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto((report / "report.html").as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()


def test_axe_finds_no_accessibility_problem(opened):
    page = opened(bypass_csp=True)
    page.evaluate((resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run({resultTypes: ['violations']})")
    problems = [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found["violations"]]
    assert problems == []


def test_nothing_is_asked_for_and_nobody_complains(opened):
    page = opened()
    assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []
    assert page.complaints == []
    assert page.evaluate("document.images.length") == page.evaluate(
        "[...document.images].filter(image => image.complete && image.naturalWidth > 0).length"
    )


def test_the_first_screen_answers_the_three_questions(opened):
    page = opened()
    for question in ("What happens to users?", "What does it cost more?", "How sure is that?"):
        box = page.get_by_text(question).bounding_box()
        assert box["y"] + box["height"] < 900
    table = page.locator("#table-answer").bounding_box()
    assert table["y"] + table["height"] < 900


@pytest.mark.parametrize("width", [390, 768, 1280, 2000])
def test_nothing_makes_the_page_itself_scroll_sideways(opened, width):
    page = opened(width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_is_whole_without_javascript(opened):
    page = opened(java_script_enabled=False)
    assert page.locator("h2").count() == 8
    assert page.locator("table").count() >= 8
    assert page.locator("button").count() == 0


def test_rows_without_a_difference_can_be_hidden_and_come_back(opened):
    page = opened()
    rows = page.locator("#table-trade-offs tbody tr:visible")
    button = page.get_by_role("button")
    before = rows.count()
    button.click()
    assert rows.count() < before
    assert page.locator("#table-trade-offs thead tr:visible").count() == 1
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert rows.count() == before


def test_no_picture_is_wider_or_higher_than_a_printed_page(opened):
    page = opened(width=688, height=1000)  # A4 less its margins, at 96 pixels an inch
    page.emulate_media(media="print")
    for box in page.evaluate("[...document.images].map(i => [i.offsetWidth, i.offsetHeight])"):
        assert box[0] <= 688
        assert box[1] <= 1017
    assert page.pdf(prefer_css_page_size=True)[:5] == b"%PDF-"
