"""The stored report: what is written is what is read, and half a report is never left behind."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from mi_keras.auditing.arguments import parser
from mi_keras.auditing.report import CARD, DOCUMENT, PAGE, PICTURES, read_document, write
from mi_keras.auditing.screen import as_text
from mi_keras.display import displayable
from mi_keras.errors import InputError
from mi_keras.files import read_arrays
from tests.unit.auditing import reports


def shown(value):
    """Texts come back as they may be shown."""
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(shown(item) for item in value)
    return displayable(value) if isinstance(value, str) else value


@pytest.mark.parametrize("made", [reports.digits_report, reports.photograph_report])
def test_what_is_written_is_read(made, tmp_path):
    report = made()
    page = write(report, tmp_path / "audit")
    again, pictures = read_document(page.with_name(DOCUMENT)), read_arrays(page.with_name(PICTURES))

    assert page == tmp_path / "audit" / PAGE
    assert {path.name for path in page.parent.iterdir()} == {DOCUMENT, PICTURES, PAGE, CARD}
    for name, value in asdict(replace(report, pictures={})).items():
        assert asdict(replace(again, pictures={}))[name] == shown(value), name
    assert set(pictures) == set(report.pictures)
    for name, images in report.pictures.items():
        np.testing.assert_array_equal(pictures[name], images)


def test_sentences_name_arguments_as_a_door_writes_them():
    report = replace(
        reports.digits_report(),
        assumed=("Pixels 0..255.",), not_tried=("shadow models: `public_backbone`",),
        warnings=("See `class_names` and `model_input`.", "Of `x`."),
    )  # fmt: skip
    worded = report.worded(parser().in_options)
    assert worded.warnings == ("See `--class-names` and `--model-input`.", "Of `x`.")
    assert worded.not_tried == ("shadow models: `--public-backbone`",)
    assert worded == replace(report, warnings=worded.warnings, not_tried=worded.not_tried)


def test_values_of_numpy_become_plain_json():
    report = reports.digits_report()
    numbers = reports.about(np.float32(0.5))
    point = replace(report.points[0], found=numbers, shape=(np.int64(3),), p=None)
    document = replace(report, points=(point,)).to_json()
    stored = json.loads(json.dumps(document, allow_nan=False))["points"][0]
    assert stored["found"]["value"] == 0.5
    assert stored["shape"] == [3]
    assert stored["p"] is None
    assert "pictures" not in document


def test_the_document_is_json_for_every_reader(tmp_path):
    write(reports.photograph_report(), tmp_path)

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    json.loads((tmp_path / DOCUMENT).read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_number_that_json_lacks_leaves_nothing_behind(bad, tmp_path):
    report = reports.digits_report()
    point = replace(report.points[0], p=bad)
    with pytest.raises(ValueError, match="JSON compliant"):
        write(replace(report, points=(point,)), tmp_path / "audit")
    assert not (tmp_path / "audit").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "mi_keras.audit/0"}'])
def test_what_is_no_report_is_refused(text, tmp_path):
    write(reports.digits_report(), tmp_path)
    (tmp_path / DOCUMENT).write_text(text)
    with pytest.raises(InputError, match=r"`report` must be an audit\.json of this version; got"):
        read_document(tmp_path / DOCUMENT)


def test_a_field_that_is_wrong_is_named(tmp_path):
    write(reports.digits_report(), tmp_path)
    document = json.loads((tmp_path / DOCUMENT).read_text())
    document["points"][0]["shape"] = ["ten"]
    (tmp_path / DOCUMENT).write_text(json.dumps(document))
    with pytest.raises(
        InputError, match=r"^`report\.points\[0\]\.shape\[0\]` must be an integer; got 'ten'\.$"
    ):
        read_document(tmp_path / DOCUMENT)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_document(tmp_path / DOCUMENT)


def test_what_is_printed_is_the_first_screen_and_what_is_repeated_is_a_line(monkeypatch):
    report = reports.digits_report()
    monkeypatch.setenv("COLUMNS", "72")
    assert str(report) == as_text(report, 72)
    assert "Who listens" in str(report)
    assert repr(report).startswith("<Report on chest_small.keras: backbone/block_1 LEAKS, ")
    assert "\n" not in repr(report)


def test_a_folder_that_cannot_be_one_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="`folder` must be a folder that can be written; got"):
        reports.digits_report().save(tmp_path / "file")


def test_a_notebook_shows_a_fragment():
    shown = reports.digits_report()._repr_html_()
    assert shown.startswith('<div class="audit">')
    assert "<body" not in shown
