"""The contract of result.json and arrays.npz: a field that breaks it is named in one line."""

import copy

import numpy as np
import pytest

from mi_keras.errors import InputError
from mi_keras.results import read_result
from mi_keras.results.arrays import check_arrays


def put(result, path, value):
    """Set `value` where a path such as "tables.0.rows.1.name" leads."""
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in way:
        result = result[part]
    if value is KeyError:
        del result[last]
    else:
        result[last] = value


def figure_number(result, kind):
    return next(n for n, spec in enumerate(result["figures"]) if spec["kind"] == kind)


def test_a_whole_result_passes(make):
    result, arrays = make()
    read_result(result)
    check_arrays(arrays)


def test_optional_fields_may_be_absent_and_unknown_ones_present(make):
    result, _ = make()
    del result["notes"], result["changed"]
    read_result(result | {"later": 1})


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("schema", "mi_keras.result/1", "`schema` of result.json must be 'mi_keras.result/2'; got 'mi_keras.result/1': run the section again."),
        ("schema", "mi_keras.result/3", "`schema` of result.json must be 'mi_keras.result/2'; got 'mi_keras.result/3'."),
        ("runs", "two", "`result.runs` must be an integer; got 'two'."),
        ("runs", True, "`result.runs` must be an integer; got True."),
        ("runs", 0, "`result.runs` must be at least 1; got 0."),
        ("measured", KeyError, "`result.measured` must be a string; got None."),
        ("changed", "no", "`result.changed` must be a list of strings where it is given; got 'no'."),
        ("class_names", [1], "`result.class_names` must be a list of strings where it is given; got [1]."),
        ("timings.0.seconds", "1", "`result.timings[0].seconds` must be a finite number; got '1'."),
        ("timings.0.seconds", 10**400, "`result.timings[0].seconds` must be a finite number; got 1000"),
        ("timings.0.reused", 1, "`result.timings[0].reused` must be true or false; got 1."),
        ("tables", None, "`result.tables` must be a list; got None."),
        ("tables.1", 3, "`result.tables[1]` must be an object; got 3."),
        ("tables.0.file", "../table", "`result.tables[0].file` must be a plain file name of letters, digits, '.', '_' and '-'; got '../table'."),
        ("tables.0.file", "<script>", "`result.tables[0].file` must be a plain file name of letters, digits, '.', '_' and '-'; got '<script>'."),
        ("tables.1.file", "table_4", "`result.tables` must have distinct files; got table_4, table_4, trials."),
        ("tables.0.metrics", ["ssim", "beauty"], "`result.tables[0].metrics` must be among ssim, "),
        ("tables.0.metrics", ["ssim", "ssim"], "`result.tables[0].metrics` must have distinct entries; got ssim, ssim."),
        ("tables.0.best", "f1", "`result.tables[0].best` must be one of ssim, mse or ''; got 'f1'."),
        ("tables.2.best", "l2_weight", "`result.tables[2].best` must be one of ssim or ''; got 'l2_weight'."),
        ("tables.0.notes", KeyError, "`result.tables[0].notes` must be a list of strings; got None."),
        ("tables.0.rows.1.label", KeyError, "`result.tables[0].rows[1].label` must be a string; got None."),
        ("tables.0.rows.1.name", "o", "`result.tables[0].rows` must have distinct names; got o, o, x"),
        ("tables.0.rows.0.values", {"a\nb": 1}, "`result.tables[0].rows[0].values.a b` must be an object; got 1."),
        ("tables.0.rows.0.group", "other", "`result.tables[0].rows[0].group` must be one of attack, model, defense, trial, baseline; got 'other'."),
        ("tables.0.rows.0.images", 1.5, "`result.tables[0].rows[0].images` must be an integer or null; got 1.5."),
        ("tables.0.rows.0.values.ssim", {"mean": None}, "`result.tables[0].rows[0].values.ssim.mean` must be a finite number; got None."),
        ("tables.0.rows.0.values.ssim.mean", float("nan"), "`result.tables[0].rows[0].values.ssim.mean` must be a finite number; got nan."),
        ("tables.0.rows.0.values.mse.std", -0.1, "`result.tables[0].rows[0].values.mse.std` must be a number >= 0 or null; got -0.1."),
        ("tables.0.rows.4.paper.values.ssim", {}, "`result.tables[0].rows[4].paper.values.ssim.mean` must be a finite number; got None."),
        ("tables.0.rows.4.paper", [], "`result.tables[0].rows[4].paper` must be an object or null; got []."),
        ("tables.1.rows.0.name", "o", "`result.tables[1].rows[0].label` must be the same for row 'o' in all tables; got 'M_I(O)' and 'M_T'."),
        ("claims.0.holds", "yes", "`result.claims[0].holds` must be true, false or null; got 'yes'."),
        ("figures.0.file", "/tmp/a.png", "`result.figures[0].file` must be a plain file name"),
        ("figures.0.file", "index.html", "`result.figures[0].file` must end in .png; got 'index.html'."),
        ("figures.1.file", "best_per_class.png", "`result.figures` must have distinct files; got best_per_class.png, best_per_class.png"),
        ("figures.0.kind", "pie", "`result.figures[0].kind` must be one of best_per_class, median_per_class, training_curves"),
        ("figures.0.kind", ["maps"], "`result.figures[0].kind` must be one of best_per_class, "),
        ("figures.0", "pie", "`result.figures[0]` must be an object; got 'pie'."),
        ("figures.0.rows", KeyError, "`result.figures[0].rows` must be a list of strings; got None."),
    ],
)  # fmt: skip
def test_a_field_that_breaks_the_schema_is_named(make, path, value, message):
    result = copy.deepcopy(make()[0])
    put(result, path, value)
    with pytest.raises(InputError) as caught:
        read_result(result)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("chosen_images", {"images": None}, ".images` must be a list of integers; got None."),
        ("chosen_images", {"images": []}, ".images` must be 1 to 10 numbers from 0 on; got []."),
        ("chosen_images", {"images": [-1]}, ".images` must be 1 to 10 numbers from 0 on; got [-1]."),
        ("photographs", {"images": []}, ".images` must be 1 to 8 numbers from 0 on; got []."),
        ("photographs", {"images": [0] * 9}, ".images` must be 1 to 8 numbers from 0 on; got [0, 0, "),
        ("photographs", {"metric": None}, ".metric` must be a string; got None."),
        ("photographs", {"metric": "beauty"}, ".metric` must be among ssim, "),
        ("photographs", {"headers": ["best"]}, ".headers` must be a string for each of the 2 images; got 1."),
        ("normalised_photographs", {"images": [-1]}, ".images` must be 1 to 8 numbers from 0 on; got [-1]."),
        ("maps", {"array": None}, ".array` must be a string; got None."),
        ("maps", {"numbers": ["3"]}, ".numbers` must be a list of integers where it is given; got ['3']."),
        ("layers", {"labels": ["one"]}, ".labels` must be a string for each of `arrays`, of which there must be one at least; got 1 for 2."),
        ("layers", {"arrays": [], "labels": []}, ".labels` must be a string for each of `arrays`"),
        ("training_curves", {"loss": 1}, ".loss` must be a string where it is given; got 1."),
        ("histogram", {"metric": "beauty"}, ".metric` must be among ssim, "),
        ("histogram", {"baseline": "o"}, ".baseline` must be a list of strings where it is given; got 'o'."),
        ("run_scores", {"metric": "beauty"}, ".metric` must be among ssim, "),
        ("trade_off", {"panels": []}, ".panels` must hold one at least; got []."),
        ("trade_off", {"series": []}, ".series` must hold one at least; got []."),
        ("trade_off", {"panels": [{"x": "mse", "y": "ssim"}]}, ".panels[0].log_x` must be true or false; got None."),
        ("trade_off", {"panels": [{"x": "mse", "y": "beauty", "log_x": True}]}, ".panels[0].y` must be among ssim, "),
        ("trade_off", {"panels": [{"x": "mse", "y": "ssim", "log_x": True, "better": "up"}]}, ".panels[0].better` must be one of lower left, lower right, upper left, upper right; got 'up'."),
        ("trade_off", {"series": [{"label": "a", "rows": ["o"], "points": []}]}, ".series[0].points` must be a string for each of the 1 rows; got 0."),
        ("trade_off", {"reference": ["o"]}, ".reference` must be a string where it is given; got ['o']."),
        ("search", {"axes": ["l2_weight"]}, ".axes` must name two parameters; got ['l2_weight']."),
        ("sweep", {"ticks": [10, 5, 1]}, ".ticks` must be a list of strings; got [10, 5, 1]."),
        ("sweep", {"metrics": ["beauty"]}, ".metrics` must be among ssim, "),
        ("sweep", {"series": [{"label": "a"}]}, ".series[0].rows` must be a list of strings; got None."),
        ("sweep", {"series": [{"label": "a", "rows": ["o"]}]}, ".series[0].rows` must name a row for each of the 3 ticks; got 1."),
    ],
)  # fmt: skip
def test_what_a_kind_of_figure_needs_is_checked(make, kind, fields, message):
    result, _ = make()
    number = figure_number(result, kind)
    result["figures"][number] |= fields
    with pytest.raises(InputError) as caught:
        read_result(result)
    assert str(caught.value).startswith(f"`result.figures[{number}]{message}")


