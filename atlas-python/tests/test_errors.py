"""What goes wrong: one class of atlas's, the builtin that scripts catch, a kind, and one line that helps."""

import pickle

import numpy as np
import pytest

import atlas
from atlas import Atlas, errors


@pytest.fixture
def fleet(store):
    """Datasets `jan_2024` and `feb_2024`; the first has a float32 array `temperature` of 4 by 6."""
    view = store.create_dataset("jan_2024")
    view.define_array("temperature", "float32", ["x", "y"], [4, 6])
    store.create_dataset("feb_2024")
    store.flush()
    return store


CELLS = np.zeros((4, 6), "float32")


def jan(store):
    return store.open_dataset("jan_2024")


WRONG = {
    "open an unknown dataset": (lambda s: s.open_dataset("mar"), errors.NotFoundError, KeyError, "not_found"),
    "delete an unknown dataset": (lambda s: s.delete_dataset("mar"), errors.NotFoundError, KeyError, "not_found"),
    "delete an unknown array": (lambda s: jan(s).delete_array("q"), errors.NotFoundError, KeyError, "not_found"),
    "write to an unknown array": (
        lambda s: jan(s).write_array("q", [0, 0], CELLS),
        errors.NotFoundError,
        KeyError,
        "not_found",
    ),
    "read an unknown array across": (
        lambda s: s.read_array_across("q", ["jan_2024"]),
        errors.NotFoundError,
        KeyError,
        "not_found",
    ),
    "stack an array that one lacks": (
        lambda s: s.read_array_across_stacked("temperature", ["jan_2024", "feb_2024"]),
        errors.NotFoundError,
        KeyError,
        "not_found",
    ),
    "open no store": (
        lambda s: Atlas.open(s.location + "-missing"),
        errors.StoreNotFoundError,
        FileNotFoundError,
        "not_found",
    ),
    "create a store again": (
        lambda s: Atlas.create(s.location),
        errors.AlreadyExistsError,
        FileExistsError,
        "already_exists",
    ),
    "create a dataset again": (
        lambda s: s.create_dataset("jan_2024"),
        errors.AlreadyExistsError,
        FileExistsError,
        "already_exists",
    ),
    "define an array again": (
        lambda s: jan(s).define_array("temperature", "float32", ["x"], [1]),
        errors.AlreadyExistsError,
        FileExistsError,
        "already_exists",
    ),
    "a bad dataset name": (
        lambda s: s.create_dataset("a/b\nc"),
        errors.InvalidArgumentError,
        ValueError,
        "invalid_argument",
    ),
    "a bad array name": (
        lambda s: jan(s).define_array("_x", "int8", ["x"], [1]),
        errors.InvalidArgumentError,
        ValueError,
        "invalid_argument",
    ),
    "unlike ranks": (
        lambda s: jan(s).define_array("x", "int8", ["x"], [1, 2]),
        errors.InvalidArgumentError,
        ValueError,
        "invalid_argument",
    ),
    "an unknown codec": (
        lambda s: Atlas.create(s.location + "-new", codec="snappy"),
        errors.InvalidArgumentError,
        ValueError,
        "invalid_argument",
    ),
    "an unknown dtype": (
        lambda s: jan(s).define_array("x", "float23", ["x"], [1]),
        errors.InvalidArgumentError,
        ValueError,
        "invalid_argument",
    ),
    "no datasets": (
        lambda s: s.read_array_across_stacked("temperature", []),
        errors.InvalidArgumentError,
        ValueError,
        "invalid_argument",
    ),
    "another dtype": (
        lambda s: jan(s).write_array("temperature", [0, 0], CELLS.astype("float64")),
        errors.DTypeError,
        TypeError,
        "dtype_mismatch",
    ),
    "another dtype in another dataset": (
        lambda s: s.open_dataset("feb_2024").define_array("temperature", "int8", ["x"], [1]),
        errors.DTypeError,
        TypeError,
        "dtype_mismatch",
    ),
    "a fill value of another type": (
        lambda s: jan(s).define_array("x", "int8", ["x"], [1], fill_value="none\nat all"),
        errors.DTypeError,
        TypeError,
        "dtype_mismatch",
    ),
    "data in another order": (
        lambda s: jan(s).write_array("temperature", [0, 0], np.asfortranarray(CELLS)),
        errors.NotContiguousError,
        ValueError,
        "invalid_argument",
    ),
    "a value that is no attribute": (
        lambda s: jan(s).set_attribute("k", [1, 2]),
        errors.AttributeTypeError,
        ValueError,
        "invalid_argument",
    ),
    "a write beyond": (
        lambda s: jan(s).write_array("temperature", [1, 0], CELLS),
        errors.OutOfBoundsError,
        IndexError,
        "out_of_bounds",
    ),
    "a read beyond": (
        lambda s: jan(s).read_array("temperature", [0, 0], [5, 6]),
        errors.OutOfBoundsError,
        ValueError,
        "out_of_bounds",
    ),
    "a fill value beyond": (
        lambda s: jan(s).define_array("x", "int8", ["x"], [1], fill_value=128),
        errors.ValueRangeError,
        OverflowError,
        "out_of_range",
    ),
    "an attribute beyond": (
        lambda s: jan(s).set_attribute("k", 2**63),
        errors.ValueRangeError,
        OverflowError,
        "out_of_range",
    ),
    "a dtype for later": (
        lambda s: jan(s).define_array("x", "list[int8]", ["x"], [1]),
        errors.UnsupportedError,
        NotImplementedError,
        "unsupported",
    ),
}


