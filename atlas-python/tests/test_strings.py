"""Strings: every form in which numpy holds them goes in, `str` comes out."""

import numpy as np
import pytest


def text(*cells) -> np.ndarray:
    array = np.empty(len(cells), object)
    array[:] = cells
    return array


FORMS = {
    "str": (text("a", "bc", "", "ü€😀"), ["a", "bc", "", "ü€😀"]),
    "bytes": (text(b"a", b"\xc3\xa9", b"", b"z"), ["a", "é", "", "z"]),
    "mixed": (text("q", b"r", np.str_("s"), np.bytes_(b"t")), ["q", "r", "s", "t"]),
    "bytearray": (text(bytearray(b"a"), "b", "c", "d"), ["a", "b", "c", "d"]),
    "fixed bytes": (np.array([b"ab", b"c", b"", b"def"], "S5"), ["ab", "c", "", "def"]),
    "fixed text": (np.array(["ab", "c", "", "é"], "U7"), ["ab", "c", "", "é"]),
    "NUL": (text("a\0b", "\0", "x\0", ""), ["a\0b", "\0", "x\0", ""]),
    "no UTF-8": (text(b"\xff", b"a\xe9", b"b", b"c"), ["\ufffd", "a\ufffd", "b", "c"]),
    "fixed, no UTF-8": (np.array([b"\xe9", b"c", b"", b"d"], "S2"), ["\ufffd", "c", "", "d"]),
    "long": (text("x" * 100_000, "", "y" * 70_000, "z"), ["x" * 100_000, "", "y" * 70_000, "z"]),
    "with gaps": (text("a", "-", "b", "-", "c", "-", "d", "-")[::2], ["a", "b", "c", "d"]),
}
if hasattr(np.dtypes, "StringDType"):
    FORMS["numpy strings"] = (np.array(["ab", "c", "", "é"], np.dtypes.StringDType()), ["ab", "c", "", "é"])


@pytest.fixture
def words(view):
    """Four strings, `s`, in chunks of three, filled with `?`."""
    view.define_array("s", "string", ["i"], [4], [3], "?")
    return view


@pytest.mark.parametrize(("given", "expected"), FORMS.values(), ids=FORMS)
def test_strings_of_every_form_come_back_as_str(words, reopened, given, expected):
    words.write_array("s", [0], given)
    for found in (words, reopened()):
        cells = found.read_array("s")
        assert cells.dtype == object and cells.shape == (4,)
        assert all(type(cell) is str for cell in cells)
        assert cells.tolist() == expected


def test_bytes_that_netcdf_could_not_decode_are_mended(words, reopened):
    # A reader that met the UTF-8 of "é" as if it were ASCII leaves a lone surrogate for each byte.
    words.write_array("s", [0], text("caf\udcc3\udca9", "plain", "\udce9", "😀"))
    cells = reopened().read_array("s").tolist()
    assert (cells[0], cells[1], cells[3]) == ("café", "plain", "😀")
    assert cells[2].encode("utf-8")
    words.write_array("s", [0], np.array(["\udcc3\udca9", "b", "c", "d"]))
    assert words.read_array("s")[0] == "é"


def test_parts_of_strings_are_written_and_read(words, reopened):
    words.write_array("s", [2], text("P", "Q"))
    words.write_array("s", [1], text("O", "PP"))
    for found in (words, reopened()):
        assert found.read_array("s").tolist() == ["?", "O", "PP", "Q"]
        assert found.read_array("s", [1], [2]).tolist() == ["O", "PP"]
        empty = found.read_array("s", [1], [0])
        assert empty.dtype == object and empty.shape == (0,)


@pytest.mark.parametrize("cell", [None, 1, 1.5, float("nan"), ["a"], ("a",), object()], ids=repr)
def test_a_cell_that_is_no_text_is_a_type_error(words, cell):
    given = text("a", "b", "c", "d")
    given[2] = cell
    with pytest.raises(TypeError):
        words.write_array("s", [0], given)
    assert words.read_array("s").tolist() == ["?"] * 4


@pytest.mark.parametrize("dtype", ["float64", "int32", "bool", "datetime64[ns]"])
def test_numbers_are_no_text(words, dtype):
    with pytest.raises(TypeError):
        words.write_array("s", [0], np.zeros(4, dtype))


@pytest.mark.parametrize("data", ["text", ["a", "b", "c", "d"], b"text"], ids=type)
def test_what_is_no_numpy_array_is_a_type_error(words, data):
    with pytest.raises(TypeError):
        words.write_array("s", [0], data)


def test_a_grid_of_strings_keeps_its_shape(view, reopened):
    cells = np.array([[f"{i},{j}" * (i * j) for j in range(7)] for i in range(5)], object)
    view.define_array("s", "string", ["i", "j"], [5, 7], [2, 3])
    view.write_array("s", [0, 0], cells)
    for found in (view, reopened()):
        assert found.read_array("s").tolist() == cells.tolist()
        assert found.read_array("s", [1, 2], [3, 4]).tolist() == cells[1:4, 2:6].tolist()


def test_many_short_strings_survive(view, reopened):
    cells = text(*(f"station {index % 97}" for index in range(20_000)))
    view.define_array("s", "string", ["i"], [20_000], [3_000])
    view.write_array("s", [0], cells)
    assert reopened().read_array("s").tolist() == cells.tolist()
