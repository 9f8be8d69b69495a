"""What fields say together: warnings that let a scenario run, and laws that do not show in a single changed line."""

from __future__ import annotations

import pytest
import yaml

from meshsim.errors import ScenarioError
from meshsim.scenario import Scenario, load
from meshsim.scenario.checks import CHECKS, NAME_CHECKS, check
from meshsim.scenario.checks.timeline import FIELDS
from meshsim.scenario.scenario import EXAMPLE
from meshsim.scenario.schema import Document
from meshsim.scenario.shape import event_names
from meshsim.scenario.tree import Place


def problems_of(document: Document) -> list[str]:
    return [str(problem) for problem in check(document, lambda _: Place())[0]]


def services(**scripts: object) -> Document:
    """Return a mesh of services with one endpoint each, all loaded."""
    return Document.model_validate(
        {
            "name": "mesh",
            "regions": {"eu": {}},
            "clusters": {"eu-1": {"region": "eu"}},
            "services": {name: {"endpoints": {"/": {"script": script}}} for name, script in scripts.items()},
            "load": {name: {"rate": "1/s"} for name in scripts},
        }
    )


def test_every_event_has_its_selector_fields():
    assert sorted(FIELDS) == sorted(event_names())


def test_checks_of_names_are_checks():
    assert set(NAME_CHECKS) < set(CHECKS)


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        (
            [("duration: 60s", "duration: 10m")],
            "scenario.yaml:27: timeline[0].duration: goes on to 11m; the run ends at 5m",
        ),
        (
            [("[{call: cart/GET /, timeout: 1s}, ", "[")],
            "scenario.yaml:19: services.cart: no load reaches the service 'cart'",
        ),
        ([("timeout: 1s", "count: 0")], "scenario.yaml:19: services.cart: no load reaches the service 'cart'"),
        ([("timeout: 1s", "probability: 0%")], "scenario.yaml:19: services.cart: no load reaches the service 'cart'"),
        (
            [("enters: {eu-1: 1}", "phases: [{spike: {start: 10m, duration: 1s, factor: 2}}]")],
            "scenario.yaml:24: load.web.phases[0].spike.start: begins after the end of the run",
        ),
        (
            [("event: partition", "event: link_slow")],
            "scenario.yaml:28: timeline[1]: changes nothing; give a delay, a jitter or a factor",
        ),
    ],
)
def test_what_is_probably_not_meant_is_a_warning(changes, warning, load_changed):
    assert load_changed(*changes).warnings == (warning,)


def test_warnings_stand_in_the_order_of_the_file(load_changed):
    warnings = load_changed(("duration: 60s", "duration: 10m"), ("timeout: 1s", "count: 0")).warnings
    assert [warning.split(":")[1] for warning in warnings] == ["19", "27"]


def test_a_service_may_not_have_the_name_of_the_gateways_that_users_come_through():
    found = problems_of(services(ingress=[], web=[]))
    assert len(found) == 1
    assert found[0].startswith("services.ingress: 'ingress' stands for the gateways that users come through")


def test_a_ring_of_certain_calls_is_named_once_from_any_start():
    document = services(
        a=[{"call": "b//"}], b=[[{"call": "c//", "count": 1.5}]], c=[{"call": "a//"}], d=[{"call": "a//"}]
    )
    assert problems_of(document) == [
        (
            "services.c.endpoints./.script[0].call: "
            "a request would never end: a// → b// → c// → a//, each with probability 1"
        )
    ]


def test_a_ring_that_may_be_left_is_allowed():
    assert problems_of(services(a=[{"call": "b//"}], b=[{"call": "a//", "probability": 0.99}])) == []
    assert problems_of(services(a=[{"call": "b//"}], b=[{"call": "a//", "count": 0.9}])) == []


def test_two_ways_to_one_service_are_no_ring():
    assert problems_of(services(a=[{"call": "b//"}, {"call": "c//"}], b=[{"call": "c//"}], c=[])) == []


def test_a_chain_of_thousands_of_services_is_checked():
    chain = {f"s{i}": [{"call": f"s{i + 1}//"}] for i in range(3000)}
    assert problems_of(services(**chain, s3000=[])) == []


