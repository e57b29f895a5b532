"""The checks of the contract catch attacks and defences that break it, and pass one that uses what few have."""

import dataclasses
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mi_keras.attacks.access import Access, Holdings
from mi_keras.attacks.attack import Attack, Direct, Evidence, Fitted
from mi_keras.attacks.gradient import GradientImage
from mi_keras.attacks.learned import Learned
from mi_keras.defenses.defense import Defense
from mi_keras.models.variables import weights_of, with_weights
from mi_keras.progress import Run
from mi_keras.types import Floats, Images
from tests.contract import checks as check
from tests.contract import world as a_world
from tests.processes import REPOSITORY

CHECKS = (
    check.check_images, check.check_blind, check.check_pool, check.check_resumed, check.check_rows, check.check_divergence,
)  # fmt: skip


@dataclass(frozen=True)
class _Tiny(Attack):
    """Learns nothing; a subclass says what it makes of what it sees."""

    kinds = ("", "tiny")

    def reconstruct(self, fitted: Fitted, observed: Evidence, held: Holdings, run: Run) -> Iterator[Floats]:
        yield self.draw(observed.observation.vectors, held, run).astype(np.float32)

    def draw(self, answers: Floats, held: Holdings, run: Run) -> Any:
        return np.broadcast_to(_squashed(answers), (len(answers), *held.image_shape))


def _squashed(answers: Floats) -> Any:
    return 1 / (1 + np.exp(-answers[:, :1, None, None]))


@dataclass(frozen=True)
class NearestOfPool(_Tiny):
    """Asks the target about each candidate and returns the one whose answer is nearest, as its access allows."""

    kinds = _Tiny.kinds

    @property
    def needs(self) -> Access:
        return Access(pool=True, queries=a_world.ATTACKED)

    def draw(self, answers: Floats, held: Holdings, run: Run) -> Any:
        distances = np.abs(answers[:, None] - held.query(held.pool).vectors[None]).sum(axis=2)
        return held.pool[distances.argmin(axis=1)]


@dataclass(frozen=True)
class InWhite(_Tiny):
    """Reads the weights that its access grants."""

    kinds = _Tiny.kinds

    @property
    def needs(self) -> Access:
        return Access(weights=True)

    def draw(self, answers: Floats, held: Holdings, run: Run) -> Any:
        weight = float(np.asarray(held.target.head.weights[0]).flat[0])
        return np.broadcast_to(_squashed(answers + weight), (len(answers), *held.image_shape))


@pytest.mark.parametrize("attack", [NearestOfPool(), InWhite()])
def test_an_attack_that_keeps_to_its_access_passes(attack: Attack) -> None:
    check.check_described(attack)
    for each in CHECKS:
        each(attack)
    assert not check.names_seeds(attack)
    assert not check.draws(attack)


def test_the_nearest_of_a_pool_is_the_attacked_image() -> None:
    np.testing.assert_array_equal(check.usual(NearestOfPool())[1], a_world.the_world(False).truth)


def _broken(draw: Callable[[Floats, Holdings, Run], Any], **needs: Any) -> Attack:
    """Return an attack that draws so."""
    members = {
        "kinds": _Tiny.kinds,
        "draw": lambda self, *seen: draw(*seen),
        "needs": property(lambda self: Access(**needs)),
    }
    return dataclass(frozen=True)(type("Broken", (_Tiny,), members))()


def _reads_the_images(answers: Floats, held: Holdings, run: Run) -> Any:
    return a_world.present.truth[: len(answers)]


def _reads_weights(answers: Floats, held: Holdings, run: Run) -> Any:
    weight = float(np.asarray(a_world.present.target.weights[0]).flat[0])
    return np.full((len(answers), *held.image_shape), abs(weight))


def _keeps_the_order(answers: Floats, held: Holdings, run: Run) -> Any:
    return held.pool[: len(answers)]


def _trains_the_surrogate(answers: Floats, held: Holdings, run: Run) -> Any:
    held.surrogate(np.ones((2, *held.image_shape), np.float32), training=True)
    return np.zeros((len(answers), *held.image_shape))


def _moves_a_weight(answers: Floats, held: Holdings, run: Run) -> Any:
    bias = held.target.head.weights[-1]
    bias.assign(bias + 1)
    return np.zeros((len(answers), *held.image_shape))


def _draws_without_a_seed(answers: Floats, held: Holdings, run: Run) -> Any:
    return np.random.random((len(answers), *held.image_shape))  # noqa: NPY002


def _draws_in_a_graph(answers: Floats, held: Holdings, run: Run) -> Any:
    return tf.function(lambda: tf.random.uniform((len(answers), *held.image_shape)))().numpy()


def _goes_on_from_its_last_draw(answers: Floats, held: Holdings, run: Run) -> Any:
    return tf.random.uniform((len(answers), *held.image_shape), seed=run.seed).numpy()


def _looks_at_neighbours(answers: Floats, held: Holdings, run: Run) -> Any:
    return np.broadcast_to(_squashed(answers - answers.mean()), (len(answers), *held.image_shape))


def _is_not_finite(answers: Floats, held: Holdings, run: Run) -> Any:
    return np.full((len(answers), *held.image_shape), np.nan)


def _is_too_bright(answers: Floats, held: Holdings, run: Run) -> Any:
    return np.full((len(answers), *held.image_shape), 1.1)


def _takes_bytes_as_they_are(answers: Floats, held: Holdings, run: Run) -> Any:
    return np.minimum(held.own_images.images[: len(answers)], 1)


def _forgets_what_it_saved(answers: Floats, held: Holdings, run: Run) -> Any:
    value = 0.0 if run.workspace is None or run.workspace.load("part") is None else 1.0
    if run.workspace:
        run.workspace.save("part", {"value": np.array(1.0)})
    return np.full((len(answers), *held.image_shape), value)


