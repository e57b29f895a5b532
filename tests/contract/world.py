"""A small world with an adversary in it: models, images, answers, and what an attack gets of them by its access."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context

from mi_keras.attacks.access import Access, Holdings, Queries
from mi_keras.attacks.activations import Activations
from mi_keras.attacks.attack import Attack, Direct, Evidence, Fitted, Input
from mi_keras.attacks.bank import BankInverter
from mi_keras.attacks.baselines import ClassPrototype
from mi_keras.attacks.corrector import Corrected, Corrector
from mi_keras.attacks.feature_map import LastFeatureMap
from mi_keras.attacks.generator import ClassGenerator
from mi_keras.attacks.gradient import GradientImage
from mi_keras.attacks.learned import Learned
from mi_keras.attacks.pool import PoolMatch
from mi_keras.attacks.queries import Queried
from mi_keras.attacks.shadows import FromShadows
from mi_keras.attacks.transfer import ALIGNMENTS, Transfer
from mi_keras.attacks.white_box import WhiteBox
from mi_keras.attacks.within_class import LinearWithinClass, NetworkWithinClass
from mi_keras.data.preprocess import as_unit
from mi_keras.defenses.training import Distillation, LabelSmoothing
from mi_keras.models.cnn import build_cnn
from mi_keras.models.target import Target, observed_at, points
from mi_keras.progress import MemoryWorkspace, Run
from mi_keras.seeds import derive
from mi_keras.settings import (
    ActivationSettings,
    DecoderSettings,
    GradientSettings,
    InverterSettings,
    PrototypeSettings,
)
from mi_keras.types import Floats, Images, Observation

SHAPE = (16, 16, 1)  # few pixels, of which SSIM has windows and networks double maps twice
CLASSES = 3
OWN, ATTACKED = 24, 6
Workspaces = Callable[[str], MemoryWorkspace | None]  # by the name of what is computed

# How a class is tried whose defaults are slow, or that is used in several ways; any other as `cls()`
_RANDOM = GradientSettings(steps=3, batch_size=2, start="random", optimizer="gradient_descent")
_SMALL = InverterSettings((4, 4, 4), epochs=2, batch_size=8, dropout=(0.0, 0.0, 0.0))
_BANK = BankInverter(2, "mapped", 0.1, shaped=0.5, copies=1, mse=1.0, settings=_SMALL)
EXAMPLES: dict[type[Any], list[Any]] = {
    Activations: [Activations(ActivationSettings(max_steps=50)), Activations(ActivationSettings("minimum_norm"))],
    BankInverter: [_BANK, BankInverter(1, "raw", settings=_SMALL)],
    ClassGenerator: [ClassGenerator(4, steps=3, starts=2, settings=_SMALL)],
    ClassPrototype: [ClassPrototype(PrototypeSettings(steps=3, batch_size=8))],
    Corrected: [Corrected(Transfer(Corrector(_BANK, 2, settings=_SMALL), 2), 2, 2 * ATTACKED, _SMALL)],
    Corrector: [Corrector(_BANK, 2, settings=_SMALL)],
    Distillation: [Distillation(epochs=1)],
    FromShadows: [
        FromShadows(LinearWithinClass(), 2), FromShadows(LinearWithinClass(maps=True), 1, class_columns=0),
        FromShadows(NetworkWithinClass("mse", (4, 4, 4), epochs=2, batch_size=8), 2, 0.3, 1, observes=False),
    ],
    GradientImage: [GradientImage(GradientSettings(steps=3, batch_size=2)), GradientImage(_RANDOM, "cross_entropy")],
    LabelSmoothing: [LabelSmoothing(share, epochs=1) for share in (0.1, -0.05)],
    LastFeatureMap: [LastFeatureMap(steps=3)],
    Learned: [
        Learned(settings=InverterSettings((3, 4, 5), epochs=2, batch_size=8, input_noise=0.1)),
        Learned(
            (Activations(ActivationSettings(max_steps=50, known="extracted")),),
            InverterSettings((3, 4, 5), epochs=2, batch_size=8),
        ),
        Learned(settings=DecoderSettings("transposed", epochs=2, batch_size=8)),
    ],
    LinearWithinClass: [LinearWithinClass(), LinearWithinClass(maps=True)],
    NetworkWithinClass: [NetworkWithinClass(loss, (4, 4, 4), epochs=2, batch_size=8) for loss in ("mse", "ssim")],
    Queried: [Queried(_BANK, 2, 12, tuned=tuned, settings=_SMALL) for tuned in (False, True)],
    Transfer: [Transfer(_BANK, 2, alignment=how) for how in ALIGNMENTS],
    PoolMatch: [PoolMatch(), PoolMatch("weights")],
    WhiteBox: [  # one weight: there is nothing to gain from noise, so that given the choice no step would be taken
        WhiteBox(LinearWithinClass(images=18, maps=maps), 30, 0.3, weights=(1.0,), held_out=6, batch_size=4)
        for maps in (False, True)
    ],
}  # fmt: skip
present: "World | None" = None  # the world in which an attack runs: what one that cheats could get hold of


@dataclass(frozen=True, eq=False)
class World:
    """Who attacks whom.

    Attributes:
        target, surrogate: models that answer, one of output vectors or one of maps.
        own: the adversary's images.
        truth: the images behind the answers that it attacks.
        answers: to `truth`, by the target.
        answerer: the model that answers what the adversary asks; the target.
        order: of `truth` in a pool of candidates.
    """

    of_maps: bool
    target: keras.Model
    surrogate: keras.Model
    own: Images
    truth: Floats
    answers: Floats
    answerer: keras.Model
    order: tuple[int, ...] = tuple(range(ATTACKED))

    @functools.cached_property
    def observed(self) -> Target:
        """The target where it is observed, as who has its weights holds it."""
        return observed_at(self.target, points(self.target)[-1] if self.of_maps else "logits")

    def holdings(self, needs: Access) -> Holdings:
        """Return what needs alone give an adversary, as a bench would."""
        query = functools.partial(observe, self.answerer)
        return Holdings(
            images=self.own if needs.images else None,
            surrogates=[self.surrogate] * needs.surrogates,
            query=Queries(query, needs.queries) if needs.queries else None,
            population=Observation(self.answers) if needs.population else None,
            target=self.observed if needs.weights else None,
            pool=self.truth[list(self.order)] if needs.pool else None,
            image_shape=SHAPE,
            classes=0 if self.of_maps else CLASSES,
        )


def observe(model: keras.Model, images: Floats) -> Observation:
    """Return what a model sends, maps in half precision as they travel."""
    sent = model(images, training=False)
    return Observation(sent["logits"].numpy() if isinstance(sent, dict) else sent.numpy().astype(np.float16))


@functools.cache
def the_world(of_maps: bool) -> World:
    """Return the world in which attacks on output vectors, or on maps, are tried."""
    target = build_model(of_maps, seed=1)
    draw = np.random.default_rng(1)
    pixels = draw.integers(256, size=(OWN, *SHAPE), dtype=np.uint8)  # many images are kept so
    own = Images(pixels, np.arange(OWN) % CLASSES, np.arange(OWN, dtype=np.uint64))
    own = own if of_maps else in_unit_range(own)
    truth = draw.random((ATTACKED, *SHAPE), np.float32)
    answers = observe(target, truth).values
    return World(of_maps, target, build_model(of_maps, seed=2), own, truth, answers, answerer=target)


@functools.cache
def another_target(of_maps: bool) -> keras.Model:
    """Return a model that is not the target of the world."""
    return build_model(of_maps, seed=9)


def build_model(of_maps: bool, *, seed: int) -> keras.Model:
    """Return the CNN of the thesis, or one that sends 6 maps of 2 by 2, with statistics that are not 0 and 1."""
    if of_maps:
        layers: list[Any] = [keras.Input(SHAPE)]
        for filters, stride in ((4, 4), (6, 2)):
            initial = keras.initializers.GlorotUniform(derive(seed, filters))
            layers += [keras.layers.Conv2D(filters, stride, stride, kernel_initializer=initial)]
            layers += [keras.layers.BatchNormalization()]
            layers += [keras.layers.ReLU(), keras.layers.Dropout(0.1, seed=seed)]
        model = keras.Sequential(layers)
    else:
        model = build_cnn(SHAPE, CLASSES, channels=(3, 4, 5), seed=seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0  # one look at images makes their statistics its own
    model(np.random.default_rng(seed).random((16, *SHAPE), np.float32), training=True)
    return model


def in_unit_range(images: Images) -> Images:
    """Return images as float32 in [0, 1]."""
    return replace(images, images=as_unit(images.images))


class Keeping:
    """Makes workspaces by name, and is interrupted right after save number `stop_at` to any of them."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.saved, self.stop_at = 0, stop_at
        self._made: dict[str, _Counted] = {}

    def __call__(self, name: str) -> MemoryWorkspace:
        return self._made.setdefault(name, _Counted(self))