def test_a_ring_that_one_workload_leaves_is_allowed(load_changed):
    ring = ("cart/GET /,", "web/GET /,")
    way_out = ("  cart:\n", "    workloads: {v1: {}, v2: {endpoints: {GET /: {}}}}\n  cart:\n")
    assert len(load_changed(ring, way_out).warnings) == 1
    all_in_it = (
        "v1: {}, v2: {endpoints: {GET /: {}}}",
        "v1: {}, v2: {endpoints: {GET /: {script: [{call: web/GET /}]}}}",
    )
    with pytest.raises(ScenarioError, match="a request would never end"):
        load_changed(ring, way_out, all_in_it)


def test_a_workloads_own_calls_are_checked_and_reach(load_changed):
    scripts = "    workloads: {v1: {endpoints: {GET /: {script: [{call: cart/GET /}]}}}}\n  cart:\n"
    assert load_changed(("[{call: cart/GET /, timeout: 1s}, ", "["), ("  cart:\n", scripts)).warnings == ()
    with pytest.raises(ScenarioError) as caught:
        load_changed(("  cart:\n", scripts.replace("call: cart/", "call: crt/")))
    assert caught.value.problems[0].path == "services.web.workloads.v1.endpoints.GET /.script[0].call"


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ("{event: rollout, start: 1s, target: {zone: eu/a}}", "zone"),
        ("{event: region_outage, start: 1s, duration: 1s, target: {cluster: eu-1}}", "cluster"),
        ("{event: traffic_surge, start: 1s, duration: 1s, factor: 2, target: {service: web}}", "service"),
        ("{event: pod_churn, start: 1s, duration: 1s, rate: 1/s, target: {control_plane: x}}", "control_plane"),
    ],
)
def test_a_selector_that_means_nothing_to_an_event_is_refused(event, field, load_changed):
    with pytest.raises(ScenarioError, match=rf"timeline\[2\]\.target\.{field}: means nothing to "):
        load_changed(("duration: 5m", f"  - {event}\nduration: 5m"))


@pytest.mark.parametrize(
    "event",
    [
        "{event: scale, start: 1s, replicas: 3, target: {service: c*, workload: cart}}",
        "{event: control_plane_down, start: 1s, duration: 1s, target: {control_plane: eu-1}}",
        "{event: zone_outage, start: 1s, duration: 1s, target: {zone: eu/b}}",
        "{event: traffic_surge, start: 1s, duration: 1s, factor: 2}",
        "{event: link_lossy, start: 1s, duration: 1s, loss: 1%, target: {from: {}, to: {zone: us/a}}}",
        "{event: service_failing, start: 1s, duration: 1s, target: {}}",
    ],
)
def test_selectors_that_match_are_accepted(event, load_changed):
    assert load_changed(("duration: 5m", f"  - {event}\nduration: 5m")).warnings == ()


def test_a_control_plane_that_no_deployment_can_have_is_unknown(load_changed):
    with pytest.raises(ScenarioError) as caught:
        load_changed(
            ("[multi-primary, hybrid]", "{own: {control_planes: {east: [eu-1], west: [us-1]}}}"),
            ("{cluster: eu-1}", "{control_plane: eats}"),
        )
    assert str(caught.value) == (
        "scenario.yaml:27: timeline[0].target.control_plane: 'eats' matches nothing; "
        "did you mean 'east'? (one of east, west)"
    )


def test_a_target_without_pods_in_its_cluster_matches_nothing(load_changed):
    event = "  - {event: rollout, start: 1s, target: {service: cart, cluster: us-1}}\nduration: 5m"
    with pytest.raises(
        ScenarioError, match=r"timeline\[2\]\.target: nothing matches all of {service: cart, cluster: us-1}"
    ):
        load_changed(("duration: 5m", event))
    assert load_changed(("duration: 5m", event), ("{eu-1: 2}", "{eu-1: 2, us-1: 0}")).warnings == ()


def test_churn_at_no_rate_is_refused(load_changed):
    event = "  - {event: pod_churn, start: 1s, duration: 1s, rate: 0/s, target: {}}\nduration: 5m"
    with pytest.raises(ScenarioError, match=r"timeline\[2\]\.rate: must be above 0/s"):
        load_changed(("duration: 5m", event))


def test_a_warm_up_longer_than_the_run_is_told_even_if_it_is_the_default(load_changed):
    with pytest.raises(ScenarioError, match="warm_up: 30s is not below the duration, 10s"):
        load_changed(("duration: 5m", "duration: 10s"))


# --- what has no effect -----------------------------------------------------------------------------------------