@pytest.mark.parametrize(("wrong", "own", "builtin", "kind"), WRONG.values(), ids=WRONG)
def test_every_mistake_has_a_class_a_builtin_a_kind_and_one_line(fleet, wrong, own, builtin, kind):
    with pytest.raises(own) as raised:
        wrong(fleet)
    error = raised.value
    assert isinstance(error, builtin) and isinstance(error, atlas.AtlasError)
    assert error.kind == kind
    text = str(error)
    assert text and "\n" not in text and text == text.strip()
    assert not text.startswith(("'", '"', "(")), "shown as it is, without quotes"
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.kind) == (type(error), text, kind)


def test_messages_name_the_thing_and_the_numbers(fleet):
    view = jan(fleet)

    def told(call) -> str:
        with pytest.raises(atlas.AtlasError) as raised:
            call()
        return str(raised.value)

    text = told(lambda: view.read_array("temperature", [0, 3], [4, 5]))
    assert all(word in text for word in ("temperature", "jan_2024", "4", "5", "6"))
    text = told(lambda: view.write_array("temperature", [0, 0], CELLS.astype("float64")))
    assert all(word in text for word in ("temperature", "float32", "float64"))
    text = told(lambda: view.define_array("x", "int8", ["x"], [1], fill_value=300))
    assert all(word in text for word in ("300", "int8"))
    assert "mar" in told(lambda: fleet.open_dataset("mar"))
    assert "snappy" in told(lambda: Atlas.create(fleet.location + "-new", codec="snappy"))
    assert "float23" in told(lambda: view.define_array("x", "float23", ["x"], [1]))
    assert fleet.location in told(lambda: Atlas.create(fleet.location))
    assert fleet.location + "-no" in told(lambda: Atlas.open(fleet.location + "-no"))


NEARLY = {
    "open_dataset": (lambda s: s.open_dataset("jan_2042"), "jan_2024"),
    "case": (lambda s: s.open_dataset("JAN_2024"), "jan_2024"),
    "getitem": (lambda s: s["feb2024"], "feb_2024"),
    "delete_dataset": (lambda s: s.delete_dataset("feb_202"), "feb_2024"),
    "write_array": (lambda s: jan(s).write_array("temprature", [0, 0], CELLS), "temperature"),
    "delete_array": (lambda s: jan(s).delete_array("Temperature"), "temperature"),
    "across": (lambda s: s.read_array_across("temperatur", ["jan_2024"]), "temperature"),
    "stacked": (lambda s: s.read_array_across_stacked("temperatures", ["jan_2024"]), "temperature"),
    "stacked dataset": (lambda s: s.read_array_across_stacked("temperature", ["jan_2O24"]), "jan_2024"),
    "view of a deleted dataset": (
        lambda s: (jan(s), s.delete_dataset("jan_2024"), s.create_dataset("jan_2023"))[0].set_attribute("k", 1),
        "jan_2023",
    ),
}


@pytest.mark.parametrize(("nearly", "meant"), NEARLY.values(), ids=NEARLY)
def test_a_name_that_is_nearly_right_is_answered_with_the_right_one(fleet, nearly, meant):
    with pytest.raises(KeyError, match="did you mean") as raised:
        nearly(fleet)
    assert meant in str(raised.value)


def test_a_name_that_is_like_none_gets_no_advice(fleet):
    for name in ("precipitation", "x", "", "j" * 10_000):
        with pytest.raises(KeyError) as raised:
            fleet.open_dataset(name)
        assert "did you mean" not in str(raised.value)


def test_a_mistake_leaves_the_store_usable(fleet):
    for wrong, own, *_ in WRONG.values():
        with pytest.raises(own):
            wrong(fleet)
    jan(fleet).write_array("temperature", [0, 0], CELLS + 1)
    fleet.flush()
    assert (Atlas.open(fleet.location).open_dataset("jan_2024").read_array("temperature") == 1).all()


def test_a_damaged_segment_is_corrupt_and_never_wrong_data(fleet, tmp_path):
    cells = np.random.default_rng(4).random((4, 6)).astype("float32")
    jan(fleet).write_array("temperature", [0, 0], cells)
    fleet.flush()
    (segment,) = (tmp_path / "store" / "temperature").glob("*.af")
    sound = segment.read_bytes()
    for offset in range(0, len(sound), max(1, len(sound) // 60)):
        segment.write_bytes(sound[:offset] + bytes([sound[offset] ^ 0xFF]) + sound[offset + 1 :])
        try:
            found = Atlas.open(fleet.location).open_dataset("jan_2024").read_array("temperature")
        except errors.CorruptError as error:
            assert error.kind == "corrupt" and "temperature" in str(error)
        else:
            assert (found == cells).all(), f"wrong cells after a damage at byte {offset}"


def test_a_damaged_catalog_is_corrupt(fleet, tmp_path):
    catalog = tmp_path / "store" / "atlas.json"
    catalog.write_bytes(catalog.read_bytes()[:-20])
    with pytest.raises(errors.CorruptError) as raised:
        Atlas.open(fleet.location)
    assert "atlas.json" in str(raised.value) and "\n" not in str(raised.value)


def test_verify_finds_what_is_damaged(fleet, tmp_path):
    jan(fleet).write_array("temperature", [0, 0], CELLS + 1)
    fleet.flush()
    assert fleet.verify() == []
    (segment,) = (tmp_path / "store" / "temperature").glob("*.af")
    sound = segment.read_bytes()
    segment.write_bytes(sound[:60] + bytes(byte ^ 0xFF for byte in sound[60:70]) + sound[70:])
    problems = Atlas.open(fleet.location).verify()
    assert problems and all("temperature" in problem for problem in problems)
