"""Self-signed certificates that a client knows by their fingerprint: no authority, no names.

ECDSA P-256, because browsers take nothing else for `serverCertificateHashes` and because it is small: an RSA
certificate costs 0.3 s more at 10 kbit/s.
"""

import datetime
import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

BROWSER_DAYS = 13
"""Browsers refuse a pinned certificate that is valid for more than 14 days."""


@dataclass(frozen=True)
class Certificate:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the DER form, 32 B: what a client pins."""
        return fingerprint(self.certificate)

    def lasts(self, now: datetime.datetime) -> bool:
        """Whether it is valid at `now` (with a time zone) and for a day after. Pinning clients of ours do not ask."""
        day = datetime.timedelta(days=1)
        return self.certificate.not_valid_before_utc <= now and now + day <= self.certificate.not_valid_after_utc

    def save(self, path: Path) -> None:
        """Key and certificate as PEM in a file that its owner alone can read."""
        pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        pem += self.certificate.public_bytes(serialization.Encoding.PEM)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(pem)


def fingerprint(certificate: x509.Certificate) -> bytes:
    """SHA-256 of the DER form."""
    return sha256(certificate.public_bytes(serialization.Encoding.DER)).digest()


def make(days: int = BROWSER_DAYS, now: datetime.datetime | None = None) -> Certificate:
    """A new key and certificate, valid for so many days from an hour before `now` on (the present by default)."""
    start = (now or datetime.datetime.now(datetime.UTC)) - datetime.timedelta(hours=1)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "layercast")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(start).not_valid_after(start + datetime.timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(False, None), True)  # Chromium wants some extension
    return Certificate(builder.sign(key, hashes.SHA256()), key)


def load(path: Path) -> Certificate:
    """What `save` wrote. Raises OSError, and ValueError for a file that holds no P-256 key and certificate."""
    pem = path.read_bytes()
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{path}: the key is not an elliptic one; make a new certificate")
    return Certificate(x509.load_pem_x509_certificate(pem), key)
