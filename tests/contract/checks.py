"""What is true of every attack, as checks that raise `AssertionError` and say what is wrong (see `attacks/attack.py`)."""

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from typing import Any, get_args

import keras
import numpy as np

from mi_keras import settings
from mi_keras.attacks.attack import Answers, Attack, Direct, Input, all_needs
from mi_keras.data.preprocess import as_bytes
from mi_keras.defenses.defense import Defense
from mi_keras.models.variables import weights_of
from mi_keras.progress import Run
from mi_keras.types import Floats
from tests.contract.world import (
    ATTACKED,
    OWN,
    SHAPE,
    Keeping,
    Knowing,
    World,
    another_target,
    build_model,
    fitted,
    images_of,
    in_unit_range,
    the_world,
    with_settings,
)

ROUNDING = 1e-5
TRAINED = 3e-4  # to which a rounding of the images that a network is trained on grows in a few steps
LARGEST_RATE = 3e38  # the sum of two such is no float32
NAMED = r"step|term|epoch|`learning_rate`|`method`|`rate`"  # in the message of what diverges
WORDS = sorted(
    {word for value in vars(settings).values() if isinstance(value, tuple) for word in value if isinstance(word, str)}
    | {"adam", "gradient_descent", "minimum_norm", "zeros", "random", "step", "cosine"}
)  # fmt: skip


@functools.lru_cache(maxsize=64)
def usual(attack: Attack) -> tuple[Knowing, Floats, int]:
    """Return what an attack learns and reconstructs in its world with the usual seed, and how often it saves."""
    keeping = Keeping()
    knowing = fitted(attack, world_of(attack), keeping=keeping)
    return knowing, knowing.images(keeping=keeping), keeping.saved


def world_of(attack: Attack) -> World:
    """Return the world whose answers it takes."""
    of_maps = attack.source.of_maps if isinstance(attack, Direct) else attack.of_maps
    return the_world(of_maps)


def check_blind(attack: Attack) -> None:
    """Behind equal answers other images and, where it has no weights, another model give the same to the bit.

    So does another run, whatever the process drew before; and models are left as they were.
    """
    world, needs = world_of(attack), all_needs(attack)
    truth = world.truth if needs.pool else np.random.default_rng(9).random(world.truth.shape, np.float32)
    target = world.target if needs.weights else another_target(world.of_maps)
    other = replace(world, truth=truth, target=target)
    models = [("target", other.target), ("surrogate", other.surrogate)]
    if needs.weights:
        models.append(("target", other.observed.head))
    before = [weights_of(model) for _, model in models]
    found = images_of(attack, other)
    for (name, model), arrays in zip(models, before, strict=True):
        check_equal_weights(arrays, model, f"{attack.label} changes the {name}")
    if not _equal(attack, found):
        _same(attack, images_of(attack, world), "gives something else with the same seed")
        _same(attack, found, "depends on the attacked images or model beyond their answers")


def check_pool(attack: Attack) -> None:
    """The order of the candidates says nothing."""
    world = world_of(attack)
    found = images_of(attack, replace(world, order=world.order[::-1]))
    _close(attack, found, usual(attack)[1], "depends on the order of its pool")


@functools.lru_cache(maxsize=64)
def draws(attack: Attack) -> bool:
    """Return whether another seed gives something else."""
    return not np.array_equal(images_of(attack, world_of(attack), seed=2), usual(attack)[1])


def names_seeds(attack: Attack) -> bool:
    """Return whether it, or an input of it, names a random choice."""
    named = [each.seed_names("attacked") for each in attack.inputs if not isinstance(each, Answers)]
    return any(named) or bool(attack.kinds[0] and attack.seed_names)


def check_resumed(attack: Attack) -> int:
    """Interrupted after any of its first saves and resumed, it gives what it gives uninterrupted. Return how many."""
    times = min(usual(attack)[2], 2)
    for saves in range(1, times + 1):
        keeping = Keeping(saves)
        try:
            images_of(attack, world_of(attack), keeping=keeping)
        except KeyboardInterrupt:
            found = images_of(attack, world_of(attack), keeping=keeping)
        else:
            raise AssertionError(f"{attack.label} saved less often than before")
        _same(attack, found, f"differs once interrupted after save {saves} and resumed")
    return times


def check_rows(attack: Attack) -> None:
    """A row is answered alone as in a batch. Where rows are drawn for, they are so by position: then it is the first."""
    knowing, together, _ = usual(attack)
    answers = knowing.world.answers
    drawn = not np.array_equal(knowing.images(seed=2), together)
    for start, stop in ((0, 1), (0, 3)) if drawn else ((0, 1), (2, 4), (ATTACKED - 1, ATTACKED)):
        alone = knowing.images(answers[start:stop])
        _close(attack, alone, together[start:stop], "answers rows alone otherwise")


def check_images(attack: Attack) -> None:
    """One image in [0, 1] per answer; its own images may come in [0, 1] as in 0..255."""
    world, found = world_of(attack), usual(attack)[1]
    assert found.dtype == np.float32, f"{attack.label} gives {found.dtype}"
    assert len(found) == ATTACKED, f"{attack.label} gives {len(found)} of {ATTACKED}"
    assert np.isfinite(found).all(), f"{attack.label} gives what is not finite"
    if not isinstance(attack, Direct):
        assert found.shape[1:] == SHAPE, f"{attack.label} gives {found.shape}"
        assert 0 <= found.min() <= found.max() <= 1, f"{attack.label} leaves [0, 1]"
    if all_needs(attack).images:
        is_unit = world.own.images.dtype == np.float32
        own = replace(world.own, images=as_bytes(world.own.images)) if is_unit else in_unit_range(world.own)
        kinds = "bytes" if is_unit else "floats"
        again = images_of(attack, replace(world, own=own))
        _close(attack, again, found, f"takes {kinds} for other images", rounding=TRAINED)


