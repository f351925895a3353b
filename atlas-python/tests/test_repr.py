"""How notebooks show stores and datasets."""

from html.parser import HTMLParser

import numpy as np
import pytest


class Page(HTMLParser):
    """The text of a page, and the names of its tags; every tag is closed."""

    def __init__(self, page: str):
        super().__init__()
        self.text, self.tags, self.open = "", set(), []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data + " "


def test_a_dataset_is_shown_with_its_arrays_statistics_and_attributes(view, reopened):
    view.define_array("temperature", "float32", ["lat", "lon"], [8, 16], [4, 8], float("nan"))
    view.write_array("temperature", [0, 0], np.full((7, 16), 20.5, "float32"))
    view.define_array("time", "timestamp_ns", [], [])
    view.write_array("time", [], np.array("2024-01-31", "datetime64[ns]"))
    view.define_array("name", "string", ["lat"], [8], fill_value="?")
    view.set_attribute("station", "De Bilt")
    unflushed = Page(view._repr_html_())
    assert "temperature" in unflushed.text
    shown = Page(reopened()._repr_html_()).text
    for word in ("temperature", "float32", "lat: 8", "lon: 16", "20.5", "16", "2024-01-31", "station", "De Bilt"):
        assert word in shown


def test_a_store_is_shown_with_its_datasets_and_arrays(store):
    for name in ("jan", "feb"):
        store.create_dataset(name).define_array("rain", "int8", ["day"], [28 if name == "feb" else 31])
    shown = Page(store._repr_html_()).text
    for word in ("jan", "feb", "rain", "day: 31", "day: 28", store.location):
        assert word in shown


def test_an_empty_store_and_an_empty_dataset_are_shown(store, view):
    assert Page(store._repr_html_()).text
    assert Page(view._repr_html_()).text


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "a & b", "\"quoted\" 'text'", "</td></table>", "\0\n\x1b[0m"]
)
def test_what_names_and_values_say_is_text_and_no_markup(store, text):
    name = text.replace("/", "|").replace("\0", "")
    view = store.create_dataset(name)
    view.define_array(name, "string", [text], [1], fill_value=text)
    view.define_array("s", "string", ["i"], [1])
    view.write_array("s", [0], np.array([text], object))
    view.set_attribute(text.replace("\0", ""), text)
    store.flush()
    for shown in (store, view):
        page = Page(shown._repr_html_())
        assert "script" not in page.tags
        assert name.strip() in page.text


def test_a_large_store_and_a_large_dataset_are_shown_in_short(store):
    view = store.create_dataset("wide")
    for index in range(300):
        view.define_array(f"a{index}", "int8", ["x"], [1])
        view.set_attribute(f"k{index}", "v" * 10_000)
        store.create_dataset(f"d{index}")
    for shown in (store, view):
        page = shown._repr_html_()
        assert len(page) < 20_000
        assert "more" in Page(page).text


def test_a_deleted_dataset_is_shown_as_empty(store, view):
    view.define_array("x", "int8", ["i"], [1])
    store.delete_dataset("d")
    assert "0 arrays" in Page(view._repr_html_()).text
