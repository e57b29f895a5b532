"""What the tests of an audit's images give it: picture files below a folder, the same in an archive, and a refusal."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mi_keras.auditing.pool import Pool
from mi_keras.errors import InputError
from tests.unit.data.given import encoded, noise

# Three pictures of each person in each class; ann is in both
NESTED = {
    f"{kind}/{person}/{place}.png": encoded(noise(place + 10 * number, 8, 8))
    for number, (kind, person) in enumerate([("ill", "ann"), ("ill", "bob"), ("well", "ann"), ("well", "cy")])
    for place in range(3)
}


def folder_of(path: Path, files: Mapping[str, bytes]) -> str:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return f"folder:{path}"


def zip_of(path: Path, files: Mapping[str, bytes]) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return f"zip:{path}"


def message_of(call: Callable[..., object], *arguments: Any, **options: Any) -> str:
    """Return the one line with which a call refuses what the user gave."""
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("`")
    assert text.endswith(".")
    return text


def facts(pool: Pool) -> list[Any]:
    """Return all of a pool that must not depend on names, order or packing."""
    groups = pool.groups.tolist() if pool.group_names else []
    labels = None if pool.labels is None else pool.labels.tolist()
    return [pool.images.tolist(), pool.pixels, labels, pool.class_names, groups, pool.fingerprint]
