"""Every argument of an audit: a wrong value is refused in a line that names it as the user of that door writes it."""

import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_audits import band_reader, command, in_bands, pictures, stages, with_age

from mi_keras.auditing.arguments import parser
from mi_keras.auditing.audit import audit
from mi_keras.auditing.command_line import main
from mi_keras.auditing.options import Options
from mi_keras.errors import InputError
from tests.processes import complaints

# Of Python, of the command line ("" where the parser's own rules stand before), and what both say behind the name
WRONG: dict[str, tuple[Any, str, str]] = {
    "at": ("bans", "bans", "must be an output (bands) or the path of a layer (alike: bands"),
    "adversaries": ("nobody", "nobody", "must be of class, shadow"),
    "preset": ("fast", "", "must be one of smoke, quick, full; got 'fast'"),
    "seed": (-1, "-1", "must be >= 0; got -1"),
    "pixels": ("0..1", "0..1", "must fit the data"),
    "model_input": ("0..255", "0..255", "must be what the model expects"),
    "output": ("bans", "bans", "must be one of bands; got 'bans'"),
    "output_kind": ("scores", "scores", "must be one of logits"),
    "labels": ("folder", "folder", "must go with a folder or a zip file; got"),
    "groups": ("folder", "folder", "must go with a folder or a zip file; got"),
    "class_names": (("a", "b"), "a,b", "must name every class of"),
    "size": ((8, 8), "8,8", "must be the model's input where"),
    "trained_on": ("seen", "seen", "must be images, or a key of booleans"),
    "class_of": ("label", "label", "must be one of prediction, all; got 'label'"),
    "attack_size": (8, "8", "must be between 16 and 320; got 8"),
    "tolerance": (0.2, "0.2", "must be "),
    "among": (1, "1", "must be between 2 and 100; got 1"),
    "budget": (-1, "-1", "must be minutes >= 0, 0 for no limit; got -1"),
    "defend": ("x=1", "x=1", "must be one of rounding=0..7"),
    "sends": (0, "0", "must be between 1 and 1000; got 0"),
    "queries": (10, "10", "must go with the adversary queries"),
    "fix": ({"age": 40}, "age=40", "must be left out: the model has one input; got age"),
    "public_backbone": ("bands", "bands", "must go with the adversary shadow"),
    "attacker_seeds": (0, "0", "must be between 1 and 100; got 0"),
}  # fmt: skip
# Where the message shows how the argument is written with its value
WRITTEN = {
    "pixels": ("`pixels='0..1'`", "`--pixels 0..1`"),
    "model_input": ("`model_input='0..255'`", "`--model-input 0..255`"),
    "labels": ("`labels='folder'`", "`--labels folder`"),
    "groups": ("`groups='folder'`", "`--groups folder`"),
    "size": ("`size=(16, 16)`", "`--size 16,16`"),
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    images, labels = in_bands()
    band_reader().save(folder / "model.keras")
    np.savez(folder / "data.npz", images=images, labels=labels)
    with_age().save(folder / "several.keras")
    np.savez(folder / "unlabelled.npz", images=pictures())
    return folder


def test_no_option_is_left_out_of_either_door() -> None:
    names = {field.name for field in fields(Options)}
    assert names == WRONG.keys()
    options = {action.dest for action in parser()._actions}
    assert names <= options


@pytest.mark.parametrize("name", WRONG)
def test_an_argument_is_named_as_its_door_writes_it(
    name: str, files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    value, typed, rule = WRONG[name]
    option = f"--{name.replace('_', '-')}"
    in_python, in_a_shell = WRITTEN.get(name, (f"`{name}`", f"`{option}`"))
    with pytest.raises(InputError) as caught:
        audit(str(files / "model.keras"), str(files / "data.npz"), **{"preset": "smoke", name: value})
    said = str(caught.value)
    assert said.startswith(f"{in_python} {rule}")
    assert not re.search(r"--\w", said)
    if not typed:
        return
    monkeypatch.setenv("MI_KERAS_HOME", str(files / "store"))
    monkeypatch.chdir(files)
    given = [str(files / "model.keras"), "--data", str(files / "data.npz"), "--preset", "smoke"]
    code = main([*given, f"{option}={typed}"])
    said = complaints(capsys.readouterr().err)
    assert (code, said.count("\n")) == (2, 1), said
    assert said.startswith(f"{in_a_shell} must")
    assert rule.partition(";")[0] in said
    options = {action.dest for action in parser()._actions}
    assert not {*re.findall(r"`(\w+)[`=\[]", said)} & options
    assert not stages(files)


def test_an_input_that_is_not_held_is_asked_for_as_its_door_writes_it(
    files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = str(files / "several.keras"), str(files / "unlabelled.npz")
    with pytest.raises(InputError, match=r"^`fix=\{'age': VALUE\}` must be given"):
        audit(model, data, model_input="0..1", at=("logits",))
    code, said = command([model, "--data", data, "--model-input", "0..1"], files, capsys, monkeypatch)
    assert (code, said.startswith("`--fix age=VALUE` must be given")) == (2, True), said


TYPES = {
    "at": 3, "adversaries": 3, "defend": 3, "class_names": 3, "pixels": 3, "model_input": 3, "public_backbone": 3,
    "queries": 1.5, "size": "8,8", "budget": "20", "tolerance": "found=0.2", "seed": "1", "fix": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", TYPES)
def test_a_value_of_another_type_is_refused_where_options_are_made(name: str) -> None:
    with pytest.raises(InputError, match=f"^`{name}` must be ") as caught:
        Options(**{name: TYPES[name]})
    assert "\n" not in str(caught.value)


def test_one_of_several_needs_no_list() -> None:
    assert Options(at="label", adversaries="queries", queries=10).queries == (10,)


@pytest.mark.parametrize(
    ("unknown", "meant"),
    [("adversary", "adversaries"), ("model_imput", "model_input"), ("clas_names", "class_names"), ("import_", "imports")],
)  # fmt: skip
def test_an_unknown_option_names_the_nearest(unknown: str, meant: str) -> None:
    doors = [lambda **given: audit("model.keras", "mnist", **given), Options]
    for door in doors[: 1 if meant in inspect.signature(audit).parameters else 2]:
        with pytest.raises(InputError, match=f"^`{unknown}` must be an option .*did you mean `{meant}`"):
            door(**{unknown: 1})


def test_an_unknown_option_that_is_like_none_names_all() -> None:
    with pytest.raises(InputError, match=r"there are at, adversaries, preset, .*, imports"):
        audit("model.keras", "mnist", verbosity=1)
