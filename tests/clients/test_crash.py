"""A store after the worst: an import killed at any moment, and files with flipped or missing bytes."""

import itertools
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from arrow_cells import identical
from atlas_process import read_arrow
from fleet import write_cast, write_fleet

# Kill -9 during an import

NEW_DATASETS = 300
KILLS = 24


@pytest.fixture(scope="module")
def many_files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    for number in range(NEW_DATASETS):
        write_cast(folder / f"new_{number:03}.nc", number, depths=50, times=20)
    return folder


@pytest.fixture(scope="module")
def old_store(atlas, tmp_path_factory) -> Path:
    """What is there before the import."""
    folder = tmp_path_factory.mktemp("old")
    for number in range(3):
        write_cast(folder / f"old_{number}.nc", 1000 + number, depths=50, times=20)
    atlas("import", folder / "store", folder)
    return folder / "store"


def test_kill_during_an_import_leaves_the_old_snapshot_or_the_new_one(atlas, many_files, old_store, tmp_path):
    everything = "SELECT * FROM datasets ORDER BY dataset"
    old = atlas.arrow(old_store, everything)

    whole = Path(shutil.copytree(old_store, tmp_path / "whole"))
    seconds, changes = undisturbed_import(atlas, whole, many_files)
    new = atlas.arrow(whole, everything)
    assert (old.num_rows, new.num_rows) == (3, 3 + NEW_DATASETS)

    outcomes = []
    for number, moment in enumerate(moments(seconds, changes)):
        store = Path(shutil.copytree(old_store, tmp_path / f"killed-{number}"))
        finished = killed_import(atlas, store, many_files, moment)
        found = atlas.arrow(store, everything)
        outcome = "old" if identical(found, old) else "new" if identical(found, new) else "neither"
        outcomes.append((outcome, finished))
        assert outcome != "neither", f"kill {number}: {found.num_rows} datasets"
        if finished:
            assert outcome == "new"
        if outcome == "old" and number % 4 == 0:
            atlas("import", store, many_files)
            assert identical(atlas.arrow(store, everything), new), f"import after kill {number}"
        shutil.rmtree(store)
    assert outcomes.count(("old", False)) >= KILLS // 3, f"too few kills hit the import: {outcomes}"


def undisturbed_import(atlas, store: Path, files: Path) -> tuple[float, int]:
    """How long an import takes, and how often the store's files are seen to change."""
    began = time.monotonic()
    child = start_import(atlas, store, files)
    changes = max(file_changes(child, store))
    assert child.wait() == 0
    return time.monotonic() - began, changes


Moment = Callable[[float, int], bool]
"""Whether, after so many seconds and so many changes of the store's files, it is time to kill."""


