"""Entropy coding: binary decisions with 16-bit probabilities, in whole passes.

Every layer turns its symbols into binary decisions, computes their probabilities by integer arithmetic or look-ups,
and hands both over as arrays. The range coder underneath is constriction's; its arithmetic is stated in
codec/FORMAT.md, and nothing of it (exceptions included) leaves this package.
"""

from codec.entropy.bits import BitDecoder, BitEncoder, get_runs, ideal_bits, put_runs

__all__ = ["BitDecoder", "BitEncoder", "get_runs", "ideal_bits", "put_runs"]
