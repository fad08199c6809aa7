"""The files of TLS: who this service is, and whose clients it talks to."""

import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where certificates and key lie, in PEM. They may be replaced at any time, by files or links of the same names."""

    cert: Path
    """The chain, the service's own certificate first."""
    key: Path
    client_ca: Path | None = None
    """Whose clients are let in; ``None`` lets everybody in who proves who he is by a token."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files."""
        return (self.cert, self.key, *([self.client_ca] if self.client_ca else []))

    def fault(self) -> str:
        """Return why they can't be used, for the operator; empty when they can. Blocks."""
        for path in self.paths:
            try:
                path.read_bytes()
            except OSError as error:
                return f"{path} can't be read: {error.strerror}"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.cert, self.key, password=_refuse_password)
        except (ssl.SSLError, ValueError):
            return f"{self.cert} and {self.key} are no certificate and its key in PEM, without a password"
        try:
            context.load_verify_locations(self.client_ca)
        except ssl.SSLError:
            return f"{self.client_ca} holds no certificate in PEM"
        except TypeError:  # there is none
            pass
        return ""

    def version(self) -> tuple[tuple[int, int, int], ...]:
        """Return something that is another when a file was replaced or written; ``()`` while one is missing. Blocks."""
        try:
            found = [path.stat() for path in self.paths]
        except OSError:
            return ()
        return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in found)


def _refuse_password() -> str:
    raise ValueError("the key has a password")
