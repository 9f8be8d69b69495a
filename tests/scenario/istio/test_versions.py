from __future__ import annotations

import pytest

from meshsim.scenario.istio import IstioResources, profile
from meshsim.scenario.istio.clients import Client, Request

#: The rows of spec §0.1, at the edges of its columns.
TABLE = {
    "retry_503": {"1.20": True, "1.23": True, "1.24": False, "1.31": False},
    "inbound_retry": {"1.23": False, "1.24": True, "1.31": True},
    "unready_endpoints": {"1.23": False, "1.30": False, "1.31": True},
    "panic_without_outlier_detection": {"1.20": 50, "1.30": 50, "1.31": 0},
    "retry_budget": {"1.26": False, "1.27": True, "1.31": True},
    "native_sidecars": {"1.27": False, "1.28": True, "1.31": True},
    "default_traffic_policy": {"1.30": False, "1.31": True},
    "gateway_dedup": {"1.20": True, "1.31": True},
}


@pytest.mark.parametrize(
    ("row", "version", "expected"),
    [(row, v, expected) for row, cells in TABLE.items() for v, expected in cells.items()],
)
def test_versions_differ_as_the_table_of_the_specification_says(row, version, expected):
    assert getattr(profile(version), row) == expected


def test_a_patch_version_is_its_minor_version():
    assert profile("1.30.3") == profile("1.30")


def test_versions_compare_as_numbers():
    assert profile("1.9").retry_503


@pytest.mark.parametrize("version", ["", "1", "latest", "1.x", "v1.31"])
def test_what_is_no_version_is_refused(version):
    with pytest.raises(ValueError, match=r"is not an Istio version; write it like 1\.31"):
        profile(version)


def test_default_retries_include_503_up_to_1_23():
    def codes(version):
        return IstioResources().route(Client(), Request("cart"), version).retry.status_codes

    assert codes("1.23") == (503,)
    assert codes("1.24") == ()


def test_panic_without_outlier_detection_ends_with_1_31():
    assert IstioResources().policy("cart", "shop", "1.30").panic_threshold == 50
    assert IstioResources().policy("cart", "shop", "1.31").panic_threshold == 0
