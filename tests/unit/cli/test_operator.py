from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import click
import jwt
import pytest
from click.testing import CliRunner, Result

from limner.cli.main import cli
from limner.cli.operator import DurationType


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

    assert (result.exit_code, result.stderr) == (0, "")
    claims = jwt.decode(result.stdout.strip(), options={"verify_signature": False})
    assert (claims["sub"], claims["workspaces"]) == ("ada", {"a": "member", "b": "member"})
    assert "admin" not in claims
    assert claims["exp"] - claims["iat"] == 3600


def test_console_prints_an_address_with_a_token_where_no_server_sees_it(tmp_path: Path) -> None:
    arguments = ("console", "--data-dir", str(tmp_path), "--user", "ada", "--workspace", "a/b", "--ttl", "15m")
    result = limner(*arguments, "--url", "https://images.example.com/")

    assert (result.exit_code, result.stderr) == (0, "")
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
