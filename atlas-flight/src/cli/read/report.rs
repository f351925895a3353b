//! What becomes of a stacked read: a numpy file, or a summary.

use super::{SHOWN, Stack};
use crate::cli::{Failure, Output, describe, npy};
use atlas_store::{DType, Scalar, Statistics};
use std::io::Write;
use std::path::Path;

pub(super) fn write_npy(stack: &mut dyn Stack, path: &Path) -> Result<(), Failure> {
    let mut longest_text = 0;
    if stack.dtype() == DType::String {
        // The width of a text cell stands before the first cell.
        stack.for_each(&mut |data, _| {
            longest_text = longest_text.max(npy::longest_text(data));
            Ok(())
        })?;
    }
    let descr = npy::Descr::of(stack.array(), stack.dtype(), longest_text)?;
    let mut file = Output::file(path)?;
    npy::write_header(&mut file, &descr, stack.shape())?;
    stack.for_each(&mut |data, _| Ok(npy::write_cells(&mut file, data, longest_text)?))?;
    file.finish()?;
    let mut out = Output::stdout();
    let shape = describe::tuple(stack.shape());
    writeln!(out, "wrote {}: {} {} {shape}", path.display(), stack.array(), stack.dtype())?;
    out.finish()
}

pub(super) fn print_summary(stack: &mut dyn Stack) -> Result<(), Failure> {
    let mut cells = 0;
    let mut nulls = 0;
    let mut nans = 0;
    let (mut min, mut max): (Option<Scalar>, Option<Scalar>) = (None, None);
    let mut first = Vec::new();
    stack.for_each(&mut |data, fill| {
        let statistics = Statistics::of(data, fill);
        cells += statistics.row_count;
        nulls += statistics.null_count;
        nans += statistics.nan_count;
        if let Some(low) = statistics.min
            && min.as_ref().is_none_or(|min| describe::less(&low, min))
        {
            min = Some(low);
        }
        if let Some(high) = statistics.max
            && max.as_ref().is_none_or(|max| describe::less(max, &high))
        {
            max = Some(high);
        }
        let missing = SHOWN - first.len();
        first.extend((0..missing).map_while(|cell| data.scalar(cell)).map(|value| describe::scalar(&value)));
        Ok(())
    })?;
    let mut out = Output::stdout();
    writeln!(out, "array     {} {} {}", stack.array(), stack.dtype(), describe::tuple(stack.shape()))?;
    writeln!(out, "datasets  {}", names(stack))?;
    writeln!(out, "read      {}", stack.cost())?;
    let not_a_number = if nans > 0 { format!(", {} NaN", describe::count(nans)) } else { String::new() };
    writeln!(out, "cells     {}, {} null{not_a_number}", describe::count(cells), describe::count(nulls))?;
    let bound = |value: &Option<Scalar>| describe::bound(value.as_ref(), true);
    writeln!(out, "min max   {}  {}", bound(&min), bound(&max))?;
    let more = if cells > first.len() as u64 { ", …" } else { "" };
    writeln!(out, "first     {}{more}", first.join(", "))?;
    out.finish()
}

/// How many datasets, and the first few of them.
fn names(stack: &dyn Stack) -> String {
    let count = stack.shape().first().copied().unwrap_or(0);
    let more = if count > SHOWN as u64 { ", …" } else { "" };
    format!("{}: {}{more}", describe::count(count), stack.first_names().join(", "))
}
