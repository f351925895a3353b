//! Codecs: cells ↔ the bytes of blocks and pages. No I/O.
//!
//! A *block* is a run of cells that is encoded together; its *pages* decode on their own, given the block's header.

mod pco;
mod planes;
mod text;

use crate::cells::Element;
#[cfg(test)]
use crate::dtype::Physical;
use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

pub(crate) use text::{decode_text_page, encode_text_block};

/// How a store encodes new blocks. Each block records its own encoding, so a store can be switched at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Codec {
    /// What measures best: pco for numbers, zstd for strings, binary and bool.
    #[default]
    Auto,
    /// Pcodec for numbers (zstd for the rest).
    Pco,
    /// Zstandard, with bytes split into planes where that is smaller.
    Zstd,
    /// LZ4, with bytes split into planes where that is smaller.
    Lz4,
    /// Cells as they are in memory.
    None,
}

impl Codec {
    /// The name that the command line and the catalog use.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Auto => "auto",
            Codec::Pco => "pco",
            Codec::Zstd => "zstd",
            Codec::Lz4 => "lz4",
            Codec::None => "none",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Codec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Codec::Auto),
            "pco" => Ok(Codec::Pco),
            "zstd" => Ok(Codec::Zstd),
            "lz4" => Ok(Codec::Lz4),
            "none" | "uncompressed" => Ok(Codec::None),
            _ => Err(Error::invalid(format!("unknown codec {text:?}: expected auto, pco, zstd, lz4 or none"))),
        }
    }
}

/// How one block is encoded; the code is what the segment index records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    None = 0,
    Zstd = 1,
    ZstdPlanes = 2,
    Lz4 = 3,
    Lz4Planes = 4,
    Pco = 5,
}

impl Encoding {
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Encoding::None, Encoding::Zstd, Encoding::ZstdPlanes, Encoding::Lz4, Encoding::Lz4Planes, Encoding::Pco]
            .into_iter()
            .find(|encoding| *encoding as u8 == code)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Encoding::None => "none",
            Encoding::Zstd => "zstd",
            Encoding::ZstdPlanes => "zstd+planes",
            Encoding::Lz4 => "lz4",
            Encoding::Lz4Planes => "lz4+planes",
            Encoding::Pco => "pco",
        }
    }
}

/// An encoded block: a header that every page needs, and the pages.
#[derive(Debug)]
pub(crate) struct EncodedBlock {
    pub(crate) encoding: Encoding,
    pub(crate) header: Vec<u8>,
    pub(crate) pages: Vec<EncodedPage>,
}

/// One page: so many cells, and so many bytes before encoding.
#[derive(Debug)]
pub(crate) struct EncodedPage {
    pub(crate) cells: u32,
    pub(crate) raw_bytes: u32,
    pub(crate) bytes: Vec<u8>,
}

impl EncodedBlock {
    fn stored_bytes(&self) -> usize {
        self.header.len() + self.pages.iter().map(|page| page.bytes.len()).sum::<usize>()
    }
}

/// The general byte compressors that stand behind several encodings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compressor {
    None,
    Zstd,
    Lz4,
}

/// The level at which zstd still encodes at hundreds of MB/s; higher ones gain under 2 % on float data.
const ZSTD_LEVEL: i32 = 3;

impl Compressor {
    fn compress(self, raw: &[u8]) -> Result<Vec<u8>> {
        match self {
            Compressor::None => Ok(raw.to_vec()),
            Compressor::Zstd => {
                zstd::bulk::compress(raw, ZSTD_LEVEL).map_err(|error| Error::invalid(format!("zstd: {error}")))
            }
            Compressor::Lz4 => Ok(lz4_flex::block::compress(raw)),
        }
    }

    /// Decodes to exactly `out.len()` bytes.
    fn decompress(self, stored: &[u8], out: &mut [u8]) -> Result<(), String> {
        let written = match self {
            Compressor::None => {
                if stored.len() == out.len() {
                    out.copy_from_slice(stored);
                }
                stored.len()
            }
            Compressor::Zstd => {
                zstd::bulk::decompress_to_buffer(stored, out).map_err(|error| format!("zstd: {error}"))?
            }
            Compressor::Lz4 => {
                lz4_flex::block::decompress_into(stored, out).map_err(|error| format!("lz4: {error}"))?
            }
        };
        if written == out.len() { Ok(()) } else { Err(format!("page holds {written} bytes, expected {}", out.len())) }
    }
}

/// Cells per page: whole rows of at least this many bytes for encodings whose pages cost little.
const SMALL_PAGE_BYTES: usize = 8 << 10;
/// The same for general compressors, which lose ratio on short inputs, and for large chunks.
const LARGE_PAGE_BYTES: usize = 64 << 10;

