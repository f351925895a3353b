//! Codecs: cells ↔ the bytes of blocks and pages. No I/O.
//!
//! A *block* is a run of cells that is encoded together; its *pages* decode on their own, given the block's header.

mod compressed;
mod compressor;
mod decimal;
mod delta;
mod lesson;
#[doc(hidden)]
pub mod measure;
mod pages;
mod pco;
mod planes;
mod text;

use crate::cells::Element;
use crate::error::{Error, Result};
use compressed::Form;
use compressor::Compressor;
use pages::{Paging, page_cells};
use std::fmt;
use std::str::FromStr;

pub(crate) use lesson::{Lesson, encode_like};
pub(crate) use pages::{Cut, MAX_BLOCK_CELLS, MAX_PAGE_CELLS};
pub(crate) use text::{decode_text_page, encode_text_block};

/// How a store encodes new blocks. Each block records its own encoding, so a store can be switched at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Codec {
    /// What measures best: pco for numbers, zstd where that is clearly smaller or they are mostly noise, and for strings, binary
    /// and bool.
    #[default]
    Auto,
    /// Pcodec for numbers (zstd for the rest).
    Pco,
    /// Zstandard, over differences of neighbours, over bytes split into planes, or both, where that is smaller.
    Zstd,
    /// LZ4, in the same forms as Zstandard.
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
    ZstdDelta = 6,
    ZstdDeltaPlanes = 7,
    Lz4Delta = 8,
    Lz4DeltaPlanes = 9,
    PcoDecimal = 10,
}

impl Encoding {
    const ALL: [Encoding; 11] = [
        Encoding::None,
        Encoding::Zstd,
        Encoding::ZstdPlanes,
        Encoding::Lz4,
        Encoding::Lz4Planes,
        Encoding::Pco,
        Encoding::ZstdDelta,
        Encoding::ZstdDeltaPlanes,
        Encoding::Lz4Delta,
        Encoding::Lz4DeltaPlanes,
        Encoding::PcoDecimal,
    ];

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Encoding::ALL.into_iter().find(|encoding| *encoding as u8 == code)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Encoding::None => "none",
            Encoding::Zstd => "zstd",
            Encoding::ZstdPlanes => "zstd+planes",
            Encoding::Lz4 => "lz4",
            Encoding::Lz4Planes => "lz4+planes",
            Encoding::Pco => "pco",
            Encoding::ZstdDelta => "zstd+delta",
            Encoding::ZstdDeltaPlanes => "zstd+delta+planes",
            Encoding::Lz4Delta => "lz4+delta",
            Encoding::Lz4DeltaPlanes => "lz4+delta+planes",
            Encoding::PcoDecimal => "pco+decimal",
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

/// How much smaller than pco, in percent, zstd has to be for `auto` to take it: pco decodes faster where it packs as well.
const AUTO_ZSTD_GAIN: usize = 10;

/// From so many percent of its raw bytes a block is noise but for its exponents, or nearly so.
const AUTO_NOISE: usize = 70;
/// How much larger than pco, in percent, planes under zstd may be then: they take half the time both ways.
const AUTO_NOISE_COST: usize = 5;

/// The pages of a block that is encoded.
fn block_pages<T: Element>(cells: &[T], cuts: &[Cut], codec: Codec, is_bool: bool) -> Vec<usize> {
    debug_assert_eq!(cells.len(), cuts.iter().map(|cut| cut.cells).sum::<usize>());
    let paging = match (codec, is_bool) {
        // On masks pco is smaller by a third, and takes ten times as long.
        (Codec::Zstd | Codec::Lz4, _) | (Codec::Auto | Codec::Pco, true) => Paging::Shared,
        (Codec::Auto | Codec::Pco, false) => Paging::Fine,
        (Codec::None, _) => Paging::Rows,
    };
    page_cells(cuts, size_of::<T>(), paging)
}

/// Encodes a block of numbers, in what is best of all that the codec allows.
pub(crate) fn encode_block<T: Element>(cells: &[T], cuts: &[Cut], codec: Codec, is_bool: bool) -> Result<EncodedBlock> {
    let pages = block_pages(cells, cuts, codec, is_bool);
    let compress = |compressor| compressed::encode(cells, &pages, compressor, usize::MAX);
    let encoded = match codec {
        Codec::None => None,
        Codec::Zstd => compress(Compressor::Zstd)?,
        Codec::Lz4 => compress(Compressor::Lz4)?,
        Codec::Auto | Codec::Pco if is_bool => compress(Compressor::Zstd)?,
        Codec::Pco => return pco::encode(cells, &pages),
        Codec::Auto => Some(auto_block(cells, &pages)?),
    };
    match encoded {
        Some(encoded) if encoded.stored_bytes() < size_of_val(cells) => Ok(encoded),
        _ => Ok(raw_block(cells, &page_cells(cuts, size_of::<T>(), Paging::Rows))),
    }
}

/// By pco, or by zstd where that is clearly smaller, or where there is little to gain and zstd is much faster; on the same
/// pages, so that a slice costs the same.
fn auto_block<T: Element>(cells: &[T], pages: &[usize]) -> Result<EncodedBlock> {
    let mut best = pco::encode(cells, pages)?;
    let raw_bytes = size_of_val(cells);
    if size_of::<T>() > 1 && best.stored_bytes() >= raw_bytes / 100 * AUTO_NOISE {
        let planes = compressed::encode_as(cells, pages, Compressor::Zstd, Form::PLANES, None)?;
        if planes.stored_bytes() <= best.stored_bytes() / 100 * (100 + AUTO_NOISE_COST) {
            best = planes;
        }
    }
    let has_large_pages = raw_bytes >= pages.len() * pages::LARGE_PAGE_BYTES / 2;
    if has_large_pages {
        // Not seen to win on short pages.
        let limit = best.stored_bytes() / 100 * (100 - AUTO_ZSTD_GAIN);
        best = compressed::encode(cells, pages, Compressor::Zstd, limit)?.unwrap_or(best);
    }
    Ok(best)
}

fn raw_block<T: Element>(cells: &[T], pages: &[usize]) -> EncodedBlock {
    let pages = split_pages(cells, pages).map(|page| page_of(page, bytemuck::cast_slice(page).to_vec())).collect();
    EncodedBlock { encoding: Encoding::None, header: Vec::new(), pages }
}

/// The cells of each page, where pages have these many.
fn split_pages<'a, T: Element>(mut cells: &'a [T], pages: &'a [usize]) -> impl Iterator<Item = &'a [T]> {
    pages.iter().map(move |&count| {
        let (page, rest) = cells.split_at(count.min(cells.len()));
        cells = rest;
        page
    })
}

#[allow(clippy::cast_possible_truncation, reason = "a page holds at most MAX_PAGE_CELLS cells of 8 bytes")]
fn page_of<T: Element>(cells: &[T], bytes: Vec<u8>) -> EncodedPage {
    EncodedPage { cells: cells.len() as u32, raw_bytes: size_of_val(cells) as u32, bytes }
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
            Encoding::Pco | Encoding::PcoDecimal => Some(pco::Decoder::new(encoding, header)?),
            _ => None,
        };
        Ok(BlockDecoder { encoding, pco, scratch: Vec::new() })
    }

    /// Decodes a page of exactly `out.len()` cells.
    pub(crate) fn decode(&mut self, stored: &[u8], out: &mut [T]) -> Result<(), String> {
        match &mut self.pco {
            Some(pco) => pco.decode(stored, out),
            None => compressed::decode(self.encoding, stored, out, &mut self.scratch),
        }
    }
}

#[cfg(test)]
mod tests;
