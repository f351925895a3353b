//! The catalog file around the serialised catalog: format, version, checksum, compression.
//!
//! JSON: one line `{"format":"atlas","version":1,"crc32c":"xxxxxxxx","catalog":`, the body, and `}`. The checksum is of
//! the body. MessagePack: `ATLASCAT`, version and checksum as `u32`, the body. Compression is over all of that.

use super::FORMAT_VERSION;
use super::records::{CatalogRecord, Json, Msgpack, WrittenCatalog};
use super::segment::Refusal;
use super::wire::{Columns, put_u32s};
use crate::catalog::Catalog;
use crate::error::{Error, Result};
use std::borrow::Cow;
use std::io::{Read, Write};

/// Every flush pays for it: level 3 makes a large catalog a fifth smaller in 1.6 times the time.
const ZSTD_LEVEL: i32 = 1;
const MSGPACK_MAGIC: &[u8; 8] = b"ATLASCAT";
const JSON_TAIL: &str = "\n}\n";
const JSON_START: &str = "{\"format\":\"atlas\",\"version\":";

/// How the catalog is serialised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MetaFormat {
    /// Text that a person can read and grep.
    #[default]
    Json,
    /// Smaller, and faster to parse.
    Msgpack,
}

/// How the serialised catalog is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MetaCompression {
    /// Not at all.
    #[default]
    None,
    /// One Zstandard frame.
    Zstd,
    /// One LZ4 frame.
    Lz4,
}

/// What a compressed catalog unpacks to at most: so many times its size, or so many bytes, whichever is more.
const MAX_EXPANSION: u64 = 1000;
/// What a zstd catalog of datasets that are not all alike unpacks to at most: so many times its size.
const LIKELY_EXPANSION: usize = 32;
const MIN_UNPACKED_BYTES: u64 = 16 << 20;

fn json_head(version: u32, crc: u32) -> String {
    format!("{JSON_START}{version},\"crc32c\":\"{crc:08x}\",\"catalog\":\n")
}

pub(crate) fn encode(catalog: &Catalog, format: MetaFormat, compression: MetaCompression) -> Result<Vec<u8>> {
    let record = WrittenCatalog::new(catalog);
    let serialised = |result: Result<(), String>| {
        result.map_err(|error| Error::invalid(format!("the catalog cannot be serialised: {error}")))
    };
    // The head has one length, whatever the checksum, which is known when the body is.
    let plain = match format {
        MetaFormat::Json => {
            let mut out = json_head(FORMAT_VERSION, 0).into_bytes();
            let head = out.len();
            serialised(record.encode::<Json>(&mut out))?;
            let crc = crc32c::crc32c(&out[head..]);
            out[..head].copy_from_slice(json_head(FORMAT_VERSION, crc).as_bytes());
            out.extend_from_slice(JSON_TAIL.as_bytes());
            out
        }
        MetaFormat::Msgpack => {
            let mut out = MSGPACK_MAGIC.to_vec();
            put_u32s(&mut out, [FORMAT_VERSION, 0]);
            let head = out.len();
            serialised(record.encode::<Msgpack>(&mut out))?;
            let crc = crc32c::crc32c(&out[head..]);
            out[head - 4..head].copy_from_slice(&crc.to_le_bytes());
            out
        }
    };
    let failed = |error: std::io::Error| Error::invalid(format!("the catalog cannot be compressed: {error}"));
    match compression {
        MetaCompression::None => Ok(plain),
        MetaCompression::Zstd => {
            let mut encoder = zstd::bulk::Compressor::new(ZSTD_LEVEL).map_err(failed)?;
            encoder.include_checksum(true).map_err(failed)?;
            let mut packed = encoder.compress(&plain).map_err(failed)?;
            packed.shrink_to_fit();
            Ok(packed)
        }
        MetaCompression::Lz4 => {
            let info = lz4_flex::frame::FrameInfo::new().content_checksum(true);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(&plain).map_err(failed)?;
            encoder.finish().map_err(|error| failed(error.into()))
        }
    }
}

/// Why catalog bytes are not a catalog that this build can read.
pub(crate) enum CatalogRefusal {
    /// At this offset (of the decompressed file).
    Corrupt(u64, String),
    Version(u32),
    /// A store of the Python package atlas-python.
    Foreign,
}

impl From<Refusal> for CatalogRefusal {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Corrupt(message) => CatalogRefusal::Corrupt(0, message),
            Refusal::Version(version) => CatalogRefusal::Version(version),
        }
    }
}

pub(crate) fn decode(
    bytes: &[u8],
    format: MetaFormat,
    compression: MetaCompression,
) -> Result<Catalog, CatalogRefusal> {
    let record = {
        let unpacked = decompress(bytes, compression)?;
        match format {
            MetaFormat::Json => decode_json(&unpacked)?,
            MetaFormat::Msgpack => decode_msgpack(&unpacked)?,
        }
    };
    record.into_catalog().map_err(|message| CatalogRefusal::Corrupt(0, message))
}

