"""Response flags and outcomes: numbers of the compiled room, and what an access log prints for them (spec §3.7)."""

from __future__ import annotations

from collections.abc import Sequence

from meshsim.dataplane import state
from meshsim.dataplane.recorder import BESIDE, FLAGS

NAMES = ("", "UH", "UF", "UO", "UT", "UC", "NR", "DC", "FI", "NC", "UR")
#: What stands beside a flag or a code, in the order of `meshsim.dataplane.recorder.BESIDE`.
BESIDE_BITS = (0, state.URX, state.RETRY_OVERFLOW, state.FI)


def names(flag: int) -> str:
    """Return response flags as Envoy's access log has them, in the order in which they are set.

    Examples
    --------
    >>> names(state.UF | state.URX), names(state.NO_FLAG | state.RETRY_OVERFLOW), names(state.NO_FLAG)
    ('URX,UF', 'UO', '')
    """
    beside = [name for bit, name in ((state.DI, "DI"), (state.URX, "URX"), (state.RETRY_OVERFLOW, "UO")) if flag & bit]
    return ",".join([*beside, *([NAMES[flag & state.FLAG]] if flag & state.FLAG else [])])


def outcome(number: int, codes: Sequence[int]) -> tuple[int, str]:
    """Return the HTTP code and the response flags of an outcome number, given the codes in their order.

    Examples
    --------
    >>> outcome(BESIDE * FLAGS, [200]), outcome(BESIDE * state.UF + 1, [200])
    ((200, ''), (503, 'URX,UF'))
    """
    half = BESIDE * (FLAGS + len(codes))
    row, beside = divmod(number % half, BESIDE)
    flag = BESIDE_BITS[beside] if row >= FLAGS else row | BESIDE_BITS[beside] & ~state.FLAG
    flag |= state.DI if number >= half else 0
    if row >= FLAGS:
        return codes[row - FLAGS], names(flag)
    return {state.UT: 504, state.NR: 404, state.DC: 0}.get(row, 503), names(flag)
