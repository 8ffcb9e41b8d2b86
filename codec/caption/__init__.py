"""The caption layer: one text, any UTF-8, in a few bytes.

A payload stands by itself: no other chunk is needed to read it, and no pixel needs it. Section 4 of `codec/FORMAT.md`
describes every bit.
"""

from codec.caption.coder import Caption, decode, encode

__all__ = ["Caption", "decode", "encode"]
