"""Turns a trained latent network into whole numbers and counted tables: the files that codec/latent reads.

    python -m codec.train.freeze CHECKPOINT --out codec/weights/base --data FOLDER [--tiny]

The exact range is proved layer by layer while the whole numbers are made (codec/integer.py). The probability tables
are counted on training photos, coded by the frozen network itself.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tqdm import tqdm

from codec import integer, models
from codec.latent import encoder, network
from codec.latent.symbols import LARGEST
from codec.stream import Header
from codec.train import photos
from codec.train.latent_model import TINY, Config


def matrix(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """[outputs, inputs, k, k] -> [k*k*inputs, outputs]."""
    return np.ascontiguousarray(weight.transpose(2, 3, 1, 0).reshape(-1, weight.shape[0]))


def whole_numbers(
    state: dict[str, torch.Tensor], config: Config
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """(exact synthesis network, float analysis network) of a checkpoint."""
    exact = {name: np.array(getattr(config, name), dtype=np.int32) for name in ("steps", "blocks", "looks")}
    analysis: dict[str, np.ndarray] = {}
    for name in [n.removesuffix(".weight") for n in state if n.endswith(".weight")]:
        weight = state[f"{name}.weight"].double().numpy()
        bias = state[f"{name}.bias"].double().numpy()
        if "analyse" in name or "posterior" in name:
            analysis[f"{name}.weight"] = matrix(weight).astype(np.float16)
            analysis[f"{name}.bias"] = bias.astype(np.float32)
            continue
        w, b, shift = integer.quantised(matrix(weight), bias)
        exact |= {f"{name}.weight": w.astype(np.int16), f"{name}.bias": b, f"{name}.shift": shift}
        exact[f"{name}.size"] = np.array(weight.shape[2], dtype=np.int32)
    return exact, analysis


def thawed(weights: int | str, network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The parameters of `network` as a weights set holds them: training can go on from there without a checkpoint.

    Blocks that the set lacks begin as identities.
    """
    exact, analysis = models.load(weights, "latent"), models.load(weights, "analysis")
    state = {}
    for name, parameter in network.state_dict().items():
        layer = name.rpartition(".")[0]
        if f"{layer}.weight" not in exact | analysis:
            state[name] = torch.zeros_like(parameter) if layer.endswith(".b") else parameter
            continue
        if name in analysis:
            numbers = analysis[name].astype(np.float64)
        else:
            one = 2.0 ** exact[f"{layer}.shift"].astype(np.float64)
            half = 0 if name.endswith("weight") else np.floor(one / 2)
            numbers = (exact[name] - half) / (one if name.endswith("weight") else one * (1 << integer.FRACTION))
        if name.endswith("weight"):
            outputs, inputs, size, _ = parameter.shape
            numbers = numbers.reshape(size, size, inputs, outputs).transpose(3, 2, 0, 1)
        state[name] = torch.from_numpy(np.ascontiguousarray(numbers)).to(parameter.dtype)
    return state


def flat_table(steps: int) -> NDArray[np.uint16]:
    return np.full((steps, network.SPREADS, LARGEST), 1 << 15, dtype=np.uint16)


def counted(data: Path, weights: int, pictures: int) -> NDArray[np.uint16]:
    """Tables of P(magnitude > m | >= m) by step and spread, counted over `pictures` training photos."""
    rungs = network.load(weights).rungs
    ones = np.zeros((len(rungs), network.SPREADS, LARGEST))
    total = np.zeros_like(ones)
    for path in tqdm(photos.split(data)[0][:: max(1, 237 // pictures)]):
        picture = photos.load(path)
        for step, values, spreads in symbols_of(picture, weights):
            magnitude = np.abs(values)
            for m in range(LARGEST):
                np.add.at(total[step, :, m], spreads[magnitude >= m], 1)
                np.add.at(ones[step, :, m], spreads[magnitude > m], 1)
    prior = np.clip(1.5 ** (np.arange(network.SPREADS) - 20), 1e-3, 0.6)[None, :, None]
    pooled = (ones.sum(0) + 20 * prior[0]) / (total.sum(0) + 20)
    share = (ones + 30 * pooled) / (total + 30)
    return np.clip(np.round(share * 65536), 16, 65520).astype(np.uint16)


def symbols_of(picture: NDArray[np.uint8], weights: int) -> list[tuple[int, NDArray[np.int64], NDArray[np.uint8]]]:
    """(step from 0, values, spreads) of a picture, as the encoder quantises it; nothing is coded."""
    found: list[tuple[int, NDArray[np.int64], NDArray[np.uint8]]] = []
    header = Header(picture.shape[1], picture.shape[0], 3, weights)
    encoder.choose(picture, header, lambda tile, values, spreads: found.append((tile.step - 1, values, spreads)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=120)
    parser.add_argument("--tiny", action="store_true")
    a = parser.parse_args()
    state = torch.load(a.checkpoint, map_location="cpu", weights_only=True)["network"]
    config = TINY if a.tiny else Config()
    exact, analysis = whole_numbers(state, config)
    exact["table"] = flat_table(len(config.steps))
    save_file(analysis, a.out / "analysis.safetensors")
    save_file(exact, a.out / "latent.safetensors")
    models.load.cache_clear()
    exact["table"] = counted(a.data, 0 if a.tiny else 1, a.pictures)
    save_file(exact, a.out / "latent.safetensors")


if __name__ == "__main__":
    main()
