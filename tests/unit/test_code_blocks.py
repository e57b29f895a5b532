"""Every code block of the documents is run, generated or parsed here, or says what it needs that no test has."""

import re
import sys
import textwrap
import zipfile
from io import BytesIO
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest
from PIL import Image

from mi_keras.auditing.audit import _Audit
from mi_keras.auditing.report import read_document
from mi_keras.auditing.work import Work
from mi_keras.data import load_source
from tests.unit.test_documents import DOCS, DOORS, PAGES, REPOSITORY, lines

GENERATED = re.compile(r"<!-- (?:measured|audit) \S+ \S+ -->\n.*?<!-- end -->", re.DOTALL)
BLOCK = re.compile(r"^(?:<!-- not run: ([^\n]*) -->\n)?( *)```(\S+)\n(.*?)^\2```", re.DOTALL | re.MULTILINE)
NEEDS = {
    "download",
    "Docker",
    "GPU",
    "cluster",
    "object store",
}  # the only reasons for which a block may be run by no test
INSTALL = re.compile(r"(python3\S* -m venv|\. \.venv|pip install|\.floors/bin/|pytest|bash \.ci/run)")
# Pages whose Python blocks are run elsewhere, and the test that does
ELSEWHERE = {
    "docs/tutorial.md": "test_the_tutorial_runs_on_fewer_images",
    "docs/library.md": "test_the_code_for_users_of_the_library_runs",
    "docs/result_schema.md": "test_the_code_for_readers_of_results_runs",
    "docs/add_section.md": "test_the_section_of_the_walk_through_runs",
    "exported_models/README.md": "test_the_samples_of_an_export_are_inputs_as_the_readme_has_it",
}
WHOLLY_GENERATED = {"docs/architecture.md", "docs/paper_map.md"}
RUN = {"README.md", "docs/audits.md", "docs/add_attack.md", "docs/add_defence.md"}


def blocks(page):
    """Return what each block of a page needs, its language and its text; generated ones are left out."""
    text = GENERATED.sub("", (REPOSITORY / page).read_text())
    return [(needs, kind, textwrap.dedent(code)) for needs, _, kind, code in BLOCK.findall(text)]


def python_blocks(page):
    return [code for needs, kind, code in blocks(page) if kind == "python" and not needs]


@pytest.mark.parametrize("page", [page for page in PAGES if page not in WHOLLY_GENERATED])
def test_every_block_is_run_parsed_or_says_what_it_needs(page):
    for needs, kind, code in blocks(page):
        if needs:
            assert set(needs.split(", ")) <= NEEDS, needs
        elif kind == "sh":
            for line in lines(code):
                assert DOORS.match(line) or INSTALL.match(line), line
        elif kind == "python":
            assert page in ELSEWHERE or page in RUN, f"{page}: nothing runs\n{code}"
        else:
            assert kind.startswith("{"), f"{page} holds a block of {kind} that nothing generates"


def test_what_is_said_to_run_blocks_elsewhere_is_there():
    tests = "".join(path.read_text() for path in (REPOSITORY / "tests").rglob("test_*.py"))
    assert all(f"def {name}(" in tests for name in ELSEWHERE.values())


@pytest.fixture
def five_digits(tmp_path, monkeypatch):
    """A linear model of five digits as model.keras, and images.zip with a folder for each of them; return what blocks start from."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MI_KERAS_HOME", str(tmp_path / "store"))
    digits = load_source("mnist")
    chosen = np.flatnonzero(digits.train_labels < 5)[::10]
    images, labels = digits.train_images[chosen], digits.train_labels[chosen]
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(5, "softmax")]
    model = keras.Sequential([keras.Input((28, 28, 1)), *layers])
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(images, labels, epochs=2, verbose=0)
    model.save("model.keras")
    with zipfile.ZipFile("images.zip", "w") as archive:
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            png = BytesIO()
            Image.fromarray(image[..., 0]).save(png, "PNG", compress_level=1)
            archive.writestr(f"{label}/{number}.png", png.getvalue())
    names = np.array(["zero", "one", "two", "three", "four"])[labels]
    return {"model": model, "images": images, "labels": labels, "names": names}


def test_the_audits_of_the_documents_are_checked_up_to_their_first_attack(five_digits, monkeypatch, capsys):
    """Model, images and options are loaded and checked as in any audit; the report is a measured one, as attacks take minutes."""
    report = read_document(DOCS / "measured/audits/demo.json")
    asked = []
    monkeypatch.setattr(Work, "begin", lambda work: None)
    monkeypatch.setattr(_Audit, "report", lambda audit: asked.append(audit) or report)
    codes = python_blocks("README.md") + python_blocks("docs/audits.md")
    for code in codes:
        exec("from mi_keras import audit\n" + code, dict(five_digits))
    assert len(asked) == len(codes) == 3
    assert "what can be rebuilt" in capsys.readouterr().out
    assert Path("audit/index.html").is_file()


@pytest.mark.parametrize("page", ["docs/add_attack.md", "docs/add_defence.md"])
def test_the_files_of_the_walk_throughs_are_there_and_their_tests_pass(page, monkeypatch):
    """`tests/contract` holds the same classes to the contract."""
    text = (REPOSITORY / page).read_text()
    files = re.findall(r"<!-- (\S+\.py) -->\n *```python\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    assert len(files) == len(python_blocks(page))
    for path, code in files:
        module = ModuleType(path.removesuffix(".py").replace("/", "."))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(textwrap.dedent(code), module.__dict__)
        for name, test in list(vars(module).items()):
            if name.startswith("test_"):
                cases = [
                    mark.args[1] for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"
                ]
                for case in cases[0] if cases else [()]:
                    test(*case)
