"""The structure layer: edge map (edges), described regions (regions), facts about the picture (meta).

edges.py     strength map <-> two EDGES chunks       network.py, ridges.py   photo -> strength, encoder side
codebook.py  tokens -> patches -> map                context.py   tokens <-> decisions under an integer network
search.py    the encoder's choice of tokens          regions.py, meta.py   the syntax of REGIONS and META chunks
"""

from codec.structure.edges import EdgeDecoder, area, count, encode, extract, map_shape, needs

__all__ = ["EdgeDecoder", "area", "count", "encode", "extract", "map_shape", "needs"]
