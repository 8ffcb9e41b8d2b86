"""Real protocol stacks over modelled links: what their handshakes cost, and that a lost part of one is repeated."""

import math

import pytest

from sim import stacks
from sim.journey import Journey, Load, over_quic, over_udp, over_webrtc
from sim.packet import Packet
from sim.presets import parse
from sim.scenario import SendPolicy
from transport import Item

LOAD = Load(7, b"head", [Item(7, min(n, 3), n, bytes([n]) * 200, n) for n in range(12)])
LINK = parse("x", {"rate": 200_000, "rtt": 0.2})
HANDSHAKE, CHANGE = 22, 20


def first(journey: Journey) -> float:
    return journey.arrivals[0].time if journey.arrivals else math.inf


def flight_of(packet: Packet) -> bytes | None:
    """What a copy of a DTLS flight has in common with its first: type and length of the first record and message."""
    return packet.data[:1] + packet.data[11:15] if packet.data[0] in (HANDSHAKE, CHANGE) else None


def copies(way: str, which: int, lost: int) -> tuple[list[float], Journey]:
    """When the copies of a way's flight number `which` arrived, so many of which were lost; and what became of it."""
    times: list[float] = []

    async def story(run: stacks.Run) -> Journey:
        link = {"there": run.there, "back": run.back}[way]
        arrived, flights = link.arrived, list[bytes]()

        def some(packet: Packet) -> None:
            flight = flight_of(packet)
            if flight is not None and flight not in flights:
                flights.append(flight)
            if flight is not None and flights.index(flight) == which:
                times.append(link.clock.now)
                if len(times) <= lost:
                    return
            arrived(packet)

        link.arrived = some
        return await stacks.webrtc(run)

    return times, stacks.tell(story, LOAD, LINK, SendPolicy(), 1, 60.0, False)


def test_each_channel_brings_it_all_and_a_handshake_takes_its_round_trips() -> None:
    udp, quic, webrtc = (over(LOAD, LINK, SendPolicy(), 1, 60.0) for over in (over_udp, over_quic, over_webrtc))
    for journey in (udp, quic, webrtc):
        got = {arrival.event.key[2] for arrival in journey.arrivals if getattr(arrival.event, "complete", False)}
        assert got == set(range(12)) and journey.seconds <= 60
    assert first(udp) < 0.13
    assert 0.3 < first(quic) - first(udp) < 0.5, "a round trip and a half, and the certificate"
    assert 0.8 < first(webrtc) - first(udp) < 1.2, "ICE 1, DTLS 2, SCTP 2 round trips"


@pytest.mark.parametrize(("way", "which"), [("there", 0), ("back", 0), ("there", 1), ("back", 1)])
def test_a_lost_flight_is_repeated_after_1_s_then_2_then_4(way: str, which: int) -> None:
    """The answering end is DTLS's client here: its hello, the other's, its keys and the other's end."""
    times, journey = copies(way, which, 3)
    assert [time - times[0] for time in times[:4]] == pytest.approx([0.0, 1.0, 3.0, 7.0], abs=0.01)
    assert len(times) == 4 and 7 < first(journey) < 20


def test_hours_of_a_lossy_handshake_take_no_time_of_ours() -> None:
    link = parse("x", {"rate": 20_000, "rtt": 1.0, "loss": 0.4})
    found = [over_webrtc(LOAD, link, SendPolicy(), seed, 3600.0) for seed in range(6)]
    assert any(first(journey) > 20 for journey in found), "such links open slowly"
    assert sum(first(journey) < 3600 for journey in found) >= 4


def test_packets_of_a_stack_are_recorded() -> None:
    found = over_webrtc(LOAD, LINK, SendPolicy(), 1, 60.0, record=True)
    assert {way for way, *_ in found.packets} == {"there", "back"}
    assert sum(what == "sent" for way, _, what, _ in found.packets if way == "there") == sum(
        event.what == "sent" for event in found.there
    )
