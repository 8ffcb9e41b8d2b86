"""`layercast bench document DATA`: writes docs/rate-quality.md, docs/robustness.md and docs/peers.md anew from the
benchmarks.

Each section is a sentence, a command and what it printed. Nothing is typed in by hand: losses stand as wins do.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click


class Section(NamedTuple):
    """A heading, what is measured, and the words after `layercast bench`, KODAK and DATA standing for the folders."""

    heading: str
    text: str
    words: tuple[str, ...]


class Document(NamedTuple):
    """A file of docs/ and its sections."""

    file: str
    title: str
    text: str
    sections: tuple[Section, ...]


RIVALS = "4"  # pictures beside the bundled one: each takes many minutes on all links
HOSTILE = "Hostile input"  # a section that `make fuzz` writes: it takes too long to be made with the others
BUDGETS = "0,150,300,600,1000,2000,3000,10000,50000,150000"  # bytes; the default's curves take an hour
PICTURES = "Pictures: the 24 of the Kodak suite, which nothing was trained or tuned on."
DOCUMENTS = (
    Document(
        "rate-quality.md",
        "Rate and quality",
        f"{PICTURES} Every byte of ours is counted: header, caption, framing. The other codecs are downscaled where"
        " that helps them, and the true size costs them nothing. SSIMULACRA2 says little below zero. The feature"
        " distance is by EfficientNet-Lite0, which judges only; 1.36 counts as recognisable.",
        (
            Section("Prefixes beside other codecs at equal bytes",
                    "One full stream a picture, cut. Progressive JPEG, WebP (method 6), AVIF (speed 6), JPEG XL (effort"
                    " 7) and JPEG 2000 (9/7) are made for each size, at the scale that gives them the best PSNR.",
                    ("rate-quality", "KODAK", "--budgets", BUDGETS)),
            Section("Cut or encoded for the size",
                    "What cutting one long stream costs beside the best of several encodes made for a size. Four"
                    " pictures.", ("scalability", "KODAK")),
            Section("Speed", "Beside JPEG XL effort 7 in the same run.", ("speed", "KODAK", "--images", "4")),
            Section("Speed and memory at 12 megapixels", "One picture made of the 24.",
                    ("speed", "KODAK", "--pixels", "12MP")),
            Section("Lossless", "Beside JPEG XL effort 7 in the same run.", ("lossless", "KODAK")),
            Section("Captions", "Header and caption as a file; the text alone under other coders; other languages; with"
                    " the thumbnail.",
                    ("caption", "DATA")),
        ),
    ),
    Document(
        "robustness.md",
        "Robustness",
        f"{PICTURES} Hostile input is a test: `pytest tests/fuzz` feeds 20,000 damaged, cut and made-up inputs to the"
        " parsers; each gives a result or the one error.",
        (
            Section("Cut anywhere", "Four streams, random cuts and every early byte.", ("cuts", "KODAK")),
            Section("Chunks lost", "Chunks removed at random; what one lost chunk costs.", ("losses", "KODAK")),
            Section("The same everywhere", "1,000 streams of pieces of the pictures, most of them cut, half with"
                    " chunks missing, by every way of computing there was. SHA-256 of all decoded decisions and of the"
                    " exact picture.",
                    ("identity", "KODAK")),
            Section("Framing", "What the container takes for itself.", ("framing", "KODAK")),
            Section("Start", "Process start included, median of several runs.", ("startup",)),
        ),
    ),
    Document(
        "peers.md",
        "Every peer on every link",
        "The same photo over the same links (`layercast sim list`), by our own sender and receiver over UDP and by"
        " everybody else, in virtual time. [The simulator](simulator.md#peers) says how each peer is sent: on ideal"
        " streams without handshakes, at the best of its scales, and kindly where there is a choice. *Recognisable* is"
        " a feature distance of at most 1.36 and no more than that: of the bundled photo, a rocket at dusk, a blur of"
        " its colours reaches it. On a link without a way back an ideal stream cannot be had; its peers get one, and"
        " our sender is told of the loss to expect, as it is of the rate. Where we are later: a detailed picture is"
        " smaller as an AVIF and about as small as a JPEG XL; packets of 51 B carry our headers and copies, which an"
        " ideal stream does without; where nobody answers, an early packet that is lost is made up for behind the"
        " latents alone; where nobody knows the rate (cars, shared Wi-Fi) our sender starts slowly, an ideal stream at"
        " full speed.",
        (
            Section("First pictures, and quality over time",
                    "Each peer at quality 75 and at its smallest recognisable size (`-small`, `avif`), two links with"
                    " more loss beside the presets.",
                    ("rivals", "KODAK", "--images", RIVALS)),
        ),
    ),
)  # fmt: skip


def measured(section: Section, data: Path, quick: bool, workers: int) -> str:
    """The section with what its command printed. ClickException if the command fails."""
    folders = {"KODAK": data / "kodak", "DATA": data}
    extra = ("--images", "1") if quick and "--images" not in section.words and section.words != ("startup",) else ()
    words = [*section.words, *extra]
    told = [str(folders.get(word, word)) for word in words]
    run = subprocess.run(
        [sys.executable, "-m", "layercast", "bench", *told, "--workers", str(workers)],
        stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    if run.returncode:
        raise click.ClickException(f"layercast bench {words[0]} ended with status {run.returncode}")
    shown = " ".join({"KODAK": "kodak"}.get(word, word) for word in words)
    body = run.stdout.split("\n", 2)[2].strip()  # without the report's own heading
    return f"## {section.heading}\n\n{section.text}\n\n    layercast bench {shown}\n\n{body}\n"


def written(document: Document, sections: Sequence[str]) -> str:
    """The whole text of a document."""
    return f"# {document.title}\n\n{document.text} Made by `layercast bench document DATA`.\n\n" + "\n".join(sections)


def section_of(text: str, heading: str) -> str:
    """The section of a document, heading included; empty if there is none."""
    _, found, rest = text.partition(f"\n## {heading}\n")
    return f"## {heading}\n{rest.partition(chr(10) + '## ')[0].rstrip()}\n" if found else ""


def put_section(path: Path, heading: str, body: str) -> None:
    """Puts a section at the end of a document, in place of what it had there."""
    text = path.read_text(encoding="utf-8")
    others = text.replace(section_of(text, heading), "").rstrip() if section_of(text, heading) else text.rstrip()
    path.write_text(f"{others}\n\n## {heading}\n\n{body}\n", encoding="utf-8")


@click.command("document", short_help="Write the documents that are all figures anew.")
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path), envvar="LAYERCAST_DATA")
@click.option("-o", "--output", type=click.Path(file_okay=False, exists=True, path_type=Path), default=Path("docs"))
@click.option("--only", type=click.Choice([document.file for document in DOCUMENTS]), help="Only this one.")
@click.option("--quick", is_flag=True, help="One picture a benchmark, to see that all of it runs.")
@click.option("--workers", type=click.IntRange(1, 256), default=1, help="Processes, one thread each.")
def command(data: Path, output: Path, only: str | None, quick: bool, workers: int) -> None:
    """Run every benchmark on DATA (which holds kodak/ and captions/) and write the documents into a folder."""
    for document in DOCUMENTS:
        if only in (None, document.file):
            sections = [measured(section, data, quick, workers) for section in document.sections]
            target = output / document.file
            if target.is_file() and (kept := section_of(target.read_text(encoding="utf-8"), HOSTILE)):
                sections.append(kept)
            target.write_text(written(document, sections), encoding="utf-8")
            click.echo(output / document.file)
