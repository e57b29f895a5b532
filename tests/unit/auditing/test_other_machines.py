"""What reaches a machine that shares no files with the command's, and which differences of it make no other model of a model."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from small_audits import Noise, band_reader, in_bands, network, pictures

from mi_keras.auditing.contract import Contract, inspect
from mi_keras.auditing.options import Options
from mi_keras.auditing.pool import Pool, read_pool
from mi_keras.auditing.work import DATA, MODEL, work_of
from mi_keras.errors import InputError
from mi_keras.experiments.store import Store
from mi_keras.experiments.team import Team

OPTIONS = Options(preset="smoke", model_input="0..1", budget=0)


class Bringing(Team):
    apart = True

    def __init__(self) -> None:
        self.brought: dict[str, Any] = {}

    def bring(self, name: str, value: Any) -> None:
        self.brought[name] = value()


def test_model_and_images_that_are_brought_make_the_same_audit(tmp_path: Path) -> None:
    images, labels = in_bands()
    model, data = tmp_path / "model.keras", tmp_path / "data.npz"
    band_reader().save(model)
    np.savez(data, images=images, labels=labels)
    team = Bringing()
    here = work_of(model, str(data), OPTIONS, store=Store(tmp_path / "here", team=team))
    assert team.brought.keys() == {MODEL, DATA}
    for path in (model, data):
        path.unlink()
    there = work_of(
        model, team.brought[DATA], OPTIONS, store=Store(tmp_path / "there"), content=team.brought[MODEL]
    )
    assert there.contract.data == here.contract.data
    assert there.contract.names == here.contract.names
    (mine,), (other,) = here.contract.subjects, there.contract.subjects
    assert (mine.name, dict(mine.data)) == (other.name, dict(other.data))
    assert mine.target(mine.output_name).identity == other.target(other.output_name).identity


def test_the_bytes_of_a_model_file_are_checked_as_the_file_is(tmp_path: Path) -> None:
    pickled = np.frombuffer(b"\x80\x04K\x01.", np.uint8)
    with pytest.raises(InputError, match="pickles are never loaded"):
        work_of("model.keras", pictures(), OPTIONS, store=Store(tmp_path), content=pickled)


def test_images_that_were_read_are_read_no_more() -> None:
    pool = read_pool(pictures(20))
    assert isinstance(pool, Pool)
    assert read_pool(pool, pixels="-1..1") is pool


@pytest.mark.parametrize(
    ("answers", "given", "same"), [(1 + 2e-3, "", True), (1.1, "", False), (1.0, "others", False)]
)
def test_a_model_is_the_one_it_is_elsewhere_where_it_answers_alike(
    answers: float, given: str, same: bool
) -> None:
    def agree(value: Any) -> Any:
        told = value()
        told["answers"] = (answers * np.array(told["answers"])).tolist()
        return told | {"code": "as there"} | ({"given": given} if given else {})

    _agreed_on(inspect(band_reader(), "small", in_bands()[0], OPTIONS), agree, same)


def test_of_a_model_that_answers_at_random_what_it_is_given_is_compared() -> None:
    inner = network()
    model = keras.Model(inner.input, Noise(0.1)(inner.output))
    for given, same in (("", True), ("others", False)):
        contract = inspect(model, "random", pictures(), OPTIONS)
        assert not contract.seen[1].size
        _agreed_on(
            contract,
            lambda value, given=given: value() | {"code": "as there"} | ({"given": given} if given else {}),
            same,
        )


def _agreed_on(contract: Contract, agree: Any, same: bool) -> None:
    before = dict(contract.subjects[0].data)
    contract.agree_on_code(agree)
    assert dict(contract.subjects[0].data) == before | ({"code": "as there"} if same else {})
