//! Minima and maxima, as cells of the arrays' dtype.

use super::compact;
use crate::cells::{Cells, Element, VarCells};
use crate::dtype::DType;
use crate::scalar::Scalar;
use crate::with_physical;

/// No bounds of arrays of this dtype.
pub(crate) fn none(dtype: DType) -> Cells {
    with_physical!(dtype.physical(), T => T::wrap(Vec::new()), var => Cells::Var(VarCells::default()))
}

/// Bound `at` as a scalar; `None` out of range.
pub(crate) fn get(dtype: DType, bounds: &Cells, at: usize) -> Option<Scalar> {
    with_physical!(bounds.physical(), T => {
        T::unwrap(bounds).and_then(|cells| cells.get(at)).map(|cell| cell.into_scalar(dtype))
    }, var => match bounds {
        Cells::Var(cells) => (at < cells.len()).then(|| Scalar::from_bytes(dtype, cells.get(at))),
        _ => None,
    })
}

/// Inserts an empty bound before bound `at`, or at the end.
pub(super) fn insert(bounds: &mut Cells, at: usize) {
    with_physical!(bounds.physical(), T => {
        if let Some(cells) = T::unwrap_mut(bounds) {
            cells.insert(at, T::default());
        }
    }, var => if let Cells::Var(cells) = bounds {
        if at == cells.len() {
            cells.push(&[]);
        } else {
            *cells = cells.iter().take(at).chain([&[][..]]).chain(cells.iter().skip(at)).collect();
        }
    });
}

/// Sets several bounds, whose places ascend; `None` is an empty one.
pub(super) fn set<'a>(bounds: &mut Cells, new: impl Iterator<Item = (usize, Option<&'a Scalar>)>) {
    with_physical!(bounds.physical(), T => {
        if let Some(cells) = T::unwrap_mut(bounds) {
            for (at, bound) in new {
                cells[at] = bound.and_then(T::from_scalar).unwrap_or_default();
            }
        }
    }, var => if let Cells::Var(cells) = bounds {
        let mut new = new.peekable();
        let mut out = VarCells::with_capacity(cells.len());
        for (at, old) in cells.iter().enumerate() {
            match new.next_if(|(place, _)| *place == at) {
                Some((_, bound)) => out.push(bound.and_then(Scalar::as_bytes).unwrap_or_default()),
                None => out.push(old),
            }
        }
        *cells = out;
    });
}

/// Keeps the bounds whose place has a `true`.
pub(super) fn retain(bounds: &mut Cells, keep: &[bool]) {
    with_physical!(bounds.physical(), T => {
        if let Some(cells) = T::unwrap_mut(bounds) {
            compact::retain(cells, keep);
        }
    }, var => if let Cells::Var(cells) = bounds {
        *cells = cells.iter().zip(keep).filter(|(_, keep)| **keep).map(|(cell, _)| cell).collect();
    });
}
