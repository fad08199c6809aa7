"""A proxy that hangs up in place of an answer: the request was carried out, and nobody is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

HOP_BY_HOP = ("host", "connection", "content-length", "transfer-encoding")


@contextmanager
def answers_lost(upstream: str, method: str, count: int) -> Iterator[str]:
    """Pass requests on to ``upstream``; lose the first ``count`` answers to ``method``. Yields the proxy's address."""
    left = count

    class Handler(BaseHTTPRequestHandler):
        def _pass_on(self) -> None:
            nonlocal left
            status, headers, content = self._ask(upstream)
            if self.command == method and left:
                left -= 1
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _ask(self, upstream: str) -> tuple[int, list[tuple[str, str]], bytes]:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            connection = HTTPConnection(urlsplit(upstream).netloc)
            try:
                connection.request(self.command, self.path, body, dict(_end_to_end(self.headers.items())))
                answer = connection.getresponse()
                return answer.status, _end_to_end(answer.getheaders()), answer.read()
            finally:
                connection.close()

        do_GET = do_POST = do_PUT = do_DELETE = _pass_on  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def _end_to_end(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP]
