"""What signs addresses, and how its keys are changed."""

import base64
import os
import threading
from pathlib import Path

import pytest

from limner.auth.address_keys import FILE, AddressKeyError, AddressKeyFile, AddressKeys
from limner.domain.errors import CredentialsInvalidError

OLD, NEW = b"o" * 32, b"n" * 40


def test_what_was_signed_is_known_again() -> None:
    keys = AddressKeys([OLD])

    assert keys.verify(keys.sign("grüße".encode())) == "grüße".encode()
    assert keys.sign(b"text") == keys.sign(b"text")


def test_an_older_key_is_known_and_does_not_sign() -> None:
    before, after = AddressKeys([OLD]), AddressKeys([NEW, OLD])

    assert after.verify(before.sign(b"text")) == b"text"
    assert after.sign(b"text") == AddressKeys([NEW]).sign(b"text")


@pytest.mark.parametrize("signed", ["", ".", "..", "a.b.c", "ü.ü.ü", "\udcff", "x" * 10_000])
def test_what_was_not_signed_is_refused(signed: str) -> None:
    with pytest.raises(CredentialsInvalidError):
        AddressKeys([OLD]).verify(signed)


def test_each_changed_character_is_noticed() -> None:
    keys = AddressKeys([OLD])
    signed = keys.sign(b"a text of some length")
    for at in range(len(signed)):
        changed = signed[:at] + ("A" if signed[at] != "A" else "B") + signed[at + 1 :]
        with pytest.raises(CredentialsInvalidError):
            keys.verify(changed)


@pytest.mark.parametrize("texts", [[], [""], ["short"], ["not base64 at all, and long enough for that!!"], ["QUJD"]])
def test_keys_that_are_none_are_refused_without_being_shown(texts: list[str]) -> None:
    with pytest.raises(AddressKeyError) as refusal:
        AddressKeys.of_texts(texts)

    assert not any(text and text in str(refusal.value) for text in texts)


def test_processes_that_make_the_file_at_once_have_one_key(tmp_path: Path) -> None:
    made: list[AddressKeyFile] = []
    threads = [threading.Thread(target=lambda: made.append(AddressKeyFile(tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({keys.sign(b"text") for keys in made}) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILE]
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_a_changed_file_is_read_again_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    path, keys = tmp_path / FILE, AddressKeyFile(tmp_path, look_again_s=-1)
    old = keys.sign(b"text")

    path.write_text(f"# the new one\n{base64.b64encode(NEW).decode()}\n\n{path.read_text()}")
    os.utime(path, ns=(1, 1))
    assert keys.sign(b"text") == AddressKeys([NEW]).sign(b"text")
    assert keys.verify(old) == b"text"

    path.write_text("nonsense")
    os.utime(path, ns=(2, 2))
    assert keys.verify(old) == b"text"
