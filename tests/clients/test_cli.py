"""The `atlas` command: what it prints, its JSON, its exit codes, and one clear line for each bad input."""

import json
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from arrow_cells import identical
from atlas_process import Process, Server
from fleet import CASTS, DEPTHS, TIMES, cast_name, write_cast

FIXTURES = Path(__file__).parent / "data"


@pytest.fixture
def store(fleet_store, tmp_path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(fleet_store, tmp_path / "copy"))


# Commands


def test_help_of_every_command_has_examples(atlas):
    overview = atlas("--help")
    for command in ("create", "import", "ls", "info", "show", "query", "read", "serve", "demo"):
        assert re.search(rf"^\s+{command}\b", overview, re.MULTILINE)
        assert f"atlas {command}" in atlas(command, "--help").split("Examples", 1)[1]


def test_version(atlas):
    assert re.fullmatch(r"atlas \d+\.\d+\.\d+\n", atlas("--version"))


def test_ls_lists_datasets_in_the_order_of_the_files(atlas, fleet_store):
    names = [cast_name(number) for number in range(CASTS)]
    entries = atlas.json("ls", fleet_store, "--json")
    assert [entry["dataset"] for entry in entries] == names
    assert entries[0]["arrays"] == 9
    printed = atlas("ls", fleet_store)
    assert all(name in printed for name in names)


def test_info_gives_totals_and_families(atlas, fleet_store, fleet):
    info = atlas.json("info", fleet_store, "--json")
    assert info["datasets"] == CASTS
    assert info["arrays"] == sum(len(datasets) for datasets in fleet.variables.values())
    assert info["cells"] == sum(values.values.size for _, _, values in fleet.arrays())
    assert info["stored_bytes"] > 0 and info["catalog_bytes"] > 0
    families = {family["array"]: family for family in info["families"]}
    assert set(families) == set(fleet.variables)
    temperature = families["temperature"]
    valid = np.concatenate([values.valid for values in fleet.variables["temperature"].values()])
    assert (temperature["dtype"], temperature["datasets"]) == ("float32", CASTS)
    assert temperature["shape"] == [DEPTHS, TIMES] and families["profile"]["shape"] is None
    assert (np.float32(temperature["min"]), np.float32(temperature["max"])) == (valid.min(), valid.max())
    assert "temperature" in atlas("info", fleet_store)


def test_show_describes_a_dataset(atlas, fleet_store, fleet):
    shown = atlas.json("show", fleet_store, cast_name(3), "--json")
    arrays = {array["array"]: array for array in shown["arrays"]}
    assert set(arrays) == {array for array, datasets in fleet.variables.items() if cast_name(3) in datasets}
    temperature = arrays["temperature"]
    assert (temperature["dims"], temperature["shape"]) == (["depth", "time"], [DEPTHS, TIMES])
    assert temperature["statistics"]["null_count"] == 2
    assert arrays["count"]["fill_value"] == -1
    attributes = {attribute["key"]: attribute["value"] for attribute in shown["attributes"]}
    assert (
        attributes["station"] == "S03"
        and attributes["month"] == 4
        and attributes["temperature.units"] == "degree_Celsius"
    )
    assert "temperature" in atlas("show", fleet_store, cast_name(3))


def test_import_reports_what_it_did(atlas, fleet_files, fleet, tmp_path):
    report = atlas.json("import", tmp_path / "s", fleet_files, "--json")
    assert report["datasets"] == list(fleet.files)
    assert report["arrays"] == sum(len(datasets) for datasets in fleet.variables.values())
    assert report["cells"] == sum(values.values.size for _, _, values in fleet.arrays())
    assert (report["skipped_files"], report["skipped_variables"], report["snapshot"]) == ([], [], 1)


def test_import_takes_files_and_globs(atlas, fleet_files, tmp_path):
    atlas("import", tmp_path / "s", fleet_files / "cast_000.nc", fleet_files / "cast_01*.nc")
    names = [entry["dataset"] for entry in atlas.json("ls", tmp_path / "s", "--json")]
    assert names == ["cast_000"] + [cast_name(number) for number in range(10, 20)]


def test_import_adds_to_a_store(atlas, fleet_files, store, tmp_path):
    write_cast(tmp_path / "late.nc", 99)
    atlas("import", store, tmp_path / "late.nc")
    assert len(atlas.json("ls", store, "--json")) == CASTS + 1


