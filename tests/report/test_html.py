from __future__ import annotations

from html.parser import HTMLParser
from types import SimpleNamespace

import pandas as pd

from meshsim.analysis.summary import compare
from meshsim.report.html import comparison_html, scenario_html, table_html
from tests.report import synthetic

EVIL = "<script>alert('x')</script>&"


class _Balanced(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen = [], set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def _checked(text):
    parser = _Balanced()
    parser.feed(text)
    assert parser.open == []
    return parser.seen


def test_names_in_a_comparison_are_escaped():
    rows = [(EVIL, i, EVIL, metric, EVIL, 1.0 + i) for i in range(2) for metric in ("latency_p99", EVIL)]
    frame = compare_unknown(rows)
    text = table_html(frame, full=True)
    assert "script" not in _checked(text)
    assert "&lt;script&gt;" in text


def compare_unknown(rows):
    """Return a comparison by hand: the analysis refuses metrics that it does not know."""
    columns = ["deployment", "replication", "phase", "metric", "flow", "value"]
    frame = pd.DataFrame(rows, columns=columns).drop(columns="replication").rename(columns={"value": "mean"})
    return frame.drop_duplicates(["deployment", "phase", "metric", "flow"]).assign(
        half_width=0.1, n=2, missing=0, difference=float("nan"), difference_half_width=float("nan")
    )


def test_a_comparison_is_one_well_formed_table_with_the_best_in_bold(plots):
    text = comparison_html(SimpleNamespace(metrics=plots.comparison, plot=plots, manifest={}))
    assert {"table", "b", "tbody"} <= _checked(text)
    assert "during: 1m30s to 3m10s" in text
    assert "<b>99.18 ± 0.08 %</b>" in text


def _scenario(document, *warnings):
    return SimpleNamespace(document=document, warnings=warnings)


def test_names_and_words_of_a_scenario_are_escaped():
    document = synthetic.document(
        description=EVIL,
        timeline=[{"event": "pod_churn", "name": EVIL, "start": "1s", "duration": "1s", "rate": "1/s", "target": {}}],
    )
    text = scenario_html(_scenario(document, EVIL))
    assert "script" not in _checked(text)
    assert text.count("&lt;script&gt;") == 3


def test_a_scenario_says_where_what_and_when():
    text = scenario_html(_scenario(synthetic.document()))
    for words in (
        "eu-1 in eu, net-eu",
        "200/s poisson on frontend",
        "1m30s to 3m10s: istiod of eu-1 is lost",
        "hybrid",
    ):
        assert words in text


def test_closed_load_is_told_in_users():
    load = {"frontend": {"arrivals": "closed", "users": 7, "think_time": "1s"}}
    assert "7 users, closed, on frontend" in scenario_html(_scenario(synthetic.document(load=load, timeline=[])))


def test_the_comparison_of_the_analysis_is_what_is_shown(plots):
    assert table_html(compare(pd.DataFrame({c: [] for c in _SUMMARY}))).startswith("<div><table>")


_SUMMARY = ["deployment", "replication", "phase", "metric", "flow", "value"]