_CLOSED = "web: {arrivals: closed, users: 5, think_time: 1s, enters: {eu-1: 1}}"
_OPEN = "web: {rate: 100/s, enters: {eu-1: 1}}"
_SURGE = "  - {event: traffic_surge, start: 1s, duration: 1s, factor: 2, target: {TARGET}}\nduration: 5m"


def test_a_surge_of_closed_load_is_a_warning(load_changed):
    surge = ("duration: 5m", _SURGE.replace("TARGET", "cluster: eu-1"))
    assert load_changed((_OPEN, _CLOSED), surge).warnings == (
        "scenario.yaml:29: timeline[2]: has no effect: it multiplies rates, and only closed load enters by eu-1",
    )


def test_a_surge_where_no_load_enters_is_a_warning(load_changed):
    assert load_changed(("duration: 5m", _SURGE.replace("TARGET", "region: us"))).warnings == (
        "scenario.yaml:29: timeline[2]: has no effect: it multiplies rates, and no load enters by us-1",
    )


@pytest.mark.parametrize("target", ["", "cluster: eu-1", 'cluster: "*"'])
def test_a_surge_that_meets_some_open_load_is_right(target, load_changed):
    both = f"{_OPEN}\n  kiosks: {_CLOSED.replace('web: {', '{service: web, ')}"
    assert load_changed((_OPEN, both), ("duration: 5m", _SURGE.replace("TARGET", target))).warnings == ()


def test_load_without_shares_enters_by_every_cluster(load_changed):
    surge = ("duration: 5m", _SURGE.replace("TARGET", "region: us"))
    assert load_changed(surge, (_OPEN, "web: {rate: 100/s}")).warnings == ()


def test_a_scale_of_closed_load_is_a_warning(load_changed):
    assert load_changed((_OPEN, f"scale: 2\n  {_CLOSED}")).warnings == (
        "scenario.yaml:24: load.scale: has no effect: it multiplies rates, and all load is closed",
    )
    assert load_changed((_OPEN, f"scale: 1\n  {_CLOSED}")).warnings == ()
    assert load_changed((_OPEN, f"scale: 2\n  {_OPEN}")).warnings == ()


# --- failover between regions -----------------------------------------------------------------------------------

_FAILOVER = "localityLbSetting: {enabled: true, failover: [{from: eu, to: uss}]}"
_POLICY = f"""
      loadBalancer:
        {_FAILOVER}
      outlierDetection: {{}}"""
_RULE = """duration: 5m
istio:
- apiVersion: networking.istio.io/v1
  kind: DestinationRule
  metadata: {name: cart, namespace: default}
  spec:
    host: cart
    trafficPolicy:"""
_MEANT = "has no effect: unknown region 'uss'; did you mean 'us'? (one of eu, us)"


def failover_warnings(scenario: Scenario) -> list[str]:
    return [warning for warning in scenario.warnings if "unknown region" in warning]


def test_a_failover_to_an_unknown_region_is_a_warning(load_changed):
    told = failover_warnings(load_changed(("duration: 5m", _RULE + _POLICY)))
    path = "istio[0].spec.trafficPolicy.loadBalancer.localityLbSetting.failover[0].to"
    assert told == [f"scenario.yaml:38: {path}: {_MEANT}"]
    assert failover_warnings(load_changed(("duration: 5m", (_RULE + _POLICY).replace("to: uss", "to: us")))) == []


def test_a_failover_from_an_unknown_region_is_a_warning(load_changed):
    policy = _POLICY.replace("from: eu, to: uss", "from: euu, to: us")
    (told,) = failover_warnings(load_changed(("duration: 5m", _RULE + policy)))
    assert told.endswith("failover[0].from: has no effect: unknown region 'euu'; did you mean 'eu'? (one of eu, us)")


def test_failovers_of_ports_and_subsets_are_checked(load_changed):
    ports = f" {{portLevelSettings: [{{port: {{number: 80}}, loadBalancer: {{{_FAILOVER}}}, outlierDetection: {{}}}}]}}"
    subsets = f"\n    subsets: [{{name: v1, trafficPolicy:{ports}}}]"
    told = failover_warnings(load_changed(("duration: 5m", _RULE + ports + subsets)))
    end = "portLevelSettings[0].loadBalancer.localityLbSetting.failover[0].to"
    assert told == [
        f"scenario.yaml:36: istio[0].spec.trafficPolicy.{end}: {_MEANT}",
        f"scenario.yaml:37: istio[0].spec.subsets[0].trafficPolicy.{end}: {_MEANT}",
    ]


