//! Pcodec: a block is one pco chunk in the wrapped format, its header the pco header and chunk metadata, its pages pco
//! pages. Of decimal numbers it is the pco chunk of their integers.
//!
//! # Source
//! The format of the crate `pco`, version 1 (<https://docs.rs/pco>).

use super::decimal::{self, Decimal, Scale};
use super::{EncodedBlock, EncodedPage, Encoding, page_of, split_pages};
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
const FAST_LEVEL_COST: f64 = 1.02;

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

/// Runs `$body` with the decompressor that `$chunk` is.
macro_rules! with_chunk {
    ($chunk:expr, $own:ident => $body:expr) => {
        match $chunk {
            Chunk::I8($own) => $body,
            Chunk::I16($own) => $body,
            Chunk::I32($own) => $body,
            Chunk::I64($own) => $body,
            Chunk::U8($own) => $body,
            Chunk::U16($own) => $body,
            Chunk::U32($own) => $body,
            Chunk::U64($own) => $body,
            Chunk::F32($own) => $body,
            Chunk::F64($own) => $body,
        }
    };
}

/// What pco searches by itself, or is told.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    /// Of decimal numbers; the rest is for their integers.
    scale: Option<Scale>,
    mode: ModeSpec,
    delta: DeltaSpec,
    level: usize,
}

impl Spec {
    const SEARCH: Spec = Spec { scale: None, mode: ModeSpec::Auto, delta: DeltaSpec::Auto, level: LEVEL };

