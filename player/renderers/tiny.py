"""The renderer `tiny`: a small network of ours adds the detail that the exact picture lacks, and says how sure it is.

Words do not steer it: it learnt from photos without captions. float32: the same picture on machines of the same kind;
only the exact picture is the same on all.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from codec import models
from codec.decoder import Decoder
from codec.extract.foundation import NoModel
from player.renderers.known import Known, known
from player.renderers.view import Plane, Rendered, begun, exactly, merged

if TYPE_CHECKING:
    from player.renderers.tiny_network import Tiny


def render(decoder: Decoder) -> Rendered:
    """The picture of what `decoder` holds. NoModel, one line, if the stream's set of weights has no renderer."""
    if not begun(decoder):
        return exactly(decoder, None)
    there = known(decoder)
    more, errors = said(there, decoder.header.weights)
    return merged(decoder, there, more, errors[1])


def exact(decoder: Decoder) -> Rendered:
    """The exact picture, with what the network thinks of it as confidence."""
    if not begun(decoder):
        return exactly(decoder, None)
    return exactly(decoder, said(known(decoder), decoder.header.weights)[1][0])


def said(there: Known, weights: int) -> tuple[Plane, Plane]:
    """(what to add float32[H,W,3] in levels, expected errors float32[2,H/4,W/4] of the picture as shown, and after)."""
    import torch

    with torch.no_grad():
        shown = torch.from_numpy(there.picture.transpose(2, 0, 1)[None].astype(np.float32))
        added, logs = _network(weights)(shown, torch.from_numpy(there.planes[None]))
    return added[0].permute(1, 2, 0).numpy(), logs[0].exp().numpy()


@cache
def _network(weights: int) -> Tiny:
    import torch

    from player.renderers.tiny_network import Tiny

    try:
        stored = models.load(weights, "renderer")
    except FileNotFoundError:
        raise NoModel(
            f"the set of weights {models.set_name(weights)} has no renderer; take the exact picture"
        ) from None
    network = Tiny()
    network.load_state_dict({name: torch.from_numpy(models.restored(stored, name)) for name in network.state_dict()})
    return network.eval()
