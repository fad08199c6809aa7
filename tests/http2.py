"""A bare HTTP/2 client, for calls that end where no library would let them end."""

import socket
import struct
from collections.abc import Sequence
from typing import Final

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _GOAWAY, _WINDOW_UPDATE = 0, 1, 4, 7, 8
_ACK, _END_STREAM, _END_HEADERS = 1, 1, 4
_FRAME_BYTES: Final = 16_384
_STREAM: Final = 1


class HalfSent:
    """One request, whose body is sent as far as one likes and the receiver takes it."""

    def __init__(self, address: str, headers: Sequence[tuple[str, str]], *, ended: bool = False) -> None:
        """``ended``: it has no body, and is whole."""
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=60)
        self._windows = {0: 65_535, _STREAM: 65_535}
        self._socket.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, b""))
        flags = _END_HEADERS | (_END_STREAM if ended else 0)
        self._socket.sendall(_frame(_HEADERS, flags, _STREAM, b"".join(map(_literal, headers))))

    def send(self, data: bytes) -> None:
        """Return when the receiver's windows took all of the data."""
        while data:
            room = min(*self._windows.values(), _FRAME_BYTES)
            if room <= 0:
                self._read_frame()
                continue
            part, data = data[:room], data[room:]
            self._socket.sendall(_frame(_DATA, 0, _STREAM, part))
            for stream in self._windows:
                self._windows[stream] -= len(part)

    def hang_up(self) -> None:
        """Close the connection."""
        self._socket.close()

    def wait_for_goaway(self) -> None:
        """Return when the receiver says that it takes no more requests here; fails when it says nothing for a while."""
        while self._read_frame() != _GOAWAY:
            pass

    def _read_frame(self) -> int:
        """Read a frame, do what it asks for, and return its kind."""
        head = self._read(9)
        length, kind, flags = int.from_bytes(head[:3]), head[3], head[4]
        stream, payload = int.from_bytes(head[5:]), self._read(length)
        if kind == _WINDOW_UPDATE:
            self._windows[stream] += int.from_bytes(payload)
        elif kind == _SETTINGS and not flags & _ACK:
            for number, value in struct.iter_unpack(">HI", payload):
                if number == 4:  # the streams' first window
                    self._windows[_STREAM] += value - 65_535
            self._socket.sendall(_frame(_SETTINGS, _ACK, 0, b""))
        return kind

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self._socket.recv(count - len(data))
            assert more, "the receiver hung up"
            data += more
        return data


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def _literal(header: tuple[str, str]) -> bytes:
    """Return a header field that no table remembers (RFC 7541, 6.2.2)."""
    return b"\0" + b"".join(_string(part.encode()) for part in header)


def _string(text: bytes) -> bytes:
    if len(text) < 127:
        return bytes([len(text)]) + text
    rest, digits = len(text) - 127, b""
    while rest >= 128:
        digits += bytes([rest % 128 + 128])
        rest //= 128
    return b"\x7f" + digits + bytes([rest]) + text
