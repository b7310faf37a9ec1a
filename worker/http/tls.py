"""`tls`: certificates of a connection."""

from __future__ import annotations

import ssl
from typing import Annotated

from pydantic import Field, model_validator

from worker.config.files import open_file
from worker.config.model import Issues, Model
from worker.config.references import ReadableFile
from worker.core.errors import ConfigError

FileName = Annotated[str, Field(min_length=1), ReadableFile()]


class TlsConfig(Model):
    """Certificates; paths are relative to the working directory."""

    ca_file: FileName | None = Field(
        None, description="certificates to trust instead of the system's"
    )
    cert_file: FileName | None = Field(None, description="client certificate")
    key_file: FileName | None = Field(None, description="its key, unless it is in cert_file")

    @model_validator(mode="after")
    def _pair(self) -> TlsConfig:
        issues = Issues()
        if self.key_file is not None and self.cert_file is None:
            issues.add(("key_file",), "key_file needs cert_file", "cert_file")
        issues.check()
        return self


def tls_of(config: TlsConfig, where: str = "") -> ssl.SSLContext | bool:
    """The TLS settings; True: those of the system.

    Raises ConfigError, whose place is the key `where` of the pipeline.
    """
    if config.ca_file is None and config.cert_file is None:
        return True
    try:
        for path in (config.ca_file, config.cert_file, config.key_file):
            if path is not None:
                with open_file(path):
                    pass
        context = ssl.create_default_context(cafile=config.ca_file)
        if config.cert_file is not None:
            # a key with a password is refused, because OpenSSL would ask the terminal for it
            context.load_cert_chain(config.cert_file, config.key_file, password="")
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"the certificates cannot be used: {error}",
            where=where,
            remedy="they are PEM files, a key belongs to its certificate and has no password",
        ) from error
    return context
