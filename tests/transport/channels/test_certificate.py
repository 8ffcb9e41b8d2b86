"""Certificates: what browsers ask of a pinned one, and that a file keeps it."""

import datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from transport.channels import certificate


def test_browsers_accept_the_kind() -> None:
    made = certificate.make()
    span = made.certificate.not_valid_after_utc - made.certificate.not_valid_before_utc
    assert span <= datetime.timedelta(days=14)
    assert len(made.certificate.extensions) > 0, "Chromium refuses a certificate without any extension"
    assert isinstance(made.key.curve, ec.SECP256R1) and len(made.fingerprint) == 32


def test_a_file_keeps_it_for_its_owner(tmp_path: Path) -> None:
    made, path = certificate.make(), tmp_path / "key.pem"
    made.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    read = certificate.load(path)
    assert read.fingerprint == made.fingerprint
    assert read.key.private_numbers() == made.key.private_numbers()


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(b"no key")
    with pytest.raises(ValueError):
        certificate.load(path)
    other = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(other)
    with pytest.raises(ValueError, match="make a new certificate"):
        certificate.load(path)


def test_it_lasts_as_long_as_it_says() -> None:
    now = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
    made = certificate.make(days=13, now=now)
    days = [day for day in range(-1, 15) if made.lasts(now + datetime.timedelta(days=day))]
    assert days == list(range(12))
