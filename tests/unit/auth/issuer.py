"""An identity provider with real keys, and the server that publishes them."""

import asyncio
import functools
import ipaddress
import json
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from limner.auth.keys import KeySet, VerificationKey

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
Json = dict[str, Any]

GENERATORS: Mapping[str, Any] = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


def encode_part(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return jwt.utils.base64url_encode(data).decode()


@dataclass
class SigningKey:
    """A key pair of an identity provider, and what it publishes of it."""

    kid: str | None
    algorithm: str
    private: PrivateKey

    @property
    def jwk(self) -> Json:
        to_jwk = jwt.get_algorithm_by_name(self.algorithm).to_jwk
        jwk: Json = dict(to_jwk(self.private.public_key(), as_dict=True))
        return {**jwk, "use": "sig", **({"kid": self.kid} if self.kid is not None else {})}

    def token(self, headers: Json | None = None, **claims: object) -> str:
        """Sign a token of Ann, good for an hour; a claim given as ``None`` is left out."""
        now = int(time.time())
        payload: Json = {"sub": "ann", "workspaces": {"w1": "member"}, "iat": now, "exp": now + 3600, **claims}
        payload = {name: value for name, value in payload.items() if value is not None}
        named = {"kid": self.kid} if self.kid is not None else {}
        return self.sign({"alg": self.algorithm, **named, **(headers or {})}, payload)

    def sign(self, header: Json, payload: object) -> str:
        """Sign whatever stands there, as a hostile issuer might."""
        signing_input = f"{encode_part(header)}.{encode_part(payload)}"
        signature = jwt.get_algorithm_by_name(self.algorithm).sign(signing_input.encode(), self.private)
        return f"{signing_input}.{encode_part(signature)}"


@functools.cache
def signing_key(kid: str | None = "k1", algorithm: str = "ES256") -> SigningKey:
    """Return the same key for the same name, as RSA keys take long to make."""
    return SigningKey(kid, algorithm, GENERATORS[algorithm]())


def jwks(*keys: SigningKey | Json) -> bytes:
    return json.dumps({"keys": [key.jwk if isinstance(key, SigningKey) else key for key in keys]}).encode()


class FixedKeys:
    """A key source that never changes by itself, and counts the questions."""

    def __init__(self, *keys: SigningKey | Json) -> None:
        self.keys = KeySet.from_jwks(jwks(*keys))
        self.questions = 0
        self.closed = False

    async def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        self.questions += 1
        return self.keys.find(kid, algorithm)

    async def close(self) -> None:
        self.closed = True


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass
class JwksServer:
    """Publishes keys on a loopback port, and misbehaves when told to."""

    document: bytes = jwks()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drip_s: float = 0.0
    hang_up: bool = False
    requests: list[bytes] = field(default_factory=list)
    url: str = ""

    @property
    def fetches(self) -> int:
        return len(self.requests)

    @asynccontextmanager
    async def serve(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["JwksServer"]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0, ssl=tls)
        port = server.sockets[0].getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/keys?tenant=secret"
        try:
            yield self
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            await asyncio.sleep(self.delay_s)
            if not self.hang_up:
                await self._write(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort() if self.hang_up else writer.close()

    async def _write(self, writer: asyncio.StreamWriter) -> None:
        headers = {"content-length": str(len(self.document)), **self.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value)
        answer = f"HTTP/1.1 {self.status} OK\r\n{head}\r\n".encode() + self.document
        step = 1 if self.drip_s else len(answer)
        for start in range(0, len(answer), step):
            writer.write(answer[start : start + step])
            await writer.drain()
            await asyncio.sleep(self.drip_s)


def server_certificate(directory: Path) -> tuple[ssl.SSLContext, Path]:
    """Make a certificate for 127.0.0.1, and return the server's side and the file that clients trust."""
    private_key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(private_key, hashes.SHA256())
    )
    certificate_file, key_file = directory / "server.crt", directory / "server.key"
    certificate_file.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_file.write_bytes(private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file, key_file)
    return context, certificate_file
