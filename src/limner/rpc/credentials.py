"""TLS for gRPC, with certificates that may be replaced while it runs."""

import logging

import grpc

from limner.tls import TlsFiles

log = logging.getLogger(__name__)


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Return what proves who the server is. gRPC asks at each handshake whether the files have changed."""
    used = files.version()
    reported: tuple[tuple[int, int, int], ...] = ()

    def changed() -> grpc.ServerCertificateConfiguration | None:
        """Return the new files; ``None`` where they are the old ones, or not whole."""
        nonlocal used, reported
        found = files.version()
        if found in (used, reported):
            return None
        if fault := files.fault():
            reported = found
            log.warning("the new TLS files can't be used; the old ones still are", extra={"why": fault})
            return None
        used = found
        log.info("new TLS files are used for gRPC")
        return _configuration(files)

    # The stubs deny that it may return nothing, which the documentation asks for.
    return grpc.dynamic_ssl_server_credentials(
        _configuration(files),
        changed,  # type: ignore[arg-type]
        files.client_ca is not None,
    )


def _configuration(files: TlsFiles) -> grpc.ServerCertificateConfiguration:
    pair = (files.key.read_bytes(), files.cert.read_bytes())
    roots = files.client_ca.read_bytes() if files.client_ca else None
    return grpc.ssl_server_certificate_configuration([pair], root_certificates=roots)
