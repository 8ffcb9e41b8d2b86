"""The latent layer: a learned picture, coarse to fine, from a thumbnail of 19 bytes up.

photo ─► encoder (analysis network, float) ─► symbols ─► payloads ─► decoder (whole numbers) ─► base picture
"""

from __future__ import annotations

from codec.latent.layout import area, count, needs

__all__ = ["area", "count", "needs"]
