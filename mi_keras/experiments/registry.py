"""The sections that can be reproduced. Importing this, or a section's module, imports no TensorFlow."""

from importlib.metadata import entry_points

from mi_keras.errors import InputError
from mi_keras.experiments.section import PRESETS as PRESETS  # those that every section has
from mi_keras.experiments.section import Experiment

_THESIS, _SPLIT, _BEYOND = (f"mi_keras.experiments.{work}" for work in ("thesis", "split", "beyond"))
SECTIONS = [
    Experiment("thesis", "4.2", "Training of the target and shadow CNN", f"{_THESIS}.sec_4_2_classifiers"),
    Experiment("thesis", "5.1", "Regularisation and start of the gradient reconstruction", f"{_THESIS}.sec_5_1_gradient"),
    Experiment("thesis", "5.2", "Input combinations of the inversion model", f"{_THESIS}.sec_5_2_input_combinations"),
    Experiment("thesis", "5.2-pairs", "Table 4 over pairs of models", f"{_THESIS}.sec_5_2_pairs", study=True),
    Experiment("thesis", "5.2-search", "What X~ holds of the answer", f"{_THESIS}.sec_5_2_search", study=True),
    Experiment("thesis", "5.3", "Rounding of the output vector", f"{_THESIS}.sec_5_3_rounding"),
    Experiment("thesis", "5.4", "Truncation of the output vector", f"{_THESIS}.sec_5_4_truncation"),
    Experiment("thesis", "7", "Future work: other inputs and defences", f"{_THESIS}.sec_7_future_work"),
    Experiment("split", "6", "Reconstruction of faces from feature maps", f"{_SPLIT}.sec_6_decoders"),
    Experiment(
        "split", "6-published", "What the published code does beside its text", f"{_SPLIT}.sec_6_published", study=True
    ),
    Experiment("split", "7", "Sending fewer feature maps", f"{_SPLIT}.sec_7_mitigation"),
    Experiment("beyond", "transfer", "The thesis's target without a query", f"{_BEYOND}.sec_transfer"),
    Experiment("beyond", "queries", "The thesis's target with q queries", f"{_BEYOND}.sec_queries"),
    Experiment("beyond", "access", "The thesis's target by what the adversary has", f"{_BEYOND}.sec_access"),
    Experiment("beyond", "defences", "The thesis's target behind defences", f"{_BEYOND}.sec_defences"),
    Experiment("beyond", "images", "Other images and other classifiers", f"{_BEYOND}.sec_images", study=True),
    Experiment("beyond", "layers", "Faces behind the layers of MobileNetV3", f"{_BEYOND}.sec_layers", study=True),
]  # fmt: skip
GROUP = "mi_keras.sections"  # entry points by which installed packages add an `Experiment` each
WORKS = ("beyond", "split", "thesis")
ALL = "all"  # in place of a number: every section of a work that is no study


def register(experiment: Experiment) -> None:
    """Add a section of one's own, by the dotted path of its module; twice is once.

    Raises:
        InputError: another section has its work and number.
    """
    if experiment in SECTIONS:
        return
    if any((known.work, known.number) == (experiment.work, experiment.number) for known in SECTIONS):
        raise InputError(f"`number` must be new in work {experiment.work}; got {experiment.number}.")
    SECTIONS.append(experiment)


def all_sections() -> tuple[Experiment, ...]:
    """Return every section, also those of installed packages.

    Raises:
        InputError: what an installed package adds is no `Experiment`.
    """
    for entry in entry_points(group=GROUP):
        try:
            added = entry.load()
        except Exception as error:  # whatever another package's module may raise
            raise InputError(
                f"`{GROUP}` must name an Experiment; {entry.value} cannot be loaded: {error}."
            ) from None
        if not isinstance(added, Experiment):
            raise InputError(f"`{GROUP}` must name an Experiment; {entry.value} is {type(added).__name__}.")
        register(added)
    return tuple(SECTIONS)


def find(work: str, number: str) -> tuple[Experiment, ...]:
    """Return the section of a work by its number, or for "all" each that is no study; also those of installed packages.

    Raises:
        InputError: no such section; the message lists those there are.
    """
    there = [section for section in all_sections() if section.work == work]
    found = tuple(
        section for section in there if section.number == number or (number == ALL and not section.study)
    )
    if not found:
        known = ", ".join(section.number for section in there)
        raise InputError(f"`section` of work {work} must be one of: {known}, {ALL}; got {number}.")
    return found
