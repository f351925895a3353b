//! Blocks behind a general compressor: plainly, as differences of neighbours, as byte planes, or as the planes of the
//! differences. Which of them is chosen by trying them on a sample of the block.

use super::compressor::Compressor;
use super::planes::Plan;
use super::{EncodedBlock, EncodedPage, Encoding, delta, page_of, planes, split_pages};
use crate::cells::Element;
use crate::error::Result;

/// What happens to the cells of a page before they are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    delta: bool,
    planes: bool,
}

pub(super) const FORMS: [Form; 4] = [
    Form { delta: false, planes: false },
    Form { delta: false, planes: true },
    Form { delta: true, planes: false },
    Form { delta: true, planes: true },
];

impl Form {
    pub(super) const PLANES: Form = Form { delta: false, planes: true };

    /// Passes over the bytes that decoding takes.
    fn passes(self) -> usize {
        1 + usize::from(self.delta) + usize::from(self.planes)
    }
}

impl Encoding {
    pub(super) fn of(compressor: Compressor, form: Form) -> Self {
        match (compressor, form.delta, form.planes) {
            (Compressor::None, ..) => Encoding::None,
            (Compressor::Zstd, false, false) => Encoding::Zstd,
            (Compressor::Zstd, false, true) => Encoding::ZstdPlanes,
            (Compressor::Zstd, true, false) => Encoding::ZstdDelta,
            (Compressor::Zstd, true, true) => Encoding::ZstdDeltaPlanes,
            (Compressor::Lz4, false, false) => Encoding::Lz4,
            (Compressor::Lz4, false, true) => Encoding::Lz4Planes,
            (Compressor::Lz4, true, false) => Encoding::Lz4Delta,
            (Compressor::Lz4, true, true) => Encoding::Lz4DeltaPlanes,
        }
    }

    /// `None` for encodings that are not made by a general compressor.
    pub(super) fn parts(self) -> Option<(Compressor, Form)> {
        let (compressor, delta, planes) = match self {
            Encoding::None => (Compressor::None, false, false),
            Encoding::Zstd => (Compressor::Zstd, false, false),
            Encoding::ZstdPlanes => (Compressor::Zstd, false, true),
            Encoding::ZstdDelta => (Compressor::Zstd, true, false),
            Encoding::ZstdDeltaPlanes => (Compressor::Zstd, true, true),
            Encoding::Lz4 => (Compressor::Lz4, false, false),
            Encoding::Lz4Planes => (Compressor::Lz4, false, true),
            Encoding::Lz4Delta => (Compressor::Lz4, true, false),
            Encoding::Lz4DeltaPlanes => (Compressor::Lz4, true, true),
            Encoding::Pco | Encoding::PcoDecimal => return None,
        };
        Some((compressor, Form { delta, planes }))
    }
}

/// Stored bytes for comparing, in ten-thousandths: every pass that decoding has to make must gain 3 %.
fn cost(stored: usize, passes: usize) -> usize {
    stored.saturating_mul([10_000, 10_300, 10_609, 10_927][passes.min(3)])
}

/// Blocks up to this are tried whole.
const SAMPLE_MIN: usize = 16 << 10;
/// Of larger ones a quarter is sampled up to this, and beyond it a sixteenth, up to `SAMPLE_MAX`.
const SAMPLE_OF_PACKED: usize = 32 << 10;
const SAMPLE_MAX: usize = 256 << 10;
/// A sample is so many runs of neighbouring cells from all over the block.
const SAMPLE_RUNS: usize = 8;
/// A sample has no distant repetitions: blocks come out smaller than it foretells.
const SAMPLE_EXCESS: f64 = 1.1;

fn sample<T: Element>(cells: &[T]) -> Vec<T> {
    let raw_bytes = size_of_val(cells);
    let bytes = (raw_bytes / 4).clamp(SAMPLE_MIN, SAMPLE_OF_PACKED).max(raw_bytes / 16).min(SAMPLE_MAX);
    if raw_bytes <= bytes {
        return cells.to_vec();
    }
    let run = bytes / size_of::<T>() / SAMPLE_RUNS;
    let stride = cells.len() / SAMPLE_RUNS;
    cells.chunks_exact(stride).flat_map(|part| &part[(stride - run) / 2..][..run]).copied().collect()
}

