//! Pcodec: a block is one pco chunk in the wrapped format, its header the pco header and chunk metadata, its pages pco
//! pages.
//!
//! # Source
//! The format of the crate `pco`, version 1 (<https://docs.rs/pco>).

use super::{EncodedBlock, Encoding, page_of, split_pages};
use crate::cells::Element;
use crate::dtype::Physical;
use crate::error::{Error, Result};
use pco::data_types::Number;
use pco::metadata::{DeltaEncoding, DynLatent, Mode};
use pco::wrapped::{ChunkDecompressor, FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DeltaSpec, ModeSpec, PagingSpec};

/// 8 gives within 2 % of the best ratio at twice the encoding speed of 12.
const LEVEL: usize = 8;
/// Takes two thirds of the time, and is worth it where the bins of `LEVEL` gain nothing.
const FAST_LEVEL: usize = 6;
/// How much larger the fast level may come out.
const FAST_LEVEL_COST: f64 = 1.01;

/// Runs `$body` with `$cell` as the type that `$source` is; both name the same machine type.
macro_rules! as_number {
    ($source:ty, $cell:ident => $body:expr) => {
        match <$source as Element>::PHYSICAL {
            Physical::I8 => as_number!(@ i8, $cell, $body),
            Physical::I16 => as_number!(@ i16, $cell, $body),
            Physical::I32 => as_number!(@ i32, $cell, $body),
            Physical::I64 => as_number!(@ i64, $cell, $body),
            Physical::U8 => as_number!(@ u8, $cell, $body),
            Physical::U16 => as_number!(@ u16, $cell, $body),
            Physical::U32 => as_number!(@ u32, $cell, $body),
            Physical::U64 => as_number!(@ u64, $cell, $body),
            Physical::F32 => as_number!(@ f32, $cell, $body),
            Physical::F64 | Physical::Var => as_number!(@ f64, $cell, $body),
        }
    };
    (@ $type:ty, $cell:ident, $body:expr) => {{
        type $cell = $type;
        $body
    }};
}

/// What pco searches by itself, or is told.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    mode: ModeSpec,
    delta: DeltaSpec,
    level: usize,
}

impl Spec {
    const SEARCH: Spec = Spec { mode: ModeSpec::Auto, delta: DeltaSpec::Auto, level: LEVEL };

    /// What a block was encoded with; `None` where that was not pco.
    pub(super) fn of<T: Element>(block: &EncodedBlock) -> Option<Spec> {
        if block.encoding != Encoding::Pco {
            return None;
        }
        as_number!(T, N => {
            let chunk = chunk_decompressor::<N>(&block.header).ok()?;
            let meta = chunk.meta();
            Some(Spec { mode: mode_spec(&meta.mode), delta: delta_spec(&meta.delta_encoding), level: LEVEL })
        })
    }

    /// At the level that is worth its time on these cells, of which `stored_bytes` were made.
    pub(super) fn at_best_level<T: Element>(self, cells: &[T], pages: &[usize], stored_bytes: usize) -> Result<Spec> {
        let fast = Spec { level: FAST_LEVEL, ..self.clone() };
        let fast_bytes = encode_as(cells, pages, &fast)?.stored_bytes();
        Ok(if fast_bytes as f64 <= stored_bytes as f64 * FAST_LEVEL_COST { fast } else { self })
    }
}

fn mode_spec(mode: &Mode) -> ModeSpec {
    match mode {
        Mode::Classic => ModeSpec::Classic,
        Mode::IntMult(DynLatent::U8(base)) => ModeSpec::TryIntMult(u64::from(*base)),
        Mode::IntMult(DynLatent::U16(base)) => ModeSpec::TryIntMult(u64::from(*base)),
        Mode::IntMult(DynLatent::U32(base)) => ModeSpec::TryIntMult(u64::from(*base)),
        Mode::IntMult(DynLatent::U64(base)) => ModeSpec::TryIntMult(*base),
        // The latent of a positive float is its bits above those of all negative ones.
        Mode::FloatMult(DynLatent::U32(base)) => ModeSpec::TryFloatMult(f64::from(f32::from_bits(base ^ (1 << 31)))),
        Mode::FloatMult(DynLatent::U64(base)) => ModeSpec::TryFloatMult(f64::from_bits(base ^ (1 << 63))),
        Mode::FloatQuant(bits) => ModeSpec::TryFloatQuant(*bits),
        _ => ModeSpec::Auto,
    }
}

fn delta_spec(delta: &DeltaEncoding) -> DeltaSpec {
    match delta {
        DeltaEncoding::NoOp => DeltaSpec::NoOp,
        DeltaEncoding::Consecutive { order, .. } => DeltaSpec::TryConsecutive(*order),
        DeltaEncoding::Lookback { .. } => DeltaSpec::TryLookback,
        _ => DeltaSpec::Auto,
    }
}