def test_dry_run_says_what_would_be_stored_and_stores_nothing(atlas, fleet_files, fleet, tmp_path):
    assert "cast_000" in atlas("import", tmp_path / "s", fleet_files / "cast_000.nc", "--dry-run")
    report = atlas.json("import", tmp_path / "s", fleet_files / "cast_000.nc", "--dry-run", "--json")
    declared = {array["array"]: tuple(array["shape"]) for array in report["files"][0]["arrays"]}
    assert declared == {array: datasets["cast_000"].shape for array, datasets in fleet.variables.items()}
    assert not (tmp_path / "s").exists()


def test_chunks_are_as_asked(atlas, fleet_files, tmp_path):
    atlas("import", tmp_path / "s", fleet_files / "cast_000.nc", "--chunks", "temperature=4,2")
    arrays = {array["array"]: array for array in atlas.json("show", tmp_path / "s", "cast_000", "--json")["arrays"]}
    assert arrays["temperature"]["chunk_shape"] == [4, 2] and arrays["temperature"]["chunks"] == 6


@pytest.mark.parametrize("codec", ["auto", "pco", "zstd", "lz4", "none"])
def test_every_codec_reads_back_the_same(atlas, fleet_files, fleet_store, tmp_path, codec):
    atlas("create", tmp_path / "s", "--codec", codec)
    atlas("import", tmp_path / "s", fleet_files)
    everything = "SELECT * FROM datasets ORDER BY dataset"
    assert identical(atlas.arrow(tmp_path / "s", everything), atlas.arrow(fleet_store, everything))


@pytest.mark.parametrize("form", ["json", "msgpack"])
@pytest.mark.parametrize("compression", ["none", "zstd", "lz4"])
def test_every_catalog_variant_is_found_on_open(atlas, fleet_files, fleet_store, tmp_path, form, compression):
    atlas("create", tmp_path / "s", "--meta-format", form, "--meta-compression", compression)
    atlas("import", tmp_path / "s", fleet_files)
    suffix = {"none": "", "zstd": ".zst", "lz4": ".lz4"}[compression]
    assert {path.name for path in (tmp_path / "s").glob("atlas.*")} - {"atlas.lock"} == {f"atlas.{form}{suffix}"}
    everything = "SELECT * FROM catalog ORDER BY dataset"
    assert identical(atlas.arrow(tmp_path / "s", everything), atlas.arrow(fleet_store, everything))


def test_read_writes_a_stacked_numpy_array(atlas, fleet_store, fleet, tmp_path):
    out = tmp_path / "out.npy"
    atlas(
        "read",
        fleet_store,
        "temperature",
        "--datasets",
        "cast_005,cast_002",
        "--start",
        "1,0",
        "--shape",
        "4,3",
        "-o",
        out,
    )
    expected = [fleet.variables["temperature"][name].values[1:5, 0:3] for name in ("cast_005", "cast_002")]
    found = np.load(out)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.stack(expected))
    atlas("read", fleet_store, "temperature", "--where", "month = 3", "-o", out)
    np.testing.assert_array_equal(
        np.load(out), np.stack([fleet.variables["temperature"][cast_name(number)].values for number in (2, 14)])
    )


def test_output_into_a_closed_pipe_is_no_error(atlas, fleet_store):
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"set -o pipefail; '{atlas.binary}' query '{fleet_store}' 'SELECT * FROM arrays' --format csv | head -1",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stderr == ""


def test_a_pipe_gets_no_progress_bar(atlas, fleet_files, tmp_path):
    done = atlas.attempt("import", tmp_path / "s", fleet_files)
    assert "\r" not in done.stdout + done.stderr and "\x1b" not in done.stdout + done.stderr


# The demo


def test_demo_shows_the_whole_path(atlas, tmp_path):
    printed = atlas("demo", tmp_path / "demo")
    assert "1,000 ocean casts" in printed
    assert re.search(r"EXPLAIN.*chunks=\d+→0, bytes=0", printed), printed
    assert re.search(r"temperature float32 \(\d+, \d+, \d+\)", printed), printed
    assert len(atlas.json("ls", tmp_path / "demo", "--json")) == 1000


def test_demo_is_deterministic(atlas, tmp_path):
    for name in ("one", "two"):
        atlas("demo", tmp_path / name)
    everything = "SELECT * FROM datasets ORDER BY dataset"
    assert identical(atlas.arrow(tmp_path / "one", everything), atlas.arrow(tmp_path / "two", everything))


def test_demo_keeps_serving_and_its_four_lines_of_python_work(atlas, tmp_path):
    with Process([atlas.binary, "demo", tmp_path / "demo", "--keep-serving"]) as demo:
        demo.wait_for(re.compile(r"^serving on .* until"))
        lines = [line.strip() for line in demo.output]
        start = next(number for number, line in enumerate(lines) if line.startswith("import "))
        program = "\n".join(lines[start : start + 4])
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{program}\n{done.stderr}"
        assert done.stdout.endswith("(1000, 50, 24)\n")
        assert demo.terminate() == 0


