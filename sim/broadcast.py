"""One sender, many receivers: a common link, then a link of its own to each, which loses on its own.

send ─► common ─┬─► branch 0 ─► its `arrived`
                ├─► branch 1
                └─► ...
"""

from collections.abc import Sequence

from sim.link import Link
from sim.packet import Packet


class Broadcast:
    """What arrives over `common` goes into every branch, with its number and its size."""

    def __init__(self, common: Link, branches: Sequence[Link]) -> None:
        self.common = common
        self.branches = tuple(branches)
        common.arrived = self._arrived

    def send(self, data: bytes) -> int:
        """Put a datagram on the common link; its number."""
        return self.common.send(data)

    def _arrived(self, packet: Packet) -> None:
        for branch in self.branches:
            branch.relay(packet)
