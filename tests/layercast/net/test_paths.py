"""Names of a peer inside a served folder: whatever is asked for, nothing outside comes back."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from layercast.net import paths
from layercast.net.paths import PHOTOS, STREAMS, NotServed, find, names, parts_of, read

posix = pytest.mark.skipif(os.name != "posix", reason="links and pipes are not shown here: not a POSIX system")
SECRET = b"outside"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A served folder with everything around it that a peer might want."""
    outer = tmp_path_factory.mktemp("paths")
    root = outer / "served"
    (root / "camp/day 1").mkdir(parents=True)
    (root / ".layercast").mkdir()
    for name in ("a.lcast", "camp/b.LCAST", "camp/day 1/Übersicht.png", "camp/c.jpeg"):
        (root / name).write_bytes(name.encode())
    for hidden in (".layercast/x.lcast", ".hidden.lcast", "notes.txt", "tokens", "lcast", "camp/.d.png"):
        (root / hidden).write_bytes(SECRET)
    (outer / "secret.lcast").write_bytes(SECRET)
    (outer / "served-too").mkdir()
    (outer / "served-too/x.lcast").write_bytes(SECRET)
    if os.name == "posix":
        (root / "inside.lcast").symlink_to("camp/b.LCAST")
        (root / "out.lcast").symlink_to("../secret.lcast")
        (root / "absolute.lcast").symlink_to(outer / "secret.lcast")
        (root / "up").symlink_to("..")
        (root / "deep").symlink_to("camp/day 1")
        (root / "shadow.lcast").symlink_to(".layercast/x.lcast")
        (root / "text.png").symlink_to("notes.txt")
        (root / "broken.lcast").symlink_to("nothing.lcast")
        (root / "loop.lcast").symlink_to("loop.lcast")
        (root / "zero.png").symlink_to("/dev/zero")
        os.mkfifo(root / "pipe.lcast")
    return root


SERVED = ["a.lcast", "camp/b.LCAST", "camp/c.jpeg", "camp/day 1/Übersicht.png"]
ESCAPES = [
    *("", ".", "..", "/", "../secret.lcast", "camp/../../secret.lcast", "camp/../a.lcast", "./a.lcast", "camp//c.jpeg"),
    *("/etc/passwd", "//server/share/x.lcast", "C:/x.lcast", "C:\\x.lcast", "..\\secret.lcast", "camp\\b.LCAST"),
    *(
        "a.lcast/",
        "/a.lcast",
        "a.lcast\0",
        "a.lcast\0.png",
        "\0",
        "a.lcast\n",
        "a.lcast ",
        "a.lcast.",
        "a.lcast::$DATA",
    ),
    *("CON.png", "nul.lcast", "camp/aux.png", "COM1.lcast", "lpt9.png", "LPT¹.png", "conin$.png", "PRN"),
    *(".hidden.lcast", ".layercast/x.lcast", "camp/.d.png", "notes.txt", "tokens", "lcast", "camp", "camp/day 1"),
    *("~/x.lcast", "%2e%2e/secret.lcast", "..%2fsecret.lcast", "\udcff.png", "a" * 2000 + ".png", "a/" * 100 + "b.png"),
    *(
        "\u202egnp.lcast",
        "．．/secret.lcast",
        "missing.lcast",
        "A.LCAST/x",
        "../served-too/x.lcast",
        "../served/a.lcast",
    ),
]


@pytest.mark.parametrize("name", SERVED)
def test_what_is_there_is_found_and_read(root: Path, name: str) -> None:
    assert find(root, name) == root / name
    assert read(root, name) == name.encode()


@pytest.mark.parametrize("name", ESCAPES)
def test_nothing_else_is(root: Path, name: str) -> None:
    for ask in (find, read):
        with pytest.raises(NotServed, match=r"^there is nothing of that name here$"):
            ask(root, name)


