"""The sections that can be reproduced. Importing this, or a section's module, imports no TensorFlow."""

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from mi_keras.errors import InputError

PRESETS = {  # what each may be called, said under every table
    "smoke": "Preset smoke checks the wiring: its numbers and verdicts mean nothing.",
    "quick": "Preset quick is smaller than the text: its numbers are not a reproduction.",
    "paper": "Preset paper has the sizes of the text, where nothing was changed.",
}
DEFAULT_PRESET = "quick"


@dataclass(frozen=True)
class Section:
    """A registered experiment: `module` has `TABLE`, `Config`, `PRESETS` and `run`."""

    work: str
    number: str
    title: str
    module: str

    def load(self) -> ModuleType:
        """Import the experiment's module."""
        return import_module(f"mi_keras.experiments.{self.module}")


SECTIONS = (
    Section(
        "thesis", "5.2", "Input combinations of the inversion model", "thesis.sec_5_2_input_combinations"
    ),
)


def find(work: str, number: str) -> Section:
    """Return the section of a work by its number.

    Raises:
        InputError: no such section; the message lists those there are.
    """
    for section in SECTIONS:
        if (section.work, section.number) == (work, number):
            return section
    known = ", ".join(f"{section.work} {section.number}" for section in SECTIONS)
    raise InputError(f"`--section` must be one of: {known}; got {work} {number}.")
