"""What may be audited: every row of the data contract is taken or refused in a line before anything is learned."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_audits import (
    SIDE,
    Noise,
    band_reader,
    constant,
    in_bands,
    linear,
    network,
    pictures,
    two_outputs,
    whole,
    with_age,
)  # fmt: skip

from mi_keras.auditing.contract import Contract, inspect
from mi_keras.auditing.in_white import sends
from mi_keras.auditing.options import Options
from mi_keras.auditing.points import sent_at
from mi_keras.auditing.subject import ATTACKED, CHOICE, OWN, attacked_size
from mi_keras.auditing.views import View
from mi_keras.errors import InputError
from tests.unit.auditing.pictures import folder_of
from tests.unit.data.given import encoded

__all__ = ["linear"]
COLOUR = (SIDE, SIDE, 3)


def inspected(model: keras.Model, data: Any, **options: Any) -> Contract:
    return inspect(model, "model", data, Options(**{"preset": "smoke", "model_input": "0..1", **options}))


def _refused(model: keras.Model, data: Any, words: str, **options: Any) -> None:
    with pytest.raises(InputError, match=words) as caught:
        inspected(model, data, **options)
    assert "\n" not in str(caught.value)


def _random() -> keras.Model:
    inner = network()
    return keras.Model(inner.input, Noise(0.1)(inner.output))


KINDS = {
    "logits": (lambda: network(4), {}, 4),
    "probabilities": (lambda: network(4, activation="softmax"), {}, 4),
    "one sigmoid unit": (lambda: network(1, activation="sigmoid"), {}, 2),
    "several labels": (lambda: network(5, activation="sigmoid", scale=4.0), {}, None),
    "embedding": (lambda: network(4), {"output_kind": "embedding"}, 1),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_answers_are_is_told_by_their_values_or_declared(kind: str) -> None:
    build, options, classes = KINDS[kind]
    output = inspected(build(), pictures(), **options).subjects[0].output
    assert output.kind == kind
    assert classes is None or output.classes == classes
    if kind == "several labels":
        assert output.patterns
        assert output.classes == len(output.patterns) + 1


def test_logits_can_be_declared_where_all_lie_between_0_and_1() -> None:
    model = network(4)
    model.set_weights([np.full((16, 4), 0.01), np.arange(4) / 10])
    assert inspected(model, pictures()).subjects[0].output.kind == "several labels"
    assert inspected(model, pictures(), output_kind="logits").subjects[0].output.kind == "logits"


REFUSED = {
    "several inputs": (with_age, pictures(), "`fix={'age': VALUE}` must be given, .* without a value: age .2,. float32", {}),
    "an input of another shape": (with_age, pictures(), r"`fix\['age'\]` must have the shape of the input", {"fix": {"age": 1}}),
    "no names of inputs": (with_age, pictures(), "`fix` must be numbers by the names of inputs", {"fix": 1}),
    "no output named": (two_outputs, pictures(), "`output` must name the output .* age, kind", {}),
    "unknown output": (two_outputs, pictures(), "`output` must be one of age, kind", {"output": "sex"}),
    "five channels": (lambda: network(shape=(SIDE, SIDE, 5)), pictures(), "must take images", {}),
    "nothing says what is expected": (network, pictures(), "no labels to find it by", {"model_input": None}),
    "whole numbers in 0..1": (lambda: network(dtype="uint8"), pictures(), "whole numbers", {}),
    "too few": (network, pictures(60), "at least 100 images; got 60", {}),
    "floats of unknown range": (network, pictures() / 255, "`pixels` must be declared", {}),
    "another size": (network, pictures(), r"`size=\(16, 16\)` must be", {"size": (8, 8)}),
    "not finite": (lambda: network(scale=1e38), pictures() * 1.0, "finite", {"pixels": "0..255", "model_input": "0..255"}),
    "NaN as a weight": (lambda: network(scale=np.nan), pictures(), "finite", {}),
    "a budget in words": (network, pictures(), "`budget` must be minutes >= 0, .* got '5'", {"budget": "5"}),
    "embedding unchecked": (network, (pictures(), np.arange(420) % 3), "no answers that tell one",
                            {"model_input": None, "output_kind": "embedding"}),
}  # fmt: skip


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_in_a_line(case: str) -> None:
    build, data, words, options = REFUSED[case]
    _refused(build(), data, words, **options)


def test_where_pictures_lack_labels_the_way_to_give_them_is_said(tmp_path: Path) -> None:
    pictures_of = {f"a/{row}.png": encoded(image[..., 0]) for row, image in enumerate(pictures(100))}
    said = r"or MODULE:FUNCTION\. Where subfolders are classes, `labels='folder'` gives them\.$"
    _refused(network(), folder_of(tmp_path, pictures_of), said, model_input=None)
    _refused(network(), pictures(), r"or MODULE:FUNCTION\.$", model_input=None)


def test_a_point_that_there_is_not_names_the_views_that_there_are() -> None:
    subject = inspected(network(4, activation="softmax"), pictures()).subjects[0]
    views = r"A view of the output \(probabilities\) is probabilities, label, rounded=0\.\.7 or top=1\.\.4\."
    with pytest.raises(InputError, match=f"^`at` must be an output .*{views}$"):
        sent_at(subject, ["flatt"])


def test_few_images_are_attacked_in_four_folds_with_a_warning() -> None:
    found = inspected(network(), pictures(300))
    assert len(found.subjects) == found.data.folds == 4
    assert "Only 300 images" in found.warnings[0]
    assert sum(len(subject.sides[ATTACKED].images) for subject in found.subjects) == 300
    assert len({id(subject.target("out")) for subject in found.subjects}) == 1


def test_another_input_is_held_at_its_value_and_said() -> None:
    model, at = with_age(), [40.0, -1.5]
    found = inspected(model, pictures(), fix={"age": at})
    subject = found.subjects[0]
    assert "Input age is held at 40, -1.5." in found.assumed
    own = subject.sides[OWN].images
    images, ages = own.astype("float32") / 255, np.tile(np.float32(at), (len(own), 1))
    np.testing.assert_allclose(subject.answers("out")(own), model([ages, images]), atol=1e-5)
    head = sends(subject, "out", View("raw"), with_class=False).differentiable()
    with tf.GradientTape(persistent=True) as tape:
        given = tf.constant(images[:4])
        tape.watch(given)
        sent, expected = head(given)[:, :3], model([tf.constant(ages[:4]), given])
    np.testing.assert_allclose(tape.gradient(sent, given), tape.gradient(expected, given), atol=1e-6)


def test_random_answers_are_said_and_others_are_not() -> None:
    assert any("at random" in warning for warning in inspected(_random(), pictures()).warnings)
    assert not any("at random" in warning for warning in inspected(network(), pictures()).warnings)


def test_names_in_another_order_than_the_outputs_are_warned_of_and_put_right_by_class_names() -> None:
    images, bands = in_bands()
    names = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    data = (images, np.array(names)[bands])
    low = [warning for warning in inspected(band_reader(), data).warnings if "labelled images" in warning]
    assert len(low) == 1
    assert "in the order eight, five, four, nine, ...: `class_names` gives another one." in low[0]
    assert not any("labelled" in each for each in inspected(band_reader(), data, class_names=names).warnings)
    with pytest.raises(InputError, match="`class_names` gives another one"):
        inspected(band_reader(), data, model_input=None)
    assert inspected(band_reader(), data, class_names=names, model_input=None).data.model_input == "0..1"


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32"])
def test_a_model_is_given_the_numbers_that_it_takes(dtype: str) -> None:
    images, model = pictures(), network(dtype=dtype)
    given = "0..255" if "int" in dtype else "0..1"
    subject = inspected(model, images, model_input=given).subjects[0]
    own = subject.sides[OWN].images
    expected = model(own.astype(dtype) if "int" in dtype else own.astype("float32") / 255)
    np.testing.assert_allclose(subject.answers("out")(own), expected, atol=1e-5)


def test_a_conversion_that_leaves_the_range_of_bytes_is_clipped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "conversion_for_audit.py").write_text("def more(images):\n    return images * 300\n")
    monkeypatch.syspath_prepend(tmp_path)
    model = network(dtype="uint8")
    subject = inspected(model, pictures(), model_input="conversion_for_audit:more").subjects[0]
    own = subject.sides[OWN].images
    expected = model(np.clip(np.rint(own / np.float32(255) * 300), 0, 255).astype("uint8"))
    np.testing.assert_allclose(subject.answers("out")(own), expected, atol=1e-5)


def test_images_in_memory_and_in_files_are_the_same_data(tmp_path: Path) -> None:
    images, labels = in_bands()
    np.savez(tmp_path / "a.npz", images=images, labels=labels)
    sources = [(images, labels), tf.data.Dataset.from_tensor_slices((images, labels)), tmp_path / "a.npz"]
    found = [inspected(band_reader(), source, model_input=None) for source in sources]
    assert len({each.data.fingerprint for each in found}) == 1
    assert {each.data.model_input for each in found} == {"0..1"}


@pytest.mark.parametrize(
    ("given", "model", "wanted", "size"),
    [
        ((16, 16), (16, 16), 96, (16, 16)), ((28, 28), (8, 8), 96, (16, 16)), ((200, 100), (200, 100), 96, (96, 48)),
        ((64, 64), (None, None), 32, (32, 32)), ((400, 20), (400, 20), 96, (96, 16)),
    ],
)  # fmt: skip
def test_what_is_reconstructed_is_neither_too_large_nor_too_small(
    given: tuple[int, int], model: tuple[int, int], wanted: int, size: tuple[int, int]
) -> None:
    assert attacked_size(given, model, wanted) == size


def test_other_sides_are_never_attacked() -> None:
    sides = inspected(network(), pictures()).subjects[0].sides
    digests = [{image.tobytes() for image in sides[name].images} for name in (OWN, CHOICE, ATTACKED)]
    assert sum(map(len, digests)) == len(set.union(*digests)) == 420


def test_images_on_no_side_are_counted_and_said() -> None:
    seen, groups = np.arange(1_000) < 100, np.arange(1_000)
    groups[99:102] = 99  # one that was seen, with two that were not
    found = inspected(network(), (pictures(1_000), None, groups), trained_on=seen)
    spare = 898 - round(898 / 3) - round(898 / 8) - 400
    (said,) = [sentence for sentence in found.assumed if sentence.startswith("Left out")]
    assert said == (
        f"Left out: {spare} of the adversary's own, of which preset smoke takes 400; "
        "2 that the model was trained on, or of a group with one that it was."
    )
    assert found.data.left_out == spare + 2
    assert sum(found.data.sides.values()) + found.data.left_out == 1_000
    assert not any(sentence.startswith("Left out") for sentence in inspected(network(), pictures()).assumed)


def test_a_constant_model_has_one_class() -> None:
    assert inspected(constant(), pictures()).subjects[0].output.kind == "logits"
    assert inspected(whole(), pictures(), output_kind="embedding").subjects[0].classes == 1
