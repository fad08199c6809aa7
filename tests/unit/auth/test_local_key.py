import multiprocessing
import os
import stat
from datetime import timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from limner.app import token_verifier
from limner.auth.claims import ClaimNames
from limner.auth.local_key import LocalKey, LocalKeyError
from limner.auth.verifier import JwtVerifier
from limner.domain.errors import CredentialsInvalidError
from limner.service.caller import Caller, Role
from limner.settings import Settings

MEMBER = {"w1": Role.MEMBER}


def key_file(data_dir: Path) -> Path:
    (path,) = data_dir.iterdir()
    return path


async def test_its_tokens_are_accepted() -> None:
    key = LocalKey(ec.generate_private_key(ec.SECP256R1()))
    token = key.issue("ann", {"w1": Role.MEMBER, "w2": Role.ADMIN}, admin=True)
    expected = Caller(user_id="ann", workspaces={"w1": Role.MEMBER, "w2": Role.ADMIN}, admin=True)
    assert await JwtVerifier(key).verify(token) == expected


async def test_its_tokens_satisfy_the_settings_of_the_verifier() -> None:
    names = ClaimNames(user="uid", workspaces="ws", admin="root")
    key = LocalKey(ec.generate_private_key(ec.SECP256R1()), claim_names=names, issuer="me", audience="limner")
    checker = JwtVerifier(key, claim_names=names, issuer="me", audience="limner")
    assert await checker.verify(key.issue("ann", MEMBER)) == Caller(user_id="ann", workspaces=MEMBER)


async def test_its_tokens_expire() -> None:
    key = LocalKey(ec.generate_private_key(ec.SECP256R1()))
    claims = jwt.decode(key.issue("ann", MEMBER, ttl=timedelta(minutes=5)), options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 300
    later = JwtVerifier(key, clock=lambda: claims["exp"] + 31.0)
    with pytest.raises(CredentialsInvalidError, match="has expired"):
        await later.verify(key.issue("ann", MEMBER, ttl=timedelta(minutes=5)))


async def test_tokens_of_another_local_key_are_refused(tmp_path: Path) -> None:
    token = LocalKey.of_directory(tmp_path / "a").issue("ann", MEMBER)
    with pytest.raises(CredentialsInvalidError, match="unknown key"):
        await JwtVerifier(LocalKey.of_directory(tmp_path / "b")).verify(token)


async def test_the_key_outlives_the_process(tmp_path: Path) -> None:
    token = LocalKey.of_directory(tmp_path).issue("ann", MEMBER)
    assert (await JwtVerifier(LocalKey.of_directory(tmp_path)).verify(token)).user_id == "ann"


@pytest.mark.parametrize("user", ["", " ", "a\nb", "a" * 129])
def test_it_issues_no_token_that_would_be_refused(user: str) -> None:
    key = LocalKey(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(ValueError, match="is not an id"):
        key.issue(user, MEMBER)
    with pytest.raises(ValueError, match="is not an id"):
        key.issue("ann", {user: Role.MEMBER})
    with pytest.raises(ValueError, match="time to live"):
        key.issue("ann", MEMBER, ttl=timedelta(0))


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_file_is_the_owners_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        LocalKey.of_directory(tmp_path / "new" / "data")
    finally:
        os.umask(before)
    path = key_file(tmp_path / "new" / "data")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o620])
def test_a_file_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    LocalKey.of_directory(tmp_path)
    key_file(tmp_path).chmod(mode)
    with pytest.raises(LocalKeyError, match="chmod 600"):
        LocalKey.of_directory(tmp_path)


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        _pem(ec.generate_private_key(ec.SECP256R1()))[:100],
        _pem(ec.generate_private_key(ec.SECP384R1())),
        _pem(rsa.generate_private_key(65537, 2048)),
    ],
    ids=["empty", "nonsense", "cut", "P-384", "RSA"],
)
def test_a_file_with_another_content_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    LocalKey.of_directory(tmp_path)
    path = key_file(tmp_path)
    path.write_bytes(content)
    with pytest.raises(LocalKeyError, match="remove it"):
        LocalKey.of_directory(tmp_path)
    assert path.read_bytes() == content


def _issue(data_dir: str, together: Barrier, tokens: "multiprocessing.Queue[str]") -> None:
    together.wait(30)
    tokens.put(LocalKey.of_directory(Path(data_dir)).issue("ann", MEMBER))


async def test_processes_that_start_together_share_one_key(tmp_path: Path) -> None:
    processes = 8
    context = multiprocessing.get_context("spawn")
    together, tokens = context.Barrier(processes), context.Queue()
    workers = [context.Process(target=_issue, args=(str(tmp_path), together, tokens)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    issued = [tokens.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(30)
    checker = JwtVerifier(LocalKey.of_directory(tmp_path))
    assert {(await checker.verify(token)).user_id for token in issued} == {"ann"}
    assert len({jwt.get_unverified_header(token)["kid"] for token in issued}) == 1
    assert key_file(tmp_path).name == "local-key.pem"


async def test_its_tokens_end_when_they_say_unless_the_operator_gives_them_longer(tmp_path: Path) -> None:
    # The time is cut to whole seconds, so this one is over as it is made.
    token = LocalKey.of_directory(tmp_path).issue("ann", MEMBER, ttl=timedelta(milliseconds=1))

    with pytest.raises(CredentialsInvalidError, match="has expired"):
        await token_verifier(Settings(data_dir=tmp_path)).verify(token)
    longer = token_verifier(Settings(data_dir=tmp_path, auth_leeway_s=30.0))
    assert await longer.verify(token) == Caller(user_id="ann", workspaces=MEMBER)
