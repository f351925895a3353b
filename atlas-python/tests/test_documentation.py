"""The stub says what the module says, and everything public is documented."""

from __future__ import annotations

import doctest
import inspect
import subprocess
import sys
from pathlib import Path

import atlas

ROOT = Path(__file__).resolve().parent.parent


def test_the_stub_is_that_of_the_module() -> None:
    if not (ROOT / "scripts" / "stub").exists():
        raise AssertionError("the tests are run from the source tree")
    ran = subprocess.run([sys.executable, ROOT / "scripts" / "stub", "--check"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_public_names_are_documented() -> None:
    for name in atlas.__all__:
        thing = getattr(atlas, name)
        if name == "__version__":
            continue
        assert inspect.getdoc(thing), name
        if inspect.isclass(thing):
            for member in vars(thing):
                if not member.startswith("_"):
                    assert inspect.getdoc(getattr(thing, member)), f"{name}.{member}"


def test_the_docstring_of_the_package_runs() -> None:
    assert doctest.testmod(atlas).failed == 0


def test_every_error_is_in_the_table_with_its_kind_and_builtin() -> None:
    table = {}
    for line in (atlas.errors.__doc__ or "").split("\n"):
        words = line.replace(",", " ").split()
        if words and words[0].endswith("Error"):
            table[words[0]] = (words[1:-1], words[-1])
    classes = {
        name: thing
        for name, thing in vars(atlas.errors).items()
        if inspect.isclass(thing) and issubclass(thing, atlas.AtlasError) and thing is not atlas.AtlasError
    }
    assert table.keys() == classes.keys()
    for name, (builtins, kind) in table.items():
        assert classes[name].kind == kind
        assert [base.__name__ for base in classes[name].__bases__] == ["AtlasError", *builtins]
        assert str(classes[name]("some text")) == "some text"
