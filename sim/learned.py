"""LPIPS and DISTS, only where their true weights lie on this machine: nothing is fetched, nothing stands in for them.

Both are packages (lpips, DISTS_pytorch) whose own few weights come along, over a network of torchvision whose weights
do not: those must lie in the folder of torch.hub, or the measure is absent.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sim.metrics import Picture, to_rgb

BACKBONES = {"LPIPS": "alexnet-owt-7be5be79.pth", "DISTS": "vgg16-397923af.pth"}
_PACKAGES = {"LPIPS": "lpips", "DISTS": "DISTS_pytorch"}


def missing(name: str) -> str:
    """Why "LPIPS" or "DISTS" cannot be measured here; empty if it can be."""
    absent = [package for package in (_PACKAGES[name], "torchvision") if find_spec(package) is None]
    if absent:
        return f"the package {absent[0]} is not installed"
    import torch

    path = Path(torch.hub.get_dir()) / "checkpoints" / BACKBONES[name]
    return "" if path.is_file() else f"its weights are not in {path.parent.name}/{path.name} of torch.hub's folder"


def lpips(reference: Picture, shown: Picture) -> float:
    """LPIPS over AlexNet (Zhang et al. 2018), 0 the same."""
    return _measured("LPIPS", reference, shown, 2.0, -1.0)


def dists(reference: Picture, shown: Picture) -> float:
    """DISTS (Ding et al. 2020), 0 the same."""
    return _measured("DISTS", reference, shown, 1.0, 0.0)


def _measured(name: str, reference: Picture, shown: Picture, scale: float, offset: float) -> float:
    import torch

    pair = (torch.tensor(to_rgb(p)).permute(2, 0, 1)[None].float() / 255 * scale + offset for p in (reference, shown))
    with torch.inference_mode():
        return float(_network(name)(*pair))


@cache
def _network(name: str) -> Callable[..., Any]:
    """The network with its weights. RuntimeError if they are missing."""
    why = missing(name)
    if why:
        raise RuntimeError(f"{name} cannot be measured: {why}")
    if name == "LPIPS":
        from lpips import LPIPS  # type: ignore[import-not-found]

        network: Any = LPIPS(net="alex", verbose=False)
    else:
        from DISTS_pytorch import DISTS  # type: ignore[import-not-found]

        network = DISTS()
    return network.eval()  # type: ignore[no-any-return]
