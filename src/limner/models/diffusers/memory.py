"""Tells errors for want of memory from others, and gives memory back."""

import contextlib
import ctypes
import gc
from typing import Final

import torch

_WORDS: Final = (
    "out of memory",
    "can't allocate memory",
    "Cannot allocate memory",
    "not enough memory",
    "_ALLOC_FAILED",  # cuBLAS, cuDNN
    "could not create a memory object",  # oneDNN
    "could not create a primitive",  # oneDNN, which can't tell why
)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory was short, the device's or the machine's; for the latter, PyTorch has only words."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)


def give_back() -> None:
    """Let go of what is held for later use."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # only the GNU library has it
        ctypes.CDLL(None).malloc_trim(0)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
