"""Endpoints of an export against the Python path, however many rows come together, and what is never exported."""

import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from mi_keras.command import CheckFailed
from mi_keras.errors import InputError
from mi_keras.experiments.case import Case, plan
from mi_keras.experiments.split.sec_6_decoders import attack_of
from mi_keras.experiments.thesis.rows import inversion
from mi_keras.models.cnn import observe
from mi_keras.serving import export_checks
from mi_keras.serving.archive import write_export
from mi_keras.serving.decoders import smooth_images
from mi_keras.serving.export_checks import check_answers
from mi_keras.serving.layout import UNFINISHED
from mi_keras.serving.manifest import MEASURES, read_manifest
from mi_keras.serving.signatures import INPUT_NAMES, Tolerance
from tests.serving.conftest import ABOUT
from tests.unit.experiments import tiny


@pytest.fixture(scope="module", params=["x", "o+a+x"])
def exported(request, export_of):
    return export_of(request.param)


@pytest.fixture(scope="module")
def signatures(exported):
    return tf.saved_model.load(str(exported.folder)).signatures


def parts_of(exported, endpoint="invert"):
    prefix = f"{endpoint}/input/"
    return {k.removeprefix(prefix): a for k, a in exported.trained.samples.items() if k.startswith(prefix)}


def many_parts(exported, rows):
    """Return input of `invert` that no sample has: observed evidence of the test images, as 5.2 uses it."""
    bench, combination = exported.bench, exported.trained.about["combination"]
    attack = inversion(exported.config, combination)
    attacked = plan(Case(attack), bench)
    parts = [part.values() for part in attacked.seen]
    names = [INPUT_NAMES[letter] for letter in combination.split("+")]
    assert set(names) == set(parts_of(exported))
    inputs = np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
    tcnn = attack.load((attacked.learned.arrays, {}), inputs.shape[1:], bench.image_shape)
    arrays = {name: part[:rows] for name, part in zip(names, parts, strict=True)}
    return arrays, tcnn(inputs, training=False).numpy()[:rows]


# Interface


def test_every_endpoint_has_the_names_shapes_and_types_of_the_manifest(exported, signatures):
    manifest = read_manifest(exported.folder)
    assert set(signatures) == {"invert", "invert_from_output", "invert_png", "serving_default"}
    letters = exported.trained.about["combination"].split("+")
    names = {"o": "output_vector", "a": "activations", "x": "gradient_reconstruction"}
    assert set(manifest["endpoints"]["invert"]["inputs"]) == {names[letter] for letter in letters}
    assert manifest["output_kind"] == "logits"
    kinds = {field["kind"] for field in manifest["endpoints"]["invert_from_output"]["inputs"].values()}
    assert kinds == {"logits"}
    assert set(manifest["machine"]) == {"machine", "instructions", "threads", "oneDNN"}
    for name, described in manifest["endpoints"].items():
        inputs = signatures[name].structured_input_signature[1]
        assert {n: [s.shape.as_list(), s.dtype.name] for n, s in inputs.items()} == {
            n: [d["shape"], d["dtype"]] for n, d in described["inputs"].items()
        }
        for output, spec in signatures[name].structured_outputs.items():
            assert spec.shape.as_list() == described["outputs"][output]["shape"]
            assert spec.shape[0] is None
    assert signatures["invert_from_output"].structured_outputs["image"].dtype == tf.float32
    assert signatures["invert_png"].structured_outputs["png_bytes"].dtype == tf.string


def test_the_default_is_invert(exported, signatures):
    parts = {name: tf.constant(array) for name, array in parts_of(exported).items()}
    np.testing.assert_array_equal(
        signatures["serving_default"](**parts)["image"], signatures["invert"](**parts)["image"]
    )


def test_the_graph_has_no_python_and_does_not_grow_with_the_steps(exported, signatures):
    graph = signatures["invert_from_output"].graph.as_graph_def()
    operations = {node.op for function in graph.library.function for node in function.node_def}
    assert not [name for name in operations if "PyFunc" in name]
    assert operations & {"While", "StatelessWhile"}
    assert (exported.folder / "saved_model.pb").stat().st_size < 1_500_000


def test_a_tolerance_has_the_measures_that_a_manifest_must_state():
    assert [field.name for field in fields(Tolerance)] == list(MEASURES)


