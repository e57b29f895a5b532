"""Feature maps that are read some rows at a time and are not stored: those behind a defence, and the first of many."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.defenses.feature_maps import Defense, MapStatistics, NoisyMaps, defend_maps
from mi_keras.seeds import derive
from mi_keras.types import Rows


class DefendedMaps:
    """Feature maps as they are behind a defence, computed as they are read (see `types.Rows`).

    Noise is drawn once per image, whatever images are read together.
    """

    def __init__(self, maps: Rows, defense: Defense, statistics: MapStatistics, seed: int) -> None:
        self.maps, self.defense, self.statistics, self.seed = maps, defense, statistics, seed
        self.shape, self.dtype = maps.shape, maps.dtype

    def __len__(self) -> int:
        return len(self.maps)

    def __getitem__(self, rows: Any) -> NDArray[Any]:
        maps = np.asarray(self.maps[rows])
        if not isinstance(self.defense, NoisyMaps):
            return defend_maps(maps, self.defense, self.statistics, seed=self.seed)
        sent = [
            defend_maps(one[None], self.defense, self.statistics, seed=derive(self.seed, int(number)))
            for one, number in zip(maps, np.arange(len(self))[rows], strict=True)
        ]
        return np.concatenate(sent)


class FirstMaps:
    """The first of some feature maps (see `types.Rows`)."""

    def __init__(self, maps: Rows, count: int) -> None:
        self.maps, self.dtype = maps, maps.dtype
        self.shape = (min(count, len(maps)), *maps.shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> NDArray[Any]:
        return self.maps[rows]
