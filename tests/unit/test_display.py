"""Names as they may be shown."""

import os
from pathlib import Path

import pytest

from mi_keras.display import displayable, line_of
from mi_keras.errors import DamagedFile, InputError


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


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (ValueError("two\n  lines."), "two lines"),
        (ValueError(), "ValueError"),
        (ValueError(" .\n"), "ValueError"),
        ("", ""),
        (OSError("a\x1b[2Jb\u202e:"), "a\\x1b[2Jb\\u202e"),
        ("word " * 100, "word " * 60 + "..."),
    ],
)
def test_what_an_error_says_is_one_short_line(said: BaseException | str, line: str) -> None:
    assert line_of(said) == line


def test_everywhere_an_error_is_quoted_in_the_same_way(tmp_path: Path) -> None:
    from mi_keras.data.source import first_line
    from mi_keras.files import map_array

    assert first_line(ValueError("a\x1b[2J.\nmore")) == "a\\x1b[2J"
    (tmp_path / "a.npy").write_bytes(b"\x1b[2J no array")
    with pytest.raises(DamagedFile) as caught:
        map_array(tmp_path / "a.npy")
    assert str(caught.value).isprintable()


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
