"""Other libraries that can compute the layers of the exact networks: torch and ONNX Runtime beside numpy.

All give the same whole numbers, which `layercast bench identity` shows. numpy alone decodes, and is no slower on a
CPU. A runtime that leaves the whole numbers on this machine (TF32, bfloat16, Winograd) is found by a probe and refused.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from codec import integer
from codec.integer import EXACT, LIMIT, Array, Conv, Runtime

NAMES = ("numpy", "torch", "cuda", "onnx")
_OPSET, _IR = 17, 9  # of ONNX: what onnxruntime 1.17 and later read


def use(name: str, threads: int = 0, optimise: bool = True) -> None:
    """Decodes by one of NAMES from now on, in the whole process.

    threads: 0 leaves their number to the runtime (numpy's is set by its environment alone); optimise: whether ONNX
    Runtime may fuse and rewrite its graphs. ValueError for another name, or where the runtime is missing or not exact.
    """
    integer.use(_probed(name, _made(name, threads, optimise)))


def _made(name: str, threads: int, optimise: bool) -> Runtime:
    if name == "numpy":
        return integer.in_numpy
    if name == "onnx":
        if find_spec("onnx") is None or find_spec("onnxruntime") is None:
            raise ValueError("no ONNX Runtime is installed; pip install onnx onnxruntime")
        return _onnx(threads, optimise)
    if name not in NAMES:
        raise ValueError(f"unknown runtime {name!r}; one of {', '.join(NAMES)}")
    if find_spec("torch") is None:
        raise ValueError("no torch is installed; pip install torch, or use another runtime")
    return _torch(name == "cuda", threads)


def _probed(name: str, runtime: Runtime) -> Runtime:
    """`runtime`, if layers whose sums reach nearly 2^24 come out as in numpy; ValueError otherwise."""
    random = np.random.default_rng(0)
    for size, inputs in ((1, 40), (3, 40), (3, 64)):
        weight = random.integers(-127, 128, (size * size * inputs, 16)).astype(np.float32)
        weight *= (EXACT - 2) // LIMIT // np.abs(weight).sum(0).max()
        layer = Conv(weight, np.ones(16, np.float32), np.full(16, 0.5, np.float32), size)
        x = random.integers(-LIMIT, LIMIT + 1, (24, 40, inputs)).astype(np.float32)
        if not np.array_equal(runtime(layer, x), integer.in_numpy(layer, x)):
            raise ValueError(f"{name} does not compute whole numbers exactly here; use another runtime")
    return runtime


def _torch(cuda: bool, threads: int) -> Runtime:
    """torch's convolution on the CPU; on CUDA, where cuDNN might choose Winograd, matrix products."""
    import torch

    if cuda and not torch.cuda.is_available():
        raise ValueError("torch sees no CUDA device; use another runtime")
    if threads:
        torch.set_num_threads(threads)
    device = torch.device("cuda" if cuda else "cpu")

    @cache
    def parts(conv: Conv) -> tuple[Any, ...]:
        taps = conv.weight.reshape(conv.size, conv.size, -1, conv.weight.shape[1]).transpose(3, 2, 0, 1)
        weight = torch.from_numpy(np.ascontiguousarray(taps)).to(device)
        return weight, *(torch.from_numpy(a).to(device)[:, None, None] for a in (conv.bias, conv.scale))

    def runtime(conv: Conv, x: Array) -> Array:
        weight, bias, scale = parts(conv)
        planes = torch.from_numpy(np.ascontiguousarray(x)).to(device).permute(2, 0, 1)[None]
        pad = conv.size // 2
        with torch.inference_mode(), torch.backends.nnpack.flags(enabled=False):  # NNPACK knows Winograd
            if cuda:
                columns = torch.nn.functional.unfold(planes, conv.size, padding=pad)[0]
                sums = (weight.flatten(1) @ columns).reshape(-1, *planes.shape[2:])
            else:
                sums = torch.nn.functional.conv2d(planes, weight, padding=pad)[0]
            total: Array = torch.floor((sums + bias) * scale).permute(1, 2, 0).cpu().numpy()
        return np.ascontiguousarray(total)

    return runtime


def _onnx(threads: int, optimise: bool) -> Runtime:
    """ONNX Runtime on the CPU, one graph a layer."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimise else levels.ORT_DISABLE_ALL

    @cache
    def session(conv: Conv) -> Any:
        return onnxruntime.InferenceSession(graph(conv), options, providers=["CPUExecutionProvider"])

    def runtime(conv: Conv, x: Array) -> Array:
        (total,) = session(conv).run(None, {"x": np.ascontiguousarray(x.transpose(2, 0, 1)[None])})
        return np.ascontiguousarray(total[0].transpose(1, 2, 0))

    return runtime


def graph(conv: Conv) -> bytes:
    """The ONNX model of a layer: x float32[1,inputs,H,W] -> y float32[1,outputs,H,W]."""
    from onnx import TensorProto, helper, numpy_helper

    outputs, pad = conv.weight.shape[1], conv.size // 2
    taps = conv.weight.reshape(conv.size, conv.size, -1, outputs).transpose(3, 2, 0, 1)
    constants = {"weight": taps, "bias": conv.bias, "scale": conv.scale[:, None, None]}
    nodes = [
        helper.make_node("Conv", ["x", "weight", "bias"], ["sum"], pads=[pad] * 4),
        helper.make_node("Mul", ["sum", "scale"], ["scaled"]),
        helper.make_node("Floor", ["scaled"], ["y"]),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, "height", "width"])
        for name, channels in (("x", taps.shape[1]), ("y", outputs))
    ]
    stored = [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "layer", ends[:1], ends[1:], stored),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR,
    )
    serialised: bytes = model.SerializeToString()
    return serialised
