"""The renderer `diffusion`: Stable Diffusion and its kin, through diffusers, led by what a stream tells.

    caption ──────────────► prompt              │ nothing else known: text to image
    exact picture ────────► starting picture    │ image to image, the less is known the further it may go
    edge map ─────────────► ControlNet          │ beside either
                                  └─► picture ─► what is known put back ─► view

Models are others' and large: `layercast models pull NAME` fetches one at a pinned revision, or NAME=FOLDER names a
folder that holds one. Only safetensors are read, no code comes along. Noise is drawn on the CPU from the seed, which so
means the same on every device; what a device computes from it is its own. The exact picture stays the reference.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from codec.decoder import Decoder
from codec.extract.foundation import NoModel, one_line
from player.renderers import tiny
from player.renderers.known import CELL, Known, known
from player.renderers.view import Picture, Plane, Rendered, begun, merged

_GIGABYTE = 1e9
_ROOM = 1.5  # memory for work, as a multiple of the weights
_VARIANT = "fp16"  # of the files that are pulled: half the bytes
# A repository also holds each part in other formats, and a judge of pictures that is not used.
_MODEL_FILES = ["model_index.json", "*/*.json", "*/*.txt", f"*/*.{_VARIANT}.safetensors"]
_PART_FILES = ["config.json", "diffusion_pytorch_model.safetensors"]
_UNUSED = ["safety_checker/*"]


@dataclass(frozen=True)
class Source:
    """A model of pictures: where from, how it is run.

    edges: its ControlNet for soft edges (HED), fast: its tiny autoencoder, each (repository, revision). side: of the
    squares that it learnt from. steps: when it starts from noise. guidance: how hard the prompt pulls.
    """

    name: str
    repository: str
    revision: str
    gigabytes: float
    side: int
    steps: int
    guidance: float
    licence: str
    edges: tuple[str, str] | None = None
    fast: tuple[str, str] | None = None


_HED = ("lllyasviel/sd-controlnet-hed", "04473d9334ab44908daa66107bbfb6f710aa056d")
_TAESD = ("madebyollin/taesd", "614f76814bbe30edbe2e627ace1c2234c81a2c0e")

SOURCES = {
    source.name: source
    for source in (
        Source("sd15", "stable-diffusion-v1-5/stable-diffusion-v1-5", "451f4fe16113bff5a5d2269ed5ad43b0592e9a14",
               4.2, 512, 20, 6.0, "CreativeML Open RAIL-M", _HED, _TAESD),
        Source("sd-turbo", "stabilityai/sd-turbo", "b261bac6fd2cf515557d5d0707481eafa0485ec2",
               2.6, 512, 4, 0.0, "Stability AI Community", None, _TAESD),
        Source("sdxl-turbo", "stabilityai/sdxl-turbo", "71153311d3dbb46851df1931d3ca6e939de83304",
               7.0, 512, 4, 0.0, "Stability AI Non-Commercial Research Community"),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Wish:
    """How to render. model: a name of SOURCES, or NAME=FOLDER (FOLDER holds `model`, and perhaps `edges` and `fast`).

    seed: None for the stream's own (META), or 0. device, dtype: as torch names them, chosen if None. offload: parts of
    the model wait in main memory.
    """

    model: str = "sd-turbo"
    seed: int | None = None
    device: str | None = None
    dtype: str | None = None
    offload: bool = False


def render(decoder: Decoder, wish: Wish) -> Rendered:
    """A view of what `decoder` holds. Raises NoModel, one line.

    Its confidence counts on no invention: the exact picture's expected error and the view's distance from it, added.
    """
    model = load(wish.model, wish.device, wish.dtype, wish.offload)
    there, shown = known(decoder), begun(decoder)
    made = model.picture(
        decoder.caption or "",
        there.picture if shown else None,
        there.planes[2] if there.planes[3].any() else None,
        there.picture.shape[1::-1],
        freedom(there),
        seed_of(decoder) if wish.seed is None else wish.seed,
    )
    more = made.astype(np.float32) - there.picture
    if not shown:
        return merged(decoder, there, more, None, 0)
    errors = tiny.said(there, decoder.header.weights)[1][0]
    height, width = errors.shape
    far = np.abs(more).mean(2).reshape(height, CELL, width, CELL).mean((1, 3))
    return merged(decoder, there, more, errors + far, finer(there))


def seed_of(decoder: Decoder) -> int:
    """The seed that the encoder chose, as the stream tells it; 0 if it tells none that can be one."""
    told = decoder.meta.get("seed", "")
    return int(told) if told.isascii() and told.isdigit() and len(told) <= 18 else 0


def freedom(there: Known) -> float:
    """How far image to image may leave the exact picture, 0..1: 0.9 at a thumbnail, 0.3 at a whole base."""
    return 0.9 - 0.6 * float(there.planes[1].mean())


def finer(there: Known) -> float:
    """How much finer than the thumbnail's waves are those that the latents tell: 1 to 8."""
    return float(2 ** (3 * there.planes[1].mean()))