def moments(seconds: float, changes: int) -> Iterator[Moment]:
    """Half of them spread over the time that an import takes, half over the changes of its files: the flush."""
    half = KILLS // 2
    for step in range(half):
        yield after(seconds * (step + 0.5) / half)
        yield at_change(1 + step * changes // half)


def after(seconds: float) -> Moment:
    return lambda elapsed, _: elapsed >= seconds


def at_change(number: int) -> Moment:
    return lambda _, changes: changes >= number


def killed_import(atlas, store: Path, files: Path, moment: Moment) -> bool:
    """Imports until the moment comes; whether the import finished before it."""
    began = time.monotonic()
    child = start_import(atlas, store, files)
    for changes in file_changes(child, store):
        if moment(time.monotonic() - began, changes):
            break
    child.send_signal(signal.SIGKILL)
    return child.wait() == 0


def start_import(atlas, store: Path, files: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [atlas.binary, "import", store, files], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def file_changes(child: subprocess.Popen, store: Path) -> Iterator[int]:
    """While the child runs: how often the names or sizes of the store's files were seen to change."""
    before, changes = None, 0
    while child.poll() is None:
        state = sorted(sizes(store))
        changes += state != before
        before = state
        yield changes
        time.sleep(0.0003)


def sizes(folder: Path) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                if entry.is_dir():
                    yield from sizes(Path(entry.path))
                else:
                    yield entry.path, entry.stat().st_size
            except FileNotFoundError:
                pass


# Damaged files

FLIPS_A_FILE = 60
CUTS_A_FILE = 12
EVERYTHING = "SELECT * FROM datasets ORDER BY dataset"


@pytest.fixture(scope="module", params=["auto", "pco", "zstd", "lz4", "none"])
def small_store(request, atlas, tmp_path_factory) -> Path:
    """A store of every kind of array, in two flushes."""
    folder = tmp_path_factory.mktemp(f"small-{request.param}")
    write_fleet(folder, casts=2)
    atlas("create", folder / "store", "--codec", request.param)
    atlas("import", folder / "store", folder / "cast_000.nc", "--chunks", "temperature=4,4")
    atlas("import", folder / "store", folder / "cast_001.nc")
    return folder / "store"


def test_flipped_and_cut_segments_are_errors(atlas, small_store, tmp_path):
    segments = sorted(small_store.rglob("*.af"))
    damages = [damage for path in segments for damage in some_damages(path, small_store, len(segments))]
    assert len(damages) >= 100
    assert_never_other_data(atlas, small_store, damages, tmp_path, harmless=False)


@pytest.mark.parametrize("form", ["json", "msgpack"])
@pytest.mark.parametrize("compression", ["none", "zstd", "lz4"])
def test_flipped_and_cut_catalogs_are_errors_or_harmless(atlas, tmp_path, form, compression):
    store = tmp_path / "store"
    write_cast(tmp_path / "cast.nc", 0)
    atlas("create", store, "--meta-format", form, "--meta-compression", compression)
    atlas("import", store, tmp_path / "cast.nc")
    (catalog,) = (path for path in store.glob("atlas.*") if path.name != "atlas.lock")
    damages = list(some_damages(catalog, store, 1))
    assert len(damages) >= FLIPS_A_FILE
    # A compressed catalog has bits that mean nothing, such as the size of the window to decompress with.
    assert_never_other_data(atlas, store, damages, tmp_path, harmless=True)


Damage = tuple[Path, str, bytes]
"""A file in the store, what was done to it, and what it then holds."""


def some_damages(path: Path, store: Path, files: int) -> Iterator[Damage]:
    """Flips of one bit, spread over the file and dense at its ends, where the headers and footers are; and cuts."""
    content = path.read_bytes()
    rng = random.Random(f"{path.name}{len(content)}")
    flips, cuts = max(4, 2 * FLIPS_A_FILE // (files + 1)), max(2, 2 * CUTS_A_FILE // (files + 1))
    relative = path.relative_to(store)
    ends = min(16, len(content) // 2)
    strata = np.linspace(0, len(content), flips, endpoint=False).astype(int)
    chosen = {rng.randrange(at, min(len(content), at + 1 + len(content) // flips)) for at in strata}
    chosen |= set(rng.sample([*range(ends), *range(len(content) - ends, len(content))], k=min(2 * ends, flips // 2)))
    for at in sorted(chosen):
        flipped = content[at] ^ (1 << rng.randrange(8))
        yield relative, f"bit flipped at {at}", content[:at] + bytes([flipped]) + content[at + 1 :]
    for keep in sorted({0, len(content) - 1, *(rng.randrange(len(content)) for _ in range(cuts))}):
        yield relative, f"cut to {keep}", content[:keep]
    yield relative, "with a byte more", content + b"\0"


def assert_never_other_data(atlas, store: Path, damages: list[Damage], folder: Path, harmless: bool) -> None:
    """Reading everything is one clear error, whatever of this is done to the store; or, where damage may be
    `harmless`, the same data."""
    truth = atlas.arrow(store, EVERYTHING) if harmless else None
    workers = os.cpu_count() or 1
    copies = [Path(shutil.copytree(store, folder / f"copy-{number}")) for number in range(workers)]

    def check(copy: Path, share: list[Damage]) -> list[str]:
        wrong = []
        for relative, what, content in share:
            (copy / relative).write_bytes(content)
            if problem := wrong_answer(atlas, copy, truth):
                wrong.append(f"{relative} {what}: {problem}")
            shutil.copyfile(store / relative, copy / relative)
        return wrong

    shares = [damages[number::workers] for number in range(workers)]
    with ThreadPoolExecutor(workers) as pool:
        wrong = list(itertools.chain.from_iterable(pool.map(check, copies, shares)))
    assert not wrong, f"{len(wrong)} of {len(damages)}:\n" + "\n".join(wrong[:30])
    assert atlas.arrow(copies[0], EVERYTHING).num_rows > 0


def wrong_answer(atlas, store: Path, truth: pa.Table | None) -> str | None:
    """What is wrong with the answer of a damaged store: anything but one clear line, or the truth."""
    try:
        done = atlas.attempt("query", store, EVERYTHING, "--format", "arrow", text=False)
    except AssertionError as panic:
        return str(panic)
    if done.returncode == 0:
        found = read_arrow(done.stdout)
        return None if truth is not None and identical(found, truth) else f"an answer: {found.num_rows} rows"
    lines = done.stderr.decode(errors="replace").splitlines()
    return None if len(lines) == 1 else f"not one line: {lines}"