# Serving


def test_server_ends_on_sigterm(atlas, fleet_store):
    with Server(atlas, fleet=fleet_store) as server:
        assert server.sql("SELECT 1 AS one").to_pylist() == [{"one": 1}]
        assert server.terminate() == 0


def test_port_in_use_is_one_line(atlas, fleet_store):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = atlas.error("serve", "--store", f"fleet={fleet_store}", "--listen", f"127.0.0.1:{port}")
    assert str(port) in line


# Bad input


def test_no_such_store(atlas, tmp_path):
    for command in (["ls"], ["info"], ["query", "SELECT 1"], ["show", "x"], ["read", "x"]):
        line = atlas.error(command[0], tmp_path / "absent", *command[1:])
        assert "absent" in line
    assert not (tmp_path / "absent").exists()


def test_directory_that_is_not_a_store(atlas, tmp_path):
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "notes.txt").write_text("nothing")
    assert "plain" in atlas.error("ls", tmp_path / "plain")
    assert "notes.txt" in atlas.error("ls", tmp_path / "plain" / "notes.txt")


def test_store_of_a_newer_format_version(atlas, store):
    catalog = store / "atlas.json"
    text, count = re.subn(r'("version"\s*:\s*)\d+', r"\g<1>9999", catalog.read_text(), count=1)
    assert count == 1, text[:300]
    catalog.write_text(text)
    line = atlas.error("ls", store)
    assert "version" in line and "9999" in line


@pytest.mark.parametrize("variant", sorted(path.name for path in (FIXTURES / "atlas-python-0.9.1").iterdir()))
def test_an_atlas_python_store_is_called_that(atlas, variant):
    for command in (["ls"], ["info"], ["query", "SELECT * FROM datasets"]):
        line = atlas.error(command[0], FIXTURES / "atlas-python-0.9.1" / variant, *command[1:])
        assert "atlas-python" in line and "cannot be opened" in line, line


def test_an_atlas_python_store_is_not_written_to(atlas, fleet_files, tmp_path):
    store = shutil.copytree(FIXTURES / "atlas-python-0.9.1" / "json-none", tmp_path / "s")
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    assert "atlas-python" in atlas.error("import", store, fleet_files)
    atlas.error("create", store)
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before


def test_create_over_a_store_is_refused(atlas, store):
    before = (store / "atlas.json").read_bytes()
    assert "copy" in atlas.error("create", store)
    assert (store / "atlas.json").read_bytes() == before


def test_unknown_names(atlas, fleet_store):
    assert "cast_999" in atlas.error("show", fleet_store, "cast_999")
    assert "nothing" in atlas.error("read", fleet_store, "nothing")
    assert "cast_999" in atlas.error("read", fleet_store, "temperature", "--datasets", "cast_000,cast_999")
    assert "nothing" in atlas.error("query", fleet_store, "SELECT nothing FROM datasets")
    assert "nothing" in atlas.error("query", fleet_store, "SELECT * FROM nothing")
    assert "nothing" in atlas.error("read", fleet_store, "temperature", "--where", "nothing = 1")


@pytest.mark.parametrize(
    ("start", "shape"),
    [("0", "1"), ("0,0,0", "1,1,1"), ("0,0", "11,1"), ("10,0", "1,1"), ("18446744073709551615,0", "2,1")],
)
def test_slice_of_wrong_rank_or_out_of_bounds(atlas, fleet_store, tmp_path, start, shape):
    out = tmp_path / "out.npy"
    line = atlas.error("read", fleet_store, "temperature", "--start", start, "--shape", shape, "-o", out)
    assert "temperature" in line
    assert not out.exists()


def test_ragged_or_missing_arrays_cannot_be_stacked(atlas, fleet_store, tmp_path):
    assert "profile" in atlas.error("read", fleet_store, "profile", "-o", tmp_path / "out.npy")
    line = atlas.error("read", fleet_store, "salinity", "--datasets", "cast_000,cast_003", "-o", tmp_path / "out.npy")
    assert "cast_003" in line


@pytest.mark.parametrize("arguments", [["--no-such-flag"], ["no-such-command"], ["ls"], ["query", "x"]])
def test_usage_errors_exit_with_2(atlas, arguments):
    assert atlas.error(*arguments, code=2)