/// How one chunk in a block wants to be cut: `cells` in rows of `row_cells`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    pub(crate) cells: usize,
    pub(crate) row_cells: usize,
}

/// The cells of each page of a block that holds these chunks: pages end at rows of their chunk.
fn page_cells(cuts: &[Cut], cell_bytes: usize, share_pages: bool) -> Vec<usize> {
    let total: usize = cuts.iter().map(|cut| cut.cells).sum();
    if share_pages && cuts.len() > 1 {
        // Small chunks packed for a general compressor: one page, for the ratio.
        return vec![total];
    }
    let mut pages = Vec::new();
    for cut in cuts {
        let chunk_bytes = cut.cells * cell_bytes;
        let target = if share_pages || chunk_bytes > (1 << 20) { LARGE_PAGE_BYTES } else { SMALL_PAGE_BYTES };
        let row_cells = cut.row_cells.clamp(1, cut.cells.max(1));
        let rows = (target / (row_cells * cell_bytes)).max(1);
        let page = (rows * row_cells).min(MAX_PAGE_CELLS);
        let mut left = cut.cells;
        while left > 0 {
            // A last sliver joins the page before it.
            let take = if left < page + page / 4 { left } else { page };
            pages.push(take);
            left -= take;
        }
    }
    // Neighbouring tiny chunks share a page: a page costs a header and a checksum.
    let floor = 256.max(SMALL_PAGE_BYTES / cell_bytes / 4);
    let mut merged: Vec<usize> = Vec::with_capacity(pages.len());
    for page in pages {
        match merged.last_mut() {
            Some(last) if *last < floor && *last + page <= SMALL_PAGE_BYTES / cell_bytes => *last += page,
            _ => merged.push(page),
        }
    }
    merged
}

/// The most cells a page holds.
pub(crate) const MAX_PAGE_CELLS: usize = 1 << 20;
/// The most cells a block holds: chunks beyond that are spread over several.
pub(crate) const MAX_BLOCK_CELLS: usize = 1 << 22;

/// Encodes a block of numbers.
pub(crate) fn encode_block<T: Element>(cells: &[T], cuts: &[Cut], codec: Codec, is_bool: bool) -> Result<EncodedBlock> {
    let width = size_of::<T>();
    match codec {
        Codec::None => Ok(raw_block(cells, &page_cells(cuts, width, false))),
        Codec::Zstd => compressed_block(cells, cuts, Compressor::Zstd),
        Codec::Lz4 => compressed_block(cells, cuts, Compressor::Lz4),
        Codec::Auto | Codec::Pco if is_bool => compressed_block(cells, cuts, Compressor::Zstd),
        Codec::Auto | Codec::Pco => {
            let encoded = pco::encode(cells, &page_cells(cuts, width, false))?;
            if encoded.stored_bytes() < size_of_val(cells) || codec == Codec::Pco {
                return Ok(encoded);
            }
            Ok(raw_block(cells, &page_cells(cuts, width, false)))
        }
    }
}

fn raw_block<T: Element>(cells: &[T], pages: &[usize]) -> EncodedBlock {
    let mut at = 0;
    let pages = pages
        .iter()
        .map(|&count| {
            let page = page_of(count, size_of::<T>(), bytemuck::cast_slice(&cells[at..at + count]).to_vec());
            at += count;
            page
        })
        .collect();
    EncodedBlock { encoding: Encoding::None, header: Vec::new(), pages }
}

#[allow(clippy::cast_possible_truncation, reason = "a page holds at most MAX_PAGE_CELLS cells of 8 bytes")]
fn page_of(cells: usize, width: usize, bytes: Vec<u8>) -> EncodedPage {
    EncodedPage { cells: cells as u32, raw_bytes: (cells * width) as u32, bytes }
}

/// Encodes plainly, with planes, or not at all: whichever is smallest.
fn compressed_block<T: Element>(cells: &[T], cuts: &[Cut], compressor: Compressor) -> Result<EncodedBlock> {
    let width = size_of::<T>();
    let pages = page_cells(cuts, width, true);
    let (plain, with_planes) = match compressor {
        Compressor::Lz4 => (Encoding::Lz4, Encoding::Lz4Planes),
        _ => (Encoding::Zstd, Encoding::ZstdPlanes),
    };
    let encode = |planes: bool| -> Result<EncodedBlock> {
        let mut at = 0;
        let mut encoded = Vec::with_capacity(pages.len());
        for &count in &pages {
            let raw: &[u8] = bytemuck::cast_slice(&cells[at..at + count]);
            let bytes = if planes { planes::encode(raw, width, compressor)? } else { compressor.compress(raw)? };
            encoded.push(page_of(count, width, bytes));
            at += count;
        }
        Ok(EncodedBlock { encoding: if planes { with_planes } else { plain }, header: Vec::new(), pages: encoded })
    };
    let mut best = encode(false)?;
    if width > 1 {
        let planes = encode(true)?;
        // Undoing planes costs a pass: it must gain something.
        if planes.stored_bytes() * 100 < best.stored_bytes() * 97 {
            best = planes;
        }
    }
    if best.stored_bytes() >= size_of_val(cells) {
        best = raw_block(cells, &page_cells(cuts, width, false));
    }
    Ok(best)
}

