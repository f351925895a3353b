"""Every example runs and prints what its header says."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
#: What an example needs beyond the package itself.
NEEDS = {"object_store": ["obstore"], "section": ["pyarrow", "matplotlib"]}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_example_prints_what_its_header_says(path: Path, tmp_path: Path) -> None:
    for module in NEEDS.get(path.stem, []):
        pytest.importorskip(module)
    if path.stem == "section" and not os.environ.get("ATLAS_BIN"):
        pytest.skip("ATLAS_BIN does not name the atlas binary")
    ran = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    header = ast.get_docstring(ast.parse(path.read_text()))
    assert header is not None and "Output:\n" in header
    expected = [line.removeprefix("    ") for line in header.split("Output:\n")[1].split("\n")]
    assert ran.stdout.rstrip("\n").split("\n") == expected