class Diffusion:
    """A model that was loaded. network: a text-to-image pipeline of diffusers."""

    def __init__(self, source: Source, network: Any, edges: Any, offload: bool) -> None:
        self.source, self._network, self._edges, self._offload = source, network, edges, offload
        self._pipelines: dict[tuple[bool, bool], Any] = {}

    def picture(
        self, prompt: str, start: Picture | None, edges: Plane | None, size: tuple[int, int], freedom: float, seed: int
    ) -> Picture:
        """uint8[H,W,3] of size (W, H).

        start uint8[H,W,3]: what it begins from, None for noise alone. edges float32[H/4,W/4] in 0..1 lead it if the
        model has a ControlNet. freedom: the share of the steps that are taken from `start` on.
        """
        import torch

        steps = self.source.steps
        if start is not None:
            steps = max(steps, math.ceil(1 / freedom))  # image to image takes freedom x steps of them, at least one
        inside = working_size(*size, self.source.side)
        told: dict[str, Any] = {
            "prompt": prompt,
            "num_inference_steps": steps,
            "guidance_scale": self.source.guidance,
            "generator": torch.Generator("cpu").manual_seed(seed),
        }
        if start is not None:
            told |= {"image": Image.fromarray(start).resize(inside, Image.Resampling.LANCZOS), "strength": freedom}
        else:
            told |= {"width": inside[0], "height": inside[1]}
        led = self._edges is not None
        if edges is not None and led:
            lines = Image.fromarray(np.rint(255 * edges).astype(np.uint8)).convert("RGB")
            told["control_image" if start is not None else "image"] = lines.resize(inside, Image.Resampling.BICUBIC)
        with torch.inference_mode():
            made = self._pipeline(start is not None, led and edges is not None)(**told).images[0]
        return np.asarray(made.convert("RGB").resize(size, Image.Resampling.LANCZOS))

    def _pipeline(self, from_picture: bool, led: bool) -> Any:
        """The pipeline for a purpose: the parts are shared by all."""
        import diffusers

        if (from_picture, led) in self._pipelines:
            return self._pipelines[from_picture, led]
        kind = diffusers.AutoPipelineForImage2Image if from_picture else diffusers.AutoPipelineForText2Image
        pipeline = kind.from_pipe(self._network, **({"controlnet": self._edges} if led else {}))
        pipeline.set_progress_bar_config(disable=True)
        if self._offload:
            pipeline.enable_model_cpu_offload()
        self._pipelines[from_picture, led] = pipeline
        return pipeline


def working_size(width: int, height: int, side: int) -> tuple[int, int]:
    """(width, height) in multiples of 64 of about side x side pixels, in a picture's shape."""
    scale = side / math.sqrt(width * height)
    return max(64, round(width * scale / 64) * 64), max(64, round(height * scale / 64) * 64)


