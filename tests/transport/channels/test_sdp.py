"""Offers and answers: what is taken from a peer and what is not."""

import asyncio

import pytest

from transport.channels import sdp
from transport.channels.webrtc import WebRtcChannel, WebRtcConfig

OFFER = """v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=candidate:1 1 udp 2113937151 d7a1bb8b-8f1b-4a1d-9c5e-0d2f5f6b1c11.local 56032 typ host generation 0
a=candidate:2 1 udp 1677729535 203.0.113.7 40000 typ srflx raddr 0.0.0.0 rport 0
a=end-of-candidates
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF
a=setup:actpass
a=mid:0
a=sctp-port:5000
a=max-message-size:262144
"""


def test_names_of_a_browsers_own_network_are_left_out_and_the_list_stays_open() -> None:
    lines = sdp.from_peer(OFFER).splitlines()
    assert not any(".local" in line for line in lines) and "a=end-of-candidates" not in lines
    assert [line for line in OFFER.splitlines() if line not in lines] == OFFER.splitlines()[6:9:2]


def test_without_such_names_nothing_changes() -> None:
    plain = OFFER.replace("d7a1bb8b-8f1b-4a1d-9c5e-0d2f5f6b1c11.local", "192.0.2.1")
    assert sdp.from_peer(plain).splitlines() == plain.splitlines()


def test_a_name_costs_no_look_up() -> None:
    async def story() -> float:
        loop = asyncio.get_running_loop()
        channel = WebRtcChannel(WebRtcConfig(addresses=("127.0.0.1",)))
        resolved = []

        class Watch(asyncio.DatagramProtocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                resolved.append(transport.get_extra_info("sockname"))

        real = loop.create_datagram_endpoint
        ports: list[object] = []

        async def watched(*args: object, **options: object) -> object:
            ports.append(options.get("local_addr"))
            return await real(*args, **options)  # type: ignore[arg-type]

        loop.create_datagram_endpoint = watched  # type: ignore[method-assign, assignment]
        answer = await channel.make_answer(OFFER)
        channel.close()
        await channel.wait_released()
        assert answer.count("a=fingerprint") == 1
        assert ports == [("127.0.0.1", 0)], "no socket was opened to ask the network for a name"
        return 0.0

    asyncio.run(story())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "one data channel"),
        (OFFER.replace("m=application", "m=audio"), "one data channel"),
        (OFFER + "m=video 9 UDP/TLS/RTP/SAVPF 96\n", "one data channel"),
        (OFFER.replace("a=fingerprint", "a=print"), "fingerprint"),
        (OFFER + "a=candidate:3 1 udp 1 192.0.2.1 9 typ host\n" * 24, "candidates"),
        (OFFER + "a=" + "x" * sdp.MOST_BYTES, "larger"),
    ],
)
def test_what_is_no_offer_for_a_data_channel_is_refused(text: str, why: str) -> None:
    with pytest.raises(sdp.SdpError, match=why):
        sdp.from_peer(text)


def test_damaged_offers_are_refused_in_the_same_way() -> None:
    async def story() -> int:
        refused, lines = 0, OFFER.splitlines()
        for place in range(len(lines)):
            for damaged in (
                lines[:place] + lines[place + 1 :],
                [*lines[:place], lines[place][:-3], *lines[place + 1 :]],
            ):
                channel = WebRtcChannel(WebRtcConfig(addresses=("127.0.0.1",)))
                try:
                    await channel.make_answer("\r\n".join(damaged))
                except sdp.SdpError:
                    refused += 1
                channel.close()
                await channel.wait_released()
        return refused

    assert asyncio.run(story()) > 5
