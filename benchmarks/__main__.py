"""All measurements, side by side in one run: ``python -m benchmarks [NAME ...]``."""

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from benchmarks.report import measured, table

MEASUREMENTS = (
    "calls",
    "in_flight",
    "start",
    "download",
    "listing",
    "persistence",
    "guarantees",
    "sketch",
    "upscale",
    "marks",
    "providers",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*MEASUREMENTS, []], metavar="NAME", help=", ".join(MEASUREMENTS))
    names = parser.parse_args().names or MEASUREMENTS
    loads, sections = [os.getloadavg()[0]], []
    begun = time.monotonic()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # where two processes take turns, ncnn's threads must not spin
    # A process for each, so that none inherits another's memory, threads or priority.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes:
        for name in names:
            print(f"{time.monotonic() - begun:4.0f} s  {name} …", flush=True)
            section = processes.submit(measured, name).result()
            sections.append(section)
            loads.append(os.getloadavg()[0])
            for figure in section.figures:
                print(f"          {figure}", flush=True)
    print(table(sections))
    print(
        f"\n{os.cpu_count()} processor cores; load average {loads[0]:.1f} before and {min(loads):.1f} to "
        f"{max(loads):.1f} during the {time.monotonic() - begun:.0f} s"
    )


if __name__ == "__main__":
    main()
