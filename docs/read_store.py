"""Reads an Atlas store without Atlas: a second implementation of format.md, with nothing but numpy, zstandard and pcodec
(and lz4, for stores that use it).

    python read_store.py STORE                   lists datasets, attributes, arrays and statistics
    python read_store.py STORE DATASET ARRAY     prints the cells of an array

    store = read_store.open("fleet")
    store.read("cast_000", "temperature")        # a numpy array

It is written to be read next to format.md, whose sections the headings name. Everything that it uses is checked against
its checksum; what does not match raises `CorruptStore`. Dtypes are numpy's, with times as datetime64[ns], and strings and
binary as object arrays of str and bytes.
"""

import itertools
import json
import re
import struct
import sys
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path

import numpy as np
import zstandard
from pcodec import wrapped as pco

VERSION = 1
CATALOG_NAMES = [f"atlas.{form}{packed}" for form in ("json", "msgpack") for packed in ("", ".zst", ".lz4")]
JSON_FRAME = re.compile(rb'\{"format":"atlas","version":(\d+),"crc32c":"([0-9a-f]{8})","catalog":\n(.*)\n\}\n', re.DOTALL)
FOOTER_BYTES = 64
DTYPES = {  # in the order of their codes (§5): the dtype of the stored cells, and of the array that a reader gets
    **{"bool": ("u1", "?"), "int8": ("i1", "i1"), "int16": ("<i2", "i2"), "int32": ("<i4", "i4")},
    **{"int64": ("<i8", "i8"), "uint8": ("u1", "u1"), "uint16": ("<u2", "u2"), "uint32": ("<u4", "u4")},
    **{"uint64": ("<u8", "u8"), "float32": ("<f4", "f4"), "float64": ("<f8", "f8")},
    **{"timestamp_nanoseconds": ("<i8", "M8[ns]"), "string": (None, "O"), "binary": (None, "O")},
}


class CorruptStore(Exception):
    """The bytes are not what the format or a checksum says."""


def check(holds: bool, what: str) -> None:
    if not holds:
        raise CorruptStore(what)


# Checksums and general compression


@lru_cache(maxsize=64)
def crc_shift(level: int) -> np.ndarray:
    """Four tables, one for each byte of a CRC register, that move it past 2**level zero bytes."""
    if level > 0:
        half = crc_shift(level - 1)
        return shifted(half, half)
    crc = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        crc = np.where(crc & 1, (crc >> 1) ^ np.uint32(0x82F63B78), crc >> 1)
    return np.stack([crc, *(np.arange(256, dtype=np.uint32) << shift for shift in (0, 8, 16))])


def shifted(tables: np.ndarray, crc: np.ndarray) -> np.ndarray:
    a, b, c, d = (tables[byte][(crc >> np.uint32(8 * byte)) & np.uint32(255)] for byte in range(4))
    return a ^ b ^ c ^ d


def crc32c(content: bytes) -> int:
    """CRC-32C. A CRC is linear, so each byte has its own register, and neighbours are joined until one is left."""
    # These four bytes bring the register from 0 to the initial value 0xFFFFFFFF, and zeros before them change nothing.
    crc = crc_shift(0)[0][np.frombuffer(b"\x09\xd3\x0c\xaf" + content, np.uint8)]
    for level in itertools.count():
        if crc.size == 1:
            return int(crc[0]) ^ 0xFFFFFFFF
        if crc.size % 2:
            crc = np.concatenate([np.zeros(1, np.uint32), crc])
        crc = shifted(crc_shift(level), crc[0::2]) ^ crc[1::2]


def inflate(decompressor, content: bytes, what: str) -> bytes:
    """One whole frame and nothing after it."""
    try:
        out = decompressor.decompress(content)
    except (zstandard.ZstdError, RuntimeError) as error:
        raise CorruptStore(f"{what}: {error}") from error
    check(decompressor.eof and not decompressor.unused_data, f"{what}: not one whole frame")
    return out


def unpack_frame(packed: str, content: bytes, what: str) -> bytes:
    if packed == "zstd":
        return inflate(zstandard.ZstdDecompressor().decompressobj(), content, what)
    import lz4.frame

    return inflate(lz4.frame.LZ4FrameDecompressor(), content, what)


