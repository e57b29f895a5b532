"""`mi-keras serve-config`: what it writes, parsed back with the messages of TensorFlow Serving."""

import shutil

import pytest
from google.protobuf import text_format
from small_export import seal
from tensorflow_serving.config import model_server_config_pb2

from mi_keras.serving.config import main

KEPT = "# as it was\n"


@pytest.fixture
def folder(tmp_path):
    """Looks as if `thesis` 1, 2, 10 and `split` 3 were exported; no model is needed to list them."""
    for name, versions in {"thesis": (1, 2, 10), "split": (3,)}.items():
        for version in versions:
            write_version(tmp_path, name, version)
    (tmp_path / "models.config").write_text(KEPT)
    return tmp_path


def write_version(folder, name, version):
    path = folder / name / str(version)
    (path / "variables").mkdir(parents=True)
    (path / "saved_model.pb").write_bytes(b"graph")
    (path / "variables" / "variables.index").write_bytes(b"index")
    seal(path)
    return path


def parse(folder):
    text = (folder / "models.config").read_text()
    message = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    return {config.name: config for config in message.model_config_list.config}


def test_each_model_is_served_in_its_newest_version(folder, capsys):
    assert main(["--folder", str(folder)]) == 0
    configs = parse(folder)
    assert list(configs) == ["split", "thesis"]
    for name, config in configs.items():
        assert (config.base_path, config.model_platform) == (f"/models/{name}", "tensorflow")
        assert config.model_version_policy.WhichOneof("policy_choice") == "latest"
        assert config.model_version_policy.latest.num_versions == 1
        assert not config.version_labels
    assert capsys.readouterr().out == (
        f"split: latest, version 3\nthesis: latest, version 10\nWritten: {folder / 'models.config'}\n"
    )


def test_a_number_that_a_model_lacks_is_named(folder, capsys):
    assert main(["--folder", str(folder), "--keep", "3,10"]) == 0
    assert capsys.readouterr().out.startswith(
        "split version 10: not there\nsplit: specific, version 3\nthesis version 3: not there\n"
    )


@pytest.mark.parametrize(
    ("keep", "policy", "versions"),
    [("all", "all", None), ("3,10,1", "specific", [1, 10]), ("2,3", "specific", [2])],
)
def test_other_versions_can_be_kept(folder, keep, policy, versions):
    assert main(["--folder", str(folder), "--keep", keep]) == 0
    chosen = parse(folder)["thesis"].model_version_policy
    assert chosen.WhichOneof("policy_choice") == policy
    if versions:
        assert chosen.specific.versions == versions


def test_labels_name_versions(folder, capsys):
    labels = ["--label", "thesis:stable=2", "--label", "thesis:canary", "--label", "split:stable=3"]
    assert main(["--folder", str(folder), "--keep", "all", "--base-path", "/srv/m", *labels]) == 0
    configs = parse(folder)
    assert dict(configs["thesis"].version_labels) == {"stable": 2, "canary": 10}
    assert dict(configs["split"].version_labels) == {"stable": 3}
    assert configs["thesis"].base_path == "/srv/m/thesis"
    assert "thesis: all, version 1, 2, 10, canary = 10, stable = 2\n" in capsys.readouterr().out


def test_what_is_no_model_is_skipped_with_its_reason(folder, capsys):
    (folder / "empty").mkdir()
    (folder / "some name").mkdir()
    (folder / ".unfinished" / "1").mkdir(parents=True)
    (folder / "thesis" / "notes").mkdir()
    (folder / "split" / "3" / "saved_model.pb").unlink()
    shutil.copytree(folder / "thesis" / "1", folder / "other" / "1")
    assert main(["--folder", str(folder)]) == 0
    assert list(parse(folder)) == ["thesis"]
    said = capsys.readouterr().out
    assert "empty: skipped, no folder of a version in it\n" in said
    assert "some name: skipped, the name must be 1 to 100 of a-z, 0-9," in said
    assert "split: skipped, version 3: saved_model.pb is missing\n" in said
    assert "other: skipped, version 1: assets.extra/manifest.json is of thesis/1, another folder\n" in said
    assert "unfinished" not in said
    assert "notes" not in said


@pytest.mark.parametrize(("keep", "versions"), [("latest", [10]), ("all", [1, 2, 10])])
def test_the_server_is_kept_from_a_broken_version(folder, capsys, keep, versions):
    shutil.rmtree(write_version(folder, "thesis", 11) / "variables")
    (folder / "thesis" / "012").mkdir()
    assert main(["--folder", str(folder), "--keep", keep]) == 0
    assert parse(folder)["thesis"].model_version_policy.specific.versions == versions
    said = capsys.readouterr().out
    assert "thesis version 11: skipped, variables/variables.index is missing\n" in said
    assert "thesis version 012: skipped, the folder must be called 12\n" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--keep", "newest"], "`--keep` must be latest, all or numbers such as 1,3; got newest."),
        (["--keep", "10"], "`--keep` must leave a version of split, 3; got 10."),
        (["--label", "thesis=2"], "`--label` must be NAME:LABEL=VERSION or NAME:LABEL; got thesis=2."),
        (
            ["--label", "thesis:a b=2"],
            "`--label` must be NAME:LABEL=VERSION or NAME:LABEL; got thesis:a b=2.",
        ),
        (["--label", "faces:stable"], "`--label` must begin with one of: split, thesis; got faces."),
        (
            ["--label", "thesis:stable=2"],
            "`--label` must name a version of thesis that is served, 10; got stable=2.",
        ),
        (["--base-path", 'x" }'], "`--base-path` must be an absolute path"),
        (["--folder", "nowhere"], "`folder` must be a folder of exported models; got nowhere."),
        (
            ["--folder", "thesis"],
            "`--folder` must hold an exported model; got thesis. models.config is as it was.",
        ),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(folder, monkeypatch, refusal_of, arguments, message):
    monkeypatch.chdir(folder)
    assert message in refusal_of(main, ["--folder", str(folder), *arguments], quiet=False)
    assert (folder / "models.config").read_text() == KEPT
    assert len([path for path in folder.iterdir() if path.is_file()]) == 1