/// Decodes pages of one block; keeps what the block's pages share.
pub(crate) struct BlockDecoder<T: Element> {
    encoding: Encoding,
    pco: Option<pco::Decoder<T>>,
    scratch: Vec<u8>,
}

impl<T: Element> BlockDecoder<T> {
    /// From the block's header, whose checksum has been verified.
    pub(crate) fn new(encoding: Encoding, header: &[u8]) -> Result<Self, String> {
        let pco = match encoding {
            Encoding::Pco => Some(pco::Decoder::new(header)?),
            _ => None,
        };
        Ok(BlockDecoder { encoding, pco, scratch: Vec::new() })
    }

    /// Decodes a page of exactly `out.len()` cells.
    pub(crate) fn decode(&mut self, stored: &[u8], out: &mut [T]) -> Result<(), String> {
        let width = size_of::<T>();
        match (self.encoding, &mut self.pco) {
            (Encoding::Pco, Some(pco)) => pco.decode(stored, out),
            (Encoding::Pco, None) => Err("pco block without a header".into()),
            (Encoding::None, _) => Compressor::None.decompress(stored, bytemuck::cast_slice_mut(out)),
            (Encoding::Zstd, _) => Compressor::Zstd.decompress(stored, bytemuck::cast_slice_mut(out)),
            (Encoding::Lz4, _) => Compressor::Lz4.decompress(stored, bytemuck::cast_slice_mut(out)),
            (Encoding::ZstdPlanes, _) => {
                planes::decode(stored, width, Compressor::Zstd, bytemuck::cast_slice_mut(out), &mut self.scratch)
            }
            (Encoding::Lz4Planes, _) => {
                planes::decode(stored, width, Compressor::Lz4, bytemuck::cast_slice_mut(out), &mut self.scratch)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::with_physical;

    fn round_trip<T: Element>(cells: &[T], codec: Codec) {
        let cuts = [Cut { cells: cells.len(), row_cells: 7 }];
        let block = encode_block(cells, &cuts, codec, false).unwrap();
        let mut decoder = BlockDecoder::<T>::new(block.encoding, &block.header).unwrap();
        let mut out = Vec::new();
        for page in &block.pages {
            let mut cells = vec![T::default(); page.cells as usize];
            decoder.decode(&page.bytes, &mut cells).unwrap();
            out.extend(cells);
        }
        assert_eq!(bytemuck::cast_slice::<T, u8>(&out), bytemuck::cast_slice::<T, u8>(cells), "{codec}");
    }

    #[test]
    fn every_codec_gives_back_the_same_bits() {
        for physical in [
            Physical::I8,
            Physical::I16,
            Physical::I32,
            Physical::I64,
            Physical::U8,
            Physical::U16,
            Physical::U32,
            Physical::U64,
            Physical::F32,
            Physical::F64,
        ] {
            for codec in [Codec::Auto, Codec::Pco, Codec::Zstd, Codec::Lz4, Codec::None] {
                with_physical!(physical, T => {
                    for count in [0usize, 1, 7, 255, 10_000] {
                        // Every bit pattern class, NaN payloads among them.
                        let noise: Vec<u8> = (0..count * size_of::<T>())
                            .map(|k| (k as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes()[7])
                            .collect();
                        round_trip::<T>(&bytemuck::pod_collect_to_vec(&noise), codec);
                        round_trip::<T>(&vec![T::default(); count], codec);
                    }
                }, var => unreachable!());
            }
        }
    }

    #[test]
    fn pages_tile_the_block() {
        for cuts in [
            vec![Cut { cells: 8400, row_cells: 168 }; 7],
            vec![Cut { cells: 1, row_cells: 1 }; 1000],
            vec![Cut { cells: 3_000_000, row_cells: 3_000_000 }],
            vec![Cut { cells: 0, row_cells: 1 }],
        ] {
            for share in [true, false] {
                let pages = page_cells(&cuts, 4, share);
                assert_eq!(pages.iter().sum::<usize>(), cuts.iter().map(|cut| cut.cells).sum::<usize>());
            }
        }
        assert_eq!(page_cells(&[Cut { cells: 8400, row_cells: 168 }], 4, false)[0], 12 * 168);
    }
}