def test_failovers_of_the_mesh_are_checked(load_changed):
    told = failover_warnings(load_changed(("duration: 5m", f"duration: 5m\nmesh_config: {{{_FAILOVER}}}")))
    assert told == [f"scenario.yaml:30: mesh_config.localityLbSetting.failover[0].to: {_MEANT}"]
    operator = f"duration: 5m\nistio:\n- apiVersion: install.istio.io/v1alpha1\n  kind: IstioOperator\n  spec: \
{{meshConfig: {{{_FAILOVER}}}}}"
    told = failover_warnings(load_changed(("duration: 5m", operator)))
    assert told == [f"scenario.yaml:33: istio[0].spec.meshConfig.localityLbSetting.failover[0].to: {_MEANT}"]


@pytest.mark.parametrize(
    "setting", ["5", "{failover: 5}", "{failover: [5]}", "{failover: [{from: 5}]}", "{failover: [{}]}", "[]"]
)
def test_a_failover_of_another_shape_is_told_by_the_istio_checks_alone(setting, load_changed):
    with pytest.raises(ScenarioError) as caught:
        load_changed(("duration: 5m", f"duration: 5m\nmesh_config: {{localityLbSetting: {setting}}}"))
    assert "unknown region" not in str(caught.value)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("part", ["route: [{destination: {host: cart-v2}}]", "mirror: {host: cart-v2}"])
def test_a_service_that_a_virtual_service_leads_to_is_reached_with_all_that_it_calls(part, wrapped):
    rule = yaml.safe_load(part)
    one = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "cart"},
        "spec": {"hosts": ["web"], "http": [{"route": [{"destination": {"host": "web"}}], **rule}]},
    }
    services = {
        **EXAMPLE["services"],
        "cart-v2": {"endpoints": {"get": {"script": [{"call": "db/get"}]}}},
        "db": {"endpoints": {"get": {}}},
    }
    resources = [{"apiVersion": "v1", "kind": "List", "items": [one]}] if wrapped else [one]
    assert load({**EXAMPLE, "services": services, "istio": resources}).warnings == ()
    assert len(load({**EXAMPLE, "services": services}).warnings) == 2


def gateway(mode: str) -> dict[str, object]:
    server = {"port": {"number": 15443, "name": "tls", "protocol": "TLS"}, "hosts": ["*"], "tls": {"mode": mode}}
    head = {"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": mode.lower()}}
    return {**head, "spec": {"servers": [server]}}


@pytest.mark.parametrize(
    ("modes", "networks", "warned"),
    [
        ([], True, False),
        (["SIMPLE"], False, False),
        (["SIMPLE"], True, True),
        (["SIMPLE", "AUTO_PASSTHROUGH"], True, False),
    ],
)
def test_gateways_that_open_no_network_are_named(modes, networks, warned):
    clusters = {"eu-1": {"region": "eu", "network": "eu"}}
    content = {**EXAMPLE, "clusters": clusters, "istio": [gateway(mode) for mode in modes]}
    document = Document.model_validate({**content, "gateways": {"eu-1": {}} if networks else {}})
    warnings = [warning.message for warning in check(document, lambda _: Place())[1]]
    expected = (
        "no Gateway has a server with tls.mode AUTO_PASSTHROUGH: in Istio the east-west gateways of eu would pass "
        "nothing on; meshsim takes them to be open"
    )
    assert (expected in warnings) is warned


@pytest.mark.parametrize(
    ("locality", "known"),
    [("eu/*", True), ("eu/a", True), ("*", True), ("*/b", True), ("us/*", False), ("eu/c", False), ("eu/a/rack", True)],
)
def test_localities_of_distribute_that_match_no_zone_are_named(locality, known):
    setting = {"distribute": [{"from": "*", "to": {locality: 100}}]}
    document = Document.model_validate({**EXAMPLE, "mesh_config": {"localityLbSetting": setting}})
    warnings = [str(warning) for warning in check(document, lambda _: Place())[1] if "locality" in str(warning)]
    assert len(warnings) == (0 if known else 1)
    assert all(f"has no effect: the locality '{locality}' matches no zone of the scenario" in text for text in warnings)


# --- control planes, certificates, repetitions ------------------------------------------------------------------