@posix
def test_links_inside_are_followed_and_others_are_not(root: Path) -> None:
    assert read(root, "inside.lcast") == read(root, "camp/b.LCAST")
    assert read(root, "deep/Übersicht.png") == read(root, "camp/day 1/Übersicht.png")
    wrong = ["out.lcast", "absolute.lcast", "up/secret.lcast", "shadow.lcast", "text.png"]
    for name in [*wrong, "broken.lcast", "loop.lcast", "zero.png", "pipe.lcast"]:
        with pytest.raises(NotServed):
            read(root, name)
        with pytest.raises(NotServed):
            find(root, name)
    assert read(root, "up/served/a.lcast") == read(root, "a.lcast"), "where a way ends counts, not where it leads"


@posix
def test_a_link_put_in_the_way_after_the_look_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, secret = tmp_path / "served", tmp_path / "secret.lcast"
    (root / "camp").mkdir(parents=True)
    (root / "camp/a.lcast").write_bytes(b"good")
    secret.write_bytes(SECRET)
    (tmp_path / "camp").mkdir()
    (tmp_path / "camp/a.lcast").write_bytes(SECRET)
    real = paths.find

    def swapped_file(base: Path, name: str) -> Path:
        found = real(base, name)
        found.unlink()
        found.symlink_to(secret)
        return found

    def swapped_folder(base: Path, name: str) -> Path:
        found = real(base, name)
        found.parent.rename(root / "old")
        found.parent.symlink_to(tmp_path / "camp")
        return found

    for swap in (swapped_folder, swapped_file):
        monkeypatch.setattr(paths, "find", swap)
        with pytest.raises(NotServed):
            read(root, "camp/a.lcast")
        if swap is swapped_folder:
            (root / "camp").unlink()
            (root / "old").rename(root / "camp")


@posix
def test_sockets_are_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s.lcast")
        with pytest.raises(NotServed):
            read(tmp_path, "s.lcast")


def test_sizes_are_limited(root: Path) -> None:
    assert read(root, "a.lcast", limit=7) == b"a.lcast"
    with pytest.raises(NotServed):
        read(root, "a.lcast", limit=6)


def test_the_listing_is_what_can_be_read(root: Path, tmp_path: Path) -> None:
    listed = list(names(root))
    links = ["inside.lcast"] if os.name == "posix" else []
    assert listed == ["a.lcast", *links, "camp/b.LCAST", "camp/c.jpeg", "camp/day 1/Übersicht.png"]
    for name in listed:
        read(root, name)
    assert list(names(tmp_path)) == []
    for none in (root / "a.lcast", root / "nowhere"):
        with pytest.raises(NotServed):
            list(names(none))


def test_a_root_reached_by_a_link_is_a_root(root: Path, tmp_path: Path) -> None:
    if os.name == "posix":
        (tmp_path / "here").symlink_to(root)
        assert read(tmp_path / "here", "a.lcast") == b"a.lcast"


pieces = st.sampled_from(
    [
        "..",
        ".",
        "",
        "a.lcast",
        "camp",
        "up",
        "out.lcast",
        "secret.lcast",
        "served",
        ".layercast",
        "x.lcast",
        "deep",
        "~",
    ]
)
separators = st.sampled_from(["/", "\\", "//", "/./", "\0", "%2f", "/../", ":"])
walks = st.lists(st.tuples(pieces, separators), max_size=7).map(lambda found: "".join(a + b for a, b in found))


@settings(max_examples=400)
@given(st.one_of(walks, st.text(), st.builds(lambda walk, end: walk + end, walks, pieces)))
@example("up/served/../secret.lcast")
def test_no_name_leads_outside(root: Path, name: str) -> None:
    try:
        found = find(root, name)
        data = read(root, name)
    except NotServed:
        return
    assert found.resolve().is_relative_to(root.resolve()) and found.is_file()
    assert found.suffix.lower() in STREAMS | PHOTOS and data == found.read_bytes() != SECRET
    assert not any(part.startswith(".") for part in found.relative_to(root.resolve()).parts)
    assert parts_of(name) == tuple(name.split("/"))


def test_the_photos_served_are_those_that_the_codec_reads() -> None:
    known = Image.registered_extensions()
    assert all(known[suffix] in Image.OPEN for suffix in PHOTOS)
