"""Maps that are too many bytes to be kept are computed as they are read, and nothing else changes."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from small_audits import SIDE, Noise, any_size, audited, layers, pictures, stages, with_map

from mi_keras.auditing import bench as benches
from mi_keras.auditing.bench import AuditBench
from mi_keras.auditing.contract import inspect
from mi_keras.auditing.options import Options
from mi_keras.auditing.recomputed import Recomputed
from mi_keras.auditing.sent import Sent
from mi_keras.auditing.subject import ATTACKED, OWN
from mi_keras.auditing.views import View
from mi_keras.auditing.work import work_of
from mi_keras.errors import InputError
from mi_keras.experiments.store import Store
from mi_keras.progress import SilentProgress


def _bench(model: keras.Model, point: str, folder: Path, **options: Any) -> AuditBench:
    channels = model.inputs[0].shape[-1]
    given = Options(model_input="0..1", class_of="all", **options)
    (subject,) = inspect(model, "m", pictures(channels=channels), given).subjects
    sent = Sent(point, View("raw"), with_class=False)
    return AuditBench(subject, sent, Store(folder), SilentProgress(), seed=1, fold=1)


def test_what_is_read_is_what_would_be_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = _bench(with_map(), "map", tmp_path)
    stored = np.asarray(bench.values("map", OWN)[:])
    monkeypatch.setattr(
        benches, "MOST_STORED", 2 * stored.size
    )  # bytes of half precision: as many as there are
    assert not isinstance(bench.values("map", OWN), Recomputed)
    monkeypatch.setattr(benches, "MOST_STORED", 2 * stored.size - 1)
    found = bench.values("map", OWN)
    assert isinstance(found, Recomputed)
    assert (found.shape, found.dtype, len(found)) == (stored.shape, stored.dtype, len(stored))
    for rows in (slice(None), slice(3, 150, 2), slice(5, 5), np.array([7, 2, 2, 90])):
        np.testing.assert_array_equal(found[rows], stored[rows])


def test_of_a_model_of_any_size_the_size_of_what_is_sent_is_found(tmp_path: Path) -> None:
    model = any_size()
    bench = _bench(model, model.layers[1].name, tmp_path, size=(SIDE, SIDE))
    assert bench.subject.sent_shape(bench.sent.point) == bench.values(bench.sent.point, ATTACKED).shape[1:]


def test_random_answers_are_kept_since_each_image_is_sent_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = with_map()
    noisy = Noise(0.1, name="noisy")(inner.get_layer("map").output)
    bench = _bench(keras.Model(inner.input, layers.GlobalAveragePooling2D()(noisy)), "noisy", tmp_path)
    monkeypatch.setattr(benches, "MOST_STORED", 0)
    np.testing.assert_array_equal(bench.values("noisy", OWN)[:9], bench.values("noisy", OWN)[:9])


def test_what_is_not_finite_is_refused_when_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = _bench(with_map(), "map", tmp_path)
    head = bench.subject.target("map").head
    head.set_weights([np.full_like(weight, np.inf) for weight in head.get_weights()])
    monkeypatch.setattr(benches, "MOST_STORED", 0)
    with pytest.raises(InputError, match="`model` must send finite numbers; map sent NaN or infinity"):
        bench.values("map", OWN)[:2]


def test_a_model_that_cannot_be_asked_is_refused_before_anything_is_planned_or_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Options(model_input="0..1", class_of="all", at=("map",), budget=0)
    work = work_of(with_map(), pictures(), options, store=Store(tmp_path))
    for subject in work.contract.subjects:
        head = subject.target("map").head
        head.set_weights([np.full_like(weight, np.inf) for weight in head.get_weights()])
    monkeypatch.setattr(benches, "MOST_STORED", 0)
    monkeypatch.setattr(work, "_plan", lambda _: pytest.fail("it is planned"))
    with pytest.raises(InputError, match="`model` must send finite numbers; map sent NaN or infinity"):
        work.begin()


@pytest.mark.slow
def test_an_audit_is_the_same_and_keeps_no_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports, model = [], with_map()
    for folder, most in (("stored", benches.MOST_STORED), ("read", 0)):
        monkeypatch.setattr(benches, "MOST_STORED", most)
        reports.append(
            audited(
                model, pictures(), tmp_path / folder, at=("map",), defend=("bits=2",),
                adversaries=("white_box",),
            )
        )  # fmt: skip
    assert reports[0].to_json() == reports[1].to_json()
    kept = [
        sum(
            '"point": "map"' in (path / "meta.json").read_text()
            for path in stages(tmp_path / folder)
            if "audit_answers" in str(path)
        )
        for folder in ("stored", "read")
    ]
    assert kept == [3, 0]
