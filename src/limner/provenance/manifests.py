"""Reads and writes manifests with C2PA's own library, in a process that does nothing else.

A manifest may be anybody's: a fault of the library ends this process, its memory is bounded from within and its time
from without. It fetches nothing from anywhere; signing may ask the operator's time stamp authority.
"""

import json
import resource
import sys
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, Final

import c2pa

from limner.domain.provenance import GENERATOR
from limner.provenance.report import MAX_CHARS, report
from limner.provenance.wire import receive, send

MEMORY_BYTES: Final = 3 << 30
"""Address space; the libraries alone take half a GiB of it."""

MAX_ARCHIVE_BYTES: Final = 2 << 20
"""Largest manifest of an ingredient that is carried along."""

# What is not wanted is written out: the library's defaults change. A thumbnail of a small picture is larger than it.
_SETTINGS: Final = {
    "version": 1,
    "verify": {
        "verify_after_sign": False,
        "verify_trust": True,
        "remote_manifest_fetch": False,
        "ocsp_fetch": False,
    },
    "builder": {"thumbnail": {"enabled": False}},
}

JsonObject = dict[str, Any]


class Manifests:
    """What the process can be asked for, by name."""

    def __init__(self, configuration: Mapping[str, Any]) -> None:
        anchors = {"trust_anchors": configuration["anchors"]} if configuration["anchors"] else {}
        self._context = c2pa.Context.from_dict({**_SETTINGS, "trust": anchors} if anchors else _SETTINGS)
        self._own = None
        self._serial: str = configuration["serial"]
        if configuration["issuers"]:
            self._own = c2pa.Context.from_dict({**_SETTINGS, "trust": {"trust_anchors": configuration["issuers"]}})
        self._signing: Mapping[str, str] | None = configuration["signing"]
        self._signers: dict[bool, Any] = {}

    def read(self, asked: JsonObject, blobs: Sequence[bytes]) -> tuple[JsonObject, list[bytes]]:
        """Report on a file."""
        data, kind = blobs[0], asked["contentType"]
        try:
            reader = c2pa.Reader.try_create(kind, BytesIO(data), context=self._context)
            if reader is None:
                return {"state": "ABSENT"}, []
            with reader:
                found = report(json.loads(reader.json()))
        except c2pa.C2paError as error:
            return _unread(error, data), []
        found["own"] = self._is_own(found, kind, data)
        return found, []

    def ingredient(self, asked: JsonObject, blobs: Sequence[bytes]) -> tuple[JsonObject, list[bytes]]:
        """Return the manifests of a picture that others are made from, without its pixels."""
        try:
            archive = self._archive(asked, blobs[0])
        except c2pa.C2paError as error:
            return {"dropped": str(error)[:MAX_CHARS]}, [self._archive(asked, b"")]
        if len(archive) > MAX_ARCHIVE_BYTES:
            return {"dropped": f"{len(archive)} bytes are too many"}, [self._archive(asked, b"")]
        return {}, [archive]

    def sign(self, asked: JsonObject, blobs: Sequence[bytes]) -> tuple[JsonObject, list[bytes]]:
        """Return the picture with a manifest. The library writes to a buffer, which counts only when all went well."""
        data, *archives = blobs
        with c2pa.Builder.from_json(json.dumps(asked["manifest"]), self._context) as builder:
            for archive in archives:
                builder.add_ingredient_from_archive(BytesIO(archive))
            signed = BytesIO()
            builder.sign(self._signer(stamped=asked["stamped"]), asked["contentType"], BytesIO(data), signed)
        signed.seek(0)
        with c2pa.Reader(asked["contentType"], signed, context=self._context) as reader:
            if reader.get_validation_state() == "Invalid":
                raise c2pa.C2paError("what was signed reads as invalid")
        return {}, [signed.getvalue()]

    def _archive(self, asked: JsonObject, data: bytes) -> bytes:
        empty: JsonObject = {"claim_generator_info": [{"name": GENERATOR}]}
        if not data:
            empty["ingredients"] = [asked["ingredient"]]
        with c2pa.Builder.from_json(json.dumps(empty), self._context) as made:
            if data:
                made.add_ingredient(asked["ingredient"], asked["contentType"], BytesIO(data))
            archive = BytesIO()
            made.write_ingredient_archive(asked["ingredient"]["label"], archive)
        return archive.getvalue()

    def _is_own(self, found: JsonObject, kind: str, data: bytes) -> bool:
        """Tell whether our certificate signed it: its issuers vouch for the signature, and the serial is theirs."""
        if self._own is None or found["generator"] != GENERATOR or found["serial"] != self._serial:
            return False
        with c2pa.Reader(kind, BytesIO(data), context=self._own) as reader:
            return bool(reader.get_validation_state() == "Trusted")

    def _signer(self, *, stamped: bool) -> Any:
        if stamped not in self._signers:
            assert self._signing is not None
            self._signers[stamped] = c2pa.Signer.from_info(
                c2pa.C2paSignerInfo(
                    self._signing["algorithm"],
                    self._signing["chain"].encode(),
                    self._signing["key"].encode(),
                    self._signing["authority"] if stamped else None,
                )
            )
        return self._signers[stamped]


def _unread(error: Exception, data: bytes) -> JsonObject:
    """Tell why a file was not read: there may be no manifest in it at all."""
    why = "".join(each for each in str(error)[:MAX_CHARS] if each.isprintable())
    if "RemoteManifest" in type(error).__name__:
        return {"state": "ABSENT", "problems": ["the file says that its manifest lies elsewhere; it is not fetched"]}
    if b"jumb" in data and b"c2pa" in data:
        return {"state": "INVALID", "problems": [f"the manifest can't be read: {why}"]}
    return {"state": "ABSENT", "problems": [f"the file can't be read whole: {why}"]}


def main() -> None:
    """Answer one request after the other until there are no more."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    given, made = sys.stdin.buffer, sys.stdout.buffer
    configuration, _ = receive(given)
    manifests = Manifests(configuration)
    while True:
        try:
            asked, blobs = receive(given)
        except EOFError:
            return
        try:
            answer, parts = getattr(manifests, asked["call"])(asked, blobs)
        except (c2pa.C2paError, MemoryError) as error:
            answer, parts = {"error": str(error)[:1000], "kind": type(error).__name__}, []
        send(made, answer, parts)


if __name__ == "__main__":
    main()