class _Counted(MemoryWorkspace):
    def __init__(self, keeping: Keeping) -> None:
        super().__init__()
        self._keeping = keeping

    def save(self, name: str, arrays: Any) -> None:
        super().save(name, arrays)
        self._keeping.saved += 1
        if self._keeping.saved == self._keeping.stop_at:
            raise KeyboardInterrupt


@dataclass(frozen=True)
class Knowing:
    """An attack with what it learned."""

    attack: Attack
    world: World
    fitted: Fitted

    def images(
        self, answers: Floats | None = None, *, seed: int = 1, keeping: Workspaces = lambda _: None
    ) -> Floats:
        """Return what it makes of answers, by default those of its world."""
        attack, world = self.attack, self.world
        with _inside(world):
            observation = Observation(world.answers if answers is None else answers)
            observed = _evidence(attack, world, observation, "observed", seed, keeping)
            run = Run(derive(seed, "reconstruct"), workspace=keeping("reconstruct"))
            found = attack.reconstruct(self.fitted, observed, world.holdings(attack.needs), run)
            return np.concatenate(list(found))


def fitted(attack: Attack, world: World, *, seed: int = 1, keeping: Workspaces = lambda _: None) -> Knowing:
    """Let an attack learn through its protocol alone, each part with no more than it says that it needs."""
    if not attack.kinds[0]:
        return Knowing(attack, world, ({}, {}))
    before = _learned_before(attack.start, world, seed) if attack.start else None
    with _inside(world):
        known = None
        if attack.needs.answers != "nobody":
            answerer = world.answerer if attack.needs.answers == "target" else world.surrogate
            known = _evidence(
                attack, world, observe(answerer, as_unit(world.own.images)), "known", seed, keeping
            )
        run = Run(derive(seed, "fit"), workspace=keeping("fit"))
        return Knowing(attack, world, attack.fit(known, world.holdings(attack.needs), run, before))


