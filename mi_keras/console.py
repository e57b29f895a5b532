"""Progress on a terminal: stage, share done, rate and time left; in a log a line for each stage, and one a minute."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from mi_keras.display import displayable
from mi_keras.progress import Bar

EVERY = 60.0  # seconds between two lines where no bar can be drawn


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        rate = task.finished_speed or task.speed
        return Text("" if rate is None else f"{rate:,.0f} {task.fields['unit']}/s", style="dim")


class _RichBar:
    def __init__(self, progress: Progress, task: int) -> None:
        self._progress, self._task = progress, task

    def advance(self, amount: float = 1) -> None:
        self._progress.advance(self._task, amount)  # type: ignore[arg-type]


class _LineBar:
    """Says how far it is at most once in `EVERY` seconds, one line each time."""

    def __init__(self, console: Console, label: str, total: float, done: float) -> None:
        self._console, self._label, self._total, self._done = console, label, total, done
        self._said = time.monotonic()

    def advance(self, amount: float = 1) -> None:
        self._done += amount
        if time.monotonic() - self._said >= EVERY and self._done < self._total:
            self._said = time.monotonic()
            print_line(self._console, f"{self._label}: {self._done / self._total:.0%}")


class TerminalProgress:
    """Draws one line per stage on standard error while it runs; where that is no terminal it says how far it is now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self._expected, self._steps, self._seconds, self._finished = 0.0, 0, 0.0, 0

    @contextmanager
    def bar(self, label: str, total: float, unit: str, done: float = 0) -> Iterator[Bar]:
        if not self._console.is_terminal:
            yield _LineBar(self._console, label, total, done)
            return
        columns = (
            TextColumn("{task.description}", justify="left", markup=False), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
            _Rate(), TextColumn("left"), TimeRemainingColumn(compact=True),
        )  # fmt: skip
        with Progress(*columns, console=self._console) as progress:
            task = progress.add_task(displayable(label), total=total, completed=int(done), unit=unit)
            yield _RichBar(progress, task)

    def announce(self, text: str) -> None:
        print_line(self._console, text)

    def expect(self, steps: int, seconds: float) -> None:
        self._expected, self._finished, self._steps, self._seconds = time.monotonic(), 0, steps, seconds

    def finished(self, words: str, seconds: float) -> None:
        """Say of a stage that it is finished, in what time, and how far all is, where no bar was seen (see `store.Store`)."""
        self._finished += 1
        if self._console.is_terminal:
            return
        now, far = time.monotonic(), []
        if self._finished <= self._steps:
            far.append(f"step {self._finished} of about {self._steps}")
        if self._steps:
            far.append(f"{_clock(now - self._started)} so far")
        if self._seconds and self._finished < self._steps:
            passed = (
                now - self._expected
            )  # what is forecast leaves out small things, of which there may be many
            left = max(self._seconds - passed, passed / self._finished * (self._steps - self._finished))
            far.append(f"about {_clock(left)} left")
        told = f" ({', '.join(far)})" if far else ""
        print_line(self._console, f"{words}: {seconds:.1f} s{told}")


def _clock(seconds: float) -> str:
    """Return "1:05" of minutes and seconds, "1:00:05" from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def print_line(console: Console, text: str) -> None:
    """Print a line as it is, however long."""
    console.print(displayable(text), markup=False, highlight=False, soft_wrap=True)
