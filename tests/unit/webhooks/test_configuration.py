"""The file of the webhooks, and everything that may be wrong with it."""

import base64
from pathlib import Path

import pytest

from limner.webhooks.configuration import Webhook, WebhooksError, configured_webhooks

KEY, OLD_KEY = bytes(range(32)), bytes(24)
SECRET, OLD_SECRET = (f"whsec_{base64.b64encode(key).decode()}" for key in (KEY, OLD_KEY))
ENVIRONMENT = {"ACME_SECRET": SECRET, "TWO_SECRETS": f"{SECRET} {OLD_SECRET}", "EMPTY": "", "WRONG": "whsec_hunter2"}


def written(folder: Path, text: str) -> Path:
    path = folder / "webhooks.toml"
    path.write_text(text)
    return path


def table(workspace: str = "acme", url: str = "https://example.com/limner", secret_env: str = "ACME_SECRET") -> str:
    return f'[[webhooks]]\nworkspace = "{workspace}"\nurl = "{url}"\nsecret_env = "{secret_env}"\n'


def faults(path: Path) -> list[str]:
    with pytest.raises(WebhooksError) as caught:
        configured_webhooks(path, ENVIRONMENT)
    assert SECRET not in str(caught.value)
    return [fault.removeprefix(f"{path}: ") for fault in caught.value.faults]


def test_each_workspace_has_a_receiver(tmp_path: Path) -> None:
    path = written(tmp_path, table() + table("other", "http://127.0.0.1:8000/hook?a=b", "TWO_SECRETS"))
    assert configured_webhooks(path, ENVIRONMENT) == (
        Webhook(workspace="acme", url="https://example.com/limner", secrets=(KEY,)),
        Webhook(workspace="other", url="http://127.0.0.1:8000/hook?a=b", secrets=(KEY, OLD_KEY)),
    )


def test_a_secret_is_not_shown(tmp_path: Path) -> None:
    (webhook,) = configured_webhooks(written(tmp_path, table()), ENVIRONMENT)
    assert "secrets" not in repr(webhook)


@pytest.mark.parametrize(
    "url", ["https://example.com", "https://example.com:8443/a?b=c", "http://localhost:1/x", "http://[::1]:9/"]
)
def test_these_addresses_are_accepted(tmp_path: Path, url: str) -> None:
    (webhook,) = configured_webhooks(written(tmp_path, table(url=url)), ENVIRONMENT)
    assert webhook.public == url.startswith("https")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "http://10.0.0.1/",
        "http://127.0.0.1.example.com/",
        "https://127.0.0.1/",
        "https://127.0.0.1./",
        "https://[::1]/",
        "https://localhost/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://93.184.216.34/",
        "ftp://example.com/",
        "example.com",
        "https://",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://user:password@example.com/",
        "https://example.com/#part",
        "https://exämple.com/",
        "https://example.com/a b",
    ],
)
def test_these_addresses_are_refused(tmp_path: Path, url: str) -> None:
    (fault,) = faults(written(tmp_path, table(url=url)))
    assert fault.startswith("webhook 1 (acme): url ")


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    text = (
        table(secret_env="MISSING")
        + table("acme", "http://example.com", "WRONG")
        + '[[webhooks]]\nworkspace = 7\nuri = "https://example.com"\nsecret_env = "EMPTY"\n'
    )
    assert faults(written(tmp_path, text)) == [
        "webhook 1 (acme): secret_env must be the name of an environment variable that is set",
        "webhook 2 (acme): url must be https of a host name, or http of a loopback address",
        "webhook 2 (acme): secret_env names a variable whose value must be whsec_ and the base64 of 24 to 64 bytes",
        "webhook 3 (7): there is no setting uri",
        "webhook 3 (7): workspace must be a text",
        "webhook 3 (7): url is missing",
        "webhook 3 (7): secret_env must be the name of an environment variable that is set",
        "workspace acme has two webhooks",
    ]


@pytest.mark.parametrize("text", ["", "[webhooks]\n", "webhooks = [1]\n", 'secret = "x"\n' + table(), "what?"])
def test_a_file_that_holds_something_else_is_refused(tmp_path: Path, text: str) -> None:
    assert len(faults(written(tmp_path, text))) == 1


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    assert len(faults(tmp_path / "webhooks.toml")) == 1
