"""What attacks and their inputs have in common: evidence, inputs outside an experiment, and what an attack can see."""

import dataclasses
import inspect
import json
from collections.abc import Iterator

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracles import torch_weights

from mi_keras.attacks.access import Access, Holdings
from mi_keras.attacks.activations import Activations, recover_activations
from mi_keras.attacks.attack import Answers, Attack, Direct, Evidence, Input, all_needs, gather
from mi_keras.attacks.baselines import ClassAverage, ClassPrototype, MeanImage
from mi_keras.attacks.class_images import class_average, class_instance
from mi_keras.attacks.gradient import GradientImage, reconstruct, start_images
from mi_keras.attacks.learned import Learned
from mi_keras.progress import Run
from mi_keras.settings import ActivationSettings, GradientSettings
from mi_keras.types import Images, Observation

VECTORS = torch_weights.load("activation_recovery")["output_vector"]
STEPS = GradientSettings(steps=2)
ATTACKS = [Learned, Direct, ClassAverage, ClassPrototype, MeanImage]
INPUTS = [Answers, Activations, GradientImage]


@pytest.fixture
def held(shadow: keras.Model) -> Holdings:
    draw = np.random.default_rng(8)
    images = Images(
        draw.random((30, 32, 32, 1), np.float32), np.arange(30) % 10, np.arange(30, dtype=np.uint64)
    )
    return Holdings(images=images, surrogates=[shadow], image_shape=(32, 32, 1), classes=10)


# Evidence