    /// What a block was encoded with; `None` where that was not pco.
    pub(super) fn of<T: Element>(block: &EncodedBlock) -> Option<Spec> {
        let decoder = Decoder::<T>::new(block.encoding, &block.header).ok()?;
        let (mode, delta) = with_chunk!(&decoder.chunk, chunk => {
            (mode_spec(&chunk.meta().mode), delta_spec(&chunk.meta().delta_encoding))
        });
        Some(Spec { scale: decoder.scale, mode, delta, level: LEVEL })
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

fn failed(error: pco::errors::PcoError) -> Error {
    Error::invalid(format!("pco: {error}"))
}

/// The header, then what each page holds.
fn encode_numbers<N: Number>(cells: &[N], pages: &[usize], spec: &Spec) -> Result<(Vec<u8>, Vec<Vec<u8>>)> {
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
    let page = |index| chunk.write_page(index, Vec::with_capacity(chunk.page_size_hint(index))).map_err(failed);
    Ok((header, (0..pages.len()).map(page).collect::<Result<_>>()?))
}

fn encode_decimals<F: Decimal<Int: Number>>(
    cells: &[F],
    pages: &[usize],
    scale: Scale,
    spec: &Spec,
) -> Result<(Vec<u8>, Vec<Vec<u8>>)> {
    let mut ints = vec![F::Int::default(); cells.len()];
    let mut rest = &mut ints[..];
    let mut encoded = Vec::with_capacity(pages.len());
    for page in split_pages(cells, pages) {
        let (own, behind) = std::mem::take(&mut rest).split_at_mut(page.len());
        encoded.push(decimal::split(page, scale, own));
        rest = behind;
    }
    let (mut header, packed) = encode_numbers(&ints, pages, spec)?;
    header.insert(0, scale.code());
    encoded.iter_mut().zip(packed).for_each(|(page, packed)| page.extend(packed));
    Ok((header, encoded))
}

/// Encodes `cells` cut into pages of these many cells: as decimal numbers where all of them are that, or where that is smaller.
pub(super) fn encode<T: Element>(cells: &[T], pages: &[usize]) -> Result<EncodedBlock> {
    let Some(decimals) = encode_decimal(cells, pages)? else { return encode_plain(cells, pages) };
    let has_exceptions = |page: &EncodedPage| !page.bytes.starts_with(&[0; 4]);
    if !decimals.pages.iter().any(has_exceptions) {
        return Ok(decimals);
    }
    let plain = encode_plain(cells, pages)?;
    Ok(if decimals.stored_bytes() <= plain.stored_bytes() { decimals } else { plain })
}

/// The numbers as they are.
pub(super) fn encode_plain<T: Element>(cells: &[T], pages: &[usize]) -> Result<EncodedBlock> {
    encode_as(cells, pages, &Spec::SEARCH)
}

/// As decimal numbers, whichever scale they have; `None` where they have none.
pub(super) fn encode_decimal<T: Element>(cells: &[T], pages: &[usize]) -> Result<Option<EncodedBlock>> {
    scale_of(cells).map(|scale| encode_scaled(cells, pages, scale)).transpose()
}

fn scale_of<T: Element>(cells: &[T]) -> Option<Scale> {
    match T::PHYSICAL {
        Physical::F32 => decimal::find::<f32>(bytemuck::cast_slice(cells)),
        Physical::F64 => decimal::find::<f64>(bytemuck::cast_slice(cells)),
        _ => None,
    }
}

/// Whether nearly all cells are decimal numbers of one scale.
pub(super) fn are_decimal<T: Element>(cells: &[T]) -> bool {
    scale_of(cells).is_some()
}

/// As decimal numbers of this scale.
pub(super) fn encode_scaled<T: Element>(cells: &[T], pages: &[usize], scale: Scale) -> Result<EncodedBlock> {
    encode_as(cells, pages, &Spec { scale: Some(scale), ..Spec::SEARCH })
}

/// The same with what is known already.
pub(super) fn encode_as<T: Element>(cells: &[T], pages: &[usize], spec: &Spec) -> Result<EncodedBlock> {
    if cells.is_empty() {
        return Ok(EncodedBlock { encoding: Encoding::None, header: Vec::new(), pages: Vec::new() });
    }
    let (header, packed) = match (spec.scale, T::PHYSICAL) {
        (Some(scale), Physical::F32) => encode_decimals::<f32>(bytemuck::cast_slice(cells), pages, scale, spec)?,
        (Some(scale), Physical::F64) => encode_decimals::<f64>(bytemuck::cast_slice(cells), pages, scale, spec)?,
        _ => as_number!(T, N => encode_numbers::<N>(bytemuck::cast_slice(cells), pages, spec)?),
    };
    let encoding = if spec.scale.is_some() { Encoding::PcoDecimal } else { Encoding::Pco };
    let pages = split_pages(cells, pages).zip(packed).map(|(page, bytes)| page_of(page, bytes)).collect();
    Ok(EncodedBlock { encoding, header, pages })
}

/// The decoder of one block.
pub(super) struct Decoder<T: Element> {
    chunk: Chunk,
    scale: Option<Scale>,
    cells: std::marker::PhantomData<T>,
}

impl Chunk {
    fn new(physical: Physical, header: &[u8]) -> Result<Self, String> {
        Ok(match physical {
            Physical::I8 => Chunk::I8(chunk_decompressor(header)?),
            Physical::I16 => Chunk::I16(chunk_decompressor(header)?),
            Physical::I32 => Chunk::I32(chunk_decompressor(header)?),
            Physical::I64 => Chunk::I64(chunk_decompressor(header)?),
            Physical::U8 => Chunk::U8(chunk_decompressor(header)?),
            Physical::U16 => Chunk::U16(chunk_decompressor(header)?),
            Physical::U32 => Chunk::U32(chunk_decompressor(header)?),
            Physical::U64 => Chunk::U64(chunk_decompressor(header)?),
            Physical::F32 => Chunk::F32(chunk_decompressor(header)?),
            Physical::F64 => Chunk::F64(chunk_decompressor(header)?),
            Physical::Var => return Err("pco: strings and binary are no numbers".into()),
        })
    }
}

fn chunk_decompressor<N: Number>(header: &[u8]) -> Result<ChunkDecompressor<N>, String> {
    let failed = |error: pco::errors::PcoError| format!("pco: {error}");
    let (file, rest) = FileDecompressor::new(header).map_err(failed)?;
    let (chunk, _) = file.chunk_decompressor(rest).map_err(failed)?;
    Ok(chunk)
}

fn decode_numbers<N: Number + bytemuck::Pod, T: Element>(
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
    /// Of a block that has this encoding and header.
    pub(super) fn new(encoding: Encoding, header: &[u8]) -> Result<Self, String> {
        let (scale, physical, header) = match encoding {
            Encoding::PcoDecimal => {
                let (code, header) = header.split_first().ok_or("decimal: the block has no header")?;
                let physical = match T::PHYSICAL {
                    Physical::F32 => Physical::I32,
                    Physical::F64 => Physical::I64,
                    _ => return Err("decimal: the cells are no floats".into()),
                };
                (Some(Scale::from_code(*code)?), physical, header)
            }
            Encoding::Pco => (None, T::PHYSICAL, header),
            _ => return Err(format!("{} is not pco", encoding.name())),
        };
        Ok(Decoder { chunk: Chunk::new(physical, header)?, scale, cells: std::marker::PhantomData })
    }

    pub(super) fn decode(&mut self, stored: &[u8], out: &mut [T]) -> Result<(), String> {
        let Some(scale) = self.scale else {
            return with_chunk!(&mut self.chunk, chunk => decode_numbers(chunk, stored, out));
        };
        let (exceptions, stored) = decimal::exceptions::<T>(stored)?;
        with_chunk!(&mut self.chunk, chunk => decode_numbers(chunk, stored, out))?;
        decimal::join(out, scale, exceptions)
    }
}
