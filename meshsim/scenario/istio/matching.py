"""Which requests a match of a VirtualService takes (spec §3.5), as istiod hands it to Envoy."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from meshsim.scenario.istio.clients import Client, Request, gateway_name, serves

_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7F",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_REFERENCE = re.compile(r"\\[1-9]")
_NOT_RE2 = re.compile(r"\(\?(?:=|!|<=|<!|>|\(|P=)|[*+?}]\+")
#: A repeat of nothing but a repeat, such as ``(a+)*``: linear for RE2, and exponential for the library used here.
_NESTED = re.compile(r"\((?:\?:)?(?:\\.|\[[^\]]*\]|[^()\\])[*+]\)[*+]")
_TOKEN = re.compile(r"\\Q(.*?)(?:\\E|$)|\[:(\^?)(\w+):\]|\\z|\\\\|\(\?<(?=[A-Za-z_])", re.DOTALL)


# --- one text -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Text:
    """A condition on one text: ``exact``, ``prefix``, ``regex`` (of all of it), or ``present``: that there is one."""

    kind: Literal["exact", "prefix", "regex", "present"] = "present"
    value: str = ""

    def takes(self, text: str | None) -> bool:
        """Tell whether a text, None for a missing one, fits.

        Examples
        --------
        >>> Text("prefix", "/a").takes("/ab"), Text("present").takes(""), Text("regex", "a.*").takes("ba")
        (True, True, False)
        """
        if text is None or self.kind == "present":
            return text is not None
        if self.kind == "exact":
            return text == self.value
        if self.kind == "prefix":
            return text.startswith(self.value)
        return pattern(self.value).fullmatch(text) is not None


def text_of(spec: Mapping[str, Any]) -> Text:
    """Return the condition of a StringMatch; an empty one, and the regex ``*``, ask for presence (istio#20629).

    Examples
    --------
    >>> text_of({"prefix": "/"}), text_of({}).kind, text_of({"regex": "*"}).kind
    (Text(kind='prefix', value='/'), 'present', 'present')
    """
    for kind in ("exact", "prefix", "regex"):
        if kind in spec and not (kind == "regex" and spec[kind] == "*"):
            return Text(kind, str(spec[kind]))
    return Text()


@lru_cache(maxsize=4096)
def pattern(regex: str) -> re.Pattern[str]:
    r"""Return an RE2 expression, compiled.

    Raises
    ------
    ValueError
        If RE2 does not take it, or it needs a class of Unicode characters.

    Examples
    --------
    >>> bool(pattern(r"/v[[:digit:]]+\z").fullmatch("/v12"))
    True
    >>> pattern("(?!a)b")
    Traceback (most recent call last):
    ValueError: '(?!a)b' is no RE2 expression: look-around, back references and possessive repeats are not part of RE2
    """
    plain = re.sub(r"\\Q.*?(?:\\E|$)|\\\\", "", regex)
    bare = re.sub(r"\[\^?\]?[^\]]*\]", "", re.sub(r"\\.", "", plain))
    if _NESTED.search(regex):
        raise ValueError(f"{regex!r} repeats a group that repeats something itself, which meshsim cannot match in time")
    if _REFERENCE.search(plain) or _NOT_RE2.search(bare):
        message = "look-around, back references and possessive repeats are not part of RE2"
        raise ValueError(f"{regex!r} is no RE2 expression: {message}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of what Python may once read otherwise
            return re.compile(_TOKEN.sub(_translated, regex), re.ASCII)
    except (re.error, KeyError, RecursionError, OverflowError) as error:
        raise ValueError(f"{regex!r} is no RE2 expression, or one that meshsim does not know: {error}") from None


def _translated(token: re.Match[str]) -> str:
    whole = token[0]
    if whole.startswith(r"\Q"):
        return re.escape(token[1])
    if whole.startswith("[:"):
        if token[2]:
            raise KeyError(whole)
        return _CLASSES[token[3]]
    return {r"\z": r"\Z", "(?<": "(?P<"}.get(whole, whole)


# --- one match ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Match:
    """One entry of ``match``; every condition that is set has to hold.

    Parameters
    ----------
    uri, scheme, method, authority
        Conditions on the request line.
    headers, without_headers, query
        Conditions by name.
    port
        The port asked for; 0 = any.
    source_labels, source_namespace
        The client's.
    gateways
        Full names of gateways; where there are any, the source is not looked at (route.go).
    ignore_case
        Whether the case of the path counts; never in a regex.
    """

    uri: Text | None = None
    scheme: Text | None = None
    method: Text | None = None
    authority: Text | None = None
    headers: tuple[tuple[str, Text], ...] = ()
    without_headers: tuple[tuple[str, Text], ...] = ()
    query: tuple[tuple[str, Text], ...] = ()
    port: int = 0
    source_labels: tuple[tuple[str, str], ...] = ()
    source_namespace: str = ""
    gateways: tuple[str, ...] = ()
    ignore_case: bool = False

    def concerns(self, client: Client, port: int) -> bool:
        """Tell whether istiod sends the route to this client, for this port, at all.

        Examples
        --------
        >>> Match(port=8080).concerns(Client(), 80)
        False
        """
        if self.port and self.port != port:
            return False
        if self.gateways:
            return serves(self.gateways, client.gateway)
        labels = all(client.labels.get(name) == value for name, value in self.source_labels)
        return labels and self.source_namespace in {"", client.namespace}

    @property
    def everything(self) -> bool:
        """Whether it takes every request of the clients it concerns."""
        conditions = self.scheme or self.method or self.authority or self.headers or self.without_headers or self.query
        return not conditions and (self.uri is None or self.uri in {Text("prefix", "/"), Text("regex", ".*")})

    @property
    def anyone(self) -> bool:
        """Whether it concerns every client and port."""
        return not (self.port or self.gateways or self.source_labels or self.source_namespace)

    def takes(self, request: Request) -> bool:
        """Tell whether a request fits.

        Examples
        --------
        >>> Match(uri=Text("exact", "/Cart"), ignore_case=True).takes(Request("web", path="/cart"))
        True
        """
        line = {":authority": request.host, ":method": request.method, ":path": request.path, ":scheme": "http"}
        headers = {**request.headers, **line}
        return (
            (self.uri is None or self._uri(request.path))
            and (self.scheme is None or self.scheme.takes("http"))
            and (self.method is None or self.method.takes(request.method))
            and (self.authority is None or self.authority.takes(request.host))
            and all(text.takes(headers.get(name)) for name, text in self.headers)
            and not any(_lacking(text, headers.get(name)) for name, text in self.without_headers)
            and all(text.takes(request.query.get(name)) for name, text in self.query)
        )

    def _uri(self, path: str) -> bool:
        uri = self.uri or Text()
        if self.ignore_case and uri.kind != "regex":
            return Text(uri.kind, uri.value.lower()).takes(path.lower())
        return uri.takes(path)


def _lacking(text: Text, value: str | None) -> bool:
    """Tell whether ``withoutHeaders`` meets a value; a missing one counts as empty, presence aside (route.go)."""
    return text.takes(value if text.kind == "present" else value or "")


def match_of(spec: Mapping[str, Any], namespace: str) -> Match:
    """Return the conditions of an HTTPMatchRequest, or of the match of a TCP or TLS route.

    Examples
    --------
    >>> match_of({"uri": {"prefix": "/a"}, "headers": {"End-User": {"exact": "j"}}}, "shop").headers
    (('end-user', Text(kind='exact', value='j')),)
    """

    def texts(name: str, *, lower: bool = True) -> tuple[tuple[str, Text], ...]:
        found = spec.get(name) or {}
        return tuple((str(key).lower() if lower else str(key), text_of(value)) for key, value in found.items())

    line = {name: text_of(spec[name]) for name in ("uri", "scheme", "method", "authority") if name in spec}
    # An empty condition on the path is none; on the others it asks for what is always there.
    line = {name: text for name, text in line.items() if name != "uri" or text.kind != "present"}
    return Match(
        **line,
        headers=texts("headers"),
        without_headers=texts("withoutHeaders"),
        query=texts("queryParams", lower=False),
        port=spec.get("port") or 0,
        source_labels=tuple((spec.get("sourceLabels") or {}).items()),
        source_namespace=spec.get("sourceNamespace") or "",
        gateways=tuple(gateway_name(name, namespace) for name in spec.get("gateways") or ()),
        ignore_case=bool(spec.get("ignoreUriCase")),
    )


# --- delegation -----------------------------------------------------------------------------------------------


def merged(root: Sequence[Match], own: Sequence[Match]) -> tuple[Match, ...] | None:
    """Return the matches of a delegate's rule below those of its root, or None where they contradict each other.

    Each match of the delegate has to be narrower than one of the root; otherwise the whole rule is dropped
    (virtualservice.go).

    Examples
    --------
    >>> shop, cart = Match(uri=Text("prefix", "/shop")), Match(uri=Text("prefix", "/shop/cart"))
    >>> merged([shop], [cart]) == (cart,), merged([cart], [shop])
    (True, None)
    """
    if not root or not own:
        return tuple(root or own)
    found: list[Match] = []
    for below in own:
        fits = [_both(above, below) for above in root if not _conflict(above, below)]
        if not fits:
            return None
        found += fits
    return tuple(found)


def _both(root: Match, own: Match) -> Match:
    return replace(
        own,
        uri=own.uri or root.uri,
        scheme=own.scheme or root.scheme,
        method=own.method or root.method,
        authority=own.authority or root.authority,
        headers=tuple({**dict(root.headers), **dict(own.headers)}.items()),
        without_headers=tuple({**dict(root.without_headers), **dict(own.without_headers)}.items()),
        query=tuple({**dict(root.query), **dict(own.query)}.items()),
        port=own.port or root.port,
        source_labels=own.source_labels or root.source_labels,
        source_namespace=own.source_namespace or root.source_namespace,
        gateways=own.gateways or root.gateways,
    )


def _conflict(root: Match, own: Match) -> bool:
    headers, query = dict(root.headers), dict(root.query)
    pairs = [(root.uri, own.uri), (root.scheme, own.scheme), (root.method, own.method), (root.authority, own.authority)]
    pairs += [(headers.get(name), text) for name, text in (*own.headers, *own.without_headers)]
    pairs += [(query.get(name), text) for name, text in own.query]
    if any(above is not None and below is not None and not _narrower(above, below) for above, below in pairs):
        return True
    return root.ignore_case != own.ignore_case or (root.port != own.port and 0 not in {root.port, own.port})


def _narrower(root: Text, own: Text) -> bool:
    """Tell whether all that a delegate's condition takes is taken by its root's; never of regular expressions."""
    if "regex" in {root.kind, own.kind} or "present" in {root.kind, own.kind}:
        return False
    return own.value.startswith(root.value) if root.kind == "prefix" else own == root


def covers(broad: Match, narrow: Match) -> bool:
    """Tell whether one match certainly takes every request that another takes.

    Examples
    --------
    >>> covers(Match(uri=Text("prefix", "/a")), Match(uri=Text("exact", "/a/b"), port=80))
    True
    """
    line = [(broad.scheme, narrow.scheme), (broad.method, narrow.method), (broad.authority, narrow.authority)]
    for name, above in broad.headers:
        line.append((above, dict(narrow.headers).get(name)))
    for name, above in broad.query:
        line.append((above, dict(narrow.query).get(name)))
    same_case = broad.ignore_case == narrow.ignore_case
    return (
        all(_implied(above, below) for above, below in line)
        and ((_implied(broad.uri, narrow.uri) and same_case) or broad.uri in {None, Text("prefix", "/")})
        and set(broad.without_headers) <= set(narrow.without_headers)
        and broad.port in {0, narrow.port}
        and broad.source_namespace in {"", narrow.source_namespace}
        and set(broad.source_labels) <= set(narrow.source_labels)
        and (not broad.gateways or (bool(narrow.gateways) and set(narrow.gateways) <= set(broad.gateways)))
    )


def _implied(broad: Text | None, narrow: Text | None) -> bool:
    if broad is None or broad == narrow:
        return True
    return narrow is not None and (broad.kind == "present" or _narrower(broad, narrow))
