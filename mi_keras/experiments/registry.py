"""The sections that can be reproduced. Importing this, or a section's module, imports no TensorFlow."""

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol

from mi_keras.errors import InputError

PRESETS = {  # what each may be called, said under every table
    "smoke": "Preset smoke checks the wiring: its numbers and verdicts mean nothing.",
    "quick": "Preset quick is smaller than the text: its numbers are not a reproduction.",
    "paper": "Preset paper has the sizes of the text, where nothing was changed.",
}
DEFAULT_PRESET = "quick"


class Experiment(Protocol):
    """What the runner runs: the names that its results carry, the folder they go to, and a module's worth of code."""

    @property
    def work(self) -> str: ...
    @property
    def number(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def folder(self) -> str: ...
    def load(self) -> Any:
        """Return what has `PRESETS`, `run`, and `check` where settings or data can be unfit."""


@dataclass(frozen=True)
class Section:
    """A registered experiment: `module` has `Config`, `PRESETS`, `run`, and `check` where settings or data can be unfit."""

    work: str
    number: str
    title: str
    module: str

    @property
    def folder(self) -> str:
        """Where its results go, below the folder of all results."""
        return _within(self.work, self.number)

    def load(self) -> ModuleType:
        """Import the experiment's module."""
        return import_module(f"mi_keras.experiments.{self.module}")


SECTIONS = (
    Section("thesis", "4.2", "Training of the target and shadow CNN", "thesis.sec_4_2_classifiers"),
    Section(
        "thesis", "5.1", "Regularisation and start of the gradient reconstruction", "thesis.sec_5_1_gradient"
    ),
    Section(
        "thesis", "5.2", "Input combinations of the inversion model", "thesis.sec_5_2_input_combinations"
    ),
    Section("thesis", "5.3", "Rounding of the output vector", "thesis.sec_5_3_rounding"),
    Section("thesis", "5.4", "Truncation of the output vector", "thesis.sec_5_4_truncation"),
    Section("split", "6", "Reconstruction of faces from feature maps", "split.sec_6_decoders"),
    Section("split", "7", "Sending fewer feature maps", "split.sec_7_mitigation"),
)
WORKS = ("split", "thesis")
ALL = "all"  # in place of a number: every section of a work


def folder_of_all(work: str) -> str:
    """Return where what belongs to all sections of a work goes, below the folder of all results."""
    return _within(work, ALL)


def _within(work: str, name: str) -> str:
    return (
        name if work == "thesis" else f"{work}/{name}"
    )  # the thesis's folders are older than the second work


def load_work(name: str) -> ModuleType:
    """Import what all sections of a work share: `DEFAULT_DATA`, `open_data`, `prepare`, `pipelines`, `describe`."""
    return import_module(f"mi_keras.experiments.{name}.work")


def find(work: str, number: str) -> tuple[Section, ...]:
    """Return the section of a work by its number, or every one of them for "all".

    Raises:
        InputError: no such section; the message lists those there are.
    """
    found = tuple(s for s in SECTIONS if s.work == work and number in (s.number, ALL))
    if not found:
        known = ", ".join(section.number for section in SECTIONS if section.work == work)
        raise InputError(f"`--section` of work {work} must be one of: {known}, {ALL}; got {number}.")
    return found
