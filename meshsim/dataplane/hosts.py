"""The endpoints of a destination, as the control plane tells one proxy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Hosts:
    """The endpoints of a destination as one proxy sees them; all arrays have the shape ``(n,)``.

    Parameters
    ----------
    hosts
        Pods, or gateway addresses as ``-number - 2``.
    priorities, weights
        Of each host.
    unhealthy
        1 where the control plane says that it is not healthy.
    localities, locality_weights
        Number of the host's locality within its priority, and the locality's weight.
    local, own_shares
        1 where a host is in the client's own locality, and the share of the client's own service in the host's
        locality; -1 where nobody looks at it.
    own_share
        The share of the client's own service in the client's locality; -1 where nobody looks at it.
    """

    hosts: NDArray[np.int32]
    priorities: NDArray[np.int32]
    weights: NDArray[np.float64]
    unhealthy: NDArray[np.int32]
    localities: NDArray[np.int32]
    locality_weights: NDArray[np.float64]
    local: NDArray[np.int32]
    own_shares: NDArray[np.float64]
    own_share: float = -1.0

    @classmethod
    def equal(cls, hosts: Sequence[int]) -> Hosts:
        """Return hosts that are all alike."""
        none = np.zeros(len(hosts), dtype=np.int32)
        ones = np.ones(len(hosts))
        return cls(np.array(hosts, dtype=np.int32), none, ones, none, none, ones, none, -ones)
