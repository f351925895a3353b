//! From stored cells to the cells of an array, as a variable's meaning says.

use crate::cf::{Decoding, text};
use crate::chunks::product;
use crate::source::StoredCells;
use atlas_store::{Cells, Element, VarCells};

/// Decoded cells, and whether some text was not UTF-8.
pub(crate) struct Decoded {
    pub(crate) cells: Cells,
    pub(crate) latin1: bool,
}

/// Decodes a box of `shape` (the array's, so without the length of strings).
pub(crate) fn decode(decoding: &Decoding, stored: StoredCells, shape: &[u64]) -> Result<Decoded, String> {
    let numbers = |cells| Ok(Decoded { cells, latin1: false });
    match (decoding, stored) {
        (Decoding::Stored, StoredCells::Numbers(cells)) => numbers(cells),
        (Decoding::Stored, StoredCells::Strings(cells, latin1)) => Ok(Decoded { cells: Cells::Var(cells), latin1 }),
        (Decoding::Integers { sign, mask }, StoredCells::Numbers(cells)) => {
            let mut cells = sign.apply(cells);
            each_number!(&mut cells, cells => unify(cells, &mask.cells()), var => {});
            numbers(cells)
        }
        (Decoding::Floats(floats), StoredCells::Numbers(cells)) => numbers(floats.decode(cells)?),
        (Decoding::IntegerTimes { sign, mask, clock }, StoredCells::Numbers(cells)) => {
            numbers(Cells::I64(clock.tell_integers(sign.apply(cells), mask)?))
        }
        (Decoding::FloatTimes(floats, clock), StoredCells::Numbers(cells)) => {
            numbers(Cells::I64(clock.tell_floats(floats.decode(cells)?)?))
        }
        (Decoding::Bools, StoredCells::Numbers(cells)) => {
            each_number!(cells, cells => numbers(Cells::U8(truths(&cells))), var => Err("strings cannot be bools".into()))
        }
        (Decoding::Characters { length: Some(length), mask }, StoredCells::Characters(bytes)) => {
            let too_many = |_| "more strings than fit in memory".to_string();
            let count = usize::try_from(product(shape.iter().copied())).map_err(too_many)?;
            let (cells, latin1) = text::fixed(&bytes, usize::try_from(*length).map_err(too_many)?, count);
            Ok(Decoded { cells: Cells::Var(text::unify(cells, mask)), latin1 })
        }
        (Decoding::Characters { length: None, mask }, StoredCells::Characters(bytes)) => {
            let latin1 = !bytes.is_ascii();
            Ok(Decoded { cells: Cells::Var(text::unify(single(&bytes), mask)), latin1 })
        }
        (Decoding::Strings { mask }, StoredCells::Strings(cells, latin1)) => {
            Ok(Decoded { cells: Cells::Var(text::unify(cells, mask)), latin1 })
        }
        _ => Err("cells are of another type than the header says".into()),
    }
}

/// Makes every cell of the mask the first of it.
fn unify<T: Element>(cells: &mut [T], mask: &[T]) {
    if let [fill, others @ ..] = mask
        && !others.is_empty()
    {
        cells.iter_mut().filter(|cell| others.contains(cell)).for_each(|cell| *cell = *fill);
    }
}

fn truths<T: Element>(cells: &[T]) -> Vec<u8> {
    cells.iter().map(|cell| u8::from(*cell != T::default())).collect()
}

/// Each byte as a string: none for 0, else the character of Latin-1.
fn single(bytes: &[u8]) -> VarCells {
    let mut strings = VarCells::with_capacity(bytes.len());
    let mut buffer = [0; 4];
    for byte in bytes {
        strings.push(match byte {
            0 => b"",
            byte => char::from(*byte).encode_utf8(&mut buffer).as_bytes(),
        });
    }
    strings
}
