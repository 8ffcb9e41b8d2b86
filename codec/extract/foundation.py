"""Captions and dense regions by large models of others, through transformers: BLIP, BLIP-2, Florence-2.

    photos ─► the model's own processor ─► the model, a beam of tokens ─► sentences, or boxes with phrases

The models are not part of this package: `layercast models pull NAME` fetches one, at a pinned revision, into the cache
that all programs with transformers share; a folder that holds one will do as well. Only safetensors are read, and no
code comes along. Encoder side only: whatever they find is coded like any other caption or region.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codec.extract.caption import rgb
from codec.region import Region

Picture = NDArray[np.uint8]

_CAPTION, _DENSE = "<CAPTION>", "<DENSE_REGION_CAPTION>"  # what Florence-2 is asked
_BEAM = 3
_LONGEST = 40  # tokens of a sentence
_LONGEST_DENSE = 512  # of all boxes and phrases
_FILES = ["*.json", "*.txt", "*.safetensors"]


class NoModel(RuntimeError):
    """A model that is not here or cannot be read. The message is one line: what is wrong; what to do."""


@dataclass(frozen=True)
class Source:
    """A model: its class in transformers, where it is pulled from, its bytes and the licence of its weights."""

    name: str
    kind: str
    repository: str
    revision: str
    gigabytes: float
    licence: str

    @property
    def finds_regions(self) -> bool:
        """Whether it can say what stands where."""
        return self.kind == "Florence2ForConditionalGeneration"


SOURCES = {
    source.name: source
    for source in (
        Source("blip", "BlipForConditionalGeneration", "Salesforce/blip-image-captioning-large",
               "353689b859fcf0523410b1806dace5fb46ecdf41", 1.9, "BSD-3-Clause"),
        Source("blip2", "Blip2ForConditionalGeneration", "Salesforce/blip2-opt-2.7b",
               "59a1ef6c1e5117b3f65523d1c6066825bcf315e3", 15.0, "MIT; OPT's own terms for its language model"),
        Source("florence2", "Florence2ForConditionalGeneration", "florence-community/Florence-2-base",
               "00921df66db728a9ceb750f5eca43e5c203a2051", 0.5, "MIT"),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Described:
    """A region of a picture in pixels and a phrase about it."""

    region: Region
    phrase: str


class Foundation:
    """A model that was loaded. Pictures are uint8[H,W,C], C of 1 to 4, of any sizes; they go in batches."""

    def __init__(self, source: Source, processor: Any, network: Any) -> None:
        self.source, self._processor, self._network = source, processor, network

    def captions(self, pictures: Sequence[Picture], batch: int = 8) -> list[str]:
        """A sentence about each picture."""
        found = []
        for images in _batches(pictures, batch):
            if self.source.finds_regions:
                texts = self._asked(images, _CAPTION, _LONGEST)
            else:
                texts = self._decoded(self._processor(images=images, return_tensors="pt"), _LONGEST, plain=True)
            found += [tidy(text) for text in texts]
        return found

    def regions(self, pictures: Sequence[Picture], batch: int = 4) -> list[list[Described]]:
        """What stands where in each picture, in the model's order. NoModel if it cannot say."""
        if not self.source.finds_regions:
            raise NoModel(f"{self.source.name} finds no regions; florence2 and embedded do")
        return [
            _described(answer["bboxes"], answer["labels"], *image.size)
            for images in _batches(pictures, batch)
            for image, answer in zip(images, self._asked(images, _DENSE, _LONGEST_DENSE), strict=True)
        ]

    def _asked(self, images: list[Image.Image], task: str, longest: int) -> list[Any]:
        """Florence-2's answers to one of its tasks."""
        inputs = self._processor(images=images, text=[task] * len(images), return_tensors="pt")
        texts = self._decoded(inputs, longest, plain=False)
        texts = [text.replace(self._processor.tokenizer.pad_token, "") for text in texts]  # of the others' lengths
        post = self._processor.post_process_generation
        return [post(text=t, task=task, image_size=i.size)[task] for t, i in zip(texts, images, strict=True)]

    def _decoded(self, inputs: Any, longest: int, plain: bool) -> list[str]:
        import torch

        with torch.inference_mode():
            tokens = self._network.generate(
                **inputs.to(self._network.device, self._network.dtype),  # whole numbers keep their type
                max_new_tokens=longest, num_beams=_BEAM, do_sample=False,
            )  # fmt: skip
        texts: list[str] = self._processor.batch_decode(tokens, skip_special_tokens=plain)
        return texts