def _diverges_in_silence(answers: Floats, held: Holdings, run: Run) -> Any:
    logits = held.surrogate(np.ones((1, *held.image_shape), np.float32))["logits"]
    return np.broadcast_to(np.asarray(logits)[:, :1, None, None], (len(answers), *held.image_shape))


@pytest.mark.parametrize(
    ("attack", "caught_by", "message"),
    [
        (_broken(_reads_the_images), check.check_blind, "beyond their answers"),
        (_broken(_reads_weights), check.check_blind, "beyond their answers"),
        (_broken(_keeps_the_order, pool=True), check.check_pool, "order of its pool"),
        (
            _broken(_trains_the_surrogate, surrogates=1),
            check.check_blind,
            "changes the surrogate: .*moving_mean",
        ),
        (_broken(_moves_a_weight, weights=True), check.check_blind, "changes the target: "),
        (_broken(_draws_without_a_seed), check.check_blind, "something else with the same seed"),
        (_broken(_draws_in_a_graph), check.check_blind, "something else with the same seed"),
        (_broken(_goes_on_from_its_last_draw), check.check_blind, "something else with the same seed"),
        (_broken(_looks_at_neighbours), check.check_rows, "rows alone otherwise"),
        (_broken(_is_not_finite), check.check_images, "not finite"),
        (_broken(_is_too_bright), check.check_images, r"leaves \[0, 1\]"),
        (_broken(_takes_bytes_as_they_are, images=True), check.check_images, "takes bytes for other images"),
        (_broken(_diverges_in_silence, surrogates=1), check.check_divergence, "diverges and gives"),
        (_broken(_forgets_what_it_saved), check.check_resumed, "interrupted after save 1 and resumed"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_an_attack_that_does_not_is_caught(
    attack: Attack, caught_by: Callable[[Attack], Any], message: str, restored: None
) -> None:
    with pytest.raises(AssertionError, match=message):
        caught_by(attack)


def test_attacks_are_driven_to_where_they_diverge() -> None:
    assert check.check_divergence(a_world.EXAMPLES[Learned][0]) == ["learning rate", "last step"]
    assert check.check_divergence(Direct(a_world.EXAMPLES[GradientImage][0])) == ["surrogate"]


def test_an_attack_cannot_use_what_it_does_not_say_that_it_needs() -> None:
    with pytest.raises(TypeError, match="NoneType"):
        check.usual(_broken(_keeps_the_order))


@pytest.fixture
def restored() -> Iterator[None]:
    """Give the world its models back as they were."""
    world = a_world.the_world(False)
    models = (world.target, world.surrogate, world.observed.head, a_world.another_target(False))
    before = [(model, weights_of(model)) for model in models]
    yield
    for model, arrays in before:
        with_weights(model, arrays)


@pytest.mark.parametrize(("page", "name"), [("add_attack.md", "Nearest"), ("add_defence.md", "Clipping")])
def test_the_examples_of_the_walk_throughs_keep_the_contract(page: str, name: str) -> None:
    text = (REPOSITORY / "docs" / page).read_text()
    codes = re.findall(r"<!-- mi_keras/\S+ -->\n   ```python\n(.*?)   ```\n", text, re.DOTALL)
    (code,) = (code for code in codes if f"class {name}" in code)
    module: dict[str, Any] = {"__name__": __name__}
    exec(textwrap.dedent(code), module)
    check.check_described(module[name]())
    for each in CHECKS if name == "Nearest" else (check.check_hardened,):
        each(module[name]())


# Defences


@dataclass(frozen=True)
class Hardens(Defense):
    """Answers with a copy of the model whose last layer is scaled; or breaks a rule on the way."""

    breaks: str = ""

    hardens = True
    words = "a scaled copy"

    def harden(self, model: keras.Model, images: Images, run: Run) -> keras.Model:
        if self.breaks == "same":
            return model
        copied = keras.models.clone_model(model)
        copied.set_weights([0.5 * weight for weight in model.get_weights()])
        if self.breaks == "changes":
            model.layers[-1].set_weights([2 * weight for weight in model.layers[-1].get_weights()])
        if self.breaks == "shares":
            return keras.Model(model.input, model.output)
        if self.breaks == "interface":
            return keras.Model(copied.input, copied.output["logits"])
        return copied


def test_a_defense_that_hardens_as_it_should_passes(restored: None) -> None:
    check.check_hardened(Hardens())


@pytest.mark.parametrize(
    ("breaks", "message"),
    [("same", "another model"), ("changes", "changes the model"), ("shares", "shares variables"), ("interface", "interface")],
)  # fmt: skip
def test_a_defense_that_does_not_is_caught(breaks: str, message: str, restored: None) -> None:
    with pytest.raises(AssertionError, match=message):
        check.check_hardened(Hardens(breaks))


@dataclass(frozen=True)
class _OneName(Defense):
    first: int = 1
    second: tuple[int, ...] = (1,)

    words = "nothing"
    identity = {"name": "nothing"}  # noqa: RUF012


def test_a_value_with_one_identity_for_two_settings_is_caught() -> None:
    assert len(list(check.variants(_OneName()))) == len(dataclasses.fields(_OneName))
    with pytest.raises(AssertionError, match="one identity for two settings"):
        check.check_described(_OneName())


def test_what_is_not_frozen_is_caught() -> None:
    @dataclass(unsafe_hash=True)
    class Thawed(Defense):
        first: int = 1

        words = "nothing"

    with pytest.raises(AssertionError, match="is not frozen"):
        check.check_described(Thawed())
