"""Names as they may be shown."""

import os
from pathlib import Path

import pytest

from mi_keras.display import displayable
from mi_keras.errors import InputError


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ada Lovelace.png", "Ada Lovelace.png"),
        ("é 東京 ß", "é 東京 ß"),
        ("a\x1b[31mred", "a\\x1b[31mred"),
        ("two\nlines\t", "two\\nlines\\t"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        (os.fsdecode(b"caf\xe9.png"), "caf\\xe9.png"),
        ("\ud800", "\\ud800"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_what_cannot_be_printed_is_escaped(name: str, shown: str) -> None:
    assert displayable(name) == shown
    assert displayable(shown) == shown
    assert shown.encode()
    assert shown.isprintable()


def test_a_message_is_one_line_that_steers_no_terminal() -> None:
    error = InputError("`data=a\x1b]0;x\x07\nb` must exist.")
    assert str(error) == "`data=a\\x1b]0;x\\x07\\nb` must exist."


def test_a_layer_is_listed_without_what_steers_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import keras

    from mi_keras.cli import main

    image = keras.Input((4, 4, 1))
    flat = keras.layers.Flatten(name="a\x1b[2J")(image)
    keras.Model(image, keras.layers.Dense(2, name="$x$[b]")(flat)).save(tmp_path / "m.keras")
    assert main(["audit", str(tmp_path / "m.keras"), "--list-points"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["a\\x1b[2J", "$x$[b]"]
    assert all(line.isprintable() for line in lines)