def _batches(pictures: Sequence[Picture], size: int) -> Iterator[list[Image.Image]]:
    for start in range(0, len(pictures), size):
        yield [Image.fromarray(rgb(picture)) for picture in pictures[start : start + size]]


def _described(boxes: Sequence[Sequence[float]], labels: Sequence[str], width: int, height: int) -> list[Described]:
    """Boxes (x0, y0, x1, y1) as whole pixels inside the picture; those without a phrase or an area are left out."""
    found = []
    for (left, top, right, bottom), label in zip(boxes, labels, strict=True):
        x0, y0 = max(0, int(left)), max(0, int(top))
        x1, y1 = min(width, int(right)), min(height, int(bottom))
        phrase = " ".join(label.split())
        if x0 < x1 and y0 < y1 and phrase:
            found.append(Described((x0, y0, x1 - x0, y1 - y0), phrase))
    return found


def tidy(text: str) -> str:
    """A sentence as people write one: single spaces, a capital, a full stop."""
    text = " ".join(text.split())
    return text[:1].upper() + text[1:] + ("." if text[-1:].isalnum() else "")


@cache
def load(name: str, folder: str | None = None, device: str | None = None, dtype: str | None = None) -> Foundation:
    """The model `name` of SOURCES, loaded once.

    folder: holds the model; else it is the pulled one. device: as torch names it; a CUDA device if there is one. dtype:
    `float32`, `float16`, `bfloat16`; half precision on CUDA, float32 elsewhere. Raises NoModel, one line.
    """
    source = SOURCES[name]
    try:
        import torch
        import transformers

        network_class = getattr(transformers, source.kind)
    except (ImportError, AttributeError) as error:
        raise NoModel(f"{name} needs torch and transformers 4.57 or later ({one_line(error)}); install them") from None
    place = Path(folder) if folder is not None else pulled(source)
    if not place.is_dir():
        raise NoModel(f"{name}: no folder {place}; name the folder that holds the model")
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    kind = getattr(torch, dtype or ("float16" if device.startswith("cuda") else "float32"))
    library: Any = transformers  # untyped in parts
    library.utils.logging.disable_progress_bar()
    try:
        processor = library.AutoProcessor.from_pretrained(place, local_files_only=True)
        network = network_class.from_pretrained(place, dtype=kind, use_safetensors=True, local_files_only=True)
        return Foundation(source, processor, network.eval().to(device))
    except Exception as error:  # files of others, read by code of others: many kinds come through
        raise NoModel(f"{place} holds no {name} that can be used ({one_line(error)}); pull or copy it anew") from None


def pulled(source: Source) -> Path:
    """The folder of a pulled model. NoModel if it was not pulled."""
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(source.repository, revision=source.revision, local_files_only=True)
    except (OSError, ValueError):
        raise NoModel(
            f"{source.name} is not here; `layercast models pull {source.name}` fetches it ({source.gigabytes:g} GB), or"
            f" name a folder that holds it: {source.name}=FOLDER"
        ) from None
    return Path(found)


def pull(source: Source) -> Path:
    """Fetches a model at its pinned revision, unless it is here; its folder. NoModel, one line, if that fails."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source.repository, revision=source.revision, allow_patterns=_FILES))
    except Exception as error:  # of the network, of the server, of the disk
        raise NoModel(f"{source.name} cannot be fetched ({one_line(error)}); check the network and try again") from None


def one_line(error: BaseException) -> str:
    """What an exception says, in at most 160 characters."""
    return " ".join(str(error).split())[:160] or type(error).__name__
