"""Addresses of Google Cloud Storage's own, signed by a service account's key that was made for the test."""

import hashlib
from datetime import timedelta
from urllib.parse import parse_qs, quote, urlsplit

import google.cloud.storage as storage
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from google.auth.credentials import AnonymousCredentials
from google.oauth2 import service_account

from limner.domain.errors import StorageUnavailableError
from limner.domain.identifiers import new_id
from limner.service.ports import ForeignAddresses
from limner.storage.gcs import GcsBlobStore

EMAIL = "limner@project.iam.gserviceaccount.com"
KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2048)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> GcsBlobStore:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    pem = KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    credentials = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
        {"client_email": EMAIL, "private_key": pem, "token_uri": "https://oauth2.googleapis.com/token"}
    )
    return GcsBlobStore("pictures", "kept", client=storage.Client("project", credentials))


@pytest.mark.parametrize("variant", ["", "/512.webp"])
async def test_an_address_carries_a_signature_that_google_would_accept(store: GcsBlobStore, variant: str) -> None:
    assert isinstance(store, ForeignAddresses)
    key = new_id()

    url = urlsplit(await store.sign(key + variant, timedelta(minutes=5)))

    name = f"kept/variants/{key}{variant}" if variant else f"kept/{key}"
    assert (url.scheme, url.netloc, url.path) == ("https", "storage.googleapis.com", f"/pictures/{name}")
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert query["X-Goog-Expires"] == "300"
    assert query["X-Goog-Credential"].startswith(f"{EMAIL}/")
    # https://cloud.google.com/storage/docs/authentication/signatures
    signature = bytes.fromhex(query.pop("X-Goog-Signature"))
    canonical_query = "&".join(f"{quote(name, safe='')}={quote(query[name], safe='')}" for name in sorted(query))
    canonical = f"GET\n{url.path}\n{canonical_query}\nhost:storage.googleapis.com\n\nhost\nUNSIGNED-PAYLOAD"
    scope = query["X-Goog-Credential"].partition("/")[2]
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    signed = f"GOOG4-RSA-SHA256\n{query['X-Goog-Date']}\n{scope}\n{digest}"
    KEY.public_key().verify(signature, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    await store.close()


async def test_credentials_that_sign_nothing_are_told_as_the_storages_fault() -> None:
    store = GcsBlobStore("pictures", client=storage.Client("project", AnonymousCredentials()))  # type: ignore[no-untyped-call]

    with pytest.raises(StorageUnavailableError):
        await store.sign(new_id(), timedelta(minutes=5))
    await store.close()
