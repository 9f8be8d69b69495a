"""Reading resources from YAML text, with the line of every field."""

from __future__ import annotations

import textwrap

import pytest
import yaml

from meshsim.scenario.istio import read_resources
from meshsim.scenario.istio.clients import Client, Request

SERVICES = (("cart", "shop"), ("web", "shop"), ("ledger", "bank"))


def line_of(node, path):
    """Return the line of a path below a YAML node; of its nearest parent where it does not exist."""
    line = node.start_mark.line + 1
    for part in path:
        if isinstance(node, yaml.SequenceNode):
            node = node.value[part]
            line = node.start_mark.line + 1
        elif isinstance(node, yaml.MappingNode):
            pairs = {yaml.safe_load(yaml.serialize(key)): (key, value) for key, value in node.value}
            if part not in pairs:
                break
            key, node = pairs[part]
            line = key.start_mark.line + 1
    return line


class Read:
    """What reading some YAML gave."""

    def __init__(self, text="", mesh="", services=SERVICES, version="1.31", **more):
        text, mesh = textwrap.dedent(text).strip(), textwrap.dedent(mesh).strip()
        nodes = [node for node in yaml.compose_all(text) if not isinstance(node, yaml.ScalarNode)]
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
        mesh_node = yaml.compose(mesh)
        self.resources, self.problems = read_resources(
            documents,
            lambda i, path: ("mesh.yaml", line_of(nodes[i], path)),
            yaml.safe_load(mesh) or {},
            lambda path: ("scenario.yaml", line_of(mesh_node, path)),
            services,
            version=version,
            **more,
        )
        self.messages = [str(problem) for problem in self.problems]
        self.warnings = self.resources.warnings
        self.version = version

    def policy(self, service="cart", namespace="shop", version=None):
        assert self.messages == []
        return self.resources.policy(service, namespace, version or self.version)

    def route(self, service="cart", namespace="shop", *, client=None, version=None, **request):
        assert self.messages == []
        asked = Request(service, namespace, **request)
        return self.resources.route(client or Client("shop", {"app": "web"}), asked, version or self.version)


@pytest.fixture
def read():
    return Read


def destination_rule(body, name="cart", host="cart", namespace="shop"):
    return _resource("DestinationRule", name, namespace, f"host: {host}\n{textwrap.dedent(body).strip()}")


def virtual_service(body, name="cart", hosts="[cart]", namespace="shop"):
    return _resource("VirtualService", name, namespace, f"hosts: {hosts}\n{textwrap.dedent(body).strip()}")


def _resource(kind, name, namespace, spec):
    head = (
        f"apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n"
    )
    return head + textwrap.indent(spec, "  ") + "\n"


@pytest.fixture
def rule():
    """Return the YAML of a DestinationRule for cart, whose trafficPolicy is given."""

    def build(policy, **names):
        return destination_rule("trafficPolicy:\n" + textwrap.indent(textwrap.dedent(policy).strip(), "  "), **names)

    return build


@pytest.fixture
def route():
    """Return the YAML of a VirtualService for cart with one rule to cart, whose other fields are given."""

    def build(fields="", **names):
        body = "http:\n- route:\n  - destination: {host: cart}\n"
        return virtual_service(body + textwrap.indent(textwrap.dedent(fields).strip(), "  "), **names)

    return build


@pytest.fixture
def plain():
    """Return the YAML of a DestinationRule or VirtualService from its whole spec but the host."""
    return {"DestinationRule": destination_rule, "VirtualService": virtual_service}
