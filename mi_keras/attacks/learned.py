"""The learned attack: any inputs, network and loss. M_I of the thesis and the decoders of the split paper are instances
of it."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from mi_keras.attacks.access import Access, Holdings
from mi_keras.attacks.attack import Answers, Attack, Evidence, Fitted, Input
from mi_keras.attacks.drawers import Drawer, DrawerPool
from mi_keras.attacks.networks import Network, network_of
from mi_keras.models.variables import weights_of, with_weights
from mi_keras.progress import Run
from mi_keras.seeds import derive
from mi_keras.settings import DecoderSettings, InverterSettings, check_whole
from mi_keras.training.loop import Examples, FitSettings, FitterPool
from mi_keras.types import Floats, Redrawn, Rows


@dataclass(frozen=True)
class Learned(Attack):
    """A network that learns to reconstruct the adversary's own images from the answers to them (thesis 3.6, 3.7; split
    4.1).

    Attributes:
        inputs: what the network gets; several inputs are flattened and concatenated in this order.
        settings: of network, loss and training; one of the classes that `networks.network_of` knows.
        name: of the inputs in the store, such as "o+x".
        start: the same network trained without a defence, from which training continues.
        images: how many of the adversary's own images to use, at most; None: all.
    """

    inputs: tuple[Input, ...] = (Answers(),)
    settings: InverterSettings | DecoderSettings = InverterSettings()
    name: str = ""
    start: "Learned | None" = None
    images: int | None = None

    needs: ClassVar[Access] = Access(images=True, answers="surrogate")

    def __post_init__(self) -> None:
        if self.images is not None:
            check_whole("images", self.images, 2)

    @property
    def network(self) -> Network:
        """The network that the settings describe."""
        return network_of(self.settings)

    @property
    def of_maps(self) -> bool:
        return not self.network.flat

    @property
    def gains_in_half(self) -> bool:  # type: ignore[override]
        return self.network.gains_in_half

    @property
    def kinds(self) -> tuple[str, str]:  # type: ignore[override]
        return self.network.kinds

    @property
    def image_noise(self) -> tuple[float, float]:
        return self.network.image_noise

    @property
    def label(self) -> str:
        inputs = " + ".join(each.label for each in self.inputs)
        return f"M_I({inputs})" if self.network.flat else f"{self.network.name} decoder"

    @property
    def words(self) -> tuple[str, ...]:
        return () if self.name else (self.label,)  # a name is told with the identity

    @property
    def identity(self) -> dict[str, Any]:
        where_given = {"combination": self.name, "images": self.images}
        return {"settings": asdict(self.settings)} | {k: v for k, v in where_given.items() if v}

    @property
    def seed_names(self) -> list[tuple[object, ...]]:
        network = self.network
        return [(network.kinds[0], network.name or self.name)]

    def fit(self, known: Evidence | None, held: Holdings, run: Run, before: Fitted | None = None) -> Fitted:
        """Train the network (see `Attack.fit`).

        Returns:
            The variables of the network by position. Info: `history` of the loss, and `parameters`.

        Raises:
            ValueError: inputs and images do not go together, or `known` is missing.
        """
        if known is None:
            raise ValueError("`known` must hold the answers to the adversary's own images; got None.")
        network, settings, own = self.network, self.settings, held.own_images
        inputs = assemble(known.parts, flat=network.flat)
        if self.images:
            inputs, own = first(inputs, self.images), own.first(self.images)
        images, examples = own.images, Examples(inputs, own.images, own.weights)
        model = network.build(inputs, images.shape[1:], derive(run.seed, "initial"))
        if before is not None:
            with_weights(model, before[0])
        architecture = (self._traced, inputs.shape[1:], network.noise_on(inputs), images.shape[1:])
        how = FitSettings(settings.epochs, settings.batch_size, settings.learning_rate, network.schedule)
        history = _fitters.fit(model, architecture, examples, how, loss=network.loss, run=run)
        return weights_of(model), {"history": history, "parameters": model.count_params()}

    def reconstruct(self, fitted: Fitted, observed: Evidence, held: Holdings, run: Run) -> Iterator[Floats]:
        network, shape = self.network, held.image_shape
        inputs = assemble(observed.parts, flat=network.flat)
        architecture = (self._traced, inputs.shape[1:], np.dtype(inputs.dtype), shape)
        return _drawers.draw(
            architecture, lambda: network.rebuild(inputs.shape[1:], shape), network.decode, fitted[0], inputs,
            batch=network.batch, label=self.label, epochs=self.settings.epochs,
        )  # fmt: skip

    def load(
        self, fitted: Fitted, input_shape: tuple[int, ...], image_shape: tuple[int, int, int]
    ) -> keras.Model:
        """Rebuild the network from what `fit` returned, for the shapes that it was trained with."""
        return with_weights(self.network.rebuild(input_shape, image_shape), fitted[0])

    def images_of(self, model: keras.Model, inputs: Rows) -> Iterator[Floats]:
        """Yield the images that the network makes of its inputs (see `Drawer.draw`)."""
        drawer, batch = Drawer(model, self.network.decode, inputs), self.network.batch
        return drawer.draw(inputs, batch=batch, label=self.label, epochs=self.settings.epochs)

    @property
    def _traced(self) -> InverterSettings | DecoderSettings:
        """The settings without how long and how fast is trained, which no graph depends on."""
        return replace(self.settings, epochs=1, batch_size=2, learning_rate=1.0)

    def draw(self, model: keras.Model, parts: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the images of the parts in a graph; each part is `(batch, ...)`, with all sizes but the first
        known."""
        if not self.network.flat:
            return self.network.decode(model, parts[0])
        vectors = [tf.reshape(part, (-1, int(np.prod(part.shape[1:])))) for part in parts]
        return self.network.decode(model, tf.concat(vectors, axis=1))


class First:
    """The first of some rows (see `types.Rows`)."""

    def __init__(self, rows: Rows, count: int) -> None:
        self.rows, self.dtype = rows, rows.dtype
        self.shape = (min(count, len(rows)), *rows.shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, wanted: Any) -> Any:
        return self.rows[slice(*wanted.indices(len(self))) if isinstance(wanted, slice) else wanted]


def first(rows: Rows, count: int) -> Rows:
    """Return the first of some rows, of every draw of them where there are several."""
    if isinstance(rows, Redrawn):
        return Redrawn(First(rows.first, count), lambda number: First(rows.draw(number), count))
    return First(rows, count)


def assemble(parts: Sequence[Rows], *, flat: bool) -> Rows:
    """Return the parts as the input of one network: flattened and concatenated, or the only one as it is.

    Raises:
        ValueError: there is no part, or more than one for a network of maps.
    """
    if not parts or (len(parts) > 1 and not flat):
        raise ValueError(
            f"`parts` must be one for a network of feature maps, one or more else; got {len(parts)}."
        )
    if not flat:
        return parts[0]
    return np.concatenate([np.asarray(part[:]).reshape(len(part), -1) for part in parts], axis=1)


# The seven combinations of inputs take turns: all of preset quick are kept, of the published size one or two. Decoders behind
# one defence after another share one.
KEPT, MEMORY = 8, 2**27  # fitters, bytes
_fitters = FitterPool(size=KEPT, memory=MEMORY)
_drawers = DrawerPool(size=KEPT)  # for the same reason; a model each
