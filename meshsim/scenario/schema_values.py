"""Numbers and texts that several parts of the scenario file share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

#: Relative frequencies: their sum has to stay exact enough to be drawn from.
Share = Annotated[float, Field(ge=0, le=1e12)]
#: What a rate or a time is multiplied by.
Multiple = Annotated[float, Field(ge=0, le=1e6)]
PositiveMultiple = Annotated[float, Field(gt=0, le=1e6)]
Count = Annotated[int, Field(ge=1, le=100_000)]
#: Pods of one Deployment in one cluster, also of gateways and istiod.
Replicas = Annotated[int, Field(ge=1, le=10_000)]
ReplicasOrZero = Annotated[int, Field(ge=0, le=10_000)]
METHOD = r"^[A-Z]{1,32}$"
PATH = r"^/\S{0,2047}$"
HOST = r"^[A-Za-z0-9]([-A-Za-z0-9.]{0,251}[A-Za-z0-9])?$"
HEADER_NAME = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}$"
CURRENCY = r"^[A-Z]{3}$"
HEADER_VALUE = r"^[^\x00-\x08\x0a-\x1f\x7f]*$"
#: What to say of a text that does not fit one of these patterns.
RULES = {
    METHOD: "is no HTTP method; write it in capital letters, such as GET",
    PATH: "is no path; it begins with '/', has no blanks and at most 2,048 characters",
    HOST: "is no host; use letters, digits, '-' and '.', with a letter or digit at both ends, at most 253 characters",
    HEADER_NAME: "is no name of a header; use letters, digits and !#$%&'*+.^_`|~-, at most 256 characters",
    CURRENCY: "is no currency; write its three capitals, such as EUR",
    HEADER_VALUE: "is no value of a header; it is one line, without control characters",
}
#: Name of an HTTP header, cookie or query parameter; values are one line of text.
HeaderName = Annotated[str, Field(pattern=HEADER_NAME)]
Headers = dict[HeaderName, Annotated[str, Field(pattern=HEADER_VALUE, max_length=8192)]]
