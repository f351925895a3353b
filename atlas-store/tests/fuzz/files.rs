//! The files of a store taken apart and put together again, with checksums that match. From `docs/format.md`.

use serde_json::{Value, json};
use std::io::Write;

/// A catalog file of this name around a body.
pub(crate) fn catalog_file(name: &str, body: &[u8]) -> Vec<u8> {
    let crc = crc32c::crc32c(body);
    let plain = if name.contains("msgpack") {
        [b"ATLASCAT", &1u32.to_le_bytes()[..], &crc.to_le_bytes(), body].concat()
    } else {
        let head = format!("{{\"format\":\"atlas\",\"version\":1,\"crc32c\":\"{crc:08x}\",\"catalog\":\n");
        [head.as_bytes(), body, b"\n}\n"].concat()
    };
    if name.ends_with(".zst") {
        return zstd::bulk::compress(&plain, 3).unwrap();
    }
    if name.ends_with(".lz4") {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(&plain).unwrap();
        return encoder.finish().unwrap();
    }
    plain
}

/// The value in a plain JSON catalog.
pub(crate) fn catalog_value(file: &[u8]) -> Value {
    let mut outer: Value = serde_json::from_slice(file).unwrap();
    outer["catalog"].take()
}

/// Makes a catalog name a segment as it is now.
pub(crate) fn tie(catalog: &mut Value, object: &str, file: &[u8]) {
    for family in catalog["arrays"].as_array_mut().unwrap() {
        for segment in family["segments"].as_array_mut().unwrap() {
            if segment["object"] == object {
                let at = file.len().saturating_sub(16);
                let crc = file[at..].first_chunk().map_or(0, |crc| u32::from_le_bytes(*crc));
                segment["bytes"] = json!(file.len());
                segment["crc32c"] = json!(crc);
            }
        }
    }
}

/// A segment, its sections decompressed.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    /// The header and all blocks.
    pub(crate) blocks: Vec<u8>,
    pub(crate) index: Vec<u8>,
    pub(crate) zones: Vec<u8>,
    pub(crate) dtype: u32,
    pub(crate) version: u32,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().unwrap())
}

impl Segment {
    pub(crate) fn parse(file: &[u8]) -> Segment {
        let (rest, footer) = file.split_at(file.len() - 64);
        let [index, zones] = [0, 16].map(|at| (u64_at(footer, at) as usize, u64_at(footer, at + 8) as usize));
        let (rest, zone_bytes) = rest.split_at(rest.len() - zones.0);
        let (blocks, index_bytes) = rest.split_at(rest.len() - index.0);
        Segment {
            blocks: blocks.to_vec(),
            index: zstd::bulk::decompress(index_bytes, index.1).unwrap(),
            zones: zstd::bulk::decompress(zone_bytes, zones.1).unwrap(),
            dtype: u32_at(footer, 40),
            version: u32_at(footer, 44),
        }
    }

    /// The file. `change` sees the footer before its checksum is made.
    pub(crate) fn build(&self, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
        let [index, zones] = [&self.index, &self.zones].map(|raw| zstd::bulk::compress(raw, 3).unwrap());
        let sizes = [index.len(), self.index.len(), zones.len(), self.zones.len()];
        let words = [crc32c::crc32c(&index), crc32c::crc32c(&zones), self.dtype, self.version];
        let mut footer: Vec<u8> = sizes.iter().flat_map(|size| (*size as u64).to_le_bytes()).collect();
        footer.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        change(&mut footer);
        let crc = crc32c::crc32c(&footer);
        [&self.blocks[..], &index, &zones, &footer, &crc.to_le_bytes(), &[0; 4], b"ATLASEND"].concat()
    }
}

/// An index as columns of numbers.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    pub(crate) columns: [Vec<u64>; 11],
}

/// Bytes of a cell of each column: those of blocks, of pages, of chunks.
const WIDTHS: [usize; 11] = [1, 4, 4, 4, 4, 4, 4, 4, 8, 4, 8];
const BLOCK_PAGES: usize = 1;
const HEADER_BYTES: usize = 2;
const HEADER_CRC: usize = 3;
pub(crate) const PAGE_CELLS: usize = 4;
const PAGE_STORED: usize = 5;
pub(crate) const PAGE_RAW: usize = 6;
const PAGE_CRC: usize = 7;

/// Which of the counts says how long a column is.
fn count_of(column: usize) -> usize {
    usize::from(column >= 4) + usize::from(column >= 8)
}

impl Index {
    pub(crate) fn parse(raw: &[u8]) -> Index {
        let counts = [0, 8, 16].map(|at| u64_at(raw, at) as usize);
        let mut at = 24;
        let columns = std::array::from_fn(|column| {
            let width = WIDTHS[column];
            let cells = raw[at..].chunks(width).take(counts[count_of(column)]).map(|cell| {
                let mut bytes = [0; 8];
                bytes[..width].copy_from_slice(cell);
                u64::from_le_bytes(bytes)
            });
            let cells: Vec<u64> = cells.collect();
            at += cells.len() * width;
            cells
        });
        Index { columns }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let counts = [0, 4, 8].map(|column: usize| self.columns[column].len() as u64);
        let mut out: Vec<u8> = counts.iter().flat_map(|count| count.to_le_bytes()).collect();
        for (column, width) in self.columns.iter().zip(WIDTHS) {
            out.extend(column.iter().flat_map(|cell| cell.to_le_bytes()[..width].to_vec()));
        }
        out
    }

    /// The columns that are as long as this one.
    pub(crate) fn alike(column: usize) -> impl Iterator<Item = usize> {
        (0..WIDTHS.len()).filter(move |other| count_of(*other) == count_of(column))
    }

    /// Makes the checksums those of what lies in the blocks, as far as headers and pages lie in them.
    pub(crate) fn sign(&mut self, blocks: &[u8]) {
        let crc = |at: usize, count: u64| {
            let end = at.checked_add(usize::try_from(count).ok()?)?;
            Some((u64::from(crc32c::crc32c(blocks.get(at..end)?)), end))
        };
        let (mut at, mut page) = (16, 0);
        for block in 0..self.columns[0].len() {
            let header = self.columns[HEADER_BYTES][block];
            let Some((sum, end)) = crc(at, header) else { return };
            self.columns[HEADER_CRC][block] = sum;
            at = end;
            for _ in 0..self.columns[BLOCK_PAGES][block] {
                let Some(stored) = self.columns[PAGE_STORED].get(page) else { return };
                let Some((sum, end)) = crc(at, *stored) else { return };
                self.columns[PAGE_CRC][page] = sum;
                (at, page) = (end, page + 1);
            }
        }
    }
}
