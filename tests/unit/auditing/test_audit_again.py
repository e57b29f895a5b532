"""The same audit again: packed otherwise, with more points, cut off and taken up, thirty times over."""

import itertools
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_audits import as_text, audited, linear, network, pictures, stages, two_maps, verdicts

from mi_keras.auditing import controls, cost, ladder

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


def _failing_where(check: Callable[..., Any], fails: Callable[[Any], bool]) -> Callable[..., Any]:
    def controlled(benches: Any, *arguments: Any) -> Any:
        control = check(benches, *arguments)
        return control if not fails(benches[0].sent) else replace(control, ok=False)

    return controlled


@pytest.mark.parametrize(
    ("check", "fails", "void", "name"),
    [
        ("shuffled", lambda sent: sent.point == "flat", ["flat"], "shuffled at flat"),
        ("components", lambda sent: sent.components == 3, ["label"], "3 components"),
    ],
)
def test_a_failed_control_voids_the_points_that_it_stands_for(
    check: str,
    fails: Any,
    void: list[str],
    name: str,
    tmp_path: Path,
    linear: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(controls, check, _failing_where(getattr(controls, check), fails))
    report = audited(network(), pictures(), tmp_path, at=("flat", "label"))
    assert [point for point, verdict in verdicts(report).items() if verdict == "VOID"] == void
    reasons = {point.reason for point in report.points if point.name in void}
    assert reasons == {f"control failed: {name}"}


@pytest.mark.slow
def test_order_and_company_change_no_control_and_no_verdict(
    tmp_path: Path, linear: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In stores of their own: nothing that one audit has decided is there for the next."""
    draws = lambda _, images: ladder.LinearWithinClass(images=images, maps=True)  # noqa: E731
    monkeypatch.setattr(ladder, "decoder", draws)  # in the place of a network
    images, model = pictures(), two_maps()
    orders = (("wide", "logits", "narrow"), ("narrow", "label", "wide"), ("wide",), ("narrow",))
    found = [audited(model, images, tmp_path / str(n), at=at) for n, at in enumerate(orders)]
    for one, other in itertools.combinations(found, 2):
        ours, theirs = ({control.name: control for control in report.controls} for report in (one, other))
        assert all(ours[name] == theirs[name] for name in ours.keys() & theirs.keys())
        for name in verdicts(one).keys() & verdicts(other).keys():
            assert as_text(one, name) == as_text(other, name)
    names = {
        "shuffled at wide", "shuffled at narrow", "shuffled at the output", "32 components of maps", "16 components of maps",
        "3 components", "identity",
    }  # fmt: skip
    assert {control.name for control in found[0].controls} == names
    assert {control.name for control in found[3].controls} == {
        "shuffled at narrow",
        "16 components of maps",
        "identity",
    }


@pytest.mark.slow
def test_a_budget_leaves_out_the_same_at_a_point_whichever_others_are_audited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every measurement takes as long as another, and one network is too much for what a point has."""
    reports = []
    for number, at in enumerate((("logits",), ("logits", "flat", "label"), ("label", "flat", "logits"))):
        ticks = itertools.count()
        monkeypatch.setattr(cost.time, "perf_counter", lambda ticks=ticks: float(next(ticks)))
        reports.append(audited(network(), pictures(), tmp_path / str(number), at=at, budget=0.5))
    left = [[text for text in report.warnings if "Left out at logits" in text] for report in reports]
    told = "Left out at logits, as the budget has it: network, 1 - SSIM. `budget=0` leaves nothing out."
    assert left[0] == left[1] == left[2] == [told]
    assert len({as_text(report, "logits") for report in reports}) == 1


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
    assert sizes[-1] - sizes[5] < 24, sizes  # MB; it was 8 an audit