def unpack(packed: str, content: bytes, size: int, what: str) -> bytes:
    """A zstd frame or an lz4 block of known raw size."""
    if packed == "zstd":
        out = unpack_frame("zstd", content, what)
    else:
        import lz4.block

        try:
            out = lz4.block.decompress(content, uncompressed_size=size)
        except lz4.block.LZ4BlockError as error:
            raise CorruptStore(f"{what}: {error}") from error
    check(len(out) == size, f"{what}: {len(out)} bytes, not {size}")
    return out


# §2 The catalog file


def read_catalog(store: Path) -> dict:
    path = next((store / name for name in CATALOG_NAMES if (store / name).exists()), None)
    if path is None:
        raise FileNotFoundError(f"no Atlas store at {store}")
    content, what = path.read_bytes(), path.name
    if path.suffix in (".zst", ".lz4"):
        content = unpack_frame({".zst": "zstd", ".lz4": "lz4"}[path.suffix], content, what)
    if path.name.startswith("atlas.json"):
        frame = JSON_FRAME.fullmatch(content)
        check(frame is not None, f"{what}: not an Atlas catalog")
        version, crc, body, parse = int(frame[1]), int(frame[2], 16), frame[3], json.loads
    else:
        check(len(content) >= 16 and content[:8] == b"ATLASCAT", f"{what}: not an Atlas catalog")
        (version, crc), body, parse = struct.unpack("<II", content[8:16]), content[16:], parse_msgpack
    check(version == VERSION, f"{what}: format version {version}; this reader knows {VERSION}")
    check(crc32c(body) == crc, f"{what}: checksum of the catalog")
    return parse(body)


def parse_msgpack(body: bytes):
    value, end = msgpack_value(body, 0)
    check(end == len(body), "bytes after the catalog")
    return value


MSGPACK_NUMBERS = dict(zip(range(0xCA, 0xD4), [">f", ">d", ">B", ">H", ">I", ">Q", ">b", ">h", ">i", ">q"]))
MSGPACK_SIZED = {  # marker: (what, bytes of the size that follows)
    **{0xD9: ("text", 1), 0xDA: ("text", 2), 0xDB: ("text", 4), 0xDC: ("list", 2), 0xDD: ("list", 4)},
    **{0xDE: ("map", 2), 0xDF: ("map", 4)},
}


def msgpack_value(body: bytes, at: int) -> tuple:
    """The value that begins at a position, and where it ends."""
    marker, at = body[at], at + 1
    if marker < 0x80 or marker >= 0xE0:
        return (marker if marker < 0x80 else marker - 0x100), at
    if marker in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[marker], at
    if marker in MSGPACK_NUMBERS:
        form = MSGPACK_NUMBERS[marker]
        return struct.unpack_from(form, body, at)[0], at + struct.calcsize(form)
    if marker < 0xC0:
        kind, size = ("map", marker & 15) if marker < 0x90 else ("list", marker & 15)
        if marker >= 0xA0:
            kind, size = "text", marker & 31
    else:
        check(marker in MSGPACK_SIZED, f"catalog: unexpected MessagePack marker {marker:#x}")
        kind, width = MSGPACK_SIZED[marker]
        size, at = int.from_bytes(body[at : at + width], "big"), at + width
    if kind == "text":
        return body[at : at + size].decode(), at + size
    values = []
    for _ in range(size * (2 if kind == "map" else 1)):
        value, at = msgpack_value(body, at)
        values.append(value)
    return (dict(zip(values[0::2], values[1::2])) if kind == "map" else values), at


# §3 The catalog value


@dataclass(frozen=True)
class Array:
    """One array of one dataset: what the catalog says about it."""

    name: str
    dtype: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunk_shape: tuple[int, ...]
    fill_value: object
    statistics: dict
    id: int


def scalar(dtype: str, value):
    """A scalar of the catalog as a Python or numpy value; None stays None."""
    if value is None:
        return None
    if dtype == "binary":
        return bytes.fromhex(value)
    if dtype.startswith("float"):
        kind = DTYPES[dtype][0]
        if isinstance(value, str) and value.startswith("0x"):
            return np.array(int(value, 16), kind.replace("f", "u")).view(kind)[()]
        return np.dtype(kind).type(value)
    return np.datetime64(value, "ns") if dtype == "timestamp_nanoseconds" else value


def cell(column, position: int):
    """A cell of a compact column."""
    return column[position] if isinstance(column, list) else column


