from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import click
import jwt
import pytest
from click.testing import CliRunner, Result

from limner.cli.main import cli
from limner.cli.operator import DurationType
from limner.settings import mistyped


def limner(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("15m", 900), ("1h", 3600), ("7d", 604_800), ("999999999s", 999_999_999)]
)
def test_durations(text: str, seconds: int) -> None:
    assert DurationType().convert(text, None, None) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "1", "h", "0s", "-1h", "1.5h", "1h30m", "1 h", "1H", "10000000000s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(click.BadParameter):
        DurationType().convert(text, None, None)


def test_token_prints_a_token_and_nothing_else(tmp_path: Path) -> None:
    result = limner("token", "--data-dir", str(tmp_path), "--user", "ada", "--workspace", "a", "--workspace", "b")

    assert result.exit_code == 0
    assert "No service has run" in result.stderr
    assert limner("token", "--data-dir", str(tmp_path), "--user", "ada", "--workspace", "a").stderr == ""
    claims = jwt.decode(result.stdout.strip(), options={"verify_signature": False})
    assert (claims["sub"], claims["workspaces"]) == ("ada", {"a": "member", "b": "member"})
    assert "admin" not in claims
    assert claims["exp"] - claims["iat"] == 3600


def test_console_prints_an_address_with_a_token_where_no_server_sees_it(tmp_path: Path) -> None:
    arguments = ("console", "--data-dir", str(tmp_path), "--user", "ada", "--workspace", "a/b", "--ttl", "15m")
    result = limner(*arguments, "--url", "https://images.example.com/")

    assert result.exit_code == 0
    assert "No service has run" in result.stderr
    address = urlsplit(result.stdout.strip())
    assert address._replace(fragment="").geturl() == "https://images.example.com/console"
    given = parse_qs(address.fragment, strict_parsing=True)
    claims = jwt.decode(given["token"][0], options={"verify_signature": False})
    assert (claims["sub"], claims["workspaces"], given["workspace"]) == ("ada", {"a/b": "member"}, ["a/b"])
    assert claims["exp"] - claims["iat"] == 900


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({}, "http://127.0.0.1:8080/console#"),
        ({"LIMNER_HTTP_PORT": "9000", "LIMNER_HOST": "::1"}, "http://[::1]:9000/console#"),
        ({"LIMNER_PUBLIC_URL": "https://images.example.com"}, "https://images.example.com/console#"),
    ],
)
def test_console_finds_the_service_by_the_settings(tmp_path: Path, settings: dict[str, str], address: str) -> None:
    arguments = ("console", "--data-dir", str(tmp_path), "--workspace", "acme")

    result = CliRunner(env=settings).invoke(cli, arguments)

    assert result.stdout.startswith(address)


def test_console_without_the_needed_is_wrong_usage(tmp_path: Path) -> None:
    base = ("console", "--data-dir", str(tmp_path))

    assert limner(*base).exit_code == 2
    assert limner(*base, "--workspace", "acme", "--url", "nowhere").exit_code == 2
    assert CliRunner(env={"LIMNER_HTTP_PORT": "0"}).invoke(cli, (*base, "--workspace", "acme")).exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_retention_is_shown_set_and_taken_away(tmp_path: Path) -> None:
    limner("migrate", "--data-dir", str(tmp_path))
    arguments = ("retention", "--data-dir", str(tmp_path), "acme")

    assert limner(*arguments).stdout == "acme: images are kept until they are deleted (by the settings)\n"
    assert limner(*arguments, "--days", "30").stdout == "acme: images are kept for 30 days (its own)\n"
    assert limner(*arguments).stdout == "acme: images are kept for 30 days (its own)\n"
    assert limner(*arguments, "--forever").stdout == "acme: images are kept until they are deleted (its own)\n"
    assert limner(*arguments, "--clear").stdout == "acme: images are kept until they are deleted (by the settings)\n"
    assert limner(*arguments, "--clear", "--days", "1").exit_code == 2


