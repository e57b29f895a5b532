"""Progress on a terminal: stage, share done, rate and time left; in a log a line for each stage, and one a minute."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from mi_keras.display import displayable
from mi_keras.progress import Bar

EVERY = 60.0  # seconds between two lines where no bar can be drawn


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        rate = task.finished_speed or task.speed
        return Text(
            "" if rate is None or not task.fields["unit"] else f"{rate:,.0f} {task.fields['unit']}/s",
            style="dim",
        )


class _Left(ProgressColumn):
    """The time left: by the rate of a bar, or until the moment that somebody has forecast."""

    def render(self, task: Task) -> Text:
        until = task.fields.get("until")
        seconds = (
            until - time.monotonic()
            if until is not None
            else task.time_remaining
            if task.fields["unit"]
            else None
        )
        return Text("" if seconds is None else f"{_clock(max(seconds, 0))} left", style="progress.remaining")


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
    """Draws on standard error a line for each thing that is being done, and one for all of them while stages are expected.

    Each stage that is finished leaves a line. Where that is no terminal there are only these, and one a minute for a stage that takes
    longer. Several threads may report at a time.
    """

    def __init__(self, console: Console) -> None:
        self._console, self._lock = console, threading.RLock()
        self._started = time.monotonic()
        self._expected, self._seconds = 0.0, 0.0  # when it was last said how long all will take, and how long
        self._done, self._left = 0, 0
        self._live: Progress | None = None
        self._all: TaskID | None = None
        self._bars = 0

    @contextmanager
    def bar(self, label: str, total: float, unit: str, done: float = 0) -> Iterator[Bar]:
        if not self._console.is_terminal:
            yield _LineBar(self._console, label, total, done)
            return
        with self._lock:
            live = self._begin()
            task = live.add_task(displayable(label), total=total, completed=int(done), unit=unit)
        try:
            yield _RichBar(live, task)
        finally:
            with self._lock:
                live.refresh()
                live.remove_task(task)
                self._end()

    def announce(self, text: str) -> None:
        print_line(self._console, text)

    def expect(self, steps: int, seconds: float) -> None:
        with self._lock:
            self._expected, self._seconds, self._left = time.monotonic(), seconds, steps
            self._show_all()

    def computing(self, words: str) -> None:
        pass  # its bars say so

    def finished(self, words: str, seconds: float, left: tuple[int, float] | None = None) -> None:
        with self._lock:
            far = []
            if left is not None:
                self.expect(*left)
                self._done += 1
                far = [f"step {self._done} of about {self._done + self._left}"]
            if self._done:
                far.append(f"{_clock(time.monotonic() - self._started)} so far")
            if self._left and (remaining := self._remaining()):
                far.append(f"about {_clock(remaining)} left")
            self._show_all()
        told = f" ({', '.join(far)})" if far else ""
        print_line(self._console, f"{words}: {seconds:.1f} s{told}")

    def _remaining(self) -> float:
        """Return the seconds until all is done, 0 where nothing tells."""
        return max(self._seconds - (time.monotonic() - self._expected), 0.0)

    def _show_all(self) -> None:
        """Bring the line of all stages up to date."""
        if self._live is None or not self._left:
            return
        passed, remaining = time.monotonic() - self._started, self._remaining()
        words = f"step {self._done + 1} of about {self._done + self._left}"
        share = passed / (passed + remaining) if remaining else self._done / (self._done + self._left)
        if self._all is None:
            self._all = self._live.add_task(words, total=1.0, unit="")
        until = time.monotonic() + remaining if remaining else None
        self._live.update(self._all, description=words, completed=share, until=until)

    def _begin(self) -> Progress:
        """Return the display, which is there while anything is being done."""
        self._bars += 1
        if self._live is None:
            columns = (
                TextColumn("{task.description}", justify="left", markup=False), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
                _Rate(), _Left(),
            )  # fmt: skip
            self._live = Progress(*columns, console=self._console, transient=True)
            self._live.start()
            self._show_all()
        return self._live

    def _end(self) -> None:
        self._bars -= 1
        if self._live is not None and not self._bars:
            self._live.stop()
            self._live = self._all = None


def _clock(seconds: float) -> str:
    """Return "1:05" of minutes and seconds, "1:00:05" from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def print_line(console: Console, text: str) -> None:
    """Print a line as it is, however long."""
    console.print(displayable(text), markup=False, highlight=False, soft_wrap=True)
