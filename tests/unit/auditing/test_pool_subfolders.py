"""What subfolders mean in a pool: nothing, classes, groups, or both."""

from pathlib import Path
from typing import Any

from mi_keras.auditing.pool import Pool, read_pool
from tests.unit.auditing.pictures import NESTED, folder_of, message_of
from tests.unit.data.given import encoded, noise


def by_name(pool: Pool, values: Any) -> dict[str, Any]:
    return dict(zip(pool.names, values, strict=True))


def test_without_being_told_a_subfolder_means_nothing(tmp_path: Path) -> None:
    pool = read_pool(folder_of(tmp_path, NESTED))
    assert pool.labels is None
    assert pool.class_names == pool.group_names == ()
    assert sorted(pool.groups) == list(range(12))


def test_subfolders_as_classes_groups_and_both(tmp_path: Path) -> None:
    data = folder_of(tmp_path, NESTED)
    classes = read_pool(data, labels="folder")
    assert classes.class_names == ("ill", "well")
    assert all(label == name.startswith("well") for name, label in by_name(classes, classes.labels).items())
    assert any("in the order of their names" in note and "ill, well" in note for note in classes.notes)
    grouped = read_pool(data, groups="folder")
    assert all(
        grouped.group_names[group] == name.split("/")[0]
        for name, group in by_name(grouped, grouped.groups).items()
    )
    both = read_pool(data, labels="folder", groups="folder")
    assert both.class_names == ("ill", "well")
    assert sorted(both.group_names) == ["ann", "bob", "cy"]  # ann is one person in both classes
    assert all(
        both.group_names[group] == name.split("/")[1] for name, group in by_name(both, both.groups).items()
    )


def test_declared_class_names_are_the_order_of_the_model(tmp_path: Path) -> None:
    data = folder_of(tmp_path, NESTED)
    pool = read_pool(data, labels="folder", class_names=("well", "dead", "ill"))
    assert pool.class_names == ("well", "dead", "ill")
    assert pool.notes == ()
    assert all(
        label == (0 if name.startswith("well") else 2) for name, label in by_name(pool, pool.labels).items()
    )
    options = {"labels": "folder", "class_names": ("ill", "dead")}
    assert "`class_names` must name every class" in message_of(read_pool, data, **options)
    assert "without 'well'" in message_of(read_pool, data, **options)
    twice = {"labels": "folder", "class_names": ("ill", "well", "ill")}
    assert "must be different names" in message_of(read_pool, data, **twice)
    assert "`class_names` must go with labels" in message_of(read_pool, data, class_names=("ill", "well"))


def test_a_file_above_the_subfolders_is_skipped(tmp_path: Path) -> None:
    data = folder_of(
        tmp_path, {**NESTED, "top.png": encoded(noise(2, 8, 8)), "ill/middle.png": encoded(noise(3, 8, 8))}
    )
    assert dict(read_pool(data, labels="folder", size=(8, 8)).skipped) == {
        "top.png": "no subfolder, which would be its class"
    }
    assert dict(read_pool(data, labels="folder", groups="folder").skipped) == {
        "top.png": "no subfolder, which would be its class",
        "ill/middle.png": "no subfolder, which would be its group",
    }
