"""What a worker does and warns of, as lines of JSON: told by it, and shown by the process that has started it (see `workers`)."""

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import IO, Any

from mi_keras.progress import Bar, Progress

log = logging.getLogger("mi_keras")
TELL_EVERY = 0.2  # seconds between two reports of one bar


class Reports(logging.Handler):
    """Progress of a worker, and its warnings: a line of JSON for each event (see `progress.Progress`).

    What is said while an experiment is described is not told: every process says it.
    """

    def __init__(self, to: IO[str]) -> None:
        super().__init__(logging.WARNING)
        self._to, self._bars, self._heard = to, 0, False

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Tell all that is said until the block ends, in which stages are computed."""
        self._heard = True
        try:
            yield
        finally:
            self._heard = False

    def emit(self, record: logging.LogRecord) -> None:
        if self._heard:
            self.tell(warning=record.getMessage())

    @contextmanager
    def bar(self, label: str, total: float, unit: str, done: float = 0) -> Iterator[Bar]:
        self._bars += 1
        number = self._bars
        self.tell(bar=number, label=label, total=total, unit=unit, done=done)
        bar = _ToldBar(lambda amount: self.tell(bar=number, amount=amount))
        try:
            yield bar
        finally:
            bar.flush()
            self.tell(bar=number)

    def announce(self, text: str) -> None:
        if self._heard:
            self.tell(announce=text)

    def expect(self, steps: int, seconds: float) -> None:
        pass

    def computing(self, words: str) -> None:
        self.tell(computing=words)

    def finished(self, words: str, seconds: float, left: tuple[int, float] | None = None) -> None:
        pass  # who has started the worker finds the stage in the store

    def tell(self, **event: Any) -> None:
        with self.lock or nullcontext():
            self._to.write(json.dumps(event) + "\n")
            self._to.flush()


class _ToldBar:
    def __init__(self, tell: Callable[[float], object]) -> None:
        self._tell, self._amount, self._told = tell, 0.0, time.monotonic()

    def advance(self, amount: float = 1) -> None:
        self._amount += amount
        if time.monotonic() - self._told >= TELL_EVERY:
            self.flush()

    def flush(self) -> None:
        if self._amount:
            self._tell(self._amount)
        self._amount, self._told = 0.0, time.monotonic()


class Bars:
    """Shows the events of a worker where this process shows its own.

    Attributes:
        open: bars, by their numbers.
        computing: the stage that it computes, in words; "": none.
        heard: it has told something since this was last set to False.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.open: dict[int, tuple[Any, Bar]] = {}
        self.computing, self.heard = "", False

    def show(self, event: Mapping[str, Any]) -> None:
        """Show one event of `Reports`."""
        self.heard = True
        if "computing" in event:
            self.computing = event["computing"]
        elif "warning" in event:
            log.warning("%s", event["warning"])
        elif "announce" in event:
            self._progress.announce(event["announce"])
        elif "label" in event:
            manager = self._progress.bar(event["label"], event["total"], event["unit"], event["done"])
            self.open[event["bar"]] = manager, manager.__enter__()
        elif "amount" in event:
            self.open[event["bar"]][1].advance(event["amount"])
        else:
            self.open.pop(event["bar"])[0].__exit__(None, None, None)

    def close(self) -> None:
        """Close what a worker left open when it ended."""
        self.computing = ""
        while self.open:
            self.open.popitem()[1][0].__exit__(None, None, None)