@cache
def load(model: str, device: str | None = None, dtype: str | None = None, offload: bool = False) -> Diffusion:
    """A model by name or NAME=FOLDER, loaded once. Raises NoModel, one line: what is missing, what to do."""
    name, _, folder = model.partition("=")
    if name not in SOURCES:
        raise NoModel(f"no model {name!r}; one of {', '.join(SOURCES)}, or one of them as NAME=FOLDER")
    source = SOURCES[name]
    place = Place.of_folder(Path(folder)) if folder else Place.pulled(source)
    try:
        import torch

        diffusers: Any = import_module("diffusers")  # untyped in parts
    except ImportError as error:
        raise NoModel(f"{name} needs torch and diffusers ({one_line(error)}); install them") from None
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    kind = getattr(torch, dtype or ("float16" if device.startswith("cuda") else "float32"))
    halves = bool(list(place.model.glob(f"*/*.{_VARIANT}.safetensors")))
    if device == "cpu":
        _check_room(name, place, halves, kind.itemsize)
    if offload and find_spec("accelerate") is None:
        raise NoModel("keeping parts of a model in main memory needs the package accelerate; install it")
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    told: dict[str, Any] = {"dtype": kind, "use_safetensors": True, "local_files_only": True}
    told["low_cpu_mem_usage"] = find_spec("accelerate") is not None
    unused = {"safety_checker": None} if "safety_checker" in (place.model / "model_index.json").read_text() else {}
    try:
        network = diffusers.AutoPipelineForText2Image.from_pretrained(
            place.model, variant=_VARIANT if halves else None, **told, **unused
        )
        if place.fast is not None:
            network.vae = diffusers.AutoencoderTiny.from_pretrained(place.fast, **told)
        edges = None if place.edges is None else diffusers.ControlNetModel.from_pretrained(place.edges, **told)
    except Exception as error:  # files of others, read by code of others: many kinds come through
        raise NoModel(f"{place.model} holds no {name} that can be used ({one_line(error)}); pull it anew") from None
    if not offload:
        network.to(device)
        edges = None if edges is None else edges.to(device)
    return Diffusion(source, network, edges, offload)


@dataclass(frozen=True)
class Place:
    """Folders of a model and of the parts beside it."""

    model: Path
    edges: Path | None
    fast: Path | None

    @classmethod
    def of_folder(cls, folder: Path) -> Place:
        """FOLDER/model, FOLDER/edges, FOLDER/fast; or FOLDER itself is the model."""
        if not folder.is_dir():
            raise NoModel(f"no folder {folder}; name the folder that holds the model")
        if (folder / "model_index.json").is_file():
            return cls(folder, None, None)
        parts = [folder / name for name in ("model", "edges", "fast")]
        if not (parts[0] / "model_index.json").is_file():
            raise NoModel(f"{folder} and {parts[0]} hold no model_index.json; name a folder in diffusers' layout")
        edges, fast = (part if part.is_dir() else None for part in parts[1:])
        return cls(parts[0], edges, fast)

    @classmethod
    def pulled(cls, source: Source) -> Place:
        """What `pull` fetched."""
        try:
            model = Path(_snapshot(source.repository, source.revision, offline=True))
            edges, fast = (one and Path(_snapshot(*one, offline=True)) for one in (source.edges, source.fast))
            return cls(model, edges, fast)
        except (OSError, ValueError):
            raise NoModel(
                f"{source.name} is not here; `layercast models pull {source.name}` fetches it"
                f" ({source.gigabytes:g} GB), or name a folder that holds it: {source.name}=FOLDER"
            ) from None


def pull(source: Source) -> Path:
    """Fetches a model and its parts at their pinned revisions; the model's folder. NoModel, one line, if that fails."""
    try:
        parts = [(source.repository, source.revision), source.edges, source.fast]
        folders = [_snapshot(*one) for one in parts if one is not None]
    except Exception as error:  # of the network, of the server, of the disk
        raise NoModel(f"{source.name} cannot be fetched ({one_line(error)}); check the network and try again") from None
    return Path(folders[0])


def _snapshot(repository: str, revision: str, offline: bool = False) -> str:
    from huggingface_hub import snapshot_download

    files = _PART_FILES if (repository, revision) in (_HED, _TAESD) else _MODEL_FILES
    found: str = snapshot_download(
        repository, revision=revision, allow_patterns=files, ignore_patterns=_UNUSED, local_files_only=offline
    )
    return found


def _check_room(name: str, place: Place, halves: bool, size: int) -> None:
    """NoModel if memory cannot hold the weights as numbers of `size` bytes; halves: in the files they have 2."""
    files = list(place.model.glob(f"*/*.{_VARIANT}.safetensors" if halves else "*/*.safetensors"))
    weights = sum(file.stat().st_size for file in files) * size / (2 if halves else 4)
    needed, there = _ROOM * weights, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise NoModel(
            f"{name} takes about {needed / _GIGABYTE:.0f} GB of memory, this machine has {there / _GIGABYTE:.0f};"
            " take a smaller model, or --dtype bfloat16"
        )
