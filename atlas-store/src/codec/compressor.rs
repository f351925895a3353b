//! The general byte compressors that stand behind several encodings.

use crate::error::{Error, Result};
use std::cell::Cell;
use std::thread::LocalKey;
use zstd::bulk::{Compressor as ZstdEncoder, Decompressor as ZstdDecoder};
use zstd::zstd_safe::CParameter;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compressor {
    None,
    Zstd,
    Lz4,
}

/// The level at which zstd still encodes at hundreds of MB/s: 6 gains about 5 % and takes two to three times as long.
const ZSTD_LEVEL: i32 = 3;

/// Of bytes without a pattern, which differ only in how often they occur, the short matches that zstd finds cost more than they
/// gain: looking for long ones only, a 2 KiB plane of a float's exponents is 17 % smaller, and both ways take half the time.
const LITERALS_LEVEL: i32 = 1;
const LITERALS_MIN_MATCH: u32 = 7;
const LITERALS_HASH_LOG: u32 = 6;

thread_local! {
    // Making one takes longer than a page of 8 KiB does, so each thread keeps one.
    static LITERALS_ENCODER: Cell<Option<ZstdEncoder<'static>>> = const { Cell::new(None) };
    static ENCODER: Cell<Option<ZstdEncoder<'static>>> = const { Cell::new(None) };
    static DECODER: Cell<Option<ZstdDecoder<'static>>> = const { Cell::new(None) };
}

/// Compresses with the encoder that this thread keeps, or makes.
fn zstd_compress(
    kept: &'static LocalKey<Cell<Option<ZstdEncoder<'static>>>>,
    make: fn() -> std::io::Result<ZstdEncoder<'static>>,
    raw: &[u8],
) -> Result<Vec<u8>> {
    let compress = || {
        let mut encoder = kept.take().map_or_else(make, Ok)?;
        let packed = encoder.compress(raw);
        kept.set(Some(encoder));
        packed
    };
    compress().map_err(|error| Error::invalid(format!("zstd: {error}")))
}

fn encoder() -> std::io::Result<ZstdEncoder<'static>> {
    ZstdEncoder::new(ZSTD_LEVEL)
}

fn literals_encoder() -> std::io::Result<ZstdEncoder<'static>> {
    let mut encoder = ZstdEncoder::new(LITERALS_LEVEL)?;
    encoder.set_parameter(CParameter::MinMatch(LITERALS_MIN_MATCH))?;
    encoder.set_parameter(CParameter::HashLog(LITERALS_HASH_LOG))?;
    Ok(encoder)
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
            Compressor::Zstd => zstd_compress(&ENCODER, encoder, raw),
            Compressor::Lz4 => Ok(lz4_flex::block::compress(raw)),
        }
    }

    /// The same, for bytes without a pattern.
    pub(super) fn compress_literals(self, raw: &[u8]) -> Result<Vec<u8>> {
        match self {
            Compressor::Zstd => zstd_compress(&LITERALS_ENCODER, literals_encoder, raw),
            _ => self.compress(raw),
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
