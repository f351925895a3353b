"""Fixtures: the built `atlas` binary, stores imported once per session, and servers on loopback."""

import os
from pathlib import Path

import pytest

from atlas_process import Atlas, Server
from fleet import write_fleet
from netcdf_reference import NetcdfReference

REPOSITORY = Path(__file__).resolve().parents[2]
REAL_DATA = Path(os.environ.get("ATLAS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))


def pytest_sessionstart(session):
    binary = os.environ.get("ATLAS_BIN")
    if not binary:
        pytest.exit("ATLAS_BIN is not set: it names the atlas binary to test (scripts/test builds it and sets it)", 4)
    if not os.access(binary, os.X_OK):
        pytest.exit(f"ATLAS_BIN={binary} is not an executable file", 4)


def pytest_report_header(config):
    found = "found" if REAL_DATA.is_dir() else "MISSING, its tests are skipped"
    return [f"atlas binary: {os.environ.get('ATLAS_BIN')}", f"real data: {REAL_DATA} ({found})"]


def real_folder(name: str) -> Path:
    folder = REAL_DATA / name
    if not folder.is_dir():
        pytest.skip(f"real data are missing: {folder} (set ATLAS_TEST_DATA)")
    return folder


@pytest.fixture(scope="session")
def atlas() -> Atlas:
    return Atlas(Path(os.environ["ATLAS_BIN"]).resolve())


# A made-up fleet: always there.


@pytest.fixture(scope="session")
def fleet_files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("fleet-files")
    write_fleet(folder)
    return folder


@pytest.fixture(scope="session")
def fleet(fleet_files) -> NetcdfReference:
    return NetcdfReference(fleet_files)


@pytest.fixture(scope="session")
def fleet_store(atlas, fleet_files, tmp_path_factory) -> Path:
    store = tmp_path_factory.mktemp("stores") / "fleet"
    atlas("import", store, fleet_files)
    return store


@pytest.fixture(scope="session")
def fleet_server(atlas, fleet_store):
    with Server(atlas, fleet=fleet_store) as server:
        yield server


# Real data, where they are there.


@pytest.fixture(scope="session")
def argo() -> NetcdfReference:
    return NetcdfReference(real_folder("argo"))


@pytest.fixture(scope="session")
def gridded() -> NetcdfReference:
    return NetcdfReference(real_folder("gridded"))


@pytest.fixture(scope="session")
def argo_store(atlas, argo, tmp_path_factory) -> Path:
    store = tmp_path_factory.mktemp("stores") / "argo"
    atlas("import", store, argo.folder)
    return store


@pytest.fixture(scope="session")
def gridded_store(atlas, gridded, tmp_path_factory) -> Path:
    store = tmp_path_factory.mktemp("stores") / "gridded"
    atlas("import", store, gridded.folder)
    return store


@pytest.fixture(scope="session")
def real_server(atlas, argo_store, gridded_store):
    with Server(atlas, argo=argo_store, gridded=gridded_store) as server:
        yield server
