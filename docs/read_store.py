"""Reads Atlas stores without Atlas, from what format.md says: its sections are named below. Needs numpy, zstandard and
pcodec, and lz4 for stores that use it.

    python read_store.py STORE                       lists datasets, attributes, arrays and statistics
    python read_store.py STORE DATASET ARRAY         prints an array
    read_store.open("fleet").read("c1", "depth")     gives a numpy array; texts and binary are objects

What is not as the format or a checksum says raises `CorruptStore`.
"""

import io
import json
import re
import struct
import sys
from bisect import bisect_left
from functools import lru_cache
from importlib import import_module
from itertools import count, pairwise, product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import zstandard
from pcodec import wrapped as pco

VERSION = 1
CATALOG_NAMES = [f"atlas.{form}{packed}" for form in ("json", "msgpack") for packed in ("", ".zst", ".lz4")]
JSON_FRAME = re.compile(rb'\{"format":"atlas","version":(\d+),"crc32c":"([0-9a-f]{8})","catalog":\n(.*)\n\}\n', re.S)
DTYPES = {  # in the order of their codes (§5): how a cell is stored, and the numpy dtype that it is read as
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


# Checksums and compression


@lru_cache(maxsize=64)
def crc_shift(level: int) -> np.ndarray:
    """Four tables, one for each byte of a CRC register, that move it past 2**level zero bytes."""
    if level > 0:
        return shifted(crc_shift(level - 1), crc_shift(level - 1))
    byte = crc = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        crc = np.where(crc & 1, (crc >> 1) ^ np.uint32(0x82F63B78), crc >> 1)
    return np.stack([crc, byte, byte << 8, byte << 16])


def shifted(tables: np.ndarray, crc: np.ndarray) -> np.ndarray:
    return np.bitwise_xor.reduce([table[(crc >> (8 * byte)) & 255] for byte, table in enumerate(tables)])


def crc32c(content: bytes) -> int:
    """CRC-32C. A CRC is linear: every byte gets its own register, and neighbours are joined until one is left."""
    # These four bytes bring the register from 0 to its initial value 0xFFFFFFFF; zeros before them change nothing.
    crc = crc_shift(0)[0][np.frombuffer(b"\x54\x64\x1f\x64" + content, np.uint8)]
    for level in count():
        if crc.size == 1:
            return int(crc[0]) ^ 0xFFFFFFFF
        if crc.size % 2:
            crc = np.concatenate([np.zeros(1, np.uint32), crc])
        crc = shifted(crc_shift(level), crc[0::2]) ^ crc[1::2]


def unpack(packing: str, content: bytes, what: str, size: int | None = None) -> bytes:
    """One whole "zstd" or "lz4 frame", or an "lz4 block" of known size."""
    try:
        if packing == "lz4 block":
            out = import_module("lz4.block").decompress(content, uncompressed_size=size)
        else:
            zstd = zstandard.ZstdDecompressor().decompressobj
            frame = zstd() if packing == "zstd" else import_module("lz4.frame").LZ4FrameDecompressor()
            out = frame.decompress(content)
            check(frame.eof and not frame.unused_data, f"{what}: not one whole frame")
    except (zstandard.ZstdError, RuntimeError) as error:  # lz4 raises RuntimeErrors
        raise CorruptStore(f"{what}: {error}") from error
    check(size is None or len(out) == size, f"{what}: {len(out)} bytes, not {size}")
    return out


# §2 The catalog file


def read_catalog(store: Path) -> dict:
    path = next((store / name for name in CATALOG_NAMES if (store / name).exists()), None)
    if path is None:
        raise FileNotFoundError(f"no Atlas store at {store}")
    content, what = path.read_bytes(), path.name
    if path.suffix in (".zst", ".lz4"):
        content = unpack("zstd" if path.suffix == ".zst" else "lz4 frame", content, what)
    if what.startswith("atlas.json"):
        frame = JSON_FRAME.fullmatch(content)
        check(frame is not None, f"{what}: not an Atlas catalog")
        version, crc, body, parse = int(frame[1]), int(frame[2], 16), frame[3], json.loads
    else:
        check(len(content) >= 16 and content[:8] == b"ATLASCAT", f"{what}: not an Atlas catalog")
        (version, crc), body, parse = struct.unpack("<II", content[8:16]), content[16:], parse_msgpack
    check(version == VERSION, f"{what}: format version {version}; this reader knows {VERSION}")
    check(crc32c(body) == crc, f"{what}: checksum")
    return parse(body)


def parse_msgpack(body: bytes):
    stream = io.BytesIO(body)

    def number(kind: str):
        return struct.unpack(f">{kind}", stream.read(struct.calcsize(f">{kind}")))[0]

    def sized(kind: str, size: int):
        if kind == "text":
            return stream.read(size).decode()
        return {value(): value() for _ in range(size)} if kind == "map" else [value() for _ in range(size)]

    def value():
        marker = number("B")
        if marker < 0x80 or marker >= 0xE0:
            return marker if marker < 0x80 else marker - 0x100
        if marker < 0xA0:
            return sized("map" if marker < 0x90 else "list", marker & 15)
        if marker < 0xC0:
            return sized("text", marker & 31)
        if marker in (0xC0, 0xC2, 0xC3):
            return {0xC0: None, 0xC2: False, 0xC3: True}[marker]
        if 0xCA <= marker <= 0xD3:
            return number("fdBHIQbhiq"[marker - 0xCA])
        check(marker >= 0xD9, f"unexpected MessagePack marker {marker:#x}")
        if marker <= 0xDB:
            return sized("text", number("BHI"[marker - 0xD9]))
        return sized("list" if marker <= 0xDD else "map", number("HI"[marker & 1]))

    return value()


# §3 The catalog value


def scalar(dtype: str, value):
    if value is None:
        return None
    if dtype == "binary":
        return bytes.fromhex(value)
    if dtype.startswith("float"):
        if isinstance(value, str) and value.startswith("0x"):
            return np.array(int(value, 16), dtype.replace("float", "uint")).view(dtype)[()]
        return np.dtype(dtype).type(value)
    return np.datetime64(value, "ns") if dtype == "timestamp_nanoseconds" else value


def cell(compact, position: int):
    return compact[position] if isinstance(compact, list) else compact


def position_of(row: int, rows: list[int] | None) -> int | None:
    """Where a row is in columns over `rows`, if it is."""
    position = row if rows is None else bisect_left(rows, row)
    return position if rows is None or rows[position : position + 1] == [row] else None


class Store:
    def __init__(self, path: Path):
        self.path, self.catalog = path, read_catalog(path)
        self.datasets: list[str] = self.catalog["datasets"]
        self._rows = {name: row for row, name in enumerate(self.datasets)}
        self._families = {family["name"]: family for family in self.catalog["arrays"]}
        self._segments: dict[str, Segment] = {}
        for name, family in self._families.items():
            check(len(set(family["ids"])) == len(family["ids"]), f"{name}: an array id twice")

    def attributes(self, dataset: str) -> dict:
        found = {}
        for column in self.catalog["attributes"]:
            ((dtype, values),) = column["values"].items()
            if (position := position_of(self._rows[dataset], column["rows"])) is not None:
                found[column["key"]] = scalar(dtype, values[position])
        return found

    def arrays(self, dataset: str) -> dict[str, SimpleNamespace]:
        """By name: dtype, dims, shape, chunk_shape, fill_value, statistics, id."""
        found = {}
        for name, family in self._families.items():
            if (position := position_of(self._rows[dataset], family["rows"])) is not None:
                found[name] = array = SimpleNamespace(**self.catalog["schemas"][cell(family["schemas"], position)])
                check(array.dtype == family["dtype"], f"{name}: a schema of {array.dtype} in {family['dtype']}")
                array.fill_value, array.id = scalar(array.dtype, array.fill_value), family["ids"][position]
                columns, array.statistics = family["statistics"], {"sum": None}
                for key in ("row_count", "null_count", "nan_count"):
                    array.statistics[key] = cell(columns[key], position)
                for bit, key in enumerate(("min", "max")):
                    array.statistics[key] = scalar(array.dtype, columns[key][position])
                    array.statistics[f"{key}_exact"] = bool(cell(columns["exact"], position) >> bit & 1)
                for key, dtype in (("sum", "float64"), ("int_sum", "int64")):
                    if columns[key] and columns[key][position] is not None:
                        array.statistics["sum"] = scalar(dtype, columns[key][position])
        return found

    def segments(self, name: str) -> list["Segment"]:
        family = self._families[name]
        for entry in family["segments"]:
            if entry["object"] not in self._segments:
                self._segments[entry["object"]] = Segment(self.path, entry, family["dtype"])
        return [self._segments[entry["object"]] for entry in family["segments"]]

    # §4 Chunks

    def read(self, dataset: str, name: str) -> np.ndarray:
        """All cells of an array."""
        array = self.arrays(dataset)[name]
        dtype, missing = DTYPES[array.dtype][1], {"string": "", "binary": b""}.get(array.dtype, 0)
        out = np.full(array.shape, missing if array.fill_value is None else array.fill_value, dtype)
        grid = [range(0, extent, step) for extent, step in zip(array.shape, array.chunk_shape)]
        for number, corner in enumerate(product(*grid)):
            part = out[tuple(slice(start, start + step) for start, step in zip(corner, array.chunk_shape)) + (...,)]
            holders = (segment for segment in reversed(self.segments(name)) if (array.id, number) in segment.chunks)
            if (newest := next(holders, None)) is not None:
                cells = newest.read(newest.chunks[array.id, number])
                check(cells.size == part.size, f"{newest.name}: chunk {number} has {cells.size} cells, not {part.size}")
                part[...] = cells.view(dtype).reshape(part.shape)
        return out


# §5 Segments


def columns(content: bytes, what: str, *kinds: tuple[str, int]) -> list[np.ndarray]:
    """Columns of numbers, one after the other, and nothing after them."""
    ends = np.cumsum([0] + [np.dtype(kind).itemsize * int(number) for kind, number in kinds]).tolist()
    check(ends[-1] == len(content), f"{what}: {len(content)} bytes, not {ends[-1]}")
    return [np.frombuffer(content, kind, int(number), at) for (kind, number), at in zip(kinds, ends)]


def texts(content: bytes, dtype: str, number: int, what: str) -> np.ndarray:
    """Strings or binary: their lengths, then their bytes."""
    check(4 * number <= len(content), f"{what}: too short")
    ends = starts(np.frombuffer(content, "<u4", number)) + 4 * number
    check(ends[-1] == len(content), f"{what}: {len(content)} bytes, not {ends[-1]}")
    found = [content[start:end] for start, end in pairwise(ends)]
    return np.array([text if dtype == "binary" else text.decode() for text in found] + [None], "O")[:-1]


def starts(sizes: np.ndarray) -> np.ndarray:
    """Running sums: where each begins, and where the last ends."""
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)


