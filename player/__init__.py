"""Chunks in, pictures out: the best picture now, and the timeline of how it came. Imports codec."""

from player.items import StreamItem, index_of, items_of, key_of
from player.player import Happening, Moment, Player, Want

__all__ = ["Happening", "Moment", "Player", "StreamItem", "Want", "index_of", "items_of", "key_of"]
