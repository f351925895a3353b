"""The programs of docs/python.md and docs/python-flight.md run as they stand, those of a page as one program."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = [Path(__file__).resolve().parents[2] / "docs" / name for name in ("python.md", "python-flight.md")]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ADDRESS = "grpc://127.0.0.1:50051"


def programs(page: Path) -> tuple[list[str], list[str]]:
    """Those that work on stores, and those that ask a server."""
    blocks = BLOCK.findall(page.read_text())
    remote = [block for block in blocks if "client" in block]
    return [block for block in blocks if block not in remote], remote


def run(program: str, folder: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, f"{program}\n{ran.stderr}"


def test_the_programs_on_stores_run(tmp_path: Path) -> None:
    local, _ = programs(PAGES[0])
    assert len(local) >= 5
    run("\n".join(local), tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_programs_that_ask_a_server_run(tmp_path: Path, page: Path) -> None:
    pytest.importorskip("pyarrow")
    binary = os.environ.get("ATLAS_BIN")
    if not binary:
        pytest.skip("ATLAS_BIN does not name the atlas binary")
    _, remote = programs(page)
    assert remote
    subprocess.run([binary, "demo", "fleet"], cwd=tmp_path, check=True, capture_output=True)
    command = [binary, "serve", "--store", "fleet=fleet", "--listen", "127.0.0.1:0", "--writable"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        try:
            assert server.stdout is not None
            found = next(filter(None, (re.search(r"grpc://127\.0\.0\.1:\d+", line) for line in server.stdout)))
            run("\n".join(remote).replace(ADDRESS, found.group()), tmp_path)
        finally:
            server.terminate()
