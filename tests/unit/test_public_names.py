"""What packages export: public names, found without TensorFlow until one is asked for."""

import re
import subprocess
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest

import mi_keras
from mi_keras import Options
from mi_keras.attacks import Attack, Input, Learned
from mi_keras.registered import registered

PACKAGES = ["mi_keras"] + [
    f"mi_keras.{folder.parent.name}" for folder in Path(mi_keras.__file__).parent.glob("*/__init__.pyi")
]


def test_names_are_listed_without_importing_what_they_name() -> None:
    names = "; ".join(f"import {package} as p; assert p.__all__ == dir(p)" for package in PACKAGES)
    code = f"import sys; {names}; sys.exit(bool({{'tensorflow', 'keras', 'scipy', 'matplotlib'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_is_there_documented_and_no_module(package: str) -> None:
    """A name that a module bears too would be one or the other, by what was imported before."""
    module = import_module(package)
    for name in module.__all__:
        assert (getattr(module, name).__doc__ or "").strip(), name
        assert not (Path(module.__file__ or "").parent / f"{name}.py").exists(), name


@pytest.mark.parametrize("argument", [field.name for field in fields(Options)])
def test_every_option_of_an_audit_is_described(argument: str) -> None:
    assert re.search(rf"^        (\w+, )?{argument}(, \w+)?: ", Options.__doc__ or "", re.M)


def test_the_citation_names_the_version() -> None:
    citation = Path(mi_keras.__file__).parents[1] / "CITATION.cff"
    assert f"\nversion: {mi_keras.__version__}\n" in citation.read_text()


def test_another_name_is_refused() -> None:
    with pytest.raises(AttributeError, match=r"mi_keras\.attacks.*Nothing"):
        _ = import_module("mi_keras.attacks").Nothing


def test_attacks_are_registered_by_being_exported() -> None:
    found = registered("mi_keras.attacks", Attack, Input)
    assert Learned in found
    assert not {Attack, Input} & set(found)
