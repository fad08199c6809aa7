"""The service's side of watermarks: processes that put them in and find them."""

from limner.domain.errors import OverloadedError
from limner.domain.image import OutputFormat
from limner.domain.provenance import Mark, Marker, MarkKind, MarkState
from limner.provenance.process import Processes, ProcessLostError
from limner.service.executor import BoundedExecutor
from limner.service.marks import UnmarkedError

EMBED_TIMEOUT_S = 60.0
DETECT_TIMEOUT_S = 60.0


class Watermarks:
    """RivaGAN's networks, each in as many processes as threads. A process takes about 0.6 GiB at work."""

    def __init__(self, *, threads: int = 1, queue: int = 1024, looks_waiting: int = 16) -> None:
        self._embedding = BoundedExecutor("watermark", threads=threads, queue=queue)
        self._detecting = BoundedExecutor("watermark-look", threads=1, queue=looks_waiting)
        self._processes = Processes("limner.provenance.watermarks", {})

    async def embedded(self, data: bytes, output_format: OutputFormat) -> bytes:
        """Return the picture with a watermark, in its format. Raises ``UnmarkedError``."""
        asked = {"call": "embed", "format": output_format.value}
        try:
            answer, parts = await self._embedding.run(self._processes.ask, asked, [data], EMBED_TIMEOUT_S)
        except ProcessLostError as error:
            raise UnmarkedError("the watermark takes too much time or memory") from error
        except OverloadedError as error:
            raise UnmarkedError("too many pictures wait for their watermark") from error
        if "error" in answer:
            raise UnmarkedError(f"no watermark: {answer['kind']}: {answer['error']}")
        (made,) = parts
        return bytes(made)

    async def looked_for(self, data: bytes) -> Mark:
        """Tell whether the service's watermark is in a file, which may be hostile."""
        try:
            answer, _ = await self._detecting.run(self._processes.ask, {"call": "detect"}, [data], DETECT_TIMEOUT_S)
        except ProcessLostError:
            return _absent("looking for a watermark takes too much time or memory")
        if "error" in answer:
            return _absent(f"the picture can't be looked at: {answer['error']}")
        if not answer["detected"]:
            return _absent()
        return Mark(kind=MarkKind.WATERMARK, state=MarkState.DETECTED, by=Marker.LIMNER)

    def close(self) -> None:
        """End the threads and processes."""
        self._embedding.close()
        self._detecting.close()
        self._processes.close()


def _absent(*problems: str) -> Mark:
    return Mark(kind=MarkKind.WATERMARK, state=MarkState.ABSENT, problems=problems)