class Store:
    def __init__(self, path: Path):
        self.path = path
        self.catalog = read_catalog(path)
        self.snapshot: int = self.catalog["snapshot"]
        self.datasets: list[str] = self.catalog["datasets"]
        self._rows = {name: row for row, name in enumerate(self.datasets)}
        self._families = {family["name"]: family for family in self.catalog["arrays"]}
        self._segments: dict[str, Segment] = {}

    @staticmethod
    def _position(rows: list[int] | None, row: int) -> int | None:
        """Where a row is in columns over `rows`, if it is."""
        if rows is None:
            return row
        position = bisect_left(rows, row)
        return position if position < len(rows) and rows[position] == row else None

    def attributes(self, dataset: str) -> dict:
        found, row = {}, self._rows[dataset]
        for column in self.catalog["attributes"]:
            ((kind, values),) = column["values"].items()
            if (position := self._position(column["rows"], row)) is not None:
                found[column["key"]] = scalar(kind, values[position])
        return found

    def arrays(self, dataset: str) -> dict[str, Array]:
        found = {name: self._array(family, self._rows[dataset]) for name, family in self._families.items()}
        return {name: array for name, array in found.items() if array is not None}

    def _array(self, family: dict, row: int) -> Array | None:
        position = self._position(family["rows"], row)
        if position is None:
            return None
        schema = self.catalog["schemas"][cell(family["schemas"], position)]
        dtype, columns = family["dtype"], family["statistics"]
        check(schema["dtype"] == dtype, f"{family['name']}: its schema is {schema['dtype']}, not {dtype}")
        statistics = {key: cell(columns[key], position) for key in ("row_count", "null_count", "nan_count")}
        statistics |= {key: scalar(dtype, columns[key][position]) for key in ("min", "max")}
        exact = cell(columns["exact"], position)
        statistics |= {"min_exact": bool(exact & 1), "max_exact": bool(exact & 2), "sum": None}
        for key, kind in (("sum", "float64"), ("int_sum", "int64")):
            if columns[key] and columns[key][position] is not None:
                statistics["sum"] = scalar(kind, columns[key][position])
        shapes = (tuple(schema[key]) for key in ("dims", "shape", "chunk_shape"))
        fill_value = scalar(dtype, schema["fill_value"])
        return Array(family["name"], dtype, *shapes, fill_value, statistics, family["ids"][position])

    # §4 Chunks

    def read(self, dataset: str, array: str) -> np.ndarray:
        """All cells of an array."""
        found = self.arrays(dataset)[array]
        kind = DTYPES[found.dtype][1]
        empty = {"string": "", "binary": b""}.get(found.dtype, 0)
        out = np.full(found.shape, empty if found.fill_value is None else found.fill_value, kind)
        segments = [self._segment(entry, found.dtype) for entry in self._families[array]["segments"]
                    if entry["first_id"] <= found.id <= entry["last_id"]]  # fmt: skip
        grid = [range(0, extent, step) for extent, step in zip(found.shape, found.chunk_shape)]
        for number, corner in enumerate(itertools.product(*grid)):
            region = tuple(slice(start, min(start + step, extent))
                           for start, step, extent in zip(corner, found.chunk_shape, found.shape))  # fmt: skip
            newest = next((segment for segment in reversed(segments) if (found.id, number) in segment.chunks), None)
            if newest is not None:
                cells, extents = newest.read(newest.chunks[found.id, number]), [part.stop - part.start for part in region]
                check(cells.size == prod(extents), f"{newest.name}: chunk {number} has {cells.size} cells")
                out[region] = cells.view(kind).reshape(extents)
        return out

    def segments(self, array: str) -> list["Segment"]:
        family = self._families[array]
        return [self._segment(entry, family["dtype"]) for entry in family["segments"]]

    def _segment(self, entry: dict, dtype: str) -> "Segment":
        if entry["object"] not in self._segments:
            self._segments[entry["object"]] = Segment(self.path / entry["object"], entry, dtype)
        return self._segments[entry["object"]]


# §5 Segments


class Columns:
    """Columns of numbers, one after the other."""

    def __init__(self, content: bytes, what: str):
        self.content, self.at, self.what = content, 0, what

    def bytes(self, size: int) -> bytes:
        check(size <= len(self.content) - self.at, f"{self.what}: too short")
        self.at += size
        return self.content[self.at - size : self.at]

    def next(self, kind: str, count: int) -> np.ndarray:
        return np.frombuffer(self.bytes(count * np.dtype(kind).itemsize), kind)

    def end(self) -> None:
        check(self.at == len(self.content), f"{self.what}: too long")


