"""The gallery: one page without scripts whose captions and names are text, whatever they say."""

import base64
import hashlib
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import codec
from layercast.cli import cli
from layercast.gallery import FIRST, read_card
from tests.fuzz.parsers import picture, streams

HOSTILE = """<script>alert(1)</script> "quoted" 'too' & <img src=x onerror=alert(2)> {link}"""


class Reading(HTMLParser):
    """Tags with their attributes, and the text within paragraphs."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.paragraphs: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "p":
            self.paragraphs.append("")

    def handle_data(self, data: str) -> None:
        if self.paragraphs:
            self.paragraphs[-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pictures"
    made.mkdir()
    hostile = codec.encode(picture(40, 30, 4), caption=HOSTILE, weights=0)
    (made / 'b "<i>&#.lcast').write_bytes(hostile)
    (made / "a.lcast").write_bytes(streams()[0])
    (made / "c.lcast").write_bytes(codec.encode(picture(9, 9, 1), weights=0)[:-3])
    (made / "broken.lcast").write_bytes(b"GIF89a")
    (made / "note.txt").write_text("no stream")
    return made


def made(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["gallery", *map(str, arguments)])
    return result.exit_code, result.output


def test_captions_and_names_are_text(folder: Path, tmp_path: Path) -> None:
    status, told = made(folder)
    assert status == 0 and "3 pictures" in told and "broken.lcast: left out: offset 0: not a layercast" in told
    page = (folder / "index.html").read_text()
    read = Reading(page)
    assert {tag for tag, _ in read.tags} == {
        "html", "head", "meta", "title", "style", "body", "main", "h1", "ul", "li", "a", "img", "p", "small",
    }  # fmt: skip
    assert HOSTILE in read.paragraphs[1] and 'b "<i>&#.lcast' in read.paragraphs[1]
    images, links = read.all("img"), read.all("a")
    assert images[1]["alt"] == HOSTILE and images[2]["alt"] == "c.lcast, without a caption"
    assert [set(image) for image in images] == [{"src", "alt", "width", "height", "loading"}] * 3
    targets = [folder / unquote(str(link["href"])) for link in links]
    assert [target.resolve().name for target in targets] == ["a.lcast", 'b "<i>&#.lcast', "c.lcast"]
    assert all(target.is_file() and set(link) == {"href"} for target, link in zip(targets, links, strict=True))


def test_the_policy_allows_what_is_there_and_nothing_else(folder: Path) -> None:
    made(folder)
    page = (folder / "index.html").read_text()
    policy = next(m["content"] for m in Reading(page).all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    style = re.findall(r"<style>(.*?)</style>", page, re.S)
    assert len(style) == 1
    hashed = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{hashed}'; base-uri 'none'; form-action 'none'"
    )
    assert "http:" not in page and "https:" not in page and "prefers" not in policy


def test_a_thumbnail_is_the_picture_of_the_first_bytes(folder: Path) -> None:
    card = read_card(folder / "a.lcast")
    expected = codec.decode((folder / "a.lcast").read_bytes()[:FIRST]).picture
    with Image.open(io.BytesIO(card.thumbnail)) as shown:
        assert shown.size == card.shown == (80, 56)
        difference = np.asarray(shown.convert("RGB")).astype(int) - expected
    assert np.abs(difference).mean() < 12
    assert card.pixels == (80, 56) and card.size == (folder / "a.lcast").stat().st_size


def test_another_place_and_title(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "site" / "all.html"
    target.parent.mkdir()
    assert made(folder, "-o", target, "--title", "<b>Ours</b>")[0] == 0
    read = Reading(target.read_text())
    assert all((target.parent / unquote(str(link["href"]))).is_file() for link in read.all("a"))
    assert "&lt;b&gt;Ours&lt;/b&gt;" in target.read_text()


def test_nothing_to_show(tmp_path: Path) -> None:
    assert made(tmp_path) == (1, f"layercast: {tmp_path}: holds no stream; make some with `layercast encode`\n")
    assert made(tmp_path / "none")[0] == 1
