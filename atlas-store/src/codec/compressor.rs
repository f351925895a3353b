//! The general byte compressors that stand behind several encodings.

use crate::error::{Error, Result};
use std::cell::Cell;
use zstd::bulk::{Compressor as ZstdEncoder, Decompressor as ZstdDecoder};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compressor {
    None,
    Zstd,
    Lz4,
}

/// The level at which zstd still encodes at hundreds of MB/s: 6 gains about 5 % and takes two to three times as long.
const ZSTD_LEVEL: i32 = 3;

thread_local! {
    // Making one takes longer than a page of 8 KiB does, so each thread keeps one.
    static ENCODER: Cell<Option<ZstdEncoder<'static>>> = const { Cell::new(None) };
    static DECODER: Cell<Option<ZstdDecoder<'static>>> = const { Cell::new(None) };
}

fn zstd_compress(raw: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = match ENCODER.take() {
        Some(encoder) => encoder,
        None => ZstdEncoder::new(ZSTD_LEVEL)?,
    };
    let packed = encoder.compress(raw);
    ENCODER.set(Some(encoder));
    packed
}

fn zstd_decompress(stored: &[u8], out: &mut [u8]) -> std::io::Result<usize> {
    let mut decoder = match DECODER.take() {
        Some(decoder) => decoder,
        None => ZstdDecoder::new()?,
    };
    let written = decoder.decompress_to_buffer(stored, out);
    DECODER.set(Some(decoder));
    written
}

impl Compressor {
    pub(super) fn compress(self, raw: &[u8]) -> Result<Vec<u8>> {
        match self {
            Compressor::None => Ok(raw.to_vec()),
            Compressor::Zstd => zstd_compress(raw).map_err(|error| Error::invalid(format!("zstd: {error}"))),
            Compressor::Lz4 => Ok(lz4_flex::block::compress(raw)),
        }
    }

    /// Decodes to exactly `out.len()` bytes.
    pub(super) fn decompress(self, stored: &[u8], out: &mut [u8]) -> Result<(), String> {
        let written = match self {
            Compressor::None => {
                if stored.len() == out.len() {
                    out.copy_from_slice(stored);
                }
                stored.len()
            }
            Compressor::Zstd => zstd_decompress(stored, out).map_err(|error| format!("zstd: {error}"))?,
            Compressor::Lz4 => {
                lz4_flex::block::decompress_into(stored, out).map_err(|error| format!("lz4: {error}"))?
            }
        };
        if written == out.len() { Ok(()) } else { Err(format!("page holds {written} bytes, expected {}", out.len())) }
    }
}
