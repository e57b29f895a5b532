"""Progress on a terminal: stage, share done, rate and time left; silent where no one is watching."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from mi_keras.display import displayable
from mi_keras.progress import Bar


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        rate = task.finished_speed or task.speed
        return Text("" if rate is None else f"{rate:,.0f} {task.fields['unit']}/s", style="dim")


class _RichBar:
    def __init__(self, progress: Progress, task: int) -> None:
        self._progress, self._task = progress, task

    def advance(self, amount: float = 1) -> None:
        self._progress.advance(self._task, amount)  # type: ignore[arg-type]


class TerminalProgress:
    """Draws one line per stage on standard error while it runs, if that is a terminal (see `progress.Progress`)."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def bar(self, label: str, total: float, unit: str, done: float = 0) -> Iterator[Bar]:
        columns = (
            TextColumn("{task.description}", justify="left", markup=False), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
            _Rate(), TextColumn("left"), TimeRemainingColumn(compact=True),
        )  # fmt: skip
        with Progress(*columns, console=self._console, disable=not self._console.is_terminal) as progress:
            task = progress.add_task(displayable(label), total=total, completed=int(done), unit=unit)
            yield _RichBar(progress, task)

    def announce(self, text: str) -> None:
        self._console.print(displayable(text), markup=False, highlight=False, soft_wrap=True)