def test_evidence_holds_answers_and_what_was_made_of_them_and_nothing_else() -> None:
    assert [field.name for field in dataclasses.fields(Evidence)] == ["observation", "parts"]
    evidence = Evidence(Observation(VECTORS), [VECTORS, np.zeros((len(VECTORS), 4, 4, 1), np.float32)])
    assert len(evidence) == len(VECTORS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        evidence.truth = VECTORS


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("count", [9, 20])
def test_parts_of_different_length_are_refused(number: int, count: int) -> None:
    parts = [np.zeros((10, 50), np.float32), np.zeros((10, 4, 4, 1), np.float32)]
    parts[number] = np.zeros((count, 50), np.float32)
    with pytest.raises(
        ValueError, match=rf"^`parts\[{number}\]` must be as many as the answers, 10; got {count}\.$"
    ):
        Evidence(Observation(np.zeros((10, 10), np.float32)), parts)


# Inputs


def test_answers_are_taken_as_they_are(held: Holdings) -> None:
    for values in (VECTORS, np.zeros((2, 3, 4, 5), np.float16)):
        arrays, info = Answers().derive(Observation(values), held, Run())
        np.testing.assert_array_equal(arrays[Answers.array], values)
        assert info == {}
        assert Answers().in_graph(held, Run())(values) is values


def test_activations_are_those_of_the_first_surrogate_and_the_runs_seed(held: Holdings, shadow) -> None:
    settings, observation = ActivationSettings(max_steps=5), Observation(VECTORS)
    arrays, info = Activations(settings).derive(observation, held, Run(4))
    expected, counts = recover_activations(shadow, observation, settings, seed=4)
    np.testing.assert_array_equal(arrays[Activations.array], expected["activations"])
    np.testing.assert_array_equal(arrays["losses"], expected["losses"])
    np.testing.assert_array_equal(arrays["steps"], expected["steps"])
    above = int((expected["losses"] > settings.threshold).sum())
    assert info == counts == {"not_converged": above, "count": len(VECTORS)}
    assert info["not_converged"] > 0


@pytest.mark.parametrize("start", ["class_average", "class_instance", "random"])
def test_an_image_is_searched_from_its_start_under_the_first_surrogate(
    held: Holdings, shadow, start: str
) -> None:
    each, observation = GradientImage(dataclasses.replace(STEPS, start=start)), Observation(VECTORS)
    run = Run(4, seeds={"start": 11})
    starts = {
        "class_average": class_average(held.own_images, 10),
        "class_instance": class_instance(held.own_images, 10, seed=11),
        "random": None,
    }[start]
    if starts is None:
        assert start_images(start, held, run) is None
    else:
        np.testing.assert_array_equal(start_images(start, held, run), starts)
    arrays, info = each.derive(observation, held, run)
    expected, _ = reconstruct(shadow, observation, starts, each.settings, objective="logit_mse", run=run)
    np.testing.assert_array_equal(arrays[GradientImage.array], expected["images"])
    np.testing.assert_array_equal(arrays["losses"], expected["losses"])
    assert info == {"problems": len(VECTORS)}
    assert each.needs == Access(surrogates=1, images=start != "random")
    assert (("start",) in each.seed_names("alone")) == (start == "class_instance")


@pytest.mark.parametrize("each", [Activations(), GradientImage(STEPS), GradientImage(STEPS, "cross_entropy")])
def test_in_a_graph_an_input_is_derived_as_for_one_row_alone(held: Holdings, each: Input) -> None:
    solve = each.in_graph(held, Run(6))
    expected, _ = each.derive(Observation(VECTORS[2:3]), held, Run(6))
    found = solve(tf.constant(VECTORS[:3]))
    np.testing.assert_allclose(found[2:], expected[each.array], atol=1e-5)


def test_an_unknown_objective_is_refused_when_the_input_is_described() -> None:
    with pytest.raises(
        ValueError, match=r"^`objective` must be one of logit_mse, cross_entropy; got 'mse'\.$"
    ):
        GradientImage(objective="mse")


def test_inputs_are_gathered_in_their_order(held: Holdings) -> None:
    attack = Learned((Activations(), Answers(), GradientImage(STEPS)))
    evidence = gather(attack, Observation(VECTORS), held, Run())
    assert [part.shape[1:] for part in evidence.parts] == [(50,), (10,), (32, 32, 1)]
    np.testing.assert_array_equal(evidence.parts[1], VECTORS)
    assert all_needs(attack) == Access(images=True, answers="surrogate", surrogates=1)


def test_an_input_that_is_an_image_is_answered_as_it_is(held: Holdings) -> None:
    attack = Direct(GradientImage(STEPS))
    evidence = gather(attack, Observation(VECTORS), held, Run())
    [images] = attack.reconstruct(({}, {}), evidence, held, Run())
    np.testing.assert_array_equal(images, evidence.parts[0])
    assert (attack.label, attack.identity, attack.kinds[0]) == ("X~ alone", {}, "")
    assert all_needs(attack) == Access(images=True, surrogates=1)


def test_settings_tell_inputs_apart() -> None:
    inputs = [
        Answers(), Activations(), Activations(ActivationSettings(start="zeros")),
        GradientImage(), GradientImage(objective="cross_entropy"), GradientImage(STEPS),
    ]  # fmt: skip
    identities = {json.dumps([each.kind, each.identity], sort_keys=True) for each in inputs}
    assert len(identities) == len(inputs)


# What is not promised


def test_what_an_attack_does_not_say_is_the_least(held: Holdings) -> None:
    class Silent(Attack):
        pass

    assert (Silent().needs, Silent().inputs, Silent().start) == (Access(), (Answers(),), None)
    for ask in (
        lambda: Silent().fit(None, held, Run()),
        lambda: Silent().reconstruct(({}, {}), Evidence(Observation(VECTORS)), held, Run()),
        lambda: Input().derive(Observation(VECTORS), held, Run()),
    ):
        with pytest.raises(NotImplementedError):
            ask()
    with pytest.raises(NotImplementedError, match=r"^Input cannot be exported\.$"):
        Input().in_graph(held, Run())


# What an attack can see


def _annotations(function) -> dict[str, object]:
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    return {parameter.name: parameter.annotation for parameter in parameters if parameter.name != "self"}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_reconstructs_from_evidence_and_what_it_holds(attack: type[Attack]) -> None:
    seen = _annotations(attack.reconstruct)
    assert list(seen) == ["fitted", "observed", "held", "run"]
    assert (seen["observed"], seen["held"], seen["run"]) == (Evidence, Holdings, Run)
    assert list(_annotations(attack.fit)) == ["known", "held", "run", "before"]
    returned = inspect.signature(attack.reconstruct, eval_str=True).return_annotation
    assert returned.__origin__ is Iterator


@pytest.mark.parametrize("each", INPUTS)
def test_an_input_is_derived_from_an_observation_and_what_is_held(each: type[Input]) -> None:
    assert list(_annotations(each.derive).values()) == [Observation, Holdings, Run]
    assert list(_annotations(each.in_graph).values()) == [Holdings, Run]


@pytest.mark.parametrize(
    ("attack", "arrays"), [(reconstruct, {"start_images"}), (recover_activations, set())]
)
def test_attacks_take_no_labels_and_no_true_images(attack, arrays: set[str]) -> None:
    """What an attack knows of its victim comes as an observation; start images are per class."""
    annotations = _annotations(attack)
    assert {name for name, kind in annotations.items() if "ndarray" in str(kind)} == arrays
    assert Observation in annotations.values()
    assert not [name for name, kind in annotations.items() if "Images" in str(kind)]
    assert not {"labels", "truth", "images", "target", "target_model"} & set(annotations)