def test_the_printed_key_set_checks_the_tokens_and_holds_nothing_secret(tmp_path: Path) -> None:
    token = limner("token", "--data-dir", str(tmp_path), "--user", "ada", "--workspace", "a").stdout.strip()
    (key,) = jwt.PyJWKSet.from_json(limner("jwks", "--data-dir", str(tmp_path)).stdout).keys

    assert jwt.decode(token, key)["sub"] == "ada"
    assert key.key_id == jwt.get_unverified_header(token)["kid"]
    assert "d" not in key._jwk_data


def test_token_of_an_admin_needs_no_workspace(tmp_path: Path) -> None:
    result = limner("token", "--data-dir", str(tmp_path), "--user", "root", "--admin", "--ttl", "7d")

    claims = jwt.decode(result.stdout.strip(), options={"verify_signature": False})
    assert claims["admin"] is True
    assert claims["exp"] - claims["iat"] == 604_800


@pytest.mark.parametrize("arguments", [["--user", "ada"], ["--workspace", "a"], ["--user", "a", "--ttl", "soon"]])
def test_token_without_the_needed_is_wrong_usage(arguments: list[str], tmp_path: Path) -> None:
    assert limner("token", "--data-dir", str(tmp_path), *arguments).exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_token_by_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    arguments = ("token", "--data-dir", str(tmp_path), "--user", "ada", "--workspace", "a")
    limner(*arguments)
    next(tmp_path.iterdir()).chmod(0o644)

    result = limner(*arguments)

    assert (result.exit_code, result.stdout) == (1, "")
    assert "open to other users" in result.stderr


@pytest.mark.parametrize("arguments", [["serve", "--workers", "0"], ["serve", "--grpc-port", "70000"], ["gateway"]])
def test_wrong_usage_of_the_service(arguments: list[str]) -> None:
    assert limner(*arguments).exit_code == 2


def test_wrong_settings_are_told_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_WORKERS", "many")
    monkeypatch.setenv("LIMNER_STORAGE", "s3://bucket")

    result = limner("serve")

    assert result.exit_code == 2
    assert "LIMNER_WORKERS" in result.stderr
    assert "LIMNER_STORAGE" in result.stderr


@pytest.mark.parametrize("arguments", [["quota", "acme"], ["retention", "acme", "--days", "3"], ["jwks"], ["doctor"]])
@pytest.mark.parametrize("there", [True, False], ids=["an empty folder", "no folder"])
def test_a_folder_without_data_is_named_and_stays_as_it_is(arguments: list[str], there: bool, tmp_path: Path) -> None:
    folder = tmp_path if there else tmp_path / "elsewhere"
    result = limner(*arguments, "--data-dir", str(folder))

    assert result.exit_code == 1
    assert str(folder) in result.output
    assert "makes it" in result.output or "makes one" in result.output or "limner serve makes" in result.output
    assert not folder.exists() or list(folder.iterdir()) == []


def test_doctor_blames_the_folder_that_can_not_be_used_and_nothing_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").write_text("a file")
    monkeypatch.setenv("LIMNER_DATA_DIR", str(tmp_path / "data"))
    result = limner("doctor")

    assert (result.exit_code, "✗ data folder: " in result.stdout) == (1, True)
    assert not any(f"{mark} {part}" in result.stdout for mark in "✗✓" for part in ("database", "storage", "access"))


def test_doctor_is_content_with_a_new_database_and_makes_nothing(tmp_path: Path) -> None:
    limner("migrate", "--data-dir", str(tmp_path))
    before = {path.name for path in tmp_path.iterdir()}
    result = limner("doctor", "--data-dir", str(tmp_path))

    assert result.exit_code == 0, result.output
    assert {path.name for path in tmp_path.iterdir()} == before
    assert "✓ database: SQLite" in result.stdout


def test_a_mistyped_setting_is_named_with_what_was_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_LOGLEVEL", "debug")
    result = limner("doctor", "--data-dir", str(tmp_path))

    assert "LIMNER_LOGLEVEL: there is no such setting; is LIMNER_LOG_LEVEL meant?" in result.stdout
    assert mistyped({"LIMNER_LOG_LEVEL": "debug", "LIMNER_TOKEN": "x", "HOME": "/"}) == []