def test_a_list_is_no_result():
    with pytest.raises(InputError, match=r"`schema` of result.json must be .*; got 'list'"):
        read_result([])


@pytest.mark.parametrize(
    ("key", "shape", "message"),
    [
        ("labels", (3,), "`labels` of arrays.npz must be (60,), one per target; got (3,)."),
        ("targets", (60, 12, 12), "`targets` of arrays.npz must be (images, height, width, channels), none empty"),
        ("targets", (60, 12, 12, 2), "`targets` of arrays.npz must have 1 or 3 channels; got (60, 12, 12, 2)."),
        ("reconstruction.o", (60, 8, 8, 1), "`reconstruction.o` must have the shape (60, 12, 12, 1) of `targets`"),
        ("ssim.o", (60,), "`ssim.o` of arrays.npz must be (runs, images), none empty; got (60,)."),
        ("ssim.o", (1, 59), "`ssim.o` must be (runs, 60), a value per target; got (1, 59)."),
        ("curve.o.loss", (1, 0), "`curve.o.loss` of arrays.npz must be (runs, epochs), none empty"),
        ("gradient_loss.logit_mse", (1, 5, 3), "`gradient_loss.logit_mse` of arrays.npz must be (runs, steps, 4 terms)"),
        ("class_images.start", (10, 12, 12), "`class_images.start` of arrays.npz must be (classes, height, width, channels)"),
        ("confusion.target", (10, 10), "`confusion.target` of arrays.npz must be (runs, classes, classes)"),
        ("confusion.target", (1, 10, 9), "`confusion.target` of arrays.npz must be (runs, classes, classes)"),
        ("psnr.o", (60,), "`psnr.o` of arrays.npz must be (runs, images), none empty; got (60,)."),
        ("maps.sent", (5, 5), "`maps.sent` of arrays.npz must be (maps, height, width), none empty; got (5, 5)."),
        ("shown.x", (3, 12, 12), "`shown.x` of arrays.npz must be (images, height, width, channels), none empty"),
        ("shown.x", (3, 12, 12, 3), "`shown.x` must be uint8 in colour; got float64 of (3, 12, 12, 3)."),
        ("shown.numbers", (3,), "`shown.numbers` must be 3 integers from 0 on, one per image of `shown.targets`; got float64 of (3,)."),
        ("search.coarse.ssim", (4,), "`search.coarse.ssim` must have 5 trials, as the others of its phase; got 4."),
    ],
)  # fmt: skip
def test_an_array_of_another_shape_is_named(make, key, shape, message):
    _, arrays = make()
    with pytest.raises(InputError) as caught:
        check_arrays(arrays | {key: np.zeros(shape)})
    assert str(caught.value).startswith(message)


def test_text_is_no_array_of_numbers(make):
    _, arrays = make()
    with pytest.raises(InputError, match=r"`labels` of arrays.npz must be numbers; got <U"):
        check_arrays(arrays | {"labels": np.full(60, "seven")})


def test_stored_images_are_bytes_of_one_shape_with_their_numbers(make):
    _, arrays = make()
    other = np.zeros((2, 12, 12, 3), np.uint8)
    with pytest.raises(InputError, match=r"^`shown.x` must have the shape .* of `shown.targets`; got \(2, "):
        check_arrays(arrays | {"shown.x": other})
    for name in ("shown.numbers", "shown.targets"):
        rest = {key: array for key, array in arrays.items() if key != name}
        with pytest.raises(
            InputError, match=rf"^`{name}` must be in an arrays.npz that has `shown\.`; got none"
        ):
            check_arrays(rest)
    with pytest.raises(InputError, match=r"^`shown.numbers` must be 3 integers from 0 on"):
        check_arrays(arrays | {"shown.numbers": np.array([0, 1, -1])})