fn encode_numbers<T: Number + Element>(cells: &[T], pages: &[usize], spec: &Spec) -> Result<EncodedBlock> {
    let failed = |error: pco::errors::PcoError| Error::invalid(format!("pco: {error}"));
    let file = FileCompressor::default();
    let config = ChunkConfig::default()
        .with_compression_level(spec.level)
        .with_mode_spec(spec.mode.clone())
        .with_delta_spec(spec.delta.clone())
        .with_enable_8_bit(true)
        .with_paging_spec(PagingSpec::Exact(pages.to_vec()));
    let mut chunk = file.chunk_compressor(cells, &config).map_err(failed)?;
    let header = file.write_header(Vec::new()).map_err(failed)?;
    let header = chunk.write_meta(header).map_err(failed)?;
    let mut encoded = Vec::with_capacity(pages.len());
    for (index, page) in split_pages(cells, pages).enumerate() {
        let bytes = chunk.write_page(index, Vec::with_capacity(chunk.page_size_hint(index))).map_err(failed)?;
        encoded.push(page_of(page, bytes));
    }
    Ok(EncodedBlock { encoding: Encoding::Pco, header, pages: encoded })
}

/// Encodes `cells` cut into pages of these many cells.
pub(super) fn encode<T: Element>(cells: &[T], pages: &[usize]) -> Result<EncodedBlock> {
    encode_as(cells, pages, &Spec::SEARCH)
}

/// The same with what is known already.
pub(super) fn encode_as<T: Element>(cells: &[T], pages: &[usize], spec: &Spec) -> Result<EncodedBlock> {
    if cells.is_empty() {
        return Ok(EncodedBlock { encoding: Encoding::None, header: Vec::new(), pages: Vec::new() });
    }
    as_number!(T, N => encode_numbers::<N>(bytemuck::cast_slice(cells), pages, spec))
}

/// The decoder of one block.
pub(super) struct Decoder<T: Element> {
    chunk: Chunk,
    cells: std::marker::PhantomData<T>,
}

enum Chunk {
    I8(ChunkDecompressor<i8>),
    I16(ChunkDecompressor<i16>),
    I32(ChunkDecompressor<i32>),
    I64(ChunkDecompressor<i64>),
    U8(ChunkDecompressor<u8>),
    U16(ChunkDecompressor<u16>),
    U32(ChunkDecompressor<u32>),
    U64(ChunkDecompressor<u64>),
    F32(ChunkDecompressor<f32>),
    F64(ChunkDecompressor<f64>),
}

fn chunk_decompressor<N: Number>(header: &[u8]) -> Result<ChunkDecompressor<N>, String> {
    let failed = |error: pco::errors::PcoError| format!("pco: {error}");
    let (file, rest) = FileDecompressor::new(header).map_err(failed)?;
    let (chunk, _) = file.chunk_decompressor(rest).map_err(failed)?;
    Ok(chunk)
}

fn decode_numbers<N: Number + Element, T: Element>(
    chunk: &mut ChunkDecompressor<N>,
    stored: &[u8],
    out: &mut [T],
) -> Result<(), String> {
    let failed = |error: pco::errors::PcoError| format!("pco: {error}");
    let out: &mut [N] = bytemuck::cast_slice_mut(out);
    let mut page = chunk.page_decompressor(stored, out.len()).map_err(failed)?;
    let progress = page.read(out).map_err(failed)?;
    if progress.n_processed == out.len() {
        Ok(())
    } else {
        Err(format!("pco: page holds {} cells, expected {}", progress.n_processed, out.len()))
    }
}

impl<T: Element> Decoder<T> {
    pub(super) fn new(header: &[u8]) -> Result<Self, String> {
        let chunk = match T::PHYSICAL {
            Physical::I8 => Chunk::I8(chunk_decompressor(header)?),
            Physical::I16 => Chunk::I16(chunk_decompressor(header)?),
            Physical::I32 => Chunk::I32(chunk_decompressor(header)?),
            Physical::I64 => Chunk::I64(chunk_decompressor(header)?),
            Physical::U8 => Chunk::U8(chunk_decompressor(header)?),
            Physical::U16 => Chunk::U16(chunk_decompressor(header)?),
            Physical::U32 => Chunk::U32(chunk_decompressor(header)?),
            Physical::U64 => Chunk::U64(chunk_decompressor(header)?),
            Physical::F32 => Chunk::F32(chunk_decompressor(header)?),
            Physical::F64 | Physical::Var => Chunk::F64(chunk_decompressor(header)?),
        };
        Ok(Decoder { chunk, cells: std::marker::PhantomData })
    }

    pub(super) fn decode(&mut self, stored: &[u8], out: &mut [T]) -> Result<(), String> {
        match &mut self.chunk {
            Chunk::I8(chunk) => decode_numbers(chunk, stored, out),
            Chunk::I16(chunk) => decode_numbers(chunk, stored, out),
            Chunk::I32(chunk) => decode_numbers(chunk, stored, out),
            Chunk::I64(chunk) => decode_numbers(chunk, stored, out),
            Chunk::U8(chunk) => decode_numbers(chunk, stored, out),
            Chunk::U16(chunk) => decode_numbers(chunk, stored, out),
            Chunk::U32(chunk) => decode_numbers(chunk, stored, out),
            Chunk::U64(chunk) => decode_numbers(chunk, stored, out),
            Chunk::F32(chunk) => decode_numbers(chunk, stored, out),
            Chunk::F64(chunk) => decode_numbers(chunk, stored, out),
        }
    }
}
