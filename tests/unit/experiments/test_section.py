"""A section on its own: what `prepare` applies, and what it refuses before any work is done."""

import sys
from dataclasses import dataclass, replace

import pytest

from mi_keras.errors import InputError
from mi_keras.experiments.presets import check_runs
from mi_keras.experiments.section import Experiment, Request, Section


@dataclass(frozen=True)
class Config:
    runs: int = 3
    size: int = 10
    words: tuple[str, ...] = ("a", "b")

    def __post_init__(self):
        check_runs(self.runs)


class Numbers:
    """A work whose data are the first numbers, as many as a section's `size`."""

    default_data = "range:20"

    def kept_offline(self):
        return self

    def open_data(self, spec, *, offline):
        kind, _, count = spec.partition(":")
        if kind != "range":
            raise InputError(f"`data` must be range:COUNT; got {spec!r}.")
        return range(int(count))

    def prepare(self, source, config, *, seed):
        if len(source) < config.size:
            raise InputError(f"`size` must be at most {len(source)}; got {config.size}.")
        return list(source)[: config.size]

    def benches(self, data, config, store, progress, *, seed):
        return [(number, seed, data) for number in range(1, config.runs + 1)]

    def describe(self, data):
        return {"data": f"{len(data)} numbers"}


def refuse_odd(config, data):
    if len(data) % 2:
        raise InputError(f"`size` must be even; got {len(data)}.")


PRESETS = {"smoke": replace(Config(), runs=1), "paper": Config()}
SECTION = Section(Numbers(), PRESETS, lambda config, benches: (config, benches), refuse_odd)


def request(**fields):
    return Request(section="1", preset="smoke", **fields)


def test_a_request_is_applied_to_the_preset_and_told_apart_from_it():
    prepared = SECTION.prepare(request(overrides=["size=4", "words=c"], runs=2, seed=7))
    assert prepared.changed == ["runs=2", "size=4", "words=c"]
    assert (prepared.runs, prepared.settings) == (2, {"runs": 2, "size": 4, "words": ("c",)})
    assert prepared.about == {"data": "4 numbers"}
    config, benches = prepared.run(None, None)
    assert config == Config(runs=2, size=4, words=("c",))
    assert benches == [(1, 7, [0, 1, 2, 3]), (2, 7, [0, 1, 2, 3])]
    assert SECTION.prepare(request()).changed == []


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"preset": "quick"}, "`preset` must be one of smoke, paper; got 'quick'."),
        ({"overrides": ["sise=4"]}, "`overrides=sise` must name a setting: runs, size, words; got 'sise'."),
        ({"overrides": ["size=four"]}, "`overrides=size` must be a whole number; got 'four'."),
        ({"runs": 0}, "`runs` must be between 1 and 1000; got 0."),
        ({"encoder_weights": "random"}, "`overrides=encoder.weights` must name a setting: runs, size, words; got 'encoder.weights'."),
        ({"data": "mnist"}, "`data` must be range:COUNT; got 'mnist'."),
        ({"data": "range:9"}, "`size` must be at most 9; got 10."),
        ({"overrides": ["size=5"]}, "`size` must be even; got 5."),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused_in_one_line(asked, message):
    with pytest.raises(InputError) as caught:
        SECTION.prepare(replace(request(), **asked))
    assert str(caught.value) == message


def test_a_section_without_a_check_takes_all_that_its_work_takes():
    prepared = replace(SECTION, check=None).prepare(request(overrides=["size=5"]))
    assert prepared.about == {"data": "5 numbers"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "be there"),
        ("SECTIONS = []", "have a `SECTION`"),
    ],
)
def test_a_module_without_a_section_is_refused_by_its_path(tmp_path, monkeypatch, content, message):
    monkeypatch.syspath_prepend(tmp_path)
    if content:
        (tmp_path / "of_a_user.py").write_text(content)
    monkeypatch.delitem(sys.modules, "of_a_user", raising=False)
    with pytest.raises(InputError) as caught:
        Experiment("thesis", "9.1", "Mine", "of_a_user").load()
    assert str(caught.value) == f"`module` of section 9.1 must {message}; got of_a_user."


def test_a_module_that_breaks_says_what_is_wrong_with_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "of_a_user.py").write_text("import not_installed_here")
    monkeypatch.delitem(sys.modules, "of_a_user", raising=False)
    with pytest.raises(ModuleNotFoundError, match="not_installed_here"):
        Experiment("thesis", "9.1", "Mine", "of_a_user").load()


def test_a_section_given_as_code_needs_no_module():
    assert Experiment("thesis", "9.1", "Mine", code=SECTION).load() is SECTION


@pytest.mark.parametrize(
    ("experiment", "folder"),
    [
        (Experiment("thesis", "5.2", ""), "5.2"),
        (Experiment("split", "6", ""), "split/6"),
        (Experiment("thesis", "5.1", "", subfolder="search/gradient"), "search/gradient"),
    ],
)
def test_results_go_where_the_work_and_number_say(experiment, folder):
    assert experiment.folder == folder