def check_divergence(attack: Attack) -> list[str]:
    """What is not finite is named, and never comes out as an image. Return what drove it there."""
    world, needs = world_of(attack), all_needs(attack)
    reached = []
    if absurd := with_settings(attack, learning_rate=LARGEST_RATE):
        reached += ["learning rate"] if _ends_named(absurd, world) else []
    if one_step := with_settings(attack, learning_rate=LARGEST_RATE, epochs=1, batch_size=OWN):
        reached += ["last step"] if _ends_named(one_step, world) else []
    if needs.surrogates and needs.answers == "nobody":
        surrogate = build_model(world.of_maps, seed=2)
        for weight in surrogate.layers[-1].weights:
            weight.assign(np.full(weight.shape, LARGEST_RATE, np.float32))
        reached += ["surrogate"] if _ends_named(attack, replace(world, surrogate=surrogate)) else []
    return reached


def check_hardened(defense: Defense) -> None:
    """What hardens gives another model of the same interface, and leaves the given one; what does not, the same one."""
    world = the_world(defense.of_maps)
    before = weights_of(world.target)
    model = defense.harden(world.target, in_unit_range(world.own), Run())
    check_equal_weights(before, world.target, f"{defense.words} changes the model that it is given")
    assert (model is not world.target) == defense.hardens, (
        f"{defense.words}: another model, or `hardens`, is wrong"
    )
    if defense.hardens:
        shared = {id(v) for v in model.variables} & {id(v) for v in world.target.variables}
        assert not shared, f"{defense.words} shares variables with the model that it is given"
        shapes = [
            (each.input_shape, {name: each.output[name].shape for name in each.output})
            if isinstance(each.output, dict)
            else (each.input_shape, each.output_shape)
            for each in (world.target, model)
        ]
        assert shapes[0] == shapes[1], f"{defense.words} gives a model of another interface: {shapes}"


def check_described(each: Any) -> None:
    """It is a value: frozen, hashable, with words; its identity is JSON and tells all settings apart."""
    assert hash(each) == hash(replace(each))
    assert each == replace(each)
    for field in fields(each):
        try:
            setattr(each, field.name, getattr(each, field.name))
        except FrozenInstanceError:
            continue
        raise AssertionError(f"{type(each).__name__} is not frozen")
    words = each.label if isinstance(each, Attack | Input) else each.words
    assert words.strip() == words != "", f"{type(each).__name__} has no words"
    texts = [json.dumps(_identities(other), sort_keys=True) for other in (each, *variants(each))]
    assert len(set(texts)) == len(texts), f"{type(each).__name__} has one identity for two settings: {texts}"


def variants(value: Any) -> Iterator[Any]:
    """Yield copies of a frozen value that differ from it in one setting each, also of the settings within."""
    for field in fields(value):
        old = getattr(value, field.name)
        is_nested = is_dataclass(old) and field.name == "settings"
        candidates = variants(old) if is_nested else _other(old, field.type)
        made = []
        for candidate in candidates:
            try:
                made.append(replace(value, **{field.name: candidate}))
            except ValueError:  # breaks a rule
                continue
            if not is_nested:
                break
        yield from made


def _identities(each: Any) -> list[Any]:
    """An input is told apart by what it is for attacked answers and for own ones together."""
    own = each.for_own if isinstance(each, Input) else each
    return [each.identity, type(own).__name__, own.identity]


def check_equal_weights(before: dict[str, Any], model: keras.Model, message: str) -> None:
    """No variable has changed since `weights_of`, statistics and random states included."""
    after = weights_of(model)
    assert before.keys() == after.keys(), message
    changed = [name for name in before if before[name].tobytes() != after[name].tobytes()]
    assert not changed, f"{message}: {[model.variables[int(name)].path for name in changed]}"


def tolerance(attack: Attack) -> float:
    """Return what it and its inputs state."""
    return max(each.tolerance for each in (attack, *attack.inputs))


def _ends_named(attack: Attack, world: World) -> bool:
    try:
        found = images_of(attack, world)
    except FloatingPointError as error:
        if not re.search(NAMED, str(error)):
            raise AssertionError(f"{attack.label} does not say where it diverged: {error}") from error
        return True
    assert np.isfinite(found).all(), f"{attack.label} diverges and gives what is not finite"
    return False


def _other(value: Any, annotation: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, float):
        return [value / 2 or 0.25, value + 1]
    if isinstance(value, str):
        return [word for word in WORDS if word != value]
    if isinstance(value, tuple) and value and isinstance(value[0], int | float):
        return [(other, *value[1:]) for other in _other(value[0], None)]
    return [1] if value is None and int in get_args(annotation) else []


def _close(attack: Attack, found: Floats, expected: Floats, message: str, rounding: float = ROUNDING) -> None:
    """Where more than rounding is allowed for (see `Described.tolerance`), most pixels differ by no more than that."""
    error = np.abs(found - expected)
    largest, usually = float(error.max()), float(np.median(error))
    is_close = largest <= max(tolerance(attack), rounding) and usually <= rounding
    assert is_close, f"{attack.label} {message}, by {largest:.3g} at most and {usually:.3g} in the middle"


def _same(attack: Attack, found: Floats, message: str) -> None:
    assert _equal(attack, found), f"{attack.label} {message}"


def _equal(attack: Attack, found: Floats) -> bool:
    expected = usual(attack)[1]
    return found.shape == expected.shape and np.array_equal(found, expected, equal_nan=True)