fn decompress(bytes: &[u8], compression: MetaCompression) -> Result<Cow<'_, [u8]>, CatalogRefusal> {
    let corrupt = |message: String| CatalogRefusal::Corrupt(0, message);
    if compression == MetaCompression::None {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut out = Vec::new();
    // A catalog's columns repeat themselves, but not this much: a few bytes must not unpack to gigabytes.
    let limit = (bytes.len() as u64).saturating_mul(MAX_EXPANSION).max(MIN_UNPACKED_BYTES);
    match compression {
        MetaCompression::None => {}
        MetaCompression::Zstd => {
            let failed = |error: std::io::Error| corrupt(format!("zstd: {error}"));
            let size = zstd::zstd_safe::get_frame_content_size(bytes).ok().flatten();
            match size.and_then(|size| usize::try_from(size).ok()) {
                // A size that the file makes likely is taken at its word, and unpacked at once.
                Some(size) if size / LIKELY_EXPANSION <= bytes.len() => {
                    out.reserve_exact(size);
                    let mut decoder = zstd::bulk::Decompressor::new().map_err(failed)?;
                    decoder.decompress_to_buffer(bytes, &mut out).map_err(failed)?;
                }
                _ => {
                    let decoder = zstd::stream::read::Decoder::new(bytes).map_err(failed)?;
                    decoder.take(limit).read_to_end(&mut out).map_err(failed)?;
                }
            }
        }
        MetaCompression::Lz4 => {
            if let Err(error) = lz4_flex::frame::FrameDecoder::new(bytes).take(limit).read_to_end(&mut out) {
                // atlas-python writes a bare block after its size.
                let size = bytes.first_chunk().map(|size| u32::from_le_bytes(*size));
                let is_block = size.is_some_and(|size| u64::from(size) / 256 <= bytes.len() as u64);
                match lz4_flex::block::decompress_size_prepended(if is_block { bytes } else { &[] }) {
                    Ok(block) if is_foreign(&block) => return Err(CatalogRefusal::Foreign),
                    _ => return Err(corrupt(format!("lz4: {error}"))),
                }
            }
        }
    }
    Ok(Cow::Owned(out))
}

/// Whether these bytes begin like a catalog of atlas-python (whose keys always come in one order).
fn is_foreign(plain: &[u8]) -> bool {
    let text: Vec<u8> = plain.iter().take(64).copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    text.starts_with(b"{\"version\":1,\"codec\":\"") || plain.starts_with(b"\x83\xa7version\x01\xa5codec")
}

fn decode_json(plain: &[u8]) -> Result<CatalogRecord, CatalogRefusal> {
    let corrupt = |offset: usize, message: String| CatalogRefusal::Corrupt(offset as u64, message);
    if is_foreign(plain) {
        return Err(CatalogRefusal::Foreign);
    }
    let head_end = plain.iter().take(128).position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let head = std::str::from_utf8(&plain[..head_end]).unwrap_or_default();
    let version = head.strip_prefix(JSON_START).and_then(|rest| rest.split(',').next()?.parse::<u32>().ok());
    let Some(version) = version else {
        return Err(corrupt(0, "the first line is not that of an atlas catalog".into()));
    };
    let body = plain[head_end..].strip_suffix(JSON_TAIL.as_bytes());
    if head != json_head(version, body.map_or(0, crc32c::crc32c)) {
        let is_newer = version > FORMAT_VERSION;
        let message = "the catalog's checksum does not match (truncated or changed)";
        return Err(if is_newer { CatalogRefusal::Version(version) } else { corrupt(head_end, message.into()) });
    }
    if version > FORMAT_VERSION {
        return Err(CatalogRefusal::Version(version));
    }
    serde_json::from_slice(body.unwrap_or_default()).map_err(|error| corrupt(head_end, error.to_string()))
}

fn decode_msgpack(plain: &[u8]) -> Result<CatalogRecord, CatalogRefusal> {
    let corrupt = |offset: u64, message: String| CatalogRefusal::Corrupt(offset, message);
    if is_foreign(plain) {
        return Err(CatalogRefusal::Foreign);
    }
    let mut columns = Columns::new(plain);
    let mut head = || Ok::<_, String>((columns.bytes(8)?, columns.u32()?, columns.u32()?));
    let (magic, version, crc) = head().map_err(|message| corrupt(0, message))?;
    if magic != MSGPACK_MAGIC {
        return Err(corrupt(0, "the magic is not that of an atlas catalog".into()));
    }
    if version > FORMAT_VERSION {
        return Err(CatalogRefusal::Version(version));
    }
    let body = &plain[16..];
    if version == 0 || crc32c::crc32c(body) != crc {
        return Err(corrupt(16, "the catalog's checksum does not match (truncated or changed)".into()));
    }
    rmp_serde::from_slice(body).map_err(|error| corrupt(16, error.to_string()))
}
