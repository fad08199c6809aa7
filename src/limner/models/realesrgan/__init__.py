"""Real-ESRGAN, embedded: enlarges pictures on this machine's processor through ncnn.

    model.py       the adapter: what the service asks, and what it is told
    process.py     the worker process, seen from the service: queue, start, end, conversation
    wire.py        what the two say to each other
    worker.py      the worker process itself
    picture.py     bytes to pixels and back: orientation, alpha, colour, formats
    tiling.py      cuts a picture into tiles and joins the enlarged ones without seams
    network.py     one neural network, run by ncnn
    catalogue.py   the facts about the networks, and where their weights lie

Why a process of its own, although ncnn's binding releases the GIL (an event loop beside a 1.5 s
``extract`` was late by 8 ms at most, by sharing the cores): a fault in native code or the kernel's
out-of-memory killer ends the worker only; its memory, a gigabyte, goes back when it is idle; it runs at
a lower priority, so the loop keeps its cores; and cancelling is ending it, which stops within
milliseconds, where the next tile's end may be seconds away and a fresh worker is ready in half a second.
"""

from limner.models.realesrgan.model import RealEsrganModel, realesrgan_capabilities
from limner.models.realesrgan.process import UpscalerProcess

__all__ = ["RealEsrganModel", "UpscalerProcess", "realesrgan_capabilities"]
