"""Certificates for tests: a CA, and what it vouches for."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
DAY = timedelta(days=1)


def pem(*certificates: x509.Certificate) -> str:
    return "".join(each.public_bytes(serialization.Encoding.PEM).decode() for each in certificates)


def key_pem(key: Key) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def named(common_name: str, organization: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


@dataclass(frozen=True)
class Authority:
    """A CA of the tests' own."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls, name: str = "Test CA") -> "Authority":
        key = ec_key()
        subject = named(name, "Trust Ltd")
        return cls(_certificate(subject, key, subject, key, ca=True), key)

    def certify(
        self,
        key: Key,
        organization: str = "Example Pictures",
        *,
        purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.EMAIL_PROTECTION,
        days: tuple[int, int] = (-1, 365),
    ) -> x509.Certificate:
        """Return a certificate for signing that is valid in these days, counted from today."""
        subject = named("Test signer", organization)
        return _certificate(subject, key, self.certificate.subject, self.key, purpose=purpose, days=days)


def _certificate(
    subject: x509.Name,
    key: Key,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    ca: bool = False,
    purpose: x509.ObjectIdentifier | None = None,
    days: tuple[int, int] = (-2, 3650),
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + days[0] * DAY)
        .not_valid_after(now + days[1] * DAY)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not ca,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=ca,
                crl_sign=ca,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


@dataclass(frozen=True)
class Signer:
    """The files of somebody who signs."""

    chain: Path
    key: Path
    anchors: Path

    @property
    def settings(self) -> dict[str, str]:
        return {
            "LIMNER_C2PA_CERT": str(self.chain),
            "LIMNER_C2PA_KEY": str(self.key),
            "LIMNER_C2PA_TRUST_ANCHORS": str(self.anchors),
        }


def signer_in(folder: Path, organization: str = "Example Pictures") -> Signer:
    """Write the files of a signer and of its own CA to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    authority, key = Authority.make(), ec_key()
    signer = Signer(folder / "chain.pem", folder / "key.pem", folder / "anchors.pem")
    signer.chain.write_text(pem(authority.certify(key, organization), authority.certificate))
    signer.key.write_text(key_pem(key))
    signer.anchors.write_text(pem(authority.certificate))
    return signer
