"""A bar that shows how far a task really is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from limner.client import RunTaskEvent

Show: TypeAlias = Callable[[RunTaskEvent], None]


@contextmanager
def task_progress(label: str, *, shown: bool) -> Iterator[Show]:
    """Yield what events are shown to. The bar moves when the model says so, and vanishes at the end."""
    if not shown:
        yield lambda event: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(label, total=1.0)
        made = 0

        def show(event: RunTaskEvent) -> None:
            nonlocal made
            if event.HasField("progress"):
                progress.update(bar, completed=event.progress.fraction)
            elif event.HasField("image"):
                made += 1
                progress.update(bar, description=f"{label} ({made} made)")

        yield show
