"""Weights: read as they were written, unknown sets say so, the installed files are those published."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from codec import models
from codec.stream import FormatError


def test_reads_what_the_library_writes() -> None:
    arrays = {
        "a": np.arange(-6, 6, dtype=np.int16).reshape(3, 4),
        "b": np.array([0.5, -1.5], dtype=np.float32),
        "empty": np.zeros((0, 3), np.uint8),
        "scalar": np.array(7, dtype=np.int64),
    }
    found = models.read_safetensors(save(arrays, metadata={"seed": "1"}))
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        assert not found[name].flags.writeable


def test_cut_files_are_refused() -> None:
    data = save({"a": np.arange(9)})
    for size in (0, 5, 20, len(data) - 1):
        with pytest.raises(ValueError):
            models.read_safetensors(data[:size])


@pytest.mark.parametrize("weights", [2, 15, "research-of-tomorrow"])
def test_unknown_sets_say_who_reads_them(weights: int | str) -> None:
    with pytest.raises(FormatError, match=f"weights set {weights} is unknown .* a later layercast reads it"):
        models.load(weights, "caption")


def test_every_layer_has_tiny_and_base_weights() -> None:
    names = {kind: {model.name for model in models.models() if model.set == kind} for kind in ("tiny", "base")}
    wanted = {"analysis", "caption", "edge_vq", "edges", "latent", "residual", "thumbnail"}
    assert wanted <= names["base"] and wanted <= names["tiny"]


def test_installed_weights_are_those_published() -> None:
    assert models.verify() == []


def test_every_file_of_weights_has_its_licence_and_is_small() -> None:
    for model in models.models():
        assert model.licence is not None, f"{model.set}/{model.name} has no licence beside it"
        assert model.size < 8_000_000
        assert all(not array.flags.writeable for array in models.load(model.set, model.name).values())


def test_verify_tells_missing_changed_and_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "FOLDER", tmp_path)
    monkeypatch.setattr(models, "SUMS", tmp_path / "SHA256SUMS")
    (tmp_path / "tiny").mkdir()
    for name in ("a", "b"):
        (tmp_path / f"tiny/{name}.safetensors").write_bytes(save({"x": np.arange(3)}))
    models.SUMS.write_text(models.sums())
    assert models.verify() == []
    (tmp_path / "tiny/a.safetensors").unlink()
    (tmp_path / "tiny/b.safetensors").write_bytes(save({"x": np.arange(4)}))
    (tmp_path / "tiny/c.safetensors").write_bytes(save({"x": np.arange(4)}))
    assert models.verify() == [
        "tiny/a.safetensors: missing",
        "tiny/b.safetensors: changed",
        "tiny/c.safetensors: not in SHA256SUMS",
    ]
