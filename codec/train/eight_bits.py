"""Weights of float networks as they are stored: large arrays in 8 bits, with a scale for each output."""

from __future__ import annotations

import numpy as np
from safetensors.numpy import save_file
from torch import Tensor

from codec import models

LARGE = 4096  # numbers; smaller arrays and single rows stay in half precision


def eight_bits(state: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """name: int8, NAME.scale: float32, what one of them stands for, by output; or name: float16."""
    stored: dict[str, np.ndarray] = {}
    for key, value in state.items():
        numbers = value.numpy()
        if numbers.ndim > 1 and numbers.size > LARGE:
            scale = np.abs(numbers).max(tuple(range(1, numbers.ndim)), keepdims=True) / 127 + 1e-12
            stored |= {key: np.round(numbers / scale).astype(np.int8), f"{key}.scale": scale.astype(np.float32)}
        else:
            stored[key] = numbers.astype(np.float16)
    return stored


def save(weights: str, name: str, stored: dict[str, np.ndarray]) -> None:
    """Writes codec/weights/WEIGHTS/NAME.safetensors."""
    path = models.FOLDER / weights / f"{name}.safetensors"
    save_file(stored, path)
    path.chmod(0o644)
    print(f"{path}: {path.stat().st_size} bytes")
