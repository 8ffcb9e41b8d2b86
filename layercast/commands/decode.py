"""`layercast decode`: a stream, or as much of one as there is, to a PNG."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from layercast.commands.report import Failure, failing, warn
from layercast.printable import printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from codec import Decoded, Decoder
    from player.renderers.diffusion import Wish
    from player.renderers.view import Rendered


@click.command()
@click.argument("source", metavar="IN")
@click.option("-o", "--output", metavar="OUT.png", help="The picture's name.  [default: IN.png beside it]")
@click.option(
    "--upto", type=click.Choice(["caption", "structure", "latent", "residual"]), help="Use the layers up to this one."
)
@click.option(
    "--renderer",
    type=click.Choice(["exact", "tiny", "diffusion"]),
    default="exact",
    show_default=True,
    help="exact: what was sent, nothing else. tiny, diffusion: networks add detail that was not sent; the PNG says so.",
)
@click.option(
    "--model",
    metavar="NAME[=FOLDER]",
    default="sd-turbo",
    show_default=True,
    help="Of diffusion: sd15, sd-turbo or sdxl-turbo, pulled by `models pull` or in FOLDER.",
)
@click.option("--seed", type=click.IntRange(0), help="Of what diffusion invents.  [default: the stream's, or 0]")
@click.option("--device", metavar="NAME", help="Of diffusion, as torch names it.  [default: cuda if there is one]")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float16", "bfloat16"]),
    help="Of diffusion's numbers.  [default: float16 on cuda, else float32]",
)
@click.option("--offload", is_flag=True, help="Parts of diffusion's model wait in main memory (needs accelerate).")
@click.option(
    "--confidence", metavar="MAP.png", help="A map of how sure each place is: white exact, black nothing known."
)
@click.option("--strict", is_flag=True, help="Fail on any damage instead of showing what is left.")
@click.option("--limit", type=click.FloatRange(min=0, min_open=True), metavar="MP", default=64.0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def decode(
    source: str,
    output: str | None,
    upto: str | None,
    renderer: str,
    model: str,
    seed: int | None,
    device: str | None,
    dtype: str | None,
    offload: bool,
    confidence: str | None,
    strict: bool,
    limit: float,
    as_json: bool,
) -> None:
    """Make a PNG of a stream or of a part of one.

    Missing and cut chunks are ordinary: the picture is the best that the rest gives. The caption becomes alt text.
    """
    from codec.decoder import fed
    from codec.extract.photo import write_png
    from player.renderers import describe
    from player.renderers.diffusion import Wish

    target = Path(output) if output is not None else Path(source).with_suffix(".png")
    start = time.perf_counter()
    with failing(source):
        data = Path(source).read_bytes()
        decoder = fed(data, upto=upto, strict=strict, limit=round(limit * 1e6))
        decoded = decoder.report()
        view = renderer != "exact" or confidence is not None
        rendered = _view(decoder, renderer, Wish(model, seed, device, dtype, offload)) if view else None
    seconds = time.perf_counter() - start
    with failing(target):
        texts = {} if decoded.caption is None else {"Description": decoded.caption}
        write_png(target, decoded.picture if rendered is None else rendered.picture, texts | describe(renderer))
    if rendered is not None and confidence is not None:
        with failing(confidence):
            write_png(
                confidence, as_grey(rendered.confidence), {"Description": "confidence: white exact, black unknown"}
            )
    for (kind, index), reason in decoded.dropped:
        warn(source, f"{kind.name.lower()} {index} is not used: {reason}")
    facts = _facts(source, target, len(data), decoded, seconds)
    click.echo(json.dumps(facts, ensure_ascii=False) if as_json else _sentence(facts))


def _view(decoder: Decoder, renderer: str, wish: Wish) -> Rendered:
    """What a renderer makes of it, or a Failure that says what is missing."""
    from codec.extract.foundation import NoModel
    from player.renderers import render

    try:
        return render(decoder, renderer, wish)
    except NoModel as problem:
        raise Failure(f"--renderer {renderer}", str(problem)) from None


def as_grey(confidence: NDArray[np.float32]) -> NDArray[np.uint8]:
    """uint8[h,w,1] of a map float32[h,w] in 0..1. 255 is 1 and nothing less: exact to the last bit."""
    import numpy as np

    grey = np.where(confidence < 1, np.minimum(np.rint(255 * confidence), 254), 255)
    return grey.astype(np.uint8)[..., None]


def verdict(decoded: Decoded) -> bool | None:
    """Whether the pixels are the source's: None as long as not all of them can be, so that False means damage."""
    return decoded.verified if decoded.verified or decoded.exact_area == 1 else None


def _facts(source: str, target: Path, size: int, decoded: Decoded, seconds: float) -> dict[str, Any]:
    return {
        "file": source,
        "output": str(target),
        "bytes": size,
        "width": decoded.header.width,
        "height": decoded.header.height,
        "channels": decoded.header.channels,
        "caption": decoded.caption,
        "caption_source": decoded.caption_source,
        "meta": decoded.meta,
        "verified": verdict(decoded),
        "exact_area": decoded.exact_area,
        "used": len(decoded.used),
        "dropped": len(decoded.dropped),
        "seconds": round(seconds, 2),
    }


def _sentence(facts: dict[str, Any]) -> str:
    state = {True: "verified", False: "NOT verified: its check disagrees", None: f"{facts['exact_area']:.0%} exact"}
    lines = [
        f"{facts['output']}: {facts['width']}x{facts['height']} of {facts['bytes']:,} bytes,"
        f" {state[facts['verified']]}, {facts['seconds']:.1f} s"
    ]
    if facts["caption"] is not None:
        guessed = " (guessed)" if facts["caption_source"] == "guessed" else ""
        lines.append(f"caption{guessed}: {printable(facts['caption'])}")
    return "\n".join(lines)
