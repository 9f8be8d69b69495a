"""API servers: whether a cluster's answers; who needs one is in spec §5.4."""

from __future__ import annotations


class ApiServer:
    """The API server of a cluster.

    Istio needs it for watches, for admitting pods, for applying configuration, and to review the tokens by which the
    proxies of its cluster open xDS streams and ask for certificates.

    Parameters
    ----------
    zone
        Number of the zone that stands for it.
    """

    def __init__(self, zone: int) -> None:
        self.zone = zone
        self._causes = 0

    @property
    def up(self) -> bool:
        """Return whether it answers.

        Examples
        --------
        >>> server = ApiServer(0)
        >>> server.fail(), server.up, server.recover(), server.up
        (None, False, None, True)
        """
        return self._causes == 0

    def fail(self) -> None:
        """Stop answering, for one more cause."""
        self._causes += 1

    def recover(self) -> None:
        """Take one cause away; without any it answers again."""
        self._causes -= 1