def test_bad_options_exit_with_2(atlas, fleet_store, tmp_path):
    for arguments in (
        ["create", tmp_path / "s", "--codec", "gzip"],
        ["query", fleet_store, "SELECT 1", "--format", "xml"],
        ["import", tmp_path / "s", tmp_path, "--chunks", "temperature"],
        ["read", fleet_store, "temperature", "--start", "a,b"],
        ["serve", "--store", "noequals", "--listen", "127.0.0.1:0"],
    ):
        assert atlas.error(*arguments, code=2), arguments


# Files that cannot be imported


@pytest.fixture
def unreadable(tmp_path) -> dict[str, Path]:
    files = {name: tmp_path / f"{name}.nc" for name in ("empty", "text", "cut", "cut4", "magic", "dangling")}
    files["empty"].write_bytes(b"")
    files["text"].write_text("this is not NetCDF\n")
    files["magic"].write_bytes(b"CDF\x01")
    write_cast(tmp_path / "whole.nc", 0)
    write_cast(tmp_path / "whole4.nc", 1)
    files["cut"].write_bytes((tmp_path / "whole.nc").read_bytes()[:700])
    files["cut4"].write_bytes((tmp_path / "whole4.nc").read_bytes()[:3000])
    (tmp_path / "whole.nc").unlink()
    (tmp_path / "whole4.nc").unlink()
    files["dangling"].symlink_to(tmp_path / "nowhere.nc")
    return files


@pytest.mark.parametrize("kind", ["empty", "text", "cut", "cut4", "magic", "dangling"])
def test_file_that_cannot_be_read_stops_the_import_and_commits_nothing(atlas, store, unreadable, kind, tmp_path):
    write_cast(tmp_path / "aaa.nc", 50)
    line = atlas.error("import", store, tmp_path / "aaa.nc", unreadable[kind])
    assert unreadable[kind].name in line
    assert len(atlas.json("ls", store, "--json")) == CASTS


def test_skip_reports_the_files_and_imports_the_others(atlas, unreadable, tmp_path):
    write_cast(tmp_path / "aaa.nc", 50)
    done = atlas.attempt("import", tmp_path / "s", tmp_path, "--on-error", "skip")
    for path in unreadable.values():
        assert path.name in done.stdout + done.stderr
    assert [entry["dataset"] for entry in atlas.json("ls", tmp_path / "s", "--json")] == ["aaa"]


def test_import_of_nothing(atlas, tmp_path):
    (tmp_path / "none").mkdir()
    for path in (tmp_path / "absent.nc", tmp_path / "none", tmp_path / "*.nc"):
        assert path.name in atlas.error("import", tmp_path / "s", path)
    assert not (tmp_path / "s").exists()


def test_two_files_of_one_name_are_both_named(atlas, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write_cast(tmp_path / folder / "same.nc", 0)
    line = atlas.error("import", tmp_path / "s", tmp_path)
    assert str(Path("one") / "same.nc") in line and str(Path("two") / "same.nc") in line


def test_dataset_that_is_there_already(atlas, store, fleet_files):
    assert "cast_000" in atlas.error("import", store, fleet_files / "cast_000.nc")
    assert len(atlas.json("ls", store, "--json")) == CASTS


def test_variable_that_cannot_be_stored_is_reported(atlas, tmp_path):
    with netCDF4.Dataset(tmp_path / "compound.nc", "w") as file:
        file.createDimension("x", 2)
        kind = file.createCompoundType(np.dtype([("a", "i4"), ("b", "f8")]), "pair")
        file.createVariable("pairs", kind, ("x",))
        file.createVariable("plain", "f4", ("x",))[:] = [1, 2]
    done = atlas.attempt("import", tmp_path / "s", tmp_path / "compound.nc")
    assert done.returncode == 0 and "pairs" in done.stdout + done.stderr
    shown = atlas.json("show", tmp_path / "s", "compound", "--json")
    assert [array["array"] for array in shown["arrays"]] == ["plain"]
    assert "pairs" in json.dumps(atlas.json("import", tmp_path / "s2", tmp_path / "compound.nc", "--json"))


# Damage, in the form that a person meets it (test_crash.py has all the bytes)


def test_truncated_and_flipped_files_name_object_and_offset(atlas, store):
    segment = next((store / "temperature").glob("*.af"))
    content = segment.read_bytes()
    for damaged in (content[: len(content) // 2], content[:-1], content[:40] + bytes([content[40] ^ 4]) + content[41:]):
        segment.write_bytes(damaged)
        line = atlas.error("query", store, "SELECT temperature FROM datasets")
        assert f"temperature/{segment.name}" in line and "corrupt" in line.lower(), line
    segment.unlink()
    assert "temperature" in atlas.error("query", store, "SELECT temperature FROM datasets")
