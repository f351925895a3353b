"""The commands and programs of the README, docs/clients.md, docs/security.md and docs/writing.md run as they stand, one after the other, in one folder."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from atlas_process import BOUND, Process

REPOSITORY = Path(__file__).resolve().parents[2]
README = REPOSITORY / "README.md"
PAGES = [README, *(REPOSITORY / "docs" / page for page in ("clients.md", "security.md", "writing.md"))]
BLOCK = re.compile(r"^```(sh|bash|shell|python|py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SET_UP = (
    "git clone",
    "cd ",
    "./scripts/test",
    "scripts/test",
    ".ci/run",
    "cargo install",
    "cargo build",
    "pip install",
    "python3 -m venv",
)
"""Commands that this suite is itself a part of, or that set up the machine."""
PORT = "50051"


def blocks(page: Path) -> list[tuple[str, str]]:
    return [("python" if kind.startswith("py") else "sh", text) for kind, text in BLOCK.findall(page.read_text())]


def commands(block: str) -> list[str]:
    """A shell block's commands: continued lines joined, comments and set-up left out."""
    found = []
    for line in block.replace("\\\n", " ").splitlines():
        line = line.strip().removeprefix("$ ")
        if line and not line.startswith(("#", *SET_UP)):
            found.append(line)
    return found


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_readme_has_the_two_commands_of_a_newcomer():
    text = README.read_text()
    assert "cargo run --release --bin atlas -- demo" in text
    assert "./scripts/test" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_program_runs(atlas, tmp_path, page):
    assert blocks(page), "no sh or python block found"
    port = free_port()
    built = tmp_path / "target" / "release" / "atlas"
    built.parent.mkdir(parents=True)
    built.symlink_to(atlas.binary)
    environment = os.environ | {"PATH": f"{built.parent}{os.pathsep}{os.environ['PATH']}"}
    servers = []
    try:
        for kind, block in blocks(page):
            block = block.replace(PORT, port).replace("0.0.0.0", "127.0.0.1")
            if kind == "python":
                run([sys.executable, "-c", block], block, tmp_path, environment)
                continue
            for command in commands(block):
                command = re.sub(r"cargo run (--release )?--bin atlas --", "atlas", command)
                if re.match(r"(target/release/)?atlas (serve|.*--keep-serving)", command):
                    words = command.split("#")[0].rstrip("& ")
                    servers.append(Process(["bash", "-c", f"exec {words}"], cwd=tmp_path, env=environment))
                    servers[-1].wait_for(BOUND)
                else:
                    run(["bash", "-euc", command], command, tmp_path, environment)
    finally:
        for server in servers:
            server.terminate()


def run(arguments: list[str], shown: str, folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=folder, env=environment, timeout=120
    )
    if done.returncode != 0:
        pytest.fail(f"{shown}\n{done.stdout}{done.stderr}")
