"""`mi-keras export` as a user meets it: what it refuses, and what it says to do."""

import json

import pytest

from mi_keras.cli import main
from mi_keras.command import CheckFailed, guarded
from mi_keras.errors import InputError
from mi_keras.serving.export import _parser, default_name, reproduce_command
from mi_keras.serving.export_checks import check_same_run
from mi_keras.serving.manifest import check_files, read_manifest, write_manifest
from tests.serving.test_manifest import CONTENT

TINY = [
    "--section", "5.2", "--preset", "smoke", "--set", "data.train_per_class=12", "--set", "data.test_per_class=9",
    "--set", "prototype.steps=2", "--set", "inverter.channels=4,4,4", "--set", "classifier.epochs=1",
]  # fmt: skip


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MI_KERAS_HOME", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "`--section` must be 5.2 of work thesis; got None."),
        (("--work", "beyond", "--section", "transfer"), "`--work` must be one of thesis, split for an export; got beyond."),
        (("--section", "5.3", "--combination", "x"), "`--section` must be 5.2 of work thesis; got 5.3."),
        (("--section", "5.2"), "`--combination` must be one of o, a, x, o+a, o+x, a+x, o+a+x; got None."),
        (("--section", "5.2", "--combination", "x+o"), "`--combination` must be one of o, a, x,"),
        (("--section", "5.2", "--combination", "x", "--decoder", "compact"), "`--decoder` must go with the other work"),
        (("--work", "split", "--section", "6", "--decoder", "tiny"), "`--decoder` must be one of transposed, bicubic,"),
        (("--section", "5.2", "--combination", "x", "--run", "0"), "`--run` must be between 1 and 1000; got 0."),
        (
            ("--section", "5.2", "--combination", "o", "--objective", "cross_entropy"),
            "`--objective` must go with a combination that has x; got cross_entropy.",
        ),
        (("--section", "5.2", "--combination", "x", "--name", "Big Name"), "`--name` must be 1 to 100 of"),
        (("--section", "5.2", "--combination", "x", "--encoder-weights", "random"), "`--encoder-weights` must go with"),
        (("--section", "5.2", "--combination", "x", "--set", "gradient.stepz=1"), "`--set gradient.stepz` must name"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2(home, refusal_of, arguments, message):
    assert refusal_of(main, ["export", *arguments]).startswith(message)
    assert not (home / "exported_models").exists()


def test_what_was_never_trained_is_not_exported_but_the_command_that_trains_it_is_named(home, refusal_of):
    said = refusal_of(main, ["export", *TINY, "--combination", "x", "--run", "2"])
    assert "`--run` must be one that is finished" in said
    assert "lacks inverter x (run 2)" in said
    sets = " ".join(TINY[4:])
    assert f"python scripts/reproduce.py --section 5.2 --preset smoke --runs 2 {sets}" in said
    assert not list((home / "store" / "stages").iterdir())


@pytest.mark.parametrize(
    ("arguments", "name", "runs", "command"),
    [
        ("--section 5.2 --combination x", "thesis-5.2-x-quick", 2, "--section 5.2"),
        ("--section 5.2 --combination o+a+x --run 2", "thesis-5.2-o-a-x-quick", 2, "--section 5.2"),
        (
            "--section 5.2 --combination o+x --objective cross_entropy --seed 7 --preset smoke",
            "thesis-5.2-o-x-cross_entropy-smoke", 1,
            "--section 5.2 --preset smoke --seed 7 --set second_combinations=x,o+x",
        ),
        (
            "--work split --section 6 --decoder large --encoder-weights random --data folder:a",
            "split-6-large-quick", 1,
            "--work split --section 6 --data folder:a --encoder-weights random --set "
            "decoders=transposed,bicubic,compact,large",
        ),
    ],
)  # fmt: skip
def test_names_and_the_commands_that_train(arguments, name, runs, command):
    from mi_keras.arguments import request_of
    from mi_keras.experiments.registry import find

    options = _parser().parse_args(arguments.split())
    assert default_name(options) == name
    (experiment,) = find(options.work, options.section)
    config = experiment.load().configure(request_of(options))
    assert config.runs == runs
    assert reproduce_command(options, config) == f"python scripts/reproduce.py {command}"


def test_a_next_version_is_of_the_same_run_or_gets_a_name(tmp_path):
    about = {"data": "mnist", "seed": 1, "run": 1, "changed": ["gradient.steps=60"]}
    model = tmp_path / "m"
    check_same_run(model, about)  # there is none yet
    for number, fields in {"1": {"seed": 7}, "2": {}}.items():
        (model / number / "assets.extra").mkdir(parents=True)
        (model / number / "saved_model.pb").touch()
        write_manifest(model / number, CONTENT | about | {"name": "m", "version": int(number)} | fields)
    (model / "3").mkdir()  # nobody knows what it is of
    check_same_run(model, about)
    for field, value, said in (
        ("data", "npz:a.npz", "mnist, got npz:a.npz"), ("seed", 7, "1, got 7"), ("run", 2, "1, got 2"),
        ("changed", [], "gradient.steps=60, got nothing"),
    ):  # fmt: skip
        with pytest.raises(InputError) as caught:
            check_same_run(model, about | {field: value})
        start = f"`--name` must be given for another run than that of {model / '2'}; its `{field}` is "
        assert str(caught.value) == f"{start}{said}."


def test_what_fails_its_check_is_one_line_and_exit_code_1(capsys):
    def fails():
        raise CheckFailed("the export answers otherwise")

    assert guarded(fails) == 1
    assert capsys.readouterr().err.rstrip() == "stopped: the export answers otherwise."


@pytest.mark.slow
def test_from_a_run_to_a_verified_export(home, capsys, refusal_of):
    chosen = ["--set", "combinations=o", "--set", "second_combinations="]
    assert main([*TINY, *chosen]) == 0
    stages = {path: path.stat().st_mtime_ns for path in (home / "store").rglob("*.npz")}
    capsys.readouterr()
    assert main(["export", *TINY, *chosen, "--combination", "o"]) == 0
    said = capsys.readouterr().out
    assert "exported_models/thesis-5.2-o-smoke/1: M_I(O), ssim " in said
    assert "invert (serving_default): output_vector -> image" in said
    assert {path: path.stat().st_mtime_ns for path in (home / "store").rglob("*.npz")} == stages
    folder = home / "exported_models" / "thesis-5.2-o-smoke" / "1"
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    result = json.loads((home / "results/5.2/smoke/result.json").read_text())
    row = next(row for row in result["tables"][0]["rows"] if row["name"] == "o")
    for metric in ("ssim", "mse"):
        assert manifest["scores"][metric]["mean"] == pytest.approx(row["values"][metric]["mean"])
    assert manifest["changed"] == result["changed"]
    assert (manifest["data"], manifest["seed"], manifest["run"]) == ("mnist", 1, 1)
    assert "CC BY-SA 3.0" in manifest["licence"]
    other = ["export", *TINY, *chosen, "--combination", "o", "--set", "gradient.steps=7"]
    refused = refusal_of(main, other)  # the same model, but nobody could tell the versions' settings apart
    assert refused.startswith("`--name` must be given for another run than that of exported_models/")
    assert not (folder.parent / "2").exists()
    assert main([*other, "--name", "short"]) == 0
    assert (home / "exported_models" / "short" / "1").is_dir()
