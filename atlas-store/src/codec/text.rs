//! Strings and binary: a page is the `u32` length of each cell, then their bytes, compressed as one.

use super::compressor::Compressor;
use super::{Codec, EncodedBlock, EncodedPage, Encoding, MAX_PAGE_CELLS};
use crate::cells::VarCells;
use crate::error::{Error, Result};

/// Bytes of cells per page, where cells are small enough.
const PAGE_BYTES: usize = 64 << 10;

/// Encodes a block of strings or binary.
pub(crate) fn encode_text_block(cells: &VarCells, codec: Codec) -> Result<EncodedBlock> {
    let (compressor, encoding) = match codec {
        Codec::None => (Compressor::None, Encoding::None),
        Codec::Lz4 => (Compressor::Lz4, Encoding::Lz4),
        Codec::Auto | Codec::Pco | Codec::Zstd => (Compressor::Zstd, Encoding::Zstd),
    };
    let mut raws: Vec<(u32, Vec<u8>)> = Vec::new();
    let (mut lengths, mut bytes) = (Vec::new(), Vec::new());
    let mut close = |lengths: &mut Vec<u8>, bytes: &mut Vec<u8>| -> Result<()> {
        let cells = lengths.len() / 4;
        let mut raw = std::mem::take(lengths);
        raw.append(bytes);
        let too_long =
            || Error::invalid(format!("a page of {cells} text cells holds {} bytes, the most is 2^32", raw.len()));
        u32::try_from(raw.len()).map_err(|_| too_long())?;
        raws.push((u32::try_from(cells).map_err(|_| too_long())?, raw));
        Ok(())
    };
    for cell in cells.iter() {
        if !lengths.is_empty() && (bytes.len() + cell.len() > PAGE_BYTES || lengths.len() / 4 >= MAX_PAGE_CELLS) {
            close(&mut lengths, &mut bytes)?;
        }
        let length = u32::try_from(cell.len()).map_err(|_| {
            Error::invalid(format!("a text cell of {} bytes is too long, the most is 2^32", cell.len()))
        })?;
        lengths.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(cell);
    }
    if !lengths.is_empty() {
        close(&mut lengths, &mut bytes)?;
    }
    let encode = |compressor: Compressor, encoding| -> Result<EncodedBlock> {
        let mut pages = Vec::with_capacity(raws.len());
        for (cells, raw) in &raws {
            #[allow(clippy::cast_possible_truncation, reason = "checked when the page was closed")]
            let raw_bytes = raw.len() as u32;
            pages.push(EncodedPage { cells: *cells, raw_bytes, bytes: compressor.compress(raw)? });
        }
        Ok(EncodedBlock { encoding, header: Vec::new(), pages })
    };
    let packed = encode(compressor, encoding)?;
    let raw_bytes: usize = raws.iter().map(|(_, raw)| raw.len()).sum();
    if packed.stored_bytes() >= raw_bytes { encode(Compressor::None, Encoding::None) } else { Ok(packed) }
}

/// Decodes a page of `cells` cells, `raw_bytes` before encoding.
///
/// `raw_bytes` has been checked against the page's stored size.
pub(crate) fn decode_text_page(
    encoding: Encoding,
    stored: &[u8],
    cells: usize,
    raw_bytes: usize,
) -> Result<VarCells, String> {
    let compressor = match encoding {
        Encoding::None => Compressor::None,
        Encoding::Zstd => Compressor::Zstd,
        Encoding::Lz4 => Compressor::Lz4,
        other => return Err(format!("text cannot be encoded as {}", other.name())),
    };
    let mut raw = vec![0u8; raw_bytes];
    compressor.decompress(stored, &mut raw)?;
    let (lengths, mut bytes) = raw.split_at_checked(cells * 4).ok_or("text page is too short")?;
    let mut decoded = VarCells::with_capacity(cells);
    for length in lengths.as_chunks::<4>().0 {
        let (cell, rest) = bytes
            .split_at_checked(u32::from_le_bytes(*length) as usize)
            .ok_or("a text cell passes the end of its page")?;
        decoded.push(cell);
        bytes = rest;
    }
    if bytes.is_empty() { Ok(decoded) } else { Err(format!("{} bytes of text are left over", bytes.len())) }
}
