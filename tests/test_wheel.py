"""The wheel: everything needed is in it, no test is, and it works from an empty environment."""

import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"layercast", "codec", "transport", "player", "sim"}


def call(*words: str | Path, cwd: Path) -> str:
    result = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True)
    assert result.returncode == 0, f"{words}: {result.stdout}{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


def test_holds_the_packages_with_their_data_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == PACKAGES
    assert not [name for name in names if re.search(r"/tests/|(^|/)(test|conftest)[_.]", name)]
    tracked = call("git", "ls-files", *sorted(PACKAGES), cwd=ROOT).split()
    assert set(tracked) <= set(names)
    assert any(name.endswith(".safetensors") for name in names)
    assert {"codec/FORMAT.md", "transport/WIRE.md", "codec/weights/SHA256SUMS"} <= set(names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_works_from_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env/bin/python"
    call(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", wheel, cwd=tmp_path)
    # the dependencies of this environment, without its own (editable) layercast: a .pth inside this folder is not read
    site = Path(call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    program = "import layercast, layercast.stream; print(layercast.__file__, layercast.codec.__file__)"
    places = call(python, "-c", program, cwd=tmp_path).split()
    assert all(Path(place).is_relative_to(site) for place in places)
    assert "encode" in call(tmp_path / "env/bin/layercast", "--help", cwd=tmp_path)
    assert "as published" in call(tmp_path / "env/bin/layercast", "models", "verify", cwd=tmp_path)
