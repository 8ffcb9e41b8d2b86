"""What a page has when, over a link of 10 kbit/s and 0.1 s of round trip: Chromium in one namespace, `layercast serve`
in another. `python -m tests.page.thin [RATE]`; needs Linux, root, node, Chromium and what `make page` builds.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sim.link import LinkSpec
from sim.wire import Wire, WireUnavailable
from tests.net.processes import TOKEN, environment, layercast

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "layercast/assets/rocket.webp"
CAPTION = "a rocket on its launch pad under a blue sky"
PORT = "4747"


def build_site(folder: Path) -> Path:
    """The page without a face, with what it is made of."""
    site = shutil.copytree(ROOT / "tests/page/site", folder / "site")
    shutil.copy(ROOT / "player/page/bundle/transport.js", site / "transport-BUNDLED1.js")
    shutil.move(site / "probe.js", site / "probe-BUNDLED1.js")
    for path, old, new in (
        (site / "index.html", "probe.js", "probe-BUNDLED1.js"),
        (site / "probe-BUNDLED1.js", "transport.js", "transport-BUNDLED1.js"),
    ):
        path.write_text(path.read_text().replace(old, new))
    return site


def main(rate: float) -> int:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        stream = folder / "rocket.lcast"
        encode = layercast("encode", PHOTO, "--caption", CAPTION, "--max-bytes", "3000", "-o", stream)
        subprocess.run(encode, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            with Wire(LinkSpec(rate, 0.05)) as wire:
                host = wire.addresses[0]
                serve = layercast("serve", stream, "--page-folder", build_site(folder), "--listen", f"{host}:{PORT}")
                server = wire.run_in(
                    "a", [*serve, "--rate", f"{rate:g}", "--rtt", "0.1"], cwd=ROOT, env=environment(),
                    stderr=subprocess.PIPE, text=True,
                )  # fmt: skip
                while "open " not in (line := server.stderr.readline()):
                    assert line, "serve did not start"
                url = f"http://{host}:{PORT}/"
                page = wire.run_in("b", ["node", str(ROOT / "tests/page/thin.mjs"), url, TOKEN])
                return page.wait(timeout=300)
        except WireUnavailable as error:
            print(f"not shown: {error}")
            return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
