"""The audit without a model: it takes nothing that describes a model or images of one's own."""

from pathlib import Path

import pytest

from mi_keras.auditing.command_line import OF_A_MODEL, main

VALUES = {
    "pixels": "0..255", "model_input": "torch", "output": "out", "output_kind": "embedding", "class_names": "cat,dog",
    "trained_on": "seen", "size": "8,8", "fix": "age=40", "import": "my_layers",
}  # fmt: skip


@pytest.mark.parametrize("name", [*OF_A_MODEL, "import"])
def test_an_option_of_a_model_of_ones_own_is_refused_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("MI_KERAS_HOME", str(tmp_path / "store"))
    option = f"--{name.replace('_', '-')}"
    code = main([option, VALUES.get(name, "folder"), "--out", str(tmp_path / "audit")])
    said = capsys.readouterr().err
    assert (code, said.count("\n")) == (2, 1), said
    assert said.startswith(f"`{option}` must go with a model of your own (MODEL); got ")
    assert list(tmp_path.iterdir()) == []
