"""The command `mi-keras audit`: what it refuses, what it lists, and the exit codes of `--fail-above`."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_audits import (
    band_reader,
    class_only,
    command,
    constant,
    in_bands,
    linear,
    pictures,
    stages,
    whole,
    with_age,
)

from mi_keras.attacks.within_class import LinearWithinClass
from mi_keras.auditing.command_line import follow, main
from mi_keras.experiments.graph import Graph
from mi_keras.experiments.store import Store
from mi_keras.experiments.team import Team
from mi_keras.progress import SilentProgress
from tests.processes import REPOSITORY, complaints

__all__ = ["linear"]


def _files(folder: Path) -> tuple[str, str]:
    images, labels = in_bands()
    band_reader().save(folder / "model.keras")
    np.savez(folder / "data.npz", images=images, labels=labels)
    np.savez(folder / "unlabelled.npz", images=images)
    return str(folder / "model.keras"), str(folder / "data.npz")


def test_the_command_refuses_in_a_line_before_anything_is_learned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = _files(tmp_path)
    refused = {
        ("--model-input", "0..255"): "`--model-input 0..1` fits it",
        ("--data", str(tmp_path / "unlabelled.npz")): "`--model-input` must be declared",
        ("--at", "bans"): "alike: bands",
        ("--at", "bands:all"): "must name a view",
        ("--size", "8"): "`--size` must be H,W",
        ("--tolerance", "found=2"): "`--tolerance` must be",
        ("--adversaries", "nobody"): "`--adversaries` must be",
        ("--output", "mean"): "`--output` must be one of bands",
        ("--labels", "folder"): "must go with a folder",
    }
    for arguments, words in refused.items():
        code, said = command([model, "--data", data, *arguments], tmp_path, capsys, monkeypatch)
        assert code == 2, arguments
        assert words in said
        assert said.count("\n") == 1, said
    assert not stages(tmp_path)


def test_a_precision_that_is_none_is_refused_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--precision", "half"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "--precision" in said
    assert said.count("\n") == 1


def test_points_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = _files(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main([model, "--list-points"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[-1] == "bands  10  (output)"
    assert any(line.startswith("mean  1") for line in listed)
    assert not stages(tmp_path)


def test_points_of_a_model_of_several_inputs_are_listed_without_their_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_age().save(tmp_path / "my model.keras")
    monkeypatch.chdir(tmp_path)
    assert main(["my model.keras", "--list-points"]) == 0
    unheld = capsys.readouterr()
    (told,) = complaints(unheld.err).splitlines()
    assert told.endswith(": mi-keras audit 'my model.keras' --data SOURCE --fix age=VALUE,VALUE")
    assert main(["my model.keras", "--list-points", "--fix", "age=40,1"]) == 0
    held = capsys.readouterr()
    assert (held.out, complaints(held.err)) == (unheld.out, "")


def test_ctrl_c_names_the_step_and_keeps_those_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = _files(tmp_path)

    def stopped(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever ran before in this process
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(LinearWithinClass, "fit", stopped)
    code, said = command([model, "--data", data], tmp_path, capsys, monkeypatch)
    assert code == 130
    kept = "What is finished is kept; run the same command again to go on."
    assert said == f"stopped by Ctrl-C in: linear map at label, learned. {kept}\n"
    assert [folder.parent.name for folder in stages(tmp_path)] == ["audit_answers"] * 3


def test_inputs_beside_the_image_are_held(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, linear: None
) -> None:
    with_age().save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", images=pictures())
    model, data = (
        str(tmp_path / "model.keras"),
        ["--data", str(tmp_path / "data.npz"), "--model-input", "0..1"],
    )
    wrong = {
        "": "`--fix age=VALUE` must be given",
        "age=4": "`--fix age` must have the shape",
        "age=old": "`--fix` must be NAME=NUMBER",
        "sex=1": "`--fix` must name inputs other than the image: age; got 'sex'",
    }
    for fix, words in wrong.items():
        code, said = command([model, *data, *(["--fix", fix] if fix else [])], tmp_path, capsys, monkeypatch)
        assert (code, words in said, said.count("\n")) == (2, True, 1), said
    assert main([model, "--list-points", "--fix", "age=40,1"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed[1:] == ["flat", "mix", "joined", "out"]
    given = [model, *data, "--fix", "age=40,1", "--at", "logits", "--preset", "smoke", "--budget", "0"]
    assert main(given) == 0
    told = capsys.readouterr()
    assert complaints(told.err) == ""
    steps = re.findall(
        r"^.*, .*: \d+\.\d s \(step (\d+) of about (\d+), 0:\d\d so far.*\)$", told.err, re.MULTILINE
    )
    assert steps == [(str(number), str(len(steps))) for number in range(1, len(steps) + 1)]
    assert len(steps) == 12
    assert "Input age is held at 40, 1." in (tmp_path / "audit" / "audit.md").read_text()
    size = sum(path.stat().st_size for path in (tmp_path / "store").rglob("*") if path.is_file()) / 1e6
    last = told.out.splitlines()[-1]
    assert last.endswith(
        f": {tmp_path}/store, {size:,.0f} MB with those of all runs that use it; delete it when you need none of them"
    )


LIMIT = ["--fail-above", "found=0.2"]


@pytest.mark.slow
def test_exit_codes_say_whether_a_limit_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, linear: None
) -> None:
    models = {"constant": constant(), "whole": whole(), "many": class_only(100)}
    np.savez(tmp_path / "data.npz", images=pictures())
    for name, model in models.items():
        model.save(tmp_path / f"{name}.keras")

    def code(name: str, *arguments: str, data: str = "data") -> int:
        given = [
            str(tmp_path / f"{name}.keras"),
            "--data",
            str(tmp_path / f"{data}.npz"),
            "--model-input",
            "0..1",
        ]
        return command([*given, *arguments], tmp_path, capsys, monkeypatch)[0]

    at = ["--at", "label"]
    assert code("constant", *at, *LIMIT) == 0
    assert code("many", *at, *LIMIT) == 4  # hardly a class has ten
    assert code("whole", "--output-kind", "embedding") == 0  # it leaks, and nobody asked
    assert code("whole", "--output-kind", "embedding", *LIMIT) == 3
    np.savez(tmp_path / "few.npz", images=pictures(60))
    for name in models:
        assert code(name, *LIMIT, data="few") == 2


@pytest.mark.slow
def test_fewer_images_never_newly_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, linear: None
) -> None:
    whole().save(tmp_path / "whole.keras")
    for count in (60, 120):
        np.savez(tmp_path / "data.npz", images=pictures(count))
        given = [str(tmp_path / "whole.keras"), "--data", str(tmp_path / "data.npz"), "--model-input", "0..1"]
        code, _ = command([*given, "--output-kind", "embedding", *LIMIT], tmp_path, capsys, monkeypatch)
        assert code in (2, 3, 4)


def test_a_worker_meets_the_stages_of_the_command_and_is_told_what_is_published(
    tmp_path: Path, linear: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = _files(tmp_path)
    asked = [model, "--data", data, "--at", "logits", "--defend", "rounding=0", "--attacker-seeds", "2"]
    told: list[object] = []
    agree = Store.agree
    monkeypatch.setattr(Store, "agree", lambda self, value: told.append(agree(self, value)) or told[-1])
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "audit.json").write_text("{}")
    code, said = command(asked, tmp_path, capsys, monkeypatch)
    assert (code, said) == (0, "The audit in audit is replaced when this one is done.\n")
    monkeypatch.setattr(Store, "agree", agree)
    before, met, said = stages(tmp_path), [], list(told)

    class Beside(Team):
        leads = False

        def compute(self, graph: Graph, store: Store) -> None:
            met.append(len(graph))

        def agree(self, value: object) -> object:
            return said.pop(0)

    arguments = [*asked, "--preset", "smoke", "--budget", "0"]
    follow({"arguments": arguments}, Beside(), SilentProgress())
    assert not said
    assert met == [0, 0]  # all that it meets was computed
    assert stages(tmp_path) == before


@pytest.mark.slow
def test_two_processes_say_what_one_says(tmp_path: Path) -> None:
    """Neither is this process: libraries that it loaded before `conftest` may sum with other threads."""
    model, data = _files(tmp_path)
    asked = [model, "--data", data, "--defend", "rounding=0", "--attacker-seeds", "2", "--preset", "smoke"]
    asked += ["--budget", "0", "--out", "audit"]
    program = "import sys; from mi_keras.auditing.command_line import main; sys.exit(main())"
    found = []
    for workers in ("1", "2"):
        folder = tmp_path / workers
        folder.mkdir()
        environment = os.environ | {"MI_KERAS_HOME": str(folder / "store"), "PYTHONPATH": str(REPOSITORY)}
        command = [sys.executable, "-c", program, *asked, "--workers", workers]
        run = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
        assert complaints(run.stderr) == ""
        steps = {str(path.relative_to(folder)) for path in stages(folder)}
        found.append(
            (steps, *((folder / "audit" / name).read_bytes() for name in ("audit.json", "index.html")))
        )
    assert found[0] == found[1]


def test_what_only_sections_can_be_computed_with_is_no_argument_of_an_audit(refusal_of):
    assert "unrecognized arguments: --devices 2" in refusal_of(
        main, ["m.keras", "--data", "d", "--devices", "2"]
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--gpus-per-stage", "1"], "`--gpus-per-stage` and `--memory-per-stage` must go with `--ray`; got none."),
        (["--ray", "auto", "--workers", "2"], "`--workers` must be left out with `--ray`; got 2."),
        (["--ray", "auto", "--memory-per-stage", "-1"], "`--memory-per-stage` must be a finite number >= 0; got -1.0."),
        (["--ray", "auto", "--list-points"], "`--ray` must be left out with `--list-points`, which computes nothing."),
        (["--ray", "127.0.0.1:1"], "`--ray` must be auto or HOST:PORT of a cluster that this machine is part of; got 127.0.0.1:1: "),
    ],
)  # fmt: skip
def test_where_an_audit_cannot_be_computed_is_refused_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], line: str
) -> None:  # fmt: skip
    monkeypatch.setattr(
        "mi_keras.auditing.command_line.use_threads", lambda _: None
    )  # TensorFlow works here already
    code, said = command(arguments, tmp_path, capsys, monkeypatch)
    assert code == 2
    assert said.startswith(line)
    assert said.count("\n") == 1
    assert not stages(tmp_path)


@pytest.mark.parametrize("argument", ["--workers", "--threads"])
def test_a_number_of_processes_or_threads_that_is_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, argument: str
) -> None:
    code, said = command([argument, "0"], tmp_path, capsys, monkeypatch)
    assert (code, said) == (2, f"`{argument}` must be >= 1; got 0.\n")
