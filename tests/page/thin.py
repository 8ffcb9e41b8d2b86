"""What the page shows when, over a link of 10 kbit/s and 0.1 s of round trip: Chromium in one namespace, `layercast
serve --page` in another. `python -m tests.page.thin --help`; needs Linux, root, node, Chromium and what `make page`
builds.

Three visits: the very first, with nothing in the browser's cache; one over a fast link, which fills it; and one with
all of it there.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import tempfile
from pathlib import Path

import click

from sim.link import LinkSpec
from sim.wire import Wire, WireUnavailable
from tests.net.processes import TOKEN, environment, layercast

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "layercast/assets/rocket.webp"
CAPTION = "a rocket on its launch pad under a blue sky"
PORT = "4747"
FAST = 20_000_000.0


def visit(stream: Path, profile: Path, rate: float, https: bool, *more: str) -> None:
    """One visit over a fresh link; the browser keeps in `profile` what it keeps."""
    with Wire(LinkSpec(rate, 0.05)) as wire:
        host = wire.addresses[0]
        way = ["--webrtcs"] if https else []
        serve = layercast("serve", stream, "--page", *way, "--listen", f"{host}:{PORT}")
        server = wire.run_in(
            "a", [*serve, "--rate", f"{rate:g}", "--rtt", "0.1"], cwd=ROOT, env=environment(),
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        while "open " not in (line := server.stderr.readline()):
            assert line, "serve did not start"
        url = f"http{'s' * https}://{host}:{PORT}/"
        pin = ["--pin", pin_of_server()] if https else []
        script = ["node", str(ROOT / "tests/page/thin.mjs"), url, TOKEN, str(profile), *pin, *more]
        if wire.run_in("b", script).wait(timeout=600):
            raise click.ClickException("the visit failed")


def pin_of_server() -> str:
    """What makes Chromium trust the certificate that `serve` made for itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from layercast.net.identity import certificate_file

    own = x509.load_pem_x509_certificate(certificate_file(browsers=False).read_bytes())
    key = own.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


@click.command()
@click.option("--rate", default=10_000.0, show_default=True, help="Bit/s of the thin link.")
@click.option("--https", is_flag=True, help="Over HTTPS, the certificate trusted.")
@click.option("--first/--no-first", default=True, help="Also the very first visit over the thin link.")
@click.option("--shots", type=click.Path(file_okay=False, path_type=Path), help="Folder for pictures after 1 to 60 s.")
def main(rate: float, https: bool, first: bool, shots: Path | None) -> None:
    """Prints seconds after the click."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        stream = folder / "rocket.lcast"
        encode = layercast("encode", PHOTO, "--caption", CAPTION, "-o", stream)
        subprocess.run(encode, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            if first:
                click.echo("the very first visit:")
                visit(stream, folder / "fresh", rate, https)
            click.echo("a visit over a fast link:")
            visit(stream, folder / "profile", FAST, https, "--prime")
            click.echo("the next visit over the thin link:")
            visit(stream, folder / "profile", rate, https, *(["--shots", str(shots)] if shots else []))
        except WireUnavailable as error:
            click.echo(f"not shown: {error}")


if __name__ == "__main__":
    main()
