"""`python -m atlas`: the command, where its binary is."""

import os
import stat
import subprocess
import sys

import pytest


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PATH": "/nowhere", **variables}
    return subprocess.run([sys.executable, "-m", "atlas", *arguments], env=environment, capture_output=True, text=True)


@pytest.fixture
def binary(tmp_path):
    """A program that tells its arguments and ends with 3."""
    path = tmp_path / "bin with space" / "atlas"
    path.parent.mkdir()
    path.write_text('#!/bin/sh\nfor each in "$@"; do echo "<$each>"; done\nexit 3\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_arguments_and_the_exit_code_are_passed_on(binary):
    ran = run("query", "a store", "SELECT '*'", ATLAS_BIN=str(binary))
    assert (ran.returncode, ran.stdout) == (3, "<query>\n<a store>\n<SELECT '*'>\n")


def test_the_binary_is_found_on_the_path(binary):
    if os.access(os.path.join(os.path.dirname(sys.executable), "atlas"), os.X_OK):
        pytest.skip("SKIPPED: there is an atlas beside this Python, which comes first")
    ran = run("info", ATLAS_BIN="", PATH=f"{binary.parent}:/bin:/usr/bin")
    assert (ran.returncode, ran.stdout) == (3, "<info>\n")


def test_a_binary_that_is_not_there_is_told_in_one_line(tmp_path):
    ran = run("info", ATLAS_BIN=str(tmp_path / "nope"))
    assert ran.returncode in (126, 127)
    assert "nope" in ran.stderr and ran.stderr.count("\n") == 1