/// Encodes in the form that is best on a sample; `None` where the block would not be smaller than its cells, or than
/// `limit` bytes.
pub(super) fn encode<T: Element>(
    cells: &[T],
    pages: &[usize],
    compressor: Compressor,
    limit: usize,
) -> Result<Option<EncodedBlock>> {
    let sample = sample(cells);
    let mut best: Option<(Form, Plan, Vec<u8>)> = None;
    let mut best_cost = cost(size_of_val(&sample[..]), 0);
    for form in FORMS.into_iter().filter(|form| size_of::<T>() > 1 || !form.planes) {
        let plan = plan_of(&sample, compressor, form)?;
        let bytes = encode_page(&sample, compressor, form, plan)?;
        let own_cost = cost(bytes.len(), form.passes());
        if own_cost < best_cost {
            best_cost = own_cost;
            best = Some((form, plan, bytes));
        }
    }
    let Some((form, plan, bytes)) = best else { return Ok(None) };
    let expected = bytes.len() as f64 / sample.len() as f64 * cells.len() as f64;
    if expected > limit as f64 * SAMPLE_EXCESS {
        return Ok(None);
    }
    let block = if pages == [sample.len()] {
        block_of(compressor, form, vec![page_of(cells, bytes)])
    } else {
        encode_as(cells, pages, compressor, form, Some(plan))?
    };
    Ok(Some(block).filter(|block| block.stored_bytes() < limit.min(size_of_val(cells))))
}

fn block_of(compressor: Compressor, form: Form, pages: Vec<EncodedPage>) -> EncodedBlock {
    EncodedBlock { encoding: Encoding::of(compressor, form), header: Vec::new(), pages }
}

/// Encodes in this form, its planes by a plan that is known already, or by what is best for a sample.
pub(super) fn encode_as<T: Element>(
    cells: &[T],
    pages: &[usize],
    compressor: Compressor,
    form: Form,
    plan: Option<Plan>,
) -> Result<EncodedBlock> {
    let plan = match plan {
        Some(plan) => plan,
        None => plan_of(&sample(cells), compressor, form)?,
    };
    let pages = split_pages(cells, pages)
        .map(|page| Ok(page_of(page, encode_page(page, compressor, form, plan)?)))
        .collect::<Result<_>>()?;
    Ok(block_of(compressor, form, pages))
}

/// What [`encode_as`] did, for blocks like this one.
pub(super) fn plan_for_next<T: Element>(
    cells: &[T],
    block: &EncodedBlock,
    compressor: Compressor,
    form: Form,
) -> Result<Plan> {
    if !form.planes {
        return Ok(Plan::default());
    }
    let plan = plan_of(&sample(cells), compressor, form)?;
    Ok(plan.with_raw_of(block.pages.iter().map(|page| &page.bytes[..]), size_of::<T>()))
}

/// What is best for the planes of a page like this one.
fn plan_of<T: Element>(page: &[T], compressor: Compressor, form: Form) -> Result<Plan> {
    if !form.planes {
        return Ok(Plan::default());
    }
    with_form(page, form, |raw| Plan::of(raw, size_of::<T>(), compressor))
}

fn encode_page<T: Element>(page: &[T], compressor: Compressor, form: Form, plan: Plan) -> Result<Vec<u8>> {
    with_form(page, form, |raw| match form.planes {
        true => planes::encode(raw, size_of::<T>(), compressor, plan),
        false => compressor.compress(raw),
    })
}

/// Runs `work` on the bytes of a page, or of the differences of its cells.
fn with_form<T: Element, R>(page: &[T], form: Form, work: impl FnOnce(&[u8]) -> R) -> R {
    if form.delta { work(bytemuck::cast_slice(&delta::encode(page))) } else { work(bytemuck::cast_slice(page)) }
}

/// Decodes a page of exactly `out.len()` cells.
pub(super) fn decode<T: Element>(
    encoding: Encoding,
    stored: &[u8],
    out: &mut [T],
    scratch: &mut Vec<u8>,
) -> Result<(), String> {
    let (compressor, form) =
        encoding.parts().ok_or_else(|| format!("{} is not a general compressor's", encoding.name()))?;
    let bytes = bytemuck::cast_slice_mut(out);
    if form.planes {
        planes::decode(stored, size_of::<T>(), compressor, bytes, scratch)?;
    } else {
        compressor.decompress(stored, bytes)?;
    }
    if form.delta {
        delta::decode(out);
    }
    Ok(())
}
