"""The process that `layercast bench identity` starts for each variant: decodes streams, prints two digests of each.

    python -m layercast.bench.identity_worker RUNTIME THREADS OPTIMISE FIRST END FOLDER

Imports no more than decoding needs, so that it runs under any Python that has numpy, constriction and safetensors.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path


class _Symbols:
    """A digest of every decision that the entropy decoder gives, in its order."""

    def __init__(self) -> None:
        from codec.entropy import BitDecoder

        self._held = hashlib.sha256()
        plain = BitDecoder._decisions

        def decisions(decoder: BitDecoder, p: object) -> object:
            bits = plain(decoder, p)  # type: ignore[arg-type]
            self._held.update(bits.tobytes())
            return bits

        BitDecoder._decisions = decisions  # type: ignore[method-assign, assignment]

    def taken(self) -> str:
        """SHA-256 of the decisions since the last call."""
        digest, self._held = self._held.hexdigest(), hashlib.sha256()
        return digest


def main(runtime: str, threads: str, optimise: str, first: str, end: str, folder: str) -> None:
    """One line a stream, numbers `first` to `end`, excluded: SHA-256 of its symbols, SHA-256 of its exact picture."""
    import codec
    from layercast.bench import runtimes

    runtimes.use(runtime, int(threads), optimise == "1")
    symbols = _Symbols()
    for file in sorted(Path(folder).glob("*.lcast"))[int(first) : int(end)]:
        picture = codec.decode(file.read_bytes()).picture
        print(symbols.taken(), hashlib.sha256(picture.tobytes()).hexdigest(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
