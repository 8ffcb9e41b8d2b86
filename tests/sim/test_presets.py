"""The presets: every one makes a link and a sender, says what it is, and hides no wrong field."""

import pytest

from sim.presets import Preset, parse, presets
from transport import Sender

ASKED_FOR = {
    *(f"lora-sf{spreading}" for spreading in range(7, 13)),
    *("meshtastic-longfast", "iridium-sbd", "packet-radio-1200", "packet-radio-9600", "hf-2400"),
    *("gprs", "edge", "satellite-64k", "thin-2k", "thin-10k", "thin-50k", "lte"),
    *("iridium-certus-100", "nb-iot", "underwater-acoustic", "mars", "wenet"),
    *("3g-driving", "evdo-driving", "lte-driving", "wifi-congested"),
}


def test_the_usual_links_are_there() -> None:
    found = presets()
    assert set(found) >= ASKED_FOR
    for preset in found.values():
        assert Sender(preset.config()).idle and preset.about and len(preset.source) > 20
        assert {name for name in preset.approximate if not hasattr(preset, name)} == set()
        assert preset.packet is not None, preset.name
    assert "rtt" in found["nb-iot"].approximate and "rtt" in found["iridium-certus-100"].approximate


def test_well_known_figures() -> None:
    found = presets()
    assert [found[f"lora-sf{n}"].packet_size for n in range(7, 13)] == [222, 222, 115, 51, 51, 51]
    assert found["iridium-sbd"].packet_size == 340
    assert found["thin-10k"].packet_size == 250
    full = found["lora-sf12"].link.airtime(51 + found["lora-sf12"].overhead)
    assert full == pytest.approx(2.793472)
    assert found["lora-sf12"].config().rate == pytest.approx(64 * 8 / full / 100), "one per cent of the time"


def test_presets_that_are_none() -> None:
    for table in (
        {},
        {"rate": 1000, "lora": {"spreading": 7}},
        {"rate": 1000, "speed": 3},
        {"lora": {"spreading": 3}},
        {"lora": {"factor": 7}},
        {"rate": 1000, "packet": 10},
        {"rate": 1000, "duty": 0},
        {"rate": 1000, "loss": 1.0},
        {"rate": "fast"},
    ):
        with pytest.raises(ValueError, match="odd"):
            parse("odd", table)


def test_a_link_without_answers_protects_by_copies_unless_it_delivers_by_itself() -> None:
    lora, sbd = presets()["lora-sf7"].config(), presets()["iridium-sbd"].config()
    assert not lora.feedback and lora.policies is None
    assert not sbd.feedback and sbd.policies is not None and all(policy.copies == 1 for policy in sbd.policies)
    assert Preset(name="x", rate=1000.0).config().feedback
