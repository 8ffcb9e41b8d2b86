"""Offers and answers as they travel: checked when they come, shortened when they go.

An SDP is text from the peer that makes us send packets to the addresses that it names, so it is held to what a data
channel needs: one section, few candidates, no names to look up.
"""

MOST_BYTES = 16_384
MOST_CANDIDATES = 24


class SdpError(ValueError):
    """Text that is not an offer or an answer for one data channel; the message says why in a few words."""


def from_peer(sdp: str) -> str:
    """What a peer sent, without candidates that only its own network can resolve. Raises SdpError.

    A browser hides its addresses behind names that end in `.local`. Looking one up costs a second and mostly fails,
    while the browser's own checks, which need no name, arrive at once. With a name also goes the statement that the
    list is complete: the address is still to be learned.
    """
    if len(sdp) > MOST_BYTES:
        raise SdpError(f"larger than {MOST_BYTES} B")
    lines = sdp.splitlines()
    sections = [line for line in lines if line.startswith("m=")]
    if len(sections) != 1 or not sections[0].startswith("m=application "):
        raise SdpError("not one data channel and nothing else")
    if not any(line.startswith("a=fingerprint:") for line in lines):
        raise SdpError("no fingerprint of a certificate")
    kept = [line for line in lines if not _hidden(line)]
    if sum(map(_is_candidate, kept)) > MOST_CANDIDATES:
        raise SdpError(f"more than {MOST_CANDIDATES} candidates")
    if len(kept) < len(lines):
        kept = [line for line in kept if line != "a=end-of-candidates"]
    return _joined(kept)


def to_peer(sdp: str) -> str:
    """What we send: of the three fingerprints that aiortc gives one is enough, and an SDP is seconds on a thin link."""
    wanted = (
        line for line in sdp.splitlines() if not line.startswith(("a=fingerprint:sha-384", "a=fingerprint:sha-512"))
    )
    return _joined(list(wanted))


def _is_candidate(line: str) -> bool:
    return line.startswith("a=candidate:")


def _hidden(line: str) -> bool:
    words = line.split()
    return _is_candidate(line) and len(words) > 4 and words[4].lower().rstrip(".").endswith(".local")


def _joined(lines: list[str]) -> str:
    return "".join(f"{line}\r\n" for line in lines)
