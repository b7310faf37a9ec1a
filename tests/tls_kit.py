"""Certificates of a CA that the test made itself, with the openssl command."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl is not installed"
)


class Certificate(NamedTuple):
    cert: Path
    key: Path


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Authority:
    """A CA in a directory."""

    def __init__(self, directory: Path, name: str = "ca") -> None:
        self._directory, self._name = directory, name
        self.cert, self._key = directory / f"{name}.pem", directory / f"{name}.key"
        subject = ("-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        _openssl(
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            self._key,
            "-out",
            self.cert,
            *subject,
        )

    def certificate(self, name: str, alternative: str, *, expired: bool = False) -> Certificate:
        """A certificate for `alternative`, like IP:127.0.0.1."""
        cert, key, request = (
            self._directory / f"{self._name}-{name}.{kind}" for kind in ("pem", "key", "csr")
        )
        extensions = self._directory / f"{self._name}-{name}.ext"
        extensions.write_text(f"subjectAltName={alternative}\nauthorityKeyIdentifier=keyid\n")
        _openssl(
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            key,
            "-out",
            request,
            "-subj",
            f"/CN={name}",
        )
        signed = ("-CA", self.cert, "-CAkey", self._key, "-CAcreateserial", "-extfile", extensions)
        days = ("-days", "-1" if expired else "30")
        _openssl("x509", "-req", "-in", request, "-out", cert, *signed, *days)
        return Certificate(cert, key)


def server_context(own: Certificate, clients: Path | None = None) -> ssl.SSLContext:
    """What a server needs; `clients`: the CA whose certificates clients must show."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=clients)
    context.load_cert_chain(own.cert, own.key)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context
