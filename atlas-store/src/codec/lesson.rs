//! What encoding one block teaches for the next ones: blocks of a family mostly hold the same kind of numbers, so that what
//! was best for one need not be searched again for each.

use super::compressed::{self, Form};
use super::compressor::Compressor;
use super::planes::Plan;
use super::{Codec, Cut, EncodedBlock, Encoding, block_pages, encode_block, pco};
use crate::cells::Element;
use crate::error::Result;

/// How many times larger a block may come out for its cells than the one that taught, before everything is tried on it too.
const TOLERANCE: f64 = 1.1;
/// Bytes that are no reason to: headers weigh more in a smaller block.
const SLACK_BYTES: f64 = 256.0;

/// How a block was encoded, and what that gave.
#[derive(Debug, Clone)]
pub(crate) struct Lesson {
    way: Way,
    /// Stored bytes for each byte of the cells.
    cost: f64,
    /// Whether cells that are decimal numbers are no reason to try everything again: these were, for all that was taken.
    knows_decimals: bool,
}

#[derive(Debug, Clone)]
enum Way {
    Pco(pco::Spec),
    Compressed(Compressor, Form, Plan),
}

impl Lesson {
    /// Of a block that [`encode_block`] made of these cells. `None` where the next block has to be tried as this one was:
    /// cells that are stored as they are teach nothing.
    pub(crate) fn of<T: Element>(
        cells: &[T],
        cuts: &[Cut],
        codec: Codec,
        is_bool: bool,
        block: &EncodedBlock,
    ) -> Result<Option<Lesson>> {
        let way = if let Some(spec) = pco::Spec::of::<T>(block) {
            Way::Pco(spec.at_best_level(cells, &block_pages(cells, cuts, codec, is_bool), block.stored_bytes())?)
        } else {
            match block.encoding.parts() {
                None | Some((Compressor::None, _)) => return Ok(None),
                Some((compressor, form)) => {
                    Way::Compressed(compressor, form, compressed::plan_for_next(cells, block, compressor, form)?)
                }
            }
        };
        let cost = block.stored_bytes() as f64 / size_of_val(cells).max(1) as f64;
        let knows_decimals = block.encoding == Encoding::PcoDecimal
            || !matches!(codec, Codec::Auto | Codec::Pco)
            || pco::are_decimal(cells);
        Ok(Some(Lesson { way, cost, knows_decimals }))
    }
}

/// Encodes a block as an earlier one was; as [`encode_block`] does where that turns out clearly larger than it was then, or where
/// only these are decimal numbers.
pub(crate) fn encode_like<T: Element>(
    cells: &[T],
    cuts: &[Cut],
    codec: Codec,
    is_bool: bool,
    lesson: &Lesson,
) -> Result<EncodedBlock> {
    if !lesson.knows_decimals && pco::are_decimal(cells) {
        // They would come out no larger than what taught, and several times as large as they need to.
        return encode_block(cells, cuts, codec, is_bool);
    }
    let pages = block_pages(cells, cuts, codec, is_bool);
    let block = match &lesson.way {
        Way::Pco(spec) => pco::encode_as(cells, &pages, spec)?,
        Way::Compressed(compressor, form, plan) => {
            compressed::encode_as(cells, &pages, *compressor, *form, Some(*plan))?
        }
    };
    let raw = size_of_val(cells);
    if block.stored_bytes() < raw && block.stored_bytes() as f64 <= lesson.cost * TOLERANCE * raw as f64 + SLACK_BYTES {
        return Ok(block);
    }
    let tried = encode_block(cells, cuts, codec, is_bool)?;
    Ok(if tried.stored_bytes() <= block.stored_bytes() { tried } else { block })
}