class Segment:
    def __init__(self, store: Path, entry: dict, dtype: str):
        self.name, self.dtype, size = entry["object"], dtype, entry["bytes"]
        is_inside = "\\" not in self.name and not {"", ".", ".."} & set(self.name.split("/"))
        check(is_inside, f"{self.name}: not the name of an object in the store")
        path = store / self.name
        check(path.is_file() and path.stat().st_size == size >= 80, f"{self.name}: not a file of {size} bytes")
        self.file = np.memmap(path, np.uint8, "r")
        header, footer = self._bytes(0, 16), self._bytes(size - 64, 64)
        version = VERSION.to_bytes(4, "little")
        check(header == b"ATLASSEG" + version + crc32c(header[:12]).to_bytes(4, "little"), f"{self.name}: header")
        index, raw_index, zones, raw_zones, index_crc, zones_crc, code = struct.unpack("<4Q3I", footer[:44])
        end = version + entry["crc32c"].to_bytes(4, "little") + bytes(4) + b"ATLASEND"
        is_named = footer[44:] == end and crc32c(footer[:48]) == entry["crc32c"]
        check(is_named and code == list(DTYPES).index(dtype), f"{self.name}: footer")
        zones_at, index_at = size - 64 - zones, size - 64 - zones - index
        self.zones = self._frame(zones_at, zones, zones_crc, "zone maps", raw_zones)
        self._parse_index(self._frame(index_at, index, index_crc, "index", raw_index), index_at)
        ids = [array for array, _ in self.chunks]
        check((min(ids), max(ids)) == (entry["first_id"], entry["last_id"]), f"{self.name}: other arrays' chunks")

    def _bytes(self, start: int, size: int, crc: int | None = None, what: str = "") -> bytes:
        check(0 <= start <= start + size <= self.file.size, f"{self.name}: {what} outside of the file")
        content = self.file[start : start + size].tobytes()
        check(crc is None or crc32c(content) == crc, f"{self.name}: checksum of {what}")
        return content

    def _frame(self, start: int, size: int, crc: int, what: str, raw_size: int) -> bytes:
        return unpack("zstd", self._bytes(start, size, crc, what), f"{self.name}: {what}", raw_size)

    def _parse_index(self, index: bytes, end: int) -> None:
        blocks, pages, chunks = struct.unpack("<3Q", index[:24])
        kinds = [("u1", blocks)] + 3 * [("<u4", blocks)] + 4 * [("<u4", pages)]
        kinds += [("<u8", chunks), ("<u4", chunks), ("<u8", chunks)]
        found = columns(index[24:], f"{self.name}: index", *kinds)
        self.encoding, block_pages, self.header_bytes, self.header_crc = found[:4]
        self.page_cells, self.stored, self.raw, self.page_crc, ids, numbers, chunk_cells = found[4:]
        self.page_starts, self.chunk_starts = starts(self.page_cells), starts(chunk_cells)
        check(self.page_starts[-1] == self.chunk_starts[-1], f"{self.name}: pages and chunks have unequal cells")
        check(block_pages.sum() == pages, f"{self.name}: blocks have {block_pages.sum()} pages, not {pages}")
        # A page lies behind all pages before it and all block headers up to its own block's.
        self.block_of = np.repeat(np.arange(blocks), block_pages)
        headers, bodies = 16 + starts(self.header_bytes), starts(self.stored)
        check(headers[-1] + bodies[-1] == end, f"{self.name}: the blocks do not end where the index begins")
        self.page_at, self.header_at = bodies[:-1] + headers[1:][self.block_of], headers + bodies[starts(block_pages)]
        # Of several entries of a chunk the last one counts.
        self.chunks = {key: entry for entry, key in enumerate(zip(ids.tolist(), numbers.tolist()))}
        self.page = lru_cache(maxsize=8)(self._page)

    def read(self, entry: int) -> np.ndarray:
        """The cells of a chunk entry, flat."""
        start, end = self.chunk_starts[entry : entry + 2].tolist()
        first, last = np.searchsorted(self.page_starts, [start, end - 1], "right") - 1
        skip = start - self.page_starts[first]
        return np.concatenate([self.page(page) for page in range(first, last + 1)])[skip : skip + end - start]

    # §6 Encodings

    def _page(self, page: int) -> np.ndarray:
        block, cells, size = self.block_of[page], int(self.page_cells[page]), int(self.raw[page])
        stored_as, what, encoding = DTYPES[self.dtype][0], f"{self.name}: page {page}", self.encoding[block]
        width = np.dtype(stored_as).itemsize if stored_as else None
        check(1 <= cells <= 2**20 and (not width or size == cells * width), f"{what}: {cells} cells in {size} bytes")
        header = self._bytes(int(self.header_at[block]), int(self.header_bytes[block]))
        check((crc32c(header) if header else 0) == self.header_crc[block], f"{what}: checksum of its block's header")
        raw = self._bytes(int(self.page_at[page]), int(self.stored[page]), self.page_crc[page], f"page {page}")
        check(encoding <= 10 and (width or encoding in (0, 1, 3)), f"{what}: encoding {encoding}")
        packing = "zstd" if encoding in (1, 2, 6, 7) else "lz4 block"
        if encoding in (1, 3, 6, 8):
            raw = unpack(packing, raw, what, size)
        elif encoding in (2, 4, 7, 9):
            lengths, planes = np.frombuffer(raw, "<u4", width), raw[4 * width :]
            ends = starts(lengths & 0x7FFFFFFF)
            planes = [planes[start:end] for start, end in pairwise(ends)] + [planes[ends[-1] :]]
            check(planes.pop() == b"", f"{what}: bytes after its planes")
            planes = [unpack(packing, plane, what, cells) if n < 2**31 else plane for n, plane in zip(lengths, planes)]
            planes = [plane * cells if n == 2**31 + 1 else plane for n, plane in zip(lengths, planes)]
            check({*map(len, planes)} == {cells}, f"{what}: a plane of another length than {cells}")
            raw = np.frombuffer(b"".join(planes), np.uint8).reshape(width, cells).T.tobytes()
        elif encoding == 5:
            raw = pco_page(header, raw, np.empty(cells, stored_as)).tobytes()
        elif encoding == 10:
            check(self.dtype.startswith("float") and header and header[0] & 127 <= 10, f"{what}: its scale")
            exception = np.dtype([("first", "<u4"), ("cells", "<u4"), ("cell", stored_as)])
            exceptions = np.frombuffer(raw, exception, np.frombuffer(raw, "<u4", 1)[0], 4)
            ints = pco_page(header[1:], raw[4 + exceptions.nbytes :], np.empty(cells, f"<i{width}"))
            cell, exponent = np.dtype(stored_as).type, header[0] & 127
            floats = ints.astype(cell)
            out = floats * cell(f"1e-{exponent}") if header[0] & 128 else floats / cell(10**exponent)
            # By their bits: a NaN must not become another one.
            end, bits, values = 0, out.view(f"<u{width}"), exceptions["cell"].copy().view(f"<u{width}")
            for (first, count, _), value in zip(exceptions.tolist(), values):
                check(count and end <= first <= first + count <= cells, f"{what}: the place of an exception")
                end = first + count
                bits[first:end] = value
            raw = out.tobytes()
        check(len(raw) == size, f"{what}: {len(raw)} bytes, not {size}")
        if 6 <= encoding <= 9:
            zigzag = np.frombuffer(raw, f"<u{width}")
            raw = np.cumsum((zigzag >> 1) ^ -(zigzag & 1), dtype=zigzag.dtype).tobytes()
        return np.frombuffer(raw, stored_as) if width else texts(raw, self.dtype, cells, what)


def pco_page(header: bytes, page: bytes, out: np.ndarray) -> np.ndarray:
    """The numbers of a page, put into `out`."""
    file, used = pco.FileDecompressor.new(header)
    number = f"{out.dtype.kind}{8 * out.dtype.itemsize}"
    file.chunk_decompressor(header[used:], number)[0].read_page_into(page, len(out), out)
    return out


def open(path) -> Store:
    return Store(Path(path))


def main(arguments: list[str]) -> None:
    if len(arguments) not in (1, 3):
        sys.exit(__doc__)
    store = open(arguments[0])
    if arguments[1:]:
        return print(store.read(*arguments[1:]))
    for dataset in store.datasets:
        print(dataset)
        for key, value in store.attributes(dataset).items():
            print(f"    {key} = {value!r}")
        for name, array in store.arrays(dataset).items():
            extents = ", ".join(f"{dim}={extent}" for dim, extent in zip(array.dims, array.shape))
            print(f"    {name}: {array.dtype} ({extents}), fill {array.fill_value}, {array.statistics}")


if __name__ == "__main__":
    main(sys.argv[1:])
