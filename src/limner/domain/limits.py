"""Every number that bounds a request, named once, with its unit."""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

MAX_PROMPT_CHARS: Final = 32_000
MAX_IMAGES_PER_TASK: Final = 10
MAX_INPUT_IMAGES: Final = 16
MAX_SEED: Final = 2**32 - 1
MAX_COMPRESSION: Final = 100

MAX_IDENTIFIER_CHARS: Final = 128
"""Longest workspace id, user id or model id that is looked at."""

MAX_TOKEN_CHARS: Final = 16 * KIB
"""Longest access token. One that is accepted once is accepted always, so all that carries it takes more."""

MAX_PATH_BYTES: Final = 8 * KIB
"""Longest path of a REST request, its query included."""

MAX_HEADERS_BYTES: Final = 32 * KIB
"""Largest headers of a REST request together, names and values, token and path included."""

MAX_METADATA_BYTES: Final = 48 * KIB
"""Largest metadata of a gRPC call: what the gateway lets through, what it adds, and 32 bytes for each name."""

MAX_UPLOAD_BYTES: Final = 20 * MIB
MAX_STORED_BYTES: Final = 64 * MIB
"""Largest picture that a model may hand over; also the bound of any whole-picture read."""

MAX_MESSAGE_BYTES: Final = MAX_UPLOAD_BYTES + MIB
"""Largest gRPC message: an upload, its envelope and room for headers."""

MAX_PIXELS: Final = 64_000_000
"""Most pixels of a picture that is decoded (64 megapixels: 256 MiB as RGBA)."""

MAX_EDGE_PIXELS: Final = 16_384
MAX_WEBP_EDGE_PIXELS: Final = 16_383
"""Longest side of a WebP (libwebp's WEBP_MAX_DIMENSION)."""

CONTENT_CHUNK_BYTES: Final = 256 * KIB
"""Size of one message of a content download."""

DEFAULT_PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 200
MAX_PAGE_TOKEN_CHARS: Final = 512
