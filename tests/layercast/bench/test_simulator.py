"""The validation report, small. Its times are real ones and not judged here: only what holds on any machine is."""

import json
import re

import pytest
from click.testing import CliRunner

from layercast.bench import netem, simulator
from layercast.bench.report import Report
from sim.truth import Probe, why_no_kernel
from sim.wire import why_not


def test_the_small_report_is_made() -> None:
    done = CliRunner().invoke(simulator.command, ["--small", "--json"])
    assert done.exit_code == 0
    lines = [json.loads(line) for line in done.output.splitlines()]
    checks = {line["check"]: line for line in lines if "check" in line}
    timeless = re.compile(r"theory|the same are lost")
    assert all(line["ok"] for name, line in checks.items() if timeless.search(name))
    assert {"theory: rate", "theory: arrivals"} <= set(checks)
    assert any("TUN" in name for name in checks) == (why_not() is None)
    assert any("tbf" in name for name in checks) == (why_no_kernel() is None)


def test_netem_s_probes_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """By probes that are not netem's: too early, and with a tenth of the packets lost, always two in a row."""

    def instead(cases: list[tuple[str, list[tuple[float, int]]]]) -> list[Probe]:
        found = []
        for shaping, schedule in cases:
            sent = [time for time, _ in schedule]
            delay = 0.055 if "rate" in shaping else 0.1
            whole = {number: time + delay for number, time in enumerate(sent)}
            lossy = {number: time for number, time in whole.items() if number % 20 > 1}
            found.append(Probe(sent, lossy if "loss" in shaping else whole))
        return found

    monkeypatch.setattr("sim.truth.probe_netem", instead)
    report = Report("sim")
    netem.measure(report, [(number * 1.0, 100) for number in range(50)], 500)
    said = {check.name: check.ok for check in report.checks}
    assert said["netem rate 50kbit delay 50ms: throughput"] and said["netem rate 50kbit delay 50ms: all arrive"]
    assert not said["netem rate 50kbit delay 50ms: quantiles of the delay"], "22.7 ms of 72.7 are missing"
    assert not said["netem loss 10%: losses"], "the share is right, the rows are not"


def test_without_netem_a_note_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.netem.why_no_netem", lambda: "netem needs a penguin")
    report = Report("sim")
    netem.measure(report, [(0.0, 100)], 10)
    assert report.notes == ["Not shown: netem; netem needs a penguin."] and not report.checks
