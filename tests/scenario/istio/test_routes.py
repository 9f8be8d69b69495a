"""What VirtualServices say, by itself: rewriting, copies, visibility."""

from __future__ import annotations

import pytest

from meshsim.scenario.istio.matching import match_of
from meshsim.scenario.istio.routes import Destination, HttpRule, Mirror, Rewrite, Route, VirtualService


@pytest.mark.parametrize(
    ("rewrite", "uri", "path", "seen"),
    [
        (Rewrite(uri="/v2"), {"prefix": "/v1"}, "/v1/cart", "/v2/cart"),
        (Rewrite(uri="/"), {"prefix": "/v1/"}, "/v1/cart", "/cart"),
        (Rewrite(uri="/"), {"prefix": "/v1"}, "/v1/cart", "//cart"),  # as Envoy does, to many users' surprise
        (Rewrite(uri="/new"), {"exact": "/old"}, "/old", "/new"),
        (Rewrite(uri="/new"), {"regex": "/o.*"}, "/old/x", "/new"),
        (Rewrite(uri="/v2"), None, "/cart", "/v2cart"),
        (Rewrite(authority="a.b"), {"prefix": "/v1"}, "/v1/cart", "/v1/cart"),
        (
            Rewrite(regex="^/service/([^/]+)(/.*)$", substitution=r"\2/instance/\1"),
            None,
            "/service/foo/v1",
            "/v1/instance/foo",
        ),
        (Rewrite(regex="one", substitution="two"), None, "/xxx/one/yyy/one", "/xxx/two/yyy/two"),
        (Rewrite(regex="a", substitution=r"<\0>\\"), None, "/a", "/<a>\\"),
    ],
)
def test_rewriting_replaces_what_matched(rewrite, uri, path, seen):
    assert rewrite.path(path, match_of({"uri": uri} if uri else {}, "shop")) == seen


@pytest.mark.parametrize(
    ("mirror", "percent", "mirrors", "copies"),
    [
        (None, 50.0, (), []),
        ("a", None, (), [("a", 100.0)]),
        ("a", 12.5, (), [("a", 12.5)]),
        ("a", 0.0, (), []),
        ("a", None, (Mirror(Destination("b"), 10.0), Mirror(Destination("c"), 0.0)), [("a", 100.0), ("b", 10.0)]),
    ],
)
def test_copies_go_to_mirrors_of_more_than_nothing(mirror, percent, mirrors, copies):
    # spec §3.5: the default is 100 percent
    rule = HttpRule(mirror=mirror and Destination(mirror), mirror_percent=percent, mirrors=mirrors)
    assert [(one.destination.service, one.percent) for one in rule.copies] == copies


@pytest.mark.parametrize(
    ("export_to", "namespaces"),
    [
        (("*",), {"shop", "bank"}),
        ((".",), {"shop"}),
        (("bank",), {"bank"}),
        ((".", "bank"), {"shop", "bank"}),
        (("~",), set()),
    ],
)
def test_a_virtual_service_is_seen_where_it_is_exported_to(export_to, namespaces):
    one = VirtualService(namespace="shop", export_to=export_to)
    assert {name for name in ("shop", "bank") if one.seen_by(name)} == namespaces


def test_routes_that_do_the_same_are_equal_whatever_they_come_from():
    to = ((Destination("cart", host="cart.shop"), 100),)
    assert Route(to, name="a", sources={"timeout": "a"}) == Route(((Destination("cart"), 100),))
    assert len({Route(to, name="a"), Route(to, name="b")}) == 1