def told(*events: dict[str, object], **changes: object) -> list[str]:
    """Return path and message of each warning of the example with a timeline."""
    document = Document.model_validate({**EXAMPLE, "timeline": list(events), **changes})
    problems, warnings = check(document, lambda _: Place())
    assert problems == []
    return [str(warning) for warning in warnings]


def happens(kind: str, duration: str = "10s", **fields: object) -> dict[str, object]:
    return {"event": kind, "start": "1m", **({"duration": duration} if duration else {}), "target": {}, **fields}


_SECRET = {"event": "remote_secret", "start": "1m", "target": {"cluster": "eu-1"}}
_CHANGE = {"event": "config_change", "start": "1m", "delete": ["Sidecar/x"]}
_SIDECAR = {"apiVersion": "networking.istio.io/v1", "kind": "Sidecar", "metadata": {"name": "x"}}


@pytest.mark.parametrize(
    ("event", "warning"),
    [
        (happens("partition", target={"from": {}, "to": {}}, repeat={"every": "20s"}), None),
        (
            happens("api_server_down", repeat={"every": "5s", "times": 2}),
            "timeline[0].repeat.every: 5s is shorter than the duration, 10s: each time overlaps the next",
        ),
        (
            happens("api_server_down", repeat={"every": "2m", "times": 5}),
            "timeline[0].repeat.times: only 2 of 5 times begin before the end of the run",
        ),
        (
            happens("api_server_down", "90s", repeat={"every": "3m", "times": 2}),
            "timeline[0].duration: goes on to 5m30s; the run ends at 5m",
        ),
        (happens("api_server_down", "90s", repeat={"every": "3m"}), None),
        (
            {**_CHANGE, "repeat": {"every": "10s", "times": 3}},
            "timeline[0].repeat: changes nothing the second time: config_change is for good; give it a duration",
        ),
        ({**_CHANGE, "duration": "5s", "repeat": {"every": "10s", "times": 3}}, None),
        (happens("rollout", "", repeat={"every": "1m"}), None),
        (happens("control_plane_slow", factor=1), "timeline[0].factor: changes nothing"),
        (happens("link_slow", target={"from": {}, "to": {}}, jitter="1ms"), None),
        ({**_SECRET, "change": "rotated"}, None),
        (
            {**_SECRET, "change": "removed", "picked_up": False},
            "timeline[0].picked_up: has no effect: no new secret is there to be read when one is removed",
        ),
        (
            {**_SECRET, "change": "rotated", "duration": "10s"},
            "timeline[0].duration: has no effect: a rotated secret that istiod reads at once is a good one",
        ),
    ],
)
def test_events_in_vain_and_their_repetitions_are_told(event, warning):
    assert told(event, istio=[_SIDECAR]) == ([warning] if warning else [])


def test_factors_that_multiply_beyond_all_sense_are_refused():
    surge = happens("traffic_surge", "90s", factor=3, start="0s", repeat={"every": "5s", "times": 20})
    (problem,) = problems_of(Document.model_validate({**EXAMPLE, "timeline": [surge]}))
    # 3^12 is below a million, 3^13 above; the thirteenth begins at 60 s, while the first still lasts.
    assert problem == (
        "timeline[0]: overlaps others of its kind: at 1m their factors multiply to 1.59e+06; at most 1,000,000 is run"
    )
    apart = happens("traffic_surge", "5s", factor=1000, repeat={"every": "5s", "times": 20})
    assert problems_of(Document.model_validate({**EXAMPLE, "timeline": [apart]})) == []


def test_what_a_change_applies_a_later_one_may_delete():
    apply = {"event": "config_change", "start": "1m", "apply": [_SIDECAR]}
    delete = {"event": "config_change", "start": "2m", "delete": ["Sidecar/x"]}
    assert told(delete, apply) == []
    assert told({**delete, "delete": ["Sidecar/default/x"]}, apply) == []
    early = Document.model_validate({**EXAMPLE, "timeline": [{**delete, "start": "30s"}, apply]})
    assert problems_of(early) == ["timeline[0].delete[0]: no Sidecar/x is there or applied before"]


