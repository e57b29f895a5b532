"""The same audit again: packed otherwise, with more points, cut off and taken up, thirty times over."""

import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_audits import as_text, audited, linear, network, pictures, stages, verdicts

from mi_keras.auditing import controls

__all__ = ["linear"]
HERE = Path(__file__).parent


def _encoded(image: Any, form: str) -> bytes:
    buffer = BytesIO()
    Image.fromarray(image[..., 0]).save(buffer, form, **({"quality": 95} if form == "JPEG" else {}))
    return buffer.getvalue()


def _same_but_names(report: Any) -> dict[str, Any]:
    document: dict[str, Any] = report.to_json()
    del document["data"]["name"], document["model"]["name"]
    return document


def test_neither_names_nor_packing_change_anything(tmp_path: Path, linear: None) -> None:
    files = [_encoded(image, "PNG") for image in pictures(400)]
    folder = tmp_path / "images"
    folder.mkdir()
    for number, content in enumerate(files):
        (folder / f"{number:03d}.png").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        for number, place in enumerate(np.random.default_rng(0).permutation(len(files))):
            archive.writestr(f"of/{number}.png", files[place])
    options = {"at": ("logits",)}
    one = audited(network(), str(folder), tmp_path / "a", **options)
    other = audited(network(), str(tmp_path / "packed.zip"), tmp_path / "b", **options)
    assert _same_but_names(one) == _same_but_names(other)
    for name, array in one.pictures.items():
        np.testing.assert_array_equal(array, other.pictures[name])


def test_copies_in_another_format_are_counted_and_change_no_verdict(tmp_path: Path, linear: None) -> None:
    images, folder = pictures(400), tmp_path / "images"
    folder.mkdir()
    for number, image in enumerate(images):
        (folder / f"{number}.png").write_bytes(_encoded(image, "PNG"))
        (folder / f"copy {number}.jpg").write_bytes(_encoded(image, "JPEG"))
    options = {"at": ("logits", "label")}
    twice = audited(network(), str(folder), tmp_path / "twice", **options)
    assert (twice.data.images, twice.data.groups, twice.data.moved) == (800, 400, 400)
    assert verdicts(twice) == verdicts(audited(network(), images, tmp_path / "once", **options))


@pytest.mark.slow
def test_another_point_or_order_changes_nothing_of_a_point(tmp_path: Path, linear: None) -> None:
    images, model = pictures(), network()
    alone = audited(model, images, tmp_path / "a", at=("rounded=1",))
    more = audited(
        model, images, tmp_path / "b", at=("flat", "label", "rounded=1", "top=1"),
        adversaries=("unlimited", "queries", "class"),
    )  # fmt: skip
    few = audited(
        model, images, tmp_path / "c", at=("rounded=1",), adversaries=("class", "unlimited", "queries")
    )
    assert as_text(few, "logits, 1 decimal") == as_text(more, "logits, 1 decimal")
    assert verdicts(alone)["logits, 1 decimal"] == verdicts(more)["logits, 1 decimal"]
    same = audited(model, images, tmp_path / "b", at=("rounded=1", "label"))
    assert as_text(same, "logits, 1 decimal") == as_text(alone, "logits, 1 decimal")


def _failing_for(kind: str, check: Callable[..., Any]) -> Callable[..., Any]:
    def controlled(benches: Any, sizes: Any, among: int) -> Any:
        control = check(benches, sizes, among)
        fails = controls.kind(benches[0]) == kind
        return type(control)(control.name, not fails, control.text, control.detail)

    return controlled


@pytest.mark.parametrize(("kind", "void"), [("vectors of 16", "flat"), ("the output", "label")])
def test_a_failed_control_voids_its_own_kind_of_points(
    kind: str, void: str, tmp_path: Path, linear: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controls, "components", _failing_for(kind, controls.components))
    report = audited(network(), pictures(), tmp_path, at=("flat", "label"))
    assert [name for name, verdict in verdicts(report).items() if verdict == "VOID"] == [void]
    reason = next(point.reason for point in report.points if point.name == void)
    assert reason == f"control failed: components at {kind}"


def test_a_second_audit_computes_nothing_and_another_point_only_its_own(tmp_path: Path, linear: None) -> None:
    images, model = pictures(), network()
    first = audited(model, images, tmp_path, at=("logits",))
    before = stages(tmp_path)
    assert audited(model, images, tmp_path, at=("logits",)).to_json() == first.to_json()
    assert stages(tmp_path) == before
    audited(model, images, tmp_path, at=("logits", "rounded=0"))
    after = stages(tmp_path)
    assert {path: after[path] for path in before} == before
    new = [path for path in after if path not in before]
    assert new
    assert all('"decimals": 0' in (path / "meta.json").read_text() for path in new)


AUDIT = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
from pathlib import Path
from small_audits import audited, pictures, with_map
from mi_keras.auditing.report import write
folder = Path(sys.argv[1])
write(audited(with_map(), pictures(), folder, at=("map", "logits")), folder / "out")
"""


@pytest.mark.slow
@pytest.mark.parametrize("finished", [3, 9, 20])
def test_an_audit_that_was_killed_ends_as_one_that_was_not(finished: int, tmp_path: Path) -> None:
    def start(folder: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", AUDIT, str(folder)], stderr=subprocess.DEVNULL)

    killed = start(tmp_path / "killed")
    while len(stages(tmp_path / "killed")) < finished and killed.poll() is None:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert start(tmp_path / "killed").wait() == 0
    assert start(tmp_path / "whole").wait() == 0
    for name in ("audit.json", "pictures.npz", "index.html"):
        assert (tmp_path / "killed" / "out" / name).read_bytes() == (
            tmp_path / "whole" / "out" / name
        ).read_bytes()


MANY = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
import gc
import tempfile
from pathlib import Path
from small_audits import audited, network, pictures

images = pictures()
for number in range(int(sys.argv[1])):
    with tempfile.TemporaryDirectory() as folder:
        audited(network(seed=number, units=3 + number % 3), images, Path(folder), at=("logits", "flat"))
    gc.collect()
    pages = Path("/proc/self/statm").read_text().split()[1]
    print(int(pages) * 4096 / 2**20, len(gc.get_objects()), flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory is read from /proc")
def test_one_audit_after_the_other_leaves_nothing_behind() -> None:
    run = subprocess.run([sys.executable, "-c", MANY, "30"], capture_output=True, text=True, check=True)
    sizes, objects = np.array([line.split() for line in run.stdout.splitlines()], float).T
    assert len(sizes) == 30
    assert abs(objects[-1] - objects[5]) < 2_000, objects  # models, graphs, arrays
    # TensorFlow itself keeps some 9 MB of the functions that an audit traces, and frees them with the process
    assert sizes[-1] - sizes[5] < 24 * 15, sizes  # MB
