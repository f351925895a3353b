"""``python -m atlas``: the ``atlas`` command, where its binary is."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


def find_binary() -> str | None:
    """The binary: ``$ATLAS_BIN``, beside this Python, or on the path."""
    named = os.environ.get("ATLAS_BIN")
    if named:
        return named
    beside = Path(sys.executable).with_name("atlas")
    return str(beside) if os.access(beside, os.X_OK) else shutil.which("atlas")


def main() -> int:
    binary = find_binary()
    if binary is None:
        print(
            "python -m atlas: no atlas binary on the path: build it with `cargo build --release --bin atlas`, "
            "or name it in ATLAS_BIN",
            file=sys.stderr,
        )
        return 127
    try:
        os.execv(binary, ["atlas", *sys.argv[1:]])
    except OSError as error:
        print(f"python -m atlas: cannot run {binary}: {error.strerror}", file=sys.stderr)
        return 126


if __name__ == "__main__":
    sys.exit(main())
