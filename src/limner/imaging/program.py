"""The program that decodes and encodes large pictures, and those of formats that are not ours:

    python -m limner.imaging.program look|show|upload|prepare|png|jpeg|webp  < picture  > result

It ends with 0, or with 3 and a sentence for the caller on its output when the picture is at fault. A result is a line
of JSON that says what the picture is, and its bytes, where they are new.
"""

import json
import sys
import warnings
from collections.abc import Callable
from typing import Final

from limner.domain.image import OutputFormat
from limner.imaging.decoding import decoded, format_of, look_through
from limner.imaging.doors import converted, converted_upload, prepared
from limner.service.ports import InvalidPictureError, PictureInfo, ReadyPicture

AT_FAULT: Final = 3
"""The exit code for a picture that can't be decoded or encoded."""

_MEMORY_BYTES: Final = 2 << 30


def main() -> int:
    """Do what the first argument says with the picture on standard input."""
    return run_program(lambda data: _act(sys.argv[1], data))


def run_program(act: Callable[[bytes], bytes]) -> int:
    """Answer on standard output what is made of the picture on standard input; return the exit code."""
    import resource

    warnings.simplefilter("ignore")  # a library's doubts about a file have nobody to read them
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    data = sys.stdin.buffer.read()
    try:
        result = act(data)
    except InvalidPictureError as error:
        sys.stdout.write(str(error))
        return AT_FAULT
    except MemoryError:
        sys.stdout.write("the picture takes too much memory")
        return AT_FAULT
    sys.stdout.buffer.write(result)
    return 0


def _act(action: str, data: bytes) -> bytes:
    match action:
        case "look":
            look_through(data)
            return b""
        case "show":
            width, height = decoded(data).image.size
            return _line(PictureInfo(format=format_of(data) or OutputFormat.PNG, width=width, height=height))
        case "upload":
            return _result(converted_upload(data))
        case "prepare":
            ready = prepared(data)
            return _result(ready) if ready else b""
    return _result(converted(data, OutputFormat(action)))


def _result(ready: ReadyPicture) -> bytes:
    return _line(ready.info) + ready.data


def _line(info: PictureInfo) -> bytes:
    return json.dumps({"format": info.format, "width": info.width, "height": info.height}).encode() + b"\n"


def result_from(output: bytes) -> ReadyPicture | None:
    """Return what the program wrote; ``None`` when there is nothing to tell."""
    if not output:
        return None
    line, _, data = output.partition(b"\n")
    facts = json.loads(line)
    info = PictureInfo(format=OutputFormat(facts["format"]), width=facts["width"], height=facts["height"])
    return ReadyPicture(data, info)


if __name__ == "__main__":
    sys.exit(main())
