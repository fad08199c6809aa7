"""What is said of certificates before the first picture is signed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from limner.certificates import load_identity
from limner.doctor import marks_findings
from limner.settings import Settings, SettingsError
from tests.certificates import Authority, Key, ec_key, key_pem, pem, signer_in

NOW = datetime.now(UTC)
KEYS: dict[str, Key] = {
    "es256": ec_key(),
    "es384": ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "ps256": rsa.generate_private_key(65537, 2048),
}


def faults(folder: Path, **environment: str) -> list[str]:
    try:
        Settings.read({"LIMNER_DATA_DIR": str(folder), **environment})
    except SettingsError as error:
        return error.faults
    return []


@pytest.mark.parametrize("algorithm", KEYS)
def test_each_kind_of_key_is_taken_from_files_and_from_the_environment(tmp_path: Path, algorithm: str) -> None:
    authority, key = Authority.make(), KEYS[algorithm]
    chain = pem(authority.certify(key), authority.certificate)
    (tmp_path / "chain.pem").write_text(chain)

    assert load_identity(str(tmp_path / "chain.pem"), key_pem(key)).algorithm == algorithm
    assert faults(tmp_path, LIMNER_C2PA_CERT=chain, LIMNER_C2PA_KEY=key_pem(key)) == []


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "anchors.pem").write_text("nothing")
    environment = {
        "LIMNER_C2PA_CERT": str(tmp_path / "missing.pem"),
        "LIMNER_C2PA_KEY": str(tmp_path / "missing.key"),
        "LIMNER_C2PA_INCLUDE": "prompt,everything",
        "LIMNER_C2PA_OVER_PROVIDER": "overwrite",
        "LIMNER_C2PA_TSA_URL": "ftp://stamps",
    }

    said = "\n".join(faults(tmp_path, **environment))

    assert all(name in said for name in environment)


def test_a_certificate_that_readers_would_not_accept_is_refused(tmp_path: Path) -> None:
    authority, key = Authority.make(), ec_key()
    server = authority.certify(key, purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    cases = {
        "signed by itself": pem(authority.certificate),
        "none of the purposes": pem(server, authority.certificate),
        "the CA is missing": pem(authority.certify(key)),
        "was not issued by": pem(authority.certify(key), Authority.make().certificate),
        "is not the key": pem(authority.certify(ec_key()), authority.certificate),
    }
    for words, chain in cases.items():
        own = key_pem(authority.key) if words == "signed by itself" else key_pem(key)
        said = faults(tmp_path, LIMNER_C2PA_CERT=chain, LIMNER_C2PA_KEY=own)
        assert any(words in each for each in said), (words, said)


def test_a_key_is_never_shown(tmp_path: Path) -> None:
    signer = signer_in(tmp_path)
    settings = Settings.read({"LIMNER_C2PA_CERT": str(signer.chain), "LIMNER_C2PA_KEY": signer.key.read_text()})

    secret = signer.key.read_text().splitlines()[1]
    assert secret not in repr(settings)
    assert secret not in repr(load_identity(settings.c2pa_cert, settings.c2pa_key))


def said(settings: Settings, now: datetime = NOW) -> dict[str, tuple[str, str]]:
    return {each.subject: (each.problem, each.note) for each in marks_findings(settings, now)}


def test_the_doctor_says_what_is_missing_without_a_certificate() -> None:
    problem, note = said(Settings())["marks, signed metadata"]

    assert not problem
    assert "LIMNER_C2PA_CERT" in note
    assert "Art. 50(2)" in note


def test_the_doctor_tells_trust_and_dates(tmp_path: Path) -> None:
    signer, other = signer_in(tmp_path / "ours"), signer_in(tmp_path / "theirs")
    trusted = Settings.read(signer.settings)
    untrusted = Settings.read({**signer.settings, "LIMNER_C2PA_TRUST_ANCHORS": str(other.anchors)})
    subject = "marks, signed metadata"

    assert "trusted by" in said(trusted)[subject][1]
    assert "not trusted by" in said(untrusted)[subject][1]
    assert "ended on" in said(trusted, NOW + timedelta(days=400))[subject][0]
    assert "get the next one" in said(trusted, NOW + timedelta(days=350))[subject][0]
