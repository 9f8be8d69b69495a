"""What no cost counts and deployments differ in all the same: the pods of the services themselves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

#: By which share of the most pods deployments have to differ for that to be told.
_TOLD = 0.01


def pods_apart(frame: pd.DataFrame, phase: str) -> dict[str, float]:
    """Return how many pods each deployment's services ask for in a phase, where that is not about the same for all.

    The cost counts sidecars, gateways and control planes, not what runs beside a sidecar; of deployments that run the
    same services that is the same, of variants that change replicas, or of autoscalers, it is not.

    Parameters
    ----------
    frame
        As `meshsim.analysis.summary.summarize` or `meshsim.analysis.comparison.compare` returns it.
    phase
        That the cost is told of.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [("as it is", "before", "desired_pods", 8.0), ("pods at home", "before", "desired_pods", 12.0)]
    >>> frame = pd.DataFrame(rows, columns=["deployment", "phase", "metric", "mean"])
    >>> pods_apart(frame, "before"), pods_apart(frame, "during")
    ({'as it is': 8.0, 'pods at home': 12.0}, {})
    """
    value = "mean" if "mean" in frame else "value"
    rows = frame[(frame["metric"] == "desired_pods") & (frame["phase"] == phase)]
    rows = rows[rows[value].map(math.isfinite).astype(bool)]  # what was not measured is neither the same nor another
    found = {str(name): float(of) for name, of in rows.groupby("deployment", sort=False)[value].mean().items()}
    if not found or max(found.values()) - min(found.values()) <= _TOLD * max(found.values()):
        return {}
    return found
