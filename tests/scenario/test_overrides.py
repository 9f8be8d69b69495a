"""``--set path=value`` changes any field, is validated with everything else, and says where its path goes wrong."""

from __future__ import annotations

import pytest

from meshsim.errors import ScenarioError
from meshsim.scenario.overrides import parse


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("load.web.rate=20/s", ("load", "web", "rate"), "20/s"),
        ("timeline[0].duration=5m", ("timeline", 0, "duration"), "5m"),
        (
            'services.web.endpoints."GET /v1.2".script[0]=[]',
            ("services", "web", "endpoints", "GET /v1.2", "script", 0),
            [],
        ),
        ("a.'b=c'[1][2]=x=y", ("a", "b=c", 1, 2), "x=y"),
        ("services.web.endpoints.GET /.script=[]", ("services", "web", "endpoints", "GET /", "script"), []),
        (" seed = 3", ("seed",), 3),
        ("queue=", ("queue",), None),
        ("replicas={eu-1: 2}", ("replicas",), {"eu-1": 2}),
        ("on='yes'", ("on",), "yes"),
    ],
)
def test_an_override_is_a_path_and_a_yaml_value(override, path, value):
    found, node = parse(override)
    assert (found, node.plain()) == (path, value)


@pytest.mark.parametrize(
    "override", ["", "x", "=5", ".a=1", "a..b=1", "[0]=3", 'services."web=1', "a[x]=1", "a[-1]=1", 'a.""=1', "a[0]b=1"]
)
def test_what_is_no_override_is_shown_the_form(override):
    with pytest.raises(ScenarioError) as caught:
        parse(override)
    assert str(caught.value) == f"--set: {override!r} is not a change; write path=value, such as load.web.rate=400/s"


def test_any_field_can_be_changed(load_changed):
    document = load_changed(
        overrides=(
            "load.web.rate=400/s",
            'services.web.endpoints."GET /".script[0].compute=5ms',
            "timeline[1].duration=2m",
            "sidecar.concurrency=4",
            "services.cart.replicas.us-1=3",
            "ingress.eu-1.replicas=2",
            "load.scale=2",
            "deployments=[hybrid]",
        )
    ).document
    assert document.load.entries["web"].rate == 400
    assert document.services["web"].endpoints["GET /"].script[0].compute.constant == 0.005
    assert document.timeline[1].duration == 120
    assert (document.sidecar.concurrency, document.ingress["eu-1"].replicas) == (4, 2)
    assert document.services["cart"].replicas == {"eu-1": 2, "us-1": 3}
    assert (document.load.scale, list(document.deployments)) == (2, ["hybrid"])


def test_the_last_of_two_changes_wins(load_changed):
    assert load_changed(overrides=("seed=1", "seed=2")).document.seed == 2


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("load.wbe.rate=1/s", "load.wbe.rate: unknown name 'wbe'; did you mean 'web'? (one of web)"),
        (
            "services.crt.replicas=1",
            "services.crt.replicas: unknown name 'crt'; did you mean 'cart'? (one of cart, web)",
        ),
        ("load.web.rate=5", "load.web.rate: 5 has no unit; write 5/s"),
        ("warm_up=on", "warm_up: true is not a duration; write it like 250ms, 10s or 1m30s"),
        ("timeline[7].duration=5m", "timeline[7].duration: timeline has 2 items (the first is [0])"),
        ("timeline.x=1", "timeline.x: timeline is a list; name an item as [0]"),
        ("services.web[0]=3", "services.web[0]: services.web is not a list"),
        ("services.web.replicas.eu-1=3", "services.web.replicas.eu-1: services.web.replicas is 2, not a mapping"),
        (
            "services.web.endpoints.GET /x.script=[]",
            "services.web.endpoints.GET /x.script: unknown name 'GET /x'; did you mean 'GET /'? (one of GET /)",
        ),
        ("ingress.eu-7.replicas=3", "ingress.eu-7: unknown cluster 'eu-7'; did you mean 'eu-1'? (one of eu-1, us-1)"),
        (
            "sidecar.cpus=1ms",
            "sidecar: unknown field 'cpus'; did you mean 'cpu'? (one of concurrency, cpu, enabled, handshake, latency)",
        ),
        ("seed={a: 1", "seed: not valid YAML at column 6: a mapping { … } is not closed, or a comma is missing"),
        ("seed=1\n---\n2", "seed: more than one value"),
        ("seed=*x", "seed: the alias *x has no anchor &x above it"),
        (
            "include=[nosuch.yaml]",
            "include: files are included before anything is changed; name them in the scenario itself",
        ),
        (
            "include[0]=nosuch.yaml",
            "include[0]: files are included before anything is changed; name them in the scenario itself",
        ),
    ],
)
def test_a_wrong_override_is_told_as_one(override, message, load_changed):
    with pytest.raises(ScenarioError) as caught:
        load_changed(overrides=(override,))
    assert str(caught.value) == f"--set: {message}"


def test_a_misspelt_field_is_told_with_the_nearest(load_changed):
    with pytest.raises(ScenarioError) as caught:
        load_changed(overrides=("durtion=5m",))
    assert str(caught.value).startswith("--set: unknown field 'durtion'; did you mean 'duration'?")


def test_all_wrong_overrides_are_told_at_once(load_changed):
    with pytest.raises(ScenarioError) as caught:
        load_changed(overrides=("x", "load.wbe.rate=1/s", "timeline[7]=x"))
    assert len(caught.value.problems) == 3


def test_a_path_of_a_thousand_steps_is_refused(load_changed):
    with pytest.raises(ScenarioError, match="has more than 50 steps"):
        load_changed(overrides=(".".join(["a"] * 1000) + "=1",))


def test_a_change_leaves_aliased_neighbours_alone(load_changed):
    scenario = load_changed(
        ("replicas: 2", "replicas: &all {eu-1: 2}"),
        ("replicas: {eu-1: 2}", "replicas: *all"),
        overrides=("services.web.replicas.eu-1=5",),
    )
    assert [service.replicas for service in scenario.document.services.values()] == [{"eu-1": 5}, {"eu-1": 2}]


def test_a_file_named_by_an_override_is_relative_to_the_working_directory(load_changed, folder):
    rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec: {host: web}\n"
    (folder / "rules.yaml").write_text(rule)
    assert len(load_changed(overrides=("istio=[{path: rules.yaml}]",)).document.istio) == 1