# Answers


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_invert_answers_as_the_python_path(exported, signatures, rows):
    arrays, expected = many_parts(exported, rows)
    found = signatures["invert"](**{name: tf.constant(array) for name, array in arrays.items()})["image"]
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)
    assert np.ptp(expected) > 0.01


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_invert_from_output_answers_each_row_as_the_attack_alone(exported, signatures, rows):
    vectors = parts_of(exported, "invert_from_output")["output_vector"]
    expected = exported.trained.samples["invert_from_output/output/image"]
    order = np.arange(rows)[::-1] % len(vectors)
    found = signatures["invert_from_output"](output_vector=tf.constant(vectors[order]))["image"]
    np.testing.assert_allclose(found, expected[order], atol=1e-5, rtol=0)


def test_a_row_does_not_depend_on_the_others_in_its_batch(exported, signatures):
    vectors = parts_of(exported, "invert_from_output")["output_vector"]
    strangers = np.concatenate([vectors[:1], 50 + 3 * vectors[1:], np.full_like(vectors[:1], np.nan)])
    alone = signatures["invert_from_output"](output_vector=tf.constant(vectors[:1]))["image"]
    beside = signatures["invert_from_output"](output_vector=tf.constant(strangers))["image"]
    np.testing.assert_allclose(alone[0], beside[0], atol=1e-5, rtol=0)
    arrays, _ = many_parts(exported, 5)
    whole = signatures["invert"](**{name: tf.constant(array) for name, array in arrays.items()})["image"]
    single = signatures["invert"](**{name: tf.constant(array[3:4]) for name, array in arrays.items()})[
        "image"
    ]
    np.testing.assert_allclose(single[0], whole[3], atol=1e-5)


def test_png_files_hold_the_image(exported, signatures):
    parts = {name: tf.constant(array) for name, array in parts_of(exported).items()}
    files = signatures["invert_png"](**parts)["png_bytes"].numpy()
    images = signatures["invert"](**parts)["image"].numpy()
    assert all(file.startswith(b"\x89PNG") for file in files)
    decoded = np.stack([tf.io.decode_png(file).numpy() for file in files])
    np.testing.assert_allclose(decoded / 255, images, atol=0.5 / 255 + 1e-6)


