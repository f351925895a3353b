"""The bench that compares Atlas to its peers (`benches/compare`): it runs, and it notices who answers wrong or crashes."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).resolve().parents[2] / "benches" / "compare" / "driver.py"

# A system that keeps nothing and answers zeros; or ends its process, if told so.
WRONG = """
import os
from pathlib import Path
import numpy as np

class System:
    version = "1"
    def __init__(self, variant): pass
    def write(self, folder, task, cells): Path(folder).mkdir()
    def open(self, folder, task): return None
    def stacked(self, handle, task, box):
        return [np.zeros((task.datasets, *box[1]), variable.dtype) for variable in task.variables]
    def single(self, handle, task, number, variable, box): os.abort()
    def names(self, handle): raise OSError("no names")
"""


@pytest.fixture
def compare(tmp_path):
    """Runs the driver at a tiny size; its process and the rows of its report."""

    def run(*options, **environment):
        out = tmp_path / "out"
        command = [sys.executable, DRIVER, "--out", out, "--rounds", "2", "--write-rounds", "1", "--no-sql", *options]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
        assert (out / "compare.json").exists(), done.stderr
        return done, json.loads((out / "compare.json").read_text()), (out / "compare.md").read_text()

    return run


@pytest.mark.parametrize("case, datasets", [("profile-noise", 4), ("gridded", 2), ("sensor", 7)])
def test_every_operation_of_every_system_is_reported(compare, case, datasets):
    systems = ["atlas", "atlas none"] + (["netcdf"] if importlib.util.find_spec("netCDF4") else [])
    asked = [option for system in systems for option in ("--system", system)]
    done, report, text = compare("--case", case, "--datasets", str(datasets), *asked)
    assert done.returncode == 0, done.stderr
    operations = ["write", "slice", "full", "cold", "warm", "names"]
    assert {(row["operation"], row["system"]) for row in report["rows"]} == {(op, name) for op in operations for name in systems}
    for row in report["rows"]:
        assert len(row["runs"]) == (1 if row["operation"] == "write" else 2) and not row["failure"], row
        assert row["time_over"]["atlas"] > 0
    reads = [run for row in report["rows"] if row["operation"] == "full" for run in row["runs"]]
    assert all(run["bytes"] > 0 and run["requests"] > 0 for run in reads)
    for system in systems:
        assert f"| {datasets} | {system} | 2 |" in text


def test_wrong_answers_errors_and_crashes_are_shown_and_fail_the_run(compare, tmp_path):
    file = tmp_path / "wrong.py"
    file.write_text(WRONG)
    options = ["--case", "profile-smooth", "--datasets", "3", "--system", "atlas", "--other", f"zeros={file}"]
    done, report, text = compare(*options)
    failures = {row["operation"]: row["failure"] for row in report["rows"] if row["system"] == "zeros"}
    assert failures == {
        "write": "",
        "slice": "WRONG ANSWER",
        "full": "WRONG ANSWER",
        "cold": "ended by SIGABRT",
        "warm": "ended by SIGABRT",
        "names": "OSError: no names",
    }
    assert not [row for row in report["rows"] if row["system"] == "atlas" and row["failure"]]
    assert done.returncode == 1 and "slice, 3: zeros: WRONG ANSWER" in done.stderr
    assert "| 3 | zeros | | WRONG ANSWER |" in text


def test_a_system_that_takes_too_long_is_stopped(compare, tmp_path):
    file = tmp_path / "hangs.py"
    file.write_text(WRONG.replace("os.abort()", "__import__('threading').Event().wait()"))
    options = ["--case", "sensor", "--datasets", "3", "--system", "atlas", "--other", f"hangs={file}", "--op", "cold"]
    _, report, _ = compare(*options, "--timeout", "10")
    failures = [row["failure"] for row in report["rows"] if (row["system"], row["operation"]) == ("hangs", "cold")]
    assert failures == ["gave up after 10 s"]


def test_absent_real_data_are_said(compare, tmp_path):
    done, report, _ = compare("--case", "argo", "--datasets", "3", "--system", "atlas", ATLAS_TEST_DATA=str(tmp_path))
    assert done.returncode == 0 and report["rows"] == []
    assert "SKIPPED argo: no Argo profiles in" in done.stderr
