from __future__ import annotations

import pytest

from meshsim.scenario.istio.fields import ListOf, MapOf, Scalar, Table
from meshsim.scenario.istio.fields_mesh import MESH_CONFIG
from meshsim.scenario.istio.kinds import KINDS, is_gone, is_istio, kind_problem

NETWORKING = [
    "DestinationRule",
    "VirtualService",
    "Gateway",
    "ServiceEntry",
    "WorkloadEntry",
    "WorkloadGroup",
    "Sidecar",
]


def settings_of(kind):
    """Return every setting that a table can set."""
    below = (
        kind.fields.values() if isinstance(kind, Table) else [kind.item] if isinstance(kind, (ListOf, MapOf)) else []
    )
    return {kind.sets} - {""} | {name for inner in below for name in settings_of(inner)}


def test_kinds_that_change_a_simulation():
    modelled = {name for name, kind in KINDS.items() if kind.spec.modelled}
    assert modelled == {
        "DestinationRule",
        "Gateway",
        "IstioOperator",
        "PeerAuthentication",
        "ProxyConfig",
        "ServiceEntry",
        "Sidecar",
        "VirtualService",
        "WorkloadEntry",
    }


def test_the_tables_set_nothing_that_no_policy_reads(read, rule):
    """A field that is called modelled and sets something else would be dropped without a word."""
    names = set().union(*(settings_of(kind.spec) for kind in KINDS.values()), settings_of(MESH_CONFIG))
    zones = "loadBalancer: {zoneAwareLbSetting: {enabled: true}}"
    found = read(rule(f"outlierDetection: {{}}\nretryBudget: {{}}\n{zones}"))
    sources = {**found.policy().sources, **found.route().sources}
    # Blocks that are there or not; retryOn, which sets two fields; and what decides between DestinationRules.
    others = {"connection_pool", "locality", "outbound", "retry", "retry.on", "root_namespace"}
    # What becomes another field, or is asked for on its own.
    others |= {"auto_mtls", "concurrency", "h2_upgrade", "self_discovery", "service_settings", "warmup_duration"}
    others |= {"tls.mode", "zone_aware.enabled"}
    assert names - set(sources) == others


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha3"])
@pytest.mark.parametrize("kind", NETWORKING)
def test_networking_kinds_are_read_in_three_versions(kind, version):
    assert kind_problem(f"networking.istio.io/{version}", kind) == ("", "")


@pytest.mark.parametrize(
    ("api_version", "kind", "field", "message"),
    [
        (
            "networking.istio.io/v2",
            "VirtualService",
            "apiVersion",
            (
                "VirtualService has no version 'networking.istio.io/v2'; did you mean 'networking.istio.io/v1'? "
                "(one of "
                "networking.istio.io/v1, networking.istio.io/v1alpha3, networking.istio.io/v1beta1)"
            ),
        ),
        (
            "networking.istio.io/v1",
            "PeerAuthentication",
            "apiVersion",
            (
                "PeerAuthentication has no version 'networking.istio.io/v1'; did you mean "
                "'security.istio.io/v1'? (one of "
                "security.istio.io/v1, security.istio.io/v1beta1)"
            ),
        ),
        (
            "security.istio.io/v1",
            "PeerAuthentification",
            "kind",
            (
                "unknown kind 'PeerAuthentification'; did you mean 'PeerAuthentication'? (one of AuthorizationPolicy, "
                "PeerAuthentication, RequestAuthentication)"
            ),
        ),
    ],
)
def test_types_that_istio_does_not_have_are_errors(api_version, kind, field, message):
    assert kind_problem(api_version, kind) == (field, message)


@pytest.mark.parametrize("api_version", ["apps/v1", "v1", "gateway.networking.k8s.io/v1", "notistio.io/v1"])
def test_other_apis_are_not_istios(api_version):
    assert not is_istio(api_version)


@pytest.mark.parametrize(
    "api_version", ["config.istio.io/v1alpha2", "rbac.istio.io/v1alpha1", "authentication.istio.io/v1"]
)
def test_groups_of_old_istio_are_known_to_be_gone(api_version):
    assert is_gone(api_version)


def test_every_table_says_what_a_scalar_holds():
    def names(kind):
        if isinstance(kind, Scalar):
            return {kind.name}
        below = kind.fields.values() if isinstance(kind, Table) else [kind.item]
        return {name for inner in below for name in names(inner)}

    assert all("" not in names(kind.table) for kind in KINDS.values())
