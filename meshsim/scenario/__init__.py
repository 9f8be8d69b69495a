"""Scenario files: reading, checking and changing them."""

from __future__ import annotations

from typing import Any

from meshsim.scenario.bundled import bundled, describe
from meshsim.scenario.scenario import Scenario, load
from meshsim.scenario.schema import Document

__all__ = ["Scenario", "bundled", "describe", "json_schema", "load"]


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of scenario files, for editors.

    Examples
    --------
    >>> json_schema()["title"]
    'meshsim scenario'
    """
    schema = Document.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "meshsim scenario"}
