"""The SQL bench, which compares its systems itself: its tables."""

import os
import subprocess
from pathlib import Path

FAILED = "FAILED"
HERE = Path(__file__).resolve().parent


def run(built: str | None, python: str, small: bool) -> str:
    """Runs it; what it printed, from its first table on, or why there is none."""
    environment = {**os.environ, "ATLAS_BENCH_PYTHON": python}
    if small:
        environment |= {"ATLAS_BENCH_CASTS": "1000,10000", "ATLAS_BENCH_PROFILES": "100,1000", "ATLAS_BENCH_ROUNDS": "3"}
    command = [built, "--bench"] if built else [str(HERE.parent / "compare_sql")]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        return f"{FAILED} with {done.returncode}\n\n{done.stdout}"
    begin = done.stdout.find("### ")
    # Its tables are a part of this one's.
    return done.stdout[begin:].replace("### ", "#### ")
