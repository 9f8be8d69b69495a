"""Conditions of a VirtualService on requests and clients (spec §3.5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshsim.scenario.istio.clients import Client, Request, gateway_name, serves
from meshsim.scenario.istio.matching import Match, Text, covers, match_of, merged, pattern, text_of

# --- texts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "taken", "left"),
    [
        ({"exact": "/a"}, ["/a"], ["/a/", "/A", "", None]),
        ({"prefix": "/a"}, ["/a", "/ab", "/a/b"], ["/", "/A", None]),
        ({"regex": "/a+"}, ["/a", "/aaa"], ["/ab", "b/a", None]),
        ({"regex": ".*b"}, ["ab", "b"], ["ba"]),
        ({}, ["", "x"], [None]),
        ({"regex": "*"}, ["", "x"], [None]),  # istio#20629
        ({"exact": ""}, [""], ["x", None]),
    ],
)
def test_texts_are_taken_whole_by_exact_and_regex_and_from_the_start_by_prefix(spec, taken, left):
    condition = text_of(spec)
    assert [text for text in [*taken, *left] if condition.takes(text)] == taken


@pytest.mark.parametrize(
    ("regex", "text"),
    [
        (r"/v[[:digit:]]+", "/v12"),
        (r"^/a\z", "/a"),
        (r"\Qa.b\E+", "a.bb"),
        (r"(?<name>x)y", "xy"),
        (r"(?i)ABC", "abc"),
        (r"[^[:space:]]+", "abc"),
        (r"a{2,3}", "aaa"),
        (r"\\1", "\\1"),
        (r"a\++", "a+++"),
        (r"f\(?=x", "f=x"),
        (r"[(?=+]+", "(?="),
        (r"[]a]+", "]a"),
        (r"[[a]+", "[a"),
    ],
)
def test_what_re2_writes_otherwise_is_understood(regex, text):
    assert pattern(regex).fullmatch(text)


def test_letters_and_digits_are_those_of_ascii_as_in_re2():
    assert not pattern(r"\w").fullmatch("é")


@pytest.mark.parametrize(
    "regex", ["(?!a)b", "(?=a)", "(?<=a)b", "(?<!a)b", r"(a)\1", "(?P<n>a)(?P=n)", "a++", "(", "*a", "[[:no:]]", "a**"]
)
def test_what_re2_refuses_is_refused(regex):
    with pytest.raises(ValueError, match="is no RE2 expression"):
        pattern(regex)


# --- matches --------------------------------------------------------------------------------------------------

REQUEST = Request(
    "cart", "shop", port=8080, method="POST", path="/Cart/7", headers={"end-user": "jason", "x": ""}, query={"q": "1"}
)

TAKEN = [
    {},
    {"uri": {"exact": "/Cart/7"}},
    {"uri": {}},
    {"uri": {"prefix": "/Cart"}, "method": {"exact": "POST"}},
    {"uri": {"prefix": "/cart"}, "ignoreUriCase": True},
    {"uri": {"exact": "/cart/7"}, "ignoreUriCase": True},
    {"scheme": {"exact": "http"}},
    {"method": {"regex": "GET|POST"}},
    {"authority": {"exact": "cart.shop.svc.cluster.local"}},
    {"authority": {"prefix": "cart."}},
    {"headers": {"end-user": {"exact": "jason"}}},
    {"headers": {"End-User": {"regex": "j.*"}}},
    {"headers": {"end-user": {}, "x": {}}},
    {"headers": {":method": {"exact": "POST"}, ":path": {"prefix": "/Cart"}}},
    {"withoutHeaders": {"y": {}}},
    {"withoutHeaders": {"end-user": {"exact": "anna"}}},
    {"withoutHeaders": {"y": {"exact": "1"}}},
    {"queryParams": {"q": {"exact": "1"}}},
    {"queryParams": {"q": {}}},
    {"name": "n", "statPrefix": "s"},
]
LEFT = [
    {"uri": {"exact": "/Cart"}},
    {"uri": {"prefix": "/cart"}},
    {"uri": {"regex": "/cart/7"}, "ignoreUriCase": True},  # regular expressions keep their case
    {"uri": {"prefix": "/Cart"}, "method": {"exact": "GET"}},
    {"scheme": {"exact": "https"}},
    {"authority": {"exact": "cart"}},
    {"headers": {"end-user": {"exact": "jason"}, "y": {}}},
    {"headers": {"y": {"regex": ".*"}}},
    {"withoutHeaders": {"end-user": {}}},
    {"withoutHeaders": {"end-user": {"prefix": "j"}}},
    {"withoutHeaders": {"y": {"exact": ""}}},  # a missing header counts as an empty one
    {"queryParams": {"Q": {}}},
    {"queryParams": {"q": {"exact": "2"}}},
]


@pytest.mark.parametrize("spec", TAKEN, ids=str)
def test_matches_that_take_a_request(spec):
    assert match_of(spec, "shop").takes(REQUEST)


@pytest.mark.parametrize("spec", LEFT, ids=str)
def test_matches_that_leave_a_request(spec):
    assert not match_of(spec, "shop").takes(REQUEST)


WEB = Client("shop", {"app": "web", "version": "v1"})
FRONT = Client("istio-system", {"istio": "ingressgateway"}, "shop/front")


@pytest.mark.parametrize(
    ("spec", "client", "concerned"),
    [
        ({}, WEB, True),
        ({"port": 80}, WEB, True),
        ({"port": 8080}, WEB, False),
        ({"sourceLabels": {"app": "web"}}, WEB, True),
        ({"sourceLabels": {"app": "web", "version": "v2"}}, WEB, False),
        ({"sourceNamespace": "shop"}, WEB, True),
        ({"sourceNamespace": "bank"}, WEB, False),
        ({"gateways": ["front"]}, WEB, False),
        ({"gateways": ["front"]}, FRONT, True),
        ({"gateways": ["bank/front"]}, FRONT, False),
        ({"gateways": ["mesh", "front"]}, WEB, True),
        # where gateways are named, the source is not looked at (route.go, sourceMatchHTTP)
        ({"gateways": ["mesh"], "sourceLabels": {"app": "other"}}, WEB, True),
    ],
    ids=str,
)
def test_what_istiod_knows_beforehand_decides_which_clients_get_a_route(spec, client, concerned):
    assert match_of(spec, "shop").concerns(client, 80) is concerned


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("mesh", "mesh"),
        ("a", "shop/a"),
        ("bank/a", "bank/a"),
        ("./a", "shop/a"),
        ("a.bank.svc.cluster.local", "bank/a"),
    ],
)
def test_gateways_are_named_with_their_namespace(name, full):
    assert gateway_name(name, "shop") == full


def test_an_ingress_gateway_serves_every_gateway_but_is_no_sidecar():
    assert serves(("shop/front",), "*")
    assert not serves(("mesh",), "*")
    assert not serves((), "*")


@pytest.mark.parametrize(
    ("spec", "everything"),
    [
        ({}, True),
        ({"uri": {"prefix": "/"}}, True),
        ({"uri": {"regex": ".*"}}, True),
        ({"uri": {"prefix": "/"}, "sourceLabels": {"a": "b"}}, True),  # of the clients it concerns
        ({"uri": {"prefix": "/a"}}, False),
        ({"uri": {"prefix": "/"}, "headers": {"a": {}}}, False),
        ({"queryParams": {"a": {}}}, False),
    ],
    ids=str,
)
def test_a_match_for_everything_asks_for_no_path_header_or_parameter(spec, everything):
    assert match_of(spec, "shop").everything is everything


# --- delegation -----------------------------------------------------------------------------------------------


def m(**spec):
    return match_of(spec, "shop")


def test_a_delegate_takes_over_the_matches_of_its_root_and_the_other_way_round():
    here = (m(uri={"prefix": "/a"}),)
    assert merged(here, ()) == merged((), here) == here
    assert merged((), ()) == ()


def test_conditions_of_root_and_delegate_add_up():
    root = m(uri={"prefix": "/a"}, headers={"x": {"exact": "1"}}, port=80)
    own = m(uri={"exact": "/a/b"}, headers={"y": {}}, method={"exact": "GET"})
    (both,) = merged([root], [own])
    assert both == m(uri={"exact": "/a/b"}, headers={"x": {"exact": "1"}, "y": {}}, method={"exact": "GET"}, port=80)


def test_each_match_of_a_delegate_joins_every_match_of_the_root_that_it_fits():
    roots = [m(uri={"prefix": "/a"}), m(headers={"x": {}})]
    assert len(merged(roots, [m(uri={"prefix": "/a/b"})])) == 2
    assert merged(roots[:1], [m(uri={"prefix": "/a/b"}), m(uri={"prefix": "/c"})]) is None


@pytest.mark.parametrize(
    ("root", "own"),
    [
        ({"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/"}}),
        ({"uri": {"exact": "/a"}}, {"uri": {"prefix": "/a"}}),
        ({"uri": {"exact": "/a"}}, {"uri": {"exact": "/b"}}),
        ({"uri": {"regex": "/a"}}, {"uri": {"regex": "/a"}}),
        ({"headers": {"x": {"exact": "1"}}}, {"headers": {"x": {"exact": "2"}}}),
        ({"headers": {"x": {"exact": "1"}}}, {"withoutHeaders": {"x": {"exact": "2"}}}),
        ({"queryParams": {"x": {"exact": "1"}}}, {"queryParams": {"x": {"exact": "2"}}}),
        ({"method": {"exact": "GET"}}, {"method": {"exact": "PUT"}}),
        ({"port": 80}, {"port": 81}),
        ({"ignoreUriCase": True}, {"uri": {"prefix": "/a"}}),
    ],
    ids=str,
)
def test_root_and_delegate_that_contradict_each_other_match_nothing(root, own):
    assert merged([m(**root)], [m(**own)]) is None


# --- what an earlier rule takes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broad", "narrow", "covered"),
    [
        ({}, {"uri": {"regex": "a"}}, True),
        ({"uri": {"prefix": "/"}}, {"uri": {"exact": "/a"}, "ignoreUriCase": True}, True),
        ({"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/a/b"}}, True),
        ({"uri": {"prefix": "/a"}}, {"uri": {"prefix": "/A/b"}, "ignoreUriCase": True}, False),
        ({"uri": {"prefix": "/a/b"}}, {"uri": {"prefix": "/a"}}, False),
        ({"uri": {"regex": "a.*"}}, {"uri": {"exact": "ab"}}, False),
        ({"headers": {"x": {}}}, {"headers": {"x": {"exact": "1"}}}, True),
        ({"headers": {"x": {"exact": "1"}}}, {"headers": {"x": {}}}, False),
        ({"headers": {"x": {}}}, {}, False),
        ({"withoutHeaders": {"x": {}}}, {}, False),
        ({"method": {"exact": "GET"}}, {"method": {"exact": "GET"}, "port": 80}, True),
        ({"port": 80}, {}, False),
        ({"sourceLabels": {"a": "1"}}, {"sourceLabels": {"a": "1", "b": "2"}}, True),
        ({"sourceLabels": {"a": "1"}}, {}, False),
        ({"sourceNamespace": "a"}, {}, False),
        ({"gateways": ["mesh"]}, {}, False),
        ({"gateways": ["mesh", "a"]}, {"gateways": ["a"]}, True),
        ({"queryParams": {"q": {}}}, {"queryParams": {"q": {"prefix": "1"}}}, True),
    ],
    ids=str,
)
def test_a_match_covers_another_only_where_that_is_certain(broad, narrow, covered):
    assert covers(m(**broad), m(**narrow)) is covered


def test_the_default_match_takes_everything_of_everyone():
    assert Match().everything
    assert Match().anyone
    assert Text() == text_of({})


PATHS = st.sampled_from(["/", "/a", "/a/b", "/A", "/ab", "/b"])
TEXTS = st.one_of(
    st.builds(Text, st.sampled_from(["exact", "prefix"]), PATHS),
    st.builds(Text, st.just("regex"), st.sampled_from([".*", "/a.*", "/[ab]"])),
    st.just(Text()),
)
HEADERS = st.dictionaries(st.sampled_from("xy"), TEXTS, max_size=2).map(lambda found: tuple(found.items()))
MATCHES = st.builds(
    Match, uri=st.none() | TEXTS, headers=HEADERS, without_headers=HEADERS, query=HEADERS, ignore_case=st.booleans()
)
VALUES = st.dictionaries(st.sampled_from("xy"), PATHS, max_size=2)
REQUESTS = st.builds(Request, st.just("cart"), path=PATHS, headers=VALUES, query=VALUES)


@given(MATCHES, MATCHES, REQUESTS)
def test_what_a_match_covers_it_takes(broad, narrow, request_):
    if covers(broad, narrow) and narrow.takes(request_):
        assert broad.takes(request_)


@given(MATCHES, MATCHES, REQUESTS)
def test_a_delegate_takes_nothing_that_its_own_match_leaves(root, own, request_):
    joined = merged([root], [own]) or ()
    if any(match.takes(request_) for match in joined):
        assert own.takes(request_)


@pytest.mark.parametrize("regex", ["/(a+)+$", "([a-z]*)*", "(?:.*)+"])
def test_a_repeat_of_a_repeat_is_refused_and_not_tried(regex):
    with pytest.raises(ValueError, match="repeats something itself"):
        pattern(regex)


@pytest.mark.parametrize("regex", [r"(\w+\.)*example\.com", "(.*?;)?(user=jason)(;.*)?", "(/v[0-9]+)+"])
def test_repeats_with_something_between_are_taken(regex):
    assert pattern(regex) is not None
