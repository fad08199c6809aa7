"""Runs a module as ``python -m`` does, with the names of its threads known to the operating system.

``python -m benchmarks.named_threads limner serve``: before Python 3.14 all of them have the name of the process.
"""

import runpy
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

_LONGEST_NAME: Final = 15
"""In bytes; Linux keeps no more."""
_EVERY_S: Final = 0.2


def keep_names() -> None:
    while True:
        for thread in threading.enumerate():
            with suppress(OSError):  # it has just ended
                Path(f"/proc/self/task/{thread.native_id}/comm").write_text(thread.name[:_LONGEST_NAME])
        time.sleep(_EVERY_S)


def main() -> None:
    threading.Thread(target=keep_names, name="names", daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
