"""Where a setting stands, as `Policy.sources` and `Route.sources` write it."""

from __future__ import annotations

import re

_PLACE = re.compile(r"(?P<what>.*) \((?P<file>.+?)(?::(?P<line>\d+))?\)")


def placed(source: str, file: str = "") -> tuple[str, str, int]:
    """Return resource, file and line of a source as `Policy.sources` writes it.

    Parameters
    ----------
    source
        Such as ``DestinationRule shop/cart (mesh.yaml:3)``.
    file
        The scenario's file, for a source without one.

    Examples
    --------
    >>> placed("DestinationRule shop/cart (mesh.yaml:3)"), placed("services.cart", "mesh.yaml")
    (('DestinationRule shop/cart', 'mesh.yaml', 3), ('services.cart', 'mesh.yaml', 0))
    """
    found = _PLACE.fullmatch(source)
    if found is None:
        return source, file, 0
    return found["what"], found["file"], int(found["line"] or 0)