@pytest.mark.parametrize(
    ("deployments", "warning"),
    [
        (
            {"multi-primary": {"access": "direct"}},
            "access: has no effect: every cluster has a control plane of its own",
        ),
        ({"primary-remote": {"access": "direct"}}, None),
        ({"x": {"model": "external", "access": "direct", "place": "eu/b", "primary": "eu-1"}}, None),
        (
            {"x": {"control_planes": {"p": {"serves": ["eu-1"], "gateway_replicas": 2}}}},
            (
                "control_planes.p.gateway_replicas: has no effect: only a control plane outside all clusters has a "
                "gateway of its own; give it a place"
            ),
        ),
        ({"x": {"control_planes": {"p": {"serves": ["eu-1"], "place": "eu", "gateway_replicas": 2}}}}, None),
        ({"x": {"control_planes": {"p": {"serves": ["eu-1"], "watches": []}}}}, None),
        (
            {"x": {"control_planes": {"p": {"serves": ["eu-1", "eu-2"], "watches": []}}}},
            "control_planes.p.watches: eu-2 missing: istiod refuses proxies of a cluster that it has no secret for",
        ),
        ({"x": {"control_planes": {"p": {"serves": ["eu-1", "eu-2"], "watches": [], "config_cluster": "eu-2"}}}}, None),
    ],
)
def test_deployments_in_vain_are_told(deployments, warning):
    served = "eu-2" in str(deployments)
    clusters = {name: {"region": "eu"} for name in ("eu-1", "eu-2")[: 1 + served]}
    name = next(iter(deployments))
    assert told(clusters=clusters, deployments=deployments) == ([f"deployments.{name}.{warning}"] if warning else [])


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"istiod": {"replicas": 8}}, None),
        (
            {"istiod": {"replicas": 8, "autoscale": {"max_replicas": 6}}},
            (
                "istiod.autoscale.max_replicas: has no effect: there are 8 replicas, and no fewer by default; "
                "give min_replicas"
            ),
        ),
        (
            {"gateways": {"eu-1": {"replicas": 1, "autoscale": {"min_replicas": 2}}}},
            "gateways.eu-1.replicas: the autoscaler keeps 2 to 5 replicas; 1 are changed at once",
        ),
        ({"ingress": {"eu-1": {"replicas": 9, "autoscale": None}}}, None),
    ],
)
def test_autoscalers_in_vain_are_told(changes, warning):
    assert told(**changes) == ([warning] if warning else [])


def test_an_outage_of_the_authority_that_no_certificate_notices_is_told():
    down = happens("certificate_authority_down")
    assert told(down) == [
        (
            "timeline[0]: no certificate expires in 10s: each is renewed with 11h45m36s or more of its life left, and "
            "no event starts pods meanwhile"
        )
    ]
    assert told(down, happens("rollout", "")) == []
    assert told(happens("certificate_authority_down", "2m"), identity={"certificate_ttl": "4m"}) == []


def test_a_change_of_the_root_that_hardly_a_proxy_learns_of_is_told():
    change = {"event": "root_change", "start": "1m", "target": {}, "root": "b"}
    (warning,) = told(change)
    assert warning.startswith("timeline[0]: hardly a proxy learns of it: certificates are renewed every 12h, and the")
    assert told(change, identity={"certificate_ttl": "10m"}) == []
    assert told(change, duration="36h") == []


def test_expectations_are_of_phases_that_the_run_has():
    document = Document.model_validate(
        {**EXAMPLE, "expect": [{"metric": "success_rate", "phase": "after", "at_least": "99%"}]}
    )
    assert problems_of(document) == [
        "expect[0].phase: there is no phase 'after' without a timeline; leave it out to look at the whole run"
    ]


def test_a_number_of_replicas_that_an_autoscaler_does_not_keep_is_told():
    service = {**EXAMPLE["services"]["web"], "autoscale": {"min_replicas": 2}}
    scale = {"event": "scale", "start": "1m", "target": {"service": "web"}, "replicas": 4}
    (warning,) = told(scale, services={"web": service})
    assert warning == (
        "timeline[0].replicas: does not last: the autoscaler of web goes on from there; to keep the number, "
        "take it away (autoscale: null)"
    )
    assert told({**scale, "replicas": 0}, services={"web": service}) == []
    assert told(scale) == []


def test_a_quiet_time_that_never_ends_a_wait_is_told():
    assert told(istiod={"debounce_after": "20s"}) == [
        "istiod.debounce_after: 20s has no effect: debounce_max, 10s, ends the wait before"
    ]
    assert told(istiod={"debounce_after": "10s"}) == []
