"""Rings of calls that only VirtualServices make."""

from __future__ import annotations

import pytest

from meshsim.errors import ScenarioError
from meshsim.scenario import load
from meshsim.scenario.scenario import EXAMPLE


def mesh(route: list[dict[str, object]]) -> dict[str, object]:
    """Return a mesh in which web calls app and app calls db, with a VirtualService for db."""
    endpoints = {"web": [{"call": "app/GET /x"}], "app": [{"call": "db/GET /x"}], "db": []}
    services = {name: {"endpoints": {"GET /x": {"script": script}}} for name, script in endpoints.items()}
    rule = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "db"},
        "spec": {"hosts": ["db"], "http": [{"route": route}]},
    }
    return {**EXAMPLE, "services": services, "istio": [rule]}


def test_a_ring_that_a_virtual_service_closes_is_an_error() -> None:
    with pytest.raises(ScenarioError, match="never end: app/GET /x → app/GET /x"):
        load(mesh([{"destination": {"host": "app"}}]))


def test_a_ring_that_a_request_may_leave_is_none() -> None:
    load(mesh([{"destination": {"host": "app"}, "weight": 50}, {"destination": {"host": "db"}, "weight": 50}]))


def test_a_route_to_where_a_call_goes_anyway_is_none() -> None:
    load(mesh([{"destination": {"host": "db"}}]))


def test_a_ring_through_a_mirror_is_an_error() -> None:
    scenario = mesh([{"destination": {"host": "db"}}])
    scenario["istio"][0]["spec"]["http"][0]["mirrors"] = [{"destination": {"host": "app"}}]  # type: ignore[index]
    with pytest.raises(ScenarioError, match="never end: app/GET /x → app/GET /x"):
        load(scenario)
