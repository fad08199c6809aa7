"""The operator's certificate and key: whether manifests can be signed with them, said before the first picture."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

EXPIRY_NOTICE: Final = timedelta(days=30)
CLAIM_SIGNING: Final = x509.ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
DOCUMENT_SIGNING: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")
_PURPOSES: Final = (CLAIM_SIGNING, DOCUMENT_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION)
_PEM_BEGIN: Final = "-----BEGIN "


class CertificateError(Exception):
    """Nothing can be signed with this certificate or key; ``faults`` has a line for each reason."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signs: a key, its certificate, and those who vouch for that."""

    algorithm: str
    chain: tuple[x509.Certificate, ...]
    key_pem: str

    def __repr__(self) -> str:
        return f"Identity({self.subject!r})"  # never the key

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate that signs."""
        return self.chain[0]

    @property
    def subject(self) -> str:
        """Whom it names."""
        return name_of(self.leaf.subject)

    @property
    def chain_pem(self) -> str:
        """All certificates, the signing one first."""
        return _pem(self.chain)

    @property
    def issuers_pem(self) -> str:
        """Those that vouch for the signing one."""
        return _pem(self.chain[1:])


def load_identity(certificate: str, key: str) -> Identity:
    """Read a PEM chain and a PEM key, each a file's path or the PEM itself. Raises ``CertificateError``."""
    faults: list[str] = []
    chain = _chain(certificate, faults)
    private, key_pem = _key(key, faults)
    algorithm = _algorithm(private) if private is not None else ""
    if private is not None and not algorithm:
        faults.append("LIMNER_C2PA_KEY: must be a key for ES256, ES384, Ed25519 or PS256")
    if chain and private is not None and _public(chain[0].public_key()) != _public(private.public_key()):
        faults.append("LIMNER_C2PA_KEY: is not the key of the first certificate of LIMNER_C2PA_CERT")
    if chain and not faults:
        faults += (f"LIMNER_C2PA_CERT: {each}" for each in chain_faults(chain))
    if faults:
        raise CertificateError(faults)
    return Identity(algorithm, chain, key_pem)


def load_anchors(path: Path) -> str:
    """Return the certificates of a file as PEM, without what else it says. Raises ``CertificateError``."""
    faults: list[str] = []
    anchors = _certificates(str(path), "LIMNER_C2PA_TRUST_ANCHORS", faults)
    if faults:
        raise CertificateError(faults)
    return _pem(anchors)


def chain_faults(chain: tuple[x509.Certificate, ...]) -> Iterator[str]:
    """Yield why C2PA readers would not accept what this chain signs, dates aside: those change by themselves."""
    leaf = chain[0]
    if leaf.issuer == leaf.subject:
        yield "the first certificate is signed by itself; a CA has to sign it, one of your own will do for trying"
        return
    if not _may_sign(leaf):
        yield "the first certificate may not make signatures (key usage)"
    if not purposes(leaf) & set(_PURPOSES):
        yield (
            "the first certificate has none of the purposes that C2PA takes (extended key usage): "
            "C2PA claim signing, document signing or e-mail protection"
        )
    if len(chain) == 1:
        yield "the certificate of the CA is missing: put the chain into the file, the signing certificate first"
    for below, above in itertools.pairwise(chain):
        try:
            below.verify_directly_issued_by(above)
        except (ValueError, TypeError, InvalidSignature):
            yield f"{name_of(below.subject)} was not issued by {name_of(above.subject)}, which follows it"


def date_fault(identity: Identity, now: datetime) -> str:
    """Return what is wrong with the dates of the chain; empty when nothing is."""
    for each in identity.chain:
        if now < each.not_valid_before_utc:
            return f"{name_of(each.subject)} is valid from {each.not_valid_before_utc:%Y-%m-%d} only"
        if now > each.not_valid_after_utc:
            return f"{name_of(each.subject)} ended on {each.not_valid_after_utc:%Y-%m-%d}"
    return ""


def expires(identity: Identity) -> datetime:
    """Return when the first certificate of the chain ends."""
    return min(each.not_valid_after_utc for each in identity.chain)


def purposes(certificate: x509.Certificate) -> set[x509.ObjectIdentifier]:
    """Return what the certificate may be used for."""
    try:
        return set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return set()


def name_of(name: x509.Name) -> str:
    """Return the common name, or all of the name."""
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value) if common else name.rfc4514_string()


def is_vouched_for(identity: Identity, anchors_pem: str) -> bool:
    """Tell whether one of the anchors is in the chain or issued its end."""
    last = identity.chain[-1]
    for anchor in x509.load_pem_x509_certificates(anchors_pem.encode()):
        if anchor in identity.chain:
            return True
        try:
            last.verify_directly_issued_by(anchor)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return True
    return False


def _chain(value: str, faults: list[str]) -> tuple[x509.Certificate, ...]:
    return _certificates(value, "LIMNER_C2PA_CERT", faults)


def _certificates(value: str, setting: str, faults: list[str]) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(x509.load_pem_x509_certificates(_text(value).encode()))
    except OSError as error:
        faults.append(f"{setting}: can't be read: {error.strerror}")
    except ValueError:
        faults.append(f"{setting}: holds no PEM certificates")
    return ()


def _key(value: str, faults: list[str]) -> tuple[PrivateKeyTypes | None, str]:
    try:
        key = serialization.load_pem_private_key(_text(value).encode(), None)
    except OSError as error:
        faults.append(f"LIMNER_C2PA_KEY: can't be read: {error.strerror}")
    except TypeError:
        faults.append("LIMNER_C2PA_KEY: is locked by a password; give the key without one")
    except ValueError:
        faults.append("LIMNER_C2PA_KEY: is no PEM key")
    else:
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return key, pem.decode()
    return None, ""


def _text(value: str) -> str:
    return value if value.lstrip().startswith(_PEM_BEGIN) else Path(value).expanduser().read_text()


def _algorithm(key: PrivateKeyTypes) -> str:
    match key:
        case ec.EllipticCurvePrivateKey(curve=ec.SECP256R1()):
            return "es256"
        case ec.EllipticCurvePrivateKey(curve=ec.SECP384R1()):
            return "es384"
        case ed25519.Ed25519PrivateKey():
            return "ed25519"
        case rsa.RSAPrivateKey(key_size=size) if size >= 2048:
            return "ps256"
    return ""


def _public(key: object) -> bytes:
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(encoding, form)  # type: ignore[attr-defined,no-any-return]


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    except x509.ExtensionNotFound:
        return False


def _pem(certificates: tuple[x509.Certificate, ...]) -> str:
    return "".join(each.public_bytes(serialization.Encoding.PEM).decode() for each in certificates)
