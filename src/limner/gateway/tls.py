"""TLS in Envoy's configuration, with certificates that may be replaced while it runs."""

import json
from pathlib import Path
from typing import Final

from limner.gateway.notation import EXTENSIONS, Json, extension
from limner.tls import TlsFiles

SOCKET: Final = f"{EXTENSIONS}.transport_sockets.tls.v3"
OWN: Final = "own"
CLIENTS: Final = "clients"


def transport_socket(files: TlsFiles, folder: Path | None) -> Json:
    """Return the listener's TLS. With a folder the files are read again at each ``announce_change`` in it."""
    common: Json = {"alpn_protocols": ["h2", "http/1.1"]}
    if folder is None:
        common["tls_certificates"] = [_own(files)]
        if files.client_ca:
            common["validation_context"] = _clients(files.client_ca)
    else:
        common["tls_certificate_sds_secret_configs"] = [_watched(OWN, folder)]
        if files.client_ca:
            common["validation_context_sds_secret_config"] = _watched(CLIENTS, folder)
    context = {
        "@type": f"{SOCKET}.DownstreamTlsContext",
        "common_tls_context": common,
        "require_client_certificate": files.client_ca is not None,
    }
    return extension("envoy.transport_sockets.tls", context)


def write_secrets(files: TlsFiles, folder: Path) -> None:
    """Write where the files lie into the folder, which Envoy watches. No key is copied. Blocks."""
    watched = {"watched_directory": {"path": str(folder)}}
    secrets: list[Json] = [{"name": OWN, "tls_certificate": _own(files) | watched}]
    if files.client_ca:
        secrets.append({"name": CLIENTS, "validation_context": _clients(files.client_ca) | watched})
    for each in secrets:  # in a file of its own: Envoy takes one secret from each
        document = {"resources": [{"@type": f"{SOCKET}.Secret", **each}]}
        _secret_file(folder, str(each["name"])).write_text(json.dumps(document), encoding="utf-8")


def announce_change(folder: Path) -> None:
    """Let Envoy read the files again: it watches for what is moved into the folder. Blocks."""
    new = folder / "changed.new"
    new.touch()
    new.rename(folder / "changed")


def _own(files: TlsFiles) -> Json:
    return {"certificate_chain": {"filename": str(files.cert)}, "private_key": {"filename": str(files.key)}}


def _clients(authority: Path) -> Json:
    return {"trusted_ca": {"filename": str(authority)}}


def _secret_file(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def _watched(name: str, folder: Path) -> Json:
    source = {"path_config_source": {"path": str(_secret_file(folder, name))}, "resource_api_version": "V3"}
    return {"name": name, "sds_config": source}
