"""Parses `--at`: a view of an output, or a layer."""

import re
from collections.abc import Sequence

import numpy as np

from mi_keras.auditing.ladder import MOST_NUMBERS
from mi_keras.auditing.sent import Sent
from mi_keras.auditing.subject import OWN, Subject
from mi_keras.auditing.views import View, default_views, parse_view, views_of
from mi_keras.errors import InputError
from mi_keras.models.target import points


def sent_at(subject: Subject, at: Sequence[str]) -> tuple[Sent, ...]:
    """Return what is asked for, each once: outputs in their views, or layers; the views of the output where nothing is.

    Raises:
        InputError: there is no such point or view, or a connection bypasses it.
    """
    is_vector = len(subject.target(subject.output_name).point.shape) == 1
    if not at:
        views = default_views(subject.output) if is_vector else (View("raw"),)
        return tuple(Sent(subject.output_name, view, with_class=is_vector) for view in views)
    found: dict[Sent, None] = {}
    outputs = {point.name for point in points(subject.model, subject.fix) if point.is_output}
    for text in at:
        point, _, view = text.rpartition(":")
        if point == subject.output_name or (
            not point and text in (subject.output_name, "output") and is_vector
        ):
            views = (parse_view(view, subject.output),) if point else default_views(subject.output)[:1]
            found.update({Sent(subject.output_name, each): None for each in views})
        elif text not in outputs and is_vector and _is_view(text, subject):
            found[Sent(subject.output_name, parse_view(text, subject.output))] = None
        else:
            _find(text, subject)
            found[Sent(text, View("raw"), with_class=False)] = None
    _check_size(subject, tuple(found))
    return tuple(found)


def _find(text: str, subject: Subject) -> None:
    """Raise where there is no such point, naming those that are like it, and how views are asked for."""
    try:
        subject.target(text)
    except InputError as error:
        output = subject.output
        raise InputError(f"{error} A view of the output ({output.kind}) is {views_of(output)}.") from None


def _is_view(text: str, subject: Subject) -> bool:
    names = {point.name for point in points(subject.model, subject.fix)}
    return text not in names and bool(
        re.fullmatch(r"(logits|probabilities|label)?,?((rounded|top)=\d+)?", text)
    )


def name_of(sent: Sent) -> str:
    """Return how tables call what is sent."""
    return sent.title


def _check_size(subject: Subject, sent: Sequence[Sent]) -> None:
    """Refuse a layer whose vectors, or sequences of them, would not fit into memory as what an attack learns from."""
    own = len(subject.sides[OWN].images)
    for each in sent:
        shape = subject.target(each.point).point.shape
        width = int(np.prod([n or 0 for n in shape]))
        if len(shape) != 3 and own * width > MOST_NUMBERS:
            raise InputError(
                f"`at` must name a layer of at most {MOST_NUMBERS // own:,} numbers for {own:,} images of the adversary; "
                f"{each.point} sends {width:,}."
            )