def test_the_samples_of_an_export_are_inputs_as_the_readme_has_it(exported, tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "exported_models/README.md").read_text()
    blocks = re.findall(r"(?<!Docker -->\n)^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (tmp_path / "exported_models/thesis").mkdir(parents=True)
    (tmp_path / "exported_models/thesis/1").symlink_to(exported.folder)
    monkeypatch.chdir(tmp_path)
    exec("\n".join(blocks), {"__name__": "readme"})
    with np.load("outputs.npz") as written:
        samples = exported.trained.samples["invert_from_output/input/output_vector"]
        np.testing.assert_array_equal(written["output_vector"], samples)


def test_the_split_export_has_both_sides_of_the_attack(split_export):
    signatures = tf.saved_model.load(str(split_export.folder)).signatures
    assert set(signatures) == {"reconstruct", "features", "reconstruct_png", "serving_default"}
    for rows in (1, 2, 5):
        images = smooth_images(rows, 192, seed=7)
        maps = signatures["features"](image=tf.constant(images))["feature_maps"]
        bench, attack = split_export.bench, attack_of(split_export.config, "bicubic")
        expected = bench.encoder.send(images)
        np.testing.assert_allclose(maps, expected, atol=1e-4, rtol=1e-4)
        found = signatures["reconstruct"](feature_maps=maps)["image"]
        (answers,) = attack.images_of(bench.load(plan(Case(attack), bench)), expected.numpy())
        np.testing.assert_allclose(found, answers, atol=1e-4)
        assert found.shape == images.shape
        assert 0 <= found.numpy().min() <= found.numpy().max() <= 1


def test_no_picture_of_the_data_is_among_the_samples_of_a_split_export(split_export):
    samples = split_export.trained.samples
    np.testing.assert_array_equal(samples["truth"], smooth_images(2, 192))
    pictures = split_export.bench.pictures("held_out") / 255
    for name, array in samples.items():
        if array.shape[1:] == (192, 192, 3):
            for image in array.astype(float) / (255 if array.dtype == np.uint8 else 1):
                assert np.abs(pictures - image).mean(axis=(1, 2, 3)).min() > 0.05, name


def test_the_manifest_says_what_was_exported(exported):
    manifest = read_manifest(exported.folder)
    assert manifest["scores"]["ssim"]["n"] == 18
    assert manifest["baseline"]["name"] == "class prototype"
    assert manifest["seed"] == 1
    assert {"tensorflow", "keras", "python", "mi-keras"} <= set(manifest["versions"])
    assert "allowed to attack" in manifest["intended_use"]
    assert "3 steps of adam from class_average" in manifest["in_graph"]["x"]


# What is never exported, and what is


@pytest.mark.parametrize("name", ["", "Thesis", "a/b", "../x", ".hidden", "a b", "ä", "x" * 101])
def test_a_name_that_no_server_or_folder_can_have_is_refused(tmp_path, read, name):
    with pytest.raises(InputError, match=r"`--name` must be 1 to 100 of a-z, 0-9"):
        write_export(read("x"), ABOUT, tmp_path / "out", name)
    assert not (tmp_path / "out").exists()


def test_what_a_check_refuses_never_appears(tmp_path, read):
    def refuse(*_: object) -> None:
        raise CheckFailed("no")

    with pytest.raises(CheckFailed):
        write_export(read("x"), ABOUT, tmp_path, "m", check=refuse)
    assert not (tmp_path / "m").exists()
    assert not list((tmp_path / UNFINISHED).iterdir())


def test_only_what_is_in_the_store_is_exported(tmp_path, trained_thesis):
    from mi_keras.serving.inverters import read_inverter
    from mi_keras.serving.trained import NotTrained

    config, bench = trained_thesis
    before = set((bench.store.root / "stages").rglob("*"))
    with pytest.raises(NotTrained, match=re.escape("inverter o")):
        read_inverter(bench, config, "o", "logit_mse")
    empty = tiny.make_bench(tmp_path)
    with pytest.raises(NotTrained, match=re.escape("inverter x (run 1)")):
        read_inverter(empty, config, "x", "logit_mse")
    assert len(before) > 10
    assert set((bench.store.root / "stages").rglob("*")) == before
    assert not list((tmp_path / "stages").iterdir())


@pytest.mark.parametrize("work", ["thesis", "split"])
def test_samples_are_computed_on_the_cpu_whatever_the_default_device(
    read, trained_thesis, split_export, work
):
    from mi_keras.serving.decoders import read_decoder
    from mi_keras.serving.inverters import read_inverter

    config, bench = trained_thesis
    tf.config.set_soft_device_placement(False)  # else what is to run on a GPU that is not there runs here
    try:
        with tf.device("/GPU:7"):
            if work == "thesis":
                found, expected = read_inverter(bench, config, "o+a+x", "logit_mse"), read("o+a+x")
            else:
                found = read_decoder(split_export.bench, split_export.config, "bicubic")
                expected = split_export.trained
    finally:
        tf.config.set_soft_device_placement(True)
    for name, array in expected.samples.items():
        np.testing.assert_array_equal(found.samples[name], array)


def test_the_solver_in_the_graph_is_held_to_less_where_it_was_written(exported, replay_here, monkeypatch):
    """An image 0.1 off is within what other machines may differ by, and no answer of this one."""
    manifest = read_manifest(exported.folder)
    found = replay_here(exported.folder, manifest)
    assert found.problems == []
    (entry,) = [entry for entry in found.endpoints if entry["name"] == "invert_from_output"]
    assert entry["largest"] <= 1e-6  # measured 0, and 1.2e-7 where activations are recovered
    (signature,) = [each for each in exported.trained.signatures if each.name == "invert_from_output"]
    recovers = "a" in exported.trained.about["combination"].split("+")
    assert signature.largest_here == (0.02 if recovers else 1e-4)
    assert manifest["endpoints"]["invert_from_output"]["tolerance"]["largest"] == 0.5
    monkeypatch.setattr(export_checks, "replay", lambda *_: found)
    check_answers(exported.trained.signatures, exported.folder, manifest)
    for wrong in (signature.largest_here * 1.01, float("nan")):
        entry["largest"] = wrong
        with pytest.raises(
            CheckFailed, match=r"invert_from_output: largest distance is .*, not within .* on the machine"
        ):
            check_answers(exported.trained.signatures, exported.folder, manifest)


def test_samples_come_from_the_target_model(export_of):
    exported = export_of("x")
    target = exported.bench.load(exported.bench.classifier("target"))
    vectors = observe(target, exported.trained.samples["truth"]).vectors
    np.testing.assert_allclose(
        vectors, exported.trained.samples["invert_from_output/input/output_vector"], atol=1e-5
    )
