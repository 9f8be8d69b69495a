"""Retries, timeouts and faults that do less than they say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lint.conftest import Told, routes, rule


def retrying(timeout: str | None = None, **retries: Any) -> dict[str, Any]:
    return routes({"retries": retries, **({"timeout": timeout} if timeout else {})})


def test_retries_with_attempts_alone_never_fire_for_503(told: Told) -> None:
    found = told(retrying(attempts=3))["MS301"]
    assert found[0].startswith("retries (attempts 3) of cart never fire for a 503 answer")
    assert "MS301" not in told(retrying(attempts=3), istio_version="1.23")
    assert "MS301" not in told(retrying(attempts=3), services={"cart": {"protocol": "grpc"}})


@pytest.mark.parametrize("on", ["5xx", "gateway-error", "connect-failure,503", "reset"])
def test_retries_with_conditions_of_their_own_mean_them(told: Told, on: str) -> None:
    assert "MS301" not in told(retrying(attempts=3, retryOn=on))


def test_a_try_that_takes_too_long_is_not_retried_by_default(told: Told) -> None:
    assert "504 UT" in told(retrying(attempts=2, perTryTimeout="1s"))["MS302"][0]
    assert "MS302" not in told(retrying(attempts=2, perTryTimeout="1s", retryOn="5xx"))


def test_tries_that_do_not_fit_in_the_timeout_are_counted(told: Told) -> None:
    found = told(retrying("5s", attempts=3, perTryTimeout="2s", retryOn="5xx"))["MS303"]
    assert found == ["4 tries of 2 s do not fit in the timeout of 5 s of cart: 2 do"]
    assert "does nothing" in told(retrying("2s", attempts=3, perTryTimeout="2s", retryOn="5xx"))["MS303"][0]
    assert "MS303" not in told(retrying("8s", attempts=3, perTryTimeout="2s", retryOn="5xx"))


def test_a_connect_timeout_beyond_the_timeout_leaves_no_retry(told: Told) -> None:
    assert "connectTimeout is 10 s" in told(routes({"timeout": "3s"}))["MS304"][0]
    short = rule({"connectionPool": {"tcp": {"connectTimeout": "1s"}}})
    assert "MS304" not in told(routes({"timeout": "3s"}), short)


def test_retries_without_attempts_are_off(told: Told) -> None:
    assert "MS305" in told(retrying())
    assert "MS305" not in told(retrying(attempts=0)), "which says so"


def test_retries_multiply_over_a_chain_of_calls(told: Told) -> None:
    services = {
        "cart": {"endpoints": {"GET /cart": {"script": [{"call": "db/get"}]}}},
        "db": {"endpoints": {"get": {}}},
    }
    hops = [routes({"retries": {"attempts": 3, "retryOn": "5xx"}}, host=host) for host in ("cart", "db")]
    found = told(*hops, services=services)["MS306"]
    assert found == ["retries multiply along web → cart → db: up to 16 tries there for one request"]
    assert "MS306" not in told(hops[0], services=services)


def test_remote_localities_need_priorities(told: Told) -> None:
    asked = retrying(attempts=2, retryRemoteLocalities=True, retryOn="5xx")
    assert "MS307" in told(asked)
    assert "MS307" not in told(asked, rule({"outlierDetection": {"maxEjectionPercent": 100}}))


def test_injected_faults_are_neither_retried_nor_cut_off(told: Told) -> None:
    abort = {"abort": {"httpStatus": 503, "percentage": {"value": 10}}}
    assert "MS308" in told(routes({"fault": abort, "retries": {"attempts": 2, "retryOn": "5xx"}}))
    assert "MS308" not in told(routes({"fault": abort}))
    delay = {"delay": {"fixedDelay": "5s", "percentage": {"value": 10}}}
    assert "not cut off" in told(routes({"fault": delay, "timeout": "1s"}))["MS308"][0]


def test_a_fault_without_percentage_is_told(told: Told) -> None:
    assert "MS309" in told(routes({"fault": {"abort": {"httpStatus": 503}}}))
    assert "MS309" not in told(routes({"fault": {"abort": {"httpStatus": 503, "percentage": {"value": 1}}}}))


def test_a_timeout_beyond_the_caller_s_never_ends_anything(told: Told) -> None:
    services = {
        "cart": {"endpoints": {"GET /cart": {"script": [{"call": "db/get"}]}}},
        "db": {"endpoints": {"get": {}}},
    }
    short, long = (routes({"timeout": timeout}, host=host) for timeout, host in (("2s", "cart"), ("3s", "db")))
    found = told(short, long, services=services)["MS310"]
    assert found == ["timeout 3 s of db never ends a call of cart: requests to cart end after 2 s"]
    assert "MS310" not in told(long, services=services)
