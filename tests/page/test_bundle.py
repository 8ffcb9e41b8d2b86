"""The page's bundle is as new as what it is made of. (What it decodes: `make page-test`, with node.)"""

import gzip
import hashlib
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "player/page"
BASE = Path(__file__).parents[2] / "codec/weights/base"
FILES = ("asconfig.json", "build.mjs", "package-lock.json", "package.json", "tsconfig.json")


def test_the_bundle_is_that_of_the_sources() -> None:
    folders = (path for name in ("kernel", "src", "static") for path in (PAGE / name).rglob("*"))
    files = [path for path in (*folders, *(PAGE / name for name in FILES)) if path.is_file()]
    sums = {str(path.relative_to(PAGE)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    noted = dict(reversed(line.split("  ")) for line in (PAGE / "bundle/SOURCES.sha256").read_text().splitlines())
    assert noted == sums, "run `make page` and commit player/page/bundle"


def test_the_bundle_loads_nothing_from_elsewhere() -> None:
    made = [*PAGE.glob("bundle/*.js"), *PAGE.glob("dist/*")]
    assert {path.suffix for path in made} >= {".js", ".html", ".css"}
    for path in made:
        assert not re.search(r"https?://|\beval\b|new Function", path.read_text()), path


def test_what_a_first_visit_costs() -> None:
    def packed(*names: str) -> int:
        files = [PAGE / "bundle" / name if name.endswith(".js") else BASE / f"{name}.safetensors" for name in names]
        return sum(len(gzip.compress(path.read_bytes())) for path in files)

    shell = packed("element.js", "worker.js", "layercast.js")
    first = shell + packed("thumbnail")
    texts = first + packed("caption", "edge_vq")
    assert first <= 120_000
    assert texts <= 700_000
    assert texts + packed("latent", "residual", "residual_filter") <= 4_000_000
    page = sum(len(gzip.compress(path.read_bytes())) for path in PAGE.glob("dist/*"))
    assert page + packed("thumbnail") <= 120_000


def test_the_page_holds_no_script_of_its_own() -> None:
    text = (PAGE / "dist/index.html").read_text()
    assert not re.search(r"<script(?! type=\"module\" src=)|<style|\son\w+=|style=|javascript:", text)
    for name in re.findall(r'(?:src|href)="([^"]+)"', text):
        if name != "data:,":
            assert (PAGE / "dist" / name).is_file() and re.search(r"-[A-Z0-9]{8}\.", name)
