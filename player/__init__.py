"""Chunks in, pictures out: the best picture now, and the timeline of how it came. Imports codec."""

from player.items import StreamItem, index_of, items_of, key_of
from player.player import Happening, Moment, Player

__all__ = ["Happening", "Moment", "Player", "StreamItem", "index_of", "items_of", "key_of"]
