"""Pipelines of diffusers on this machine's devices.

    model.py       the adapter: what the service asks, and what it is told
    folder.py      what a pipeline's files tell, without loading it
    sizes.py       from a shape to a size
    device.py      one device: queue and batches
    process.py     its worker process, seen from the service
    wire.py        what the two say to each other
    worker.py      the worker process itself
    making.py      makes a batch: steps, memory, checks
    pipelines.py   pipelines, loaded and called
    memory.py      errors for want of memory
    pictures.py    bytes to pixels and back
    previews.py    rough pictures from latents

Why a process, not a thread: beside a thread that runs a tiny pipeline on two busy cores, the event loop was late
by up to 117 ms, and by up to 537 ms while PyTorch was imported (21 ms without either). A fault in native code or
the kernel's out-of-memory killer ends the worker only, and the service stays without PyTorch's 400 MiB. Cancelling
does not end it, as it would lose the loaded pipelines: it takes effect at the end of a step.
"""

from limner.models.diffusers.device import Device
from limner.models.diffusers.model import DiffusersModel, DiffusersOptions

__all__ = ["Device", "DiffusersModel", "DiffusersOptions"]