@functools.lru_cache(maxsize=16)
def _learned_before(attack: Attack, world: World, seed: int) -> Fitted:
    """Return what an attack that another starts from learns: the checks run the other many times in one world."""
    return fitted(attack, world, seed=seed).fitted


def images_of(attack: Attack, world: World, *, seed: int = 1, keeping: Workspaces = lambda _: None) -> Floats:
    """Return what an attack reconstructs of the answers of a world."""
    return fitted(attack, world, seed=seed, keeping=keeping).images(seed=seed, keeping=keeping)


def examples(cls: type[Any]) -> list[Any]:
    """Return instances of a registered class, one for each way to use it."""
    return EXAMPLES[cls] if cls in EXAMPLES else [cls()]


def as_attack(each: Attack | Input) -> Attack:
    """Return an attack, or what an input derives in place of images."""
    return Direct(each) if isinstance(each, Input) else each


def with_settings(attack: Attack, **changed: Any) -> Attack | None:
    """Return the attack with other settings, or None where it has none of the name."""
    if isinstance(attack, Direct):
        source: Any = with_settings(attack.source, **changed)  # type: ignore[arg-type]
        return replace(attack, source=source) if source else None
    settings = getattr(attack, "settings", None)
    if not all(hasattr(settings, name) for name in changed):
        return None
    return replace(attack, settings=replace(settings, **changed))  # type: ignore[type-var]


def _evidence(
    attack: Attack,
    world: World,
    observation: Observation,
    name: str,
    seed: int,
    keeping: Workspaces,
) -> Evidence:
    parts = []
    inputs = [each.for_own if name == "known" else each for each in attack.inputs]
    for number, each in enumerate(inputs):
        run = Run(derive(seed, name, number), workspace=keeping(f"{name} {number}"))
        parts.append(each.derive(observation, world.holdings(each.needs), run)[0][each.array])
    return Evidence(observation, parts)


@contextmanager
def _inside(world: World) -> Iterator[None]:
    """Run something in a world, with process-wide random states that are never the same twice."""
    global present
    present = world
    # They go on from draw to draw: TensorFlow's without a seed, as to set another one compiles all operations anew
    if context.global_seed() is not None:
        tf.random.set_seed(None)
    try:
        yield
    finally:
        present = None
