"""Pictures made from what a stream tells: views beside the exact picture, which no renderer ever changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codec.decoder import Decoder
    from player.renderers.diffusion import Wish
    from player.renderers.view import Rendered

NAMES = ("exact", "tiny", "diffusion")

# IPTC's term for a picture of which a part was made by a trained model.
_SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    f' Iptc4xmpExt:DigitalSourceType="{_SOURCE}"/></rdf:RDF></x:xmpmeta>'
)


def render(decoder: Decoder, name: str, wish: Wish | None = None) -> Rendered:
    """What the renderer `name` (of NAMES) makes of what `decoder` holds, and how far each place can be trusted.

    wish: how `diffusion` is to do it. Raises codec.extract.foundation.NoModel, one line, if its model is not here.
    """
    from player.renderers import diffusion, tiny

    if name == "diffusion":
        return diffusion.render(decoder, wish or diffusion.Wish())
    return {"exact": tiny.exact, "tiny": tiny.render}[name](decoder)


def describe(name: str) -> dict[str, str]:
    """What a picture's file has to say of its renderer, by keyword of PNG: nothing for the exact one."""
    if name == "exact":
        return {}
    words = f"Made by the renderer {name} from a layercast stream: fine detail is generated, not measured."
    return {"Comment": words, "XML:com.adobe.xmp": _XMP}