def starts(first: int, sizes: np.ndarray) -> np.ndarray:
    """Running sums: where each begins, and where the last ends."""
    return np.concatenate([[first], first + np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)


class Segment:
    def __init__(self, path: Path, entry: dict, dtype: str):
        self.path, self.name, self.dtype, self.size = path, entry["object"], dtype, entry["bytes"]
        check(path.is_file() and path.stat().st_size == self.size, f"{self.name}: not a file of {self.size} bytes")
        header, footer = self._bytes(0, 16), self._bytes(self.size - FOOTER_BYTES, FOOTER_BYTES)
        magic, version, crc = struct.unpack("<8sII", header)
        check(magic == b"ATLASSEG" and crc == crc32c(header[:12]), f"{self.name}: header")
        check(crc32c(footer) == entry["crc32c"], f"{self.name}: not the segment that the catalog names")
        index, raw_index, zones, raw_zones, index_crc, zones_crc, code, footer_version, crc, _, magic = struct.unpack(
            "<QQQQIIIIII8s", footer
        )
        check(magic == b"ATLASEND" and crc == crc32c(footer[:48]), f"{self.name}: footer")
        check(version == footer_version == VERSION, f"{self.name}: format version {version}, {footer_version}")
        check(code == list(DTYPES).index(dtype), f"{self.name}: dtype code {code} is not {dtype}")
        zones_at = self.size - FOOTER_BYTES - zones
        self._zones = Columns(self._frame(zones_at, zones, raw_zones, zones_crc, "zone maps"), f"{self.name}: zone maps")
        self._parse_index(self._frame(zones_at - index, index, raw_index, index_crc, "index"), zones_at - index)
        self.page = lru_cache(maxsize=8)(self._page)

    def _bytes(self, start: int, size: int) -> bytes:
        check(0 <= start <= start + size <= self.size, f"{self.name}: sizes do not fit the file")
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(size)

    def _frame(self, start: int, size: int, raw_size: int, crc: int, what: str) -> bytes:
        content = self._bytes(start, size)
        check(crc32c(content) == crc, f"{self.name}: checksum of the {what}")
        return unpack("zstd", content, raw_size, f"{self.name}: {what}")

    def _parse_index(self, raw: bytes, blocks_end: int) -> None:
        columns = Columns(raw, f"{self.name}: index")
        blocks, pages, chunks = map(int, columns.next("<u8", 3))
        self.encoding = columns.next("u1", blocks)
        block_pages, self.header_bytes, self.header_crc = (columns.next("<u4", blocks) for _ in range(3))
        self.page_cells, self.stored_bytes, self.raw_bytes, self.page_crc = (columns.next("<u4", pages) for _ in range(4))
        ids, numbers, chunk_cells = (columns.next(kind, chunks) for kind in ("<u8", "<u4", "<u8"))
        columns.end()
        self.page_starts, self.chunk_starts = starts(0, self.page_cells), starts(0, chunk_cells)
        check(self.page_starts[-1] == self.chunk_starts[-1], f"{self.name}: pages and chunks have unequal cells")
        self.first_pages = starts(0, block_pages)
        check(self.first_pages[-1] == pages, f"{self.name}: blocks have {self.first_pages[-1]} pages, not {pages}")
        # A page begins after all pages before it and all block headers up to its own block's.
        self.block_of_page = np.repeat(np.arange(blocks), block_pages)
        headers = starts(16, self.header_bytes)
        page_offsets = starts(0, self.stored_bytes)
        self.page_offsets = page_offsets[:-1] + headers[self.block_of_page + 1]
        self.header_offsets = headers[:-1] + page_offsets[self.first_pages[:-1]]
        check(headers[-1] + page_offsets[-1] == blocks_end, f"{self.name}: the blocks do not end where the index begins")
        # The last entry of a chunk is the one that counts.
        self.chunks = {key: position for position, key in enumerate(zip(ids.tolist(), numbers.tolist()))}

    def zone_maps(self) -> dict[str, np.ndarray]:
        """The statistics of each chunk entry, by column."""
        columns, count, kind = self._zones, len(self.chunk_starts) - 1, DTYPES[self.dtype][0]
        columns.at = 0
        found = {name: columns.next("<u8", count) for name in ("row_count", "null_count", "nan_count")}
        found["flags"] = columns.next("u1", count)
        found["sum"] = columns.next("<f8" if self.dtype.startswith("float") else "<i8", count)
        for name in ("min", "max"):
            found[name] = columns.next(kind, count) if kind else self._texts(columns, count)
        columns.end()
        return found

    def read(self, chunk: int) -> np.ndarray:
        """The cells of a chunk entry, flat."""
        start, end = map(int, self.chunk_starts[chunk : chunk + 2])
        first, last = np.searchsorted(self.page_starts, [start, end - 1], side="right") - 1
        cells = [self.page(int(page)) for page in range(first, last + 1)]
        skip = start - int(self.page_starts[first])
        return np.concatenate(cells)[skip : skip + end - start]

    # §6 Encodings

    def _page(self, page: int) -> np.ndarray:
        block, cells, raw_bytes = int(self.block_of_page[page]), int(self.page_cells[page]), int(self.raw_bytes[page])
        kind, what = DTYPES[self.dtype][0], f"{self.name}: page {page}"
        check(1 <= cells <= 2**20, f"{what}: {cells} cells")
        check(kind is None or raw_bytes == cells * np.dtype(kind).itemsize, f"{what}: {raw_bytes} bytes for {cells} cells")
        header = self._bytes(int(self.header_offsets[block]), int(self.header_bytes[block]))
        stored = self._bytes(int(self.page_offsets[page]), int(self.stored_bytes[page]))
        check((crc32c(header) if header else 0) == self.header_crc[block], f"{what}: checksum of its block's header")
        check(crc32c(stored) == self.page_crc[page], f"{what}: checksum")
        encoding = int(self.encoding[block])
        check(encoding <= 5 and (kind is not None or encoding in (0, 1, 3)), f"{what}: encoding {encoding}")
        if encoding == 5:
            return self._pco_page(header, stored, cells, kind)
        packed = "zstd" if encoding in (1, 2) else "lz4"
        if encoding in (2, 4):
            raw = self._planes(packed, stored, cells, kind, what)
        else:
            raw = stored if encoding == 0 else unpack(packed, stored, raw_bytes, what)
        check(len(raw) == raw_bytes, f"{what}: {len(raw)} bytes, not {raw_bytes}")
        if kind:
            return np.frombuffer(raw, kind)
        columns = Columns(raw, what)
        texts = self._texts(columns, cells)
        columns.end()
        return texts

    def _texts(self, columns: Columns, count: int) -> np.ndarray:
        texts = np.empty(count, object)
        for position, size in enumerate(columns.next("<u4", count).tolist()):
            text = columns.bytes(size)
            texts[position] = text if self.dtype == "binary" else text.decode()
        return texts

    @staticmethod
    def _planes(packed: str, stored: bytes, cells: int, kind: str, what: str) -> bytes:
        width = np.dtype(kind).itemsize
        columns = Columns(stored, what)
        planes = np.empty((cells, width), np.uint8)
        for plane, size in enumerate(columns.next("<u4", width).tolist()):
            content = columns.bytes(size & 0x7FFFFFFF)
            raw = content if size >> 31 else unpack(packed, content, cells, what)
            check(len(raw) == cells, f"{what}: plane {plane} has {len(raw)} bytes, not {cells}")
            planes[:, plane] = np.frombuffer(raw, np.uint8)
        columns.end()
        return planes.tobytes()

    @staticmethod
    def _pco_page(header: bytes, stored: bytes, cells: int, kind: str) -> np.ndarray:
        file, used = pco.FileDecompressor.new(header)
        name = np.dtype(kind).kind + str(8 * np.dtype(kind).itemsize)
        block, _ = file.chunk_decompressor(header[used:], name)
        out = np.empty(cells, kind)
        progress, _ = block.read_page_into(stored, cells, out)
        check(progress.n_processed == cells, f"a pco page of {progress.n_processed} cells, not {cells}")
        return out


def open(path) -> Store:
    return Store(Path(path))


def main(arguments: list[str]) -> None:
    if len(arguments) not in (1, 3):
        sys.exit(__doc__)
    store = open(arguments[0])
    if len(arguments) == 3:
        print(store.read(arguments[1], arguments[2]))
        return
    print(f"snapshot {store.snapshot}, {len(store.datasets)} datasets")
    for dataset in store.datasets:
        print(dataset)
        for key, value in store.attributes(dataset).items():
            print(f"    {key} = {value!r}")
        for array in store.arrays(dataset).values():
            extents = ", ".join(f"{dim}={extent}" for dim, extent in zip(array.dims, array.shape))
            known = ", ".join(f"{key} {value}" for key, value in array.statistics.items() if value is not None)
            print(f"    {array.name}: {array.dtype}({extents}), fill {array.fill_value}; {known}")


if __name__ == "__main__":
    main(sys.argv[1:])
