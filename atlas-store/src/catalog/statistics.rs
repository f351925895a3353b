//! The statistics of a family's arrays, as columns.

use super::bounds;
use super::compact::{Compact, retain};
use crate::cells::Cells;
use crate::dtype::DType;
use crate::stats::{Statistics, Sum};

const KNOWN: u8 = 1;
const HAS_MIN: u8 = 2;
const HAS_MAX: u8 = 4;
const MIN_EXACT: u8 = 8;
const MAX_EXACT: u8 = 16;
const HAS_SUM: u8 = 32;

/// The statistics of arrays of one dtype, a column for each: filters and sorts need not visit array by array.
///
/// Cells are parallel to [`super::Family::rows`]. What a column holds for an array without that statistic means nothing:
/// ask [`Self::has_min`] and its like.
#[derive(Debug, Clone)]
pub struct StatisticsColumns {
    dtype: DType,
    row_counts: Compact<u64>,
    null_counts: Compact<u64>,
    nan_counts: Compact<u64>,
    mins: Cells,
    maxs: Cells,
    sums: Sums,
    flags: Compact<u8>,
}

/// The sums of a [`StatisticsColumns`], of the kind that its dtype has; see [`Sum`].
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the variants are their own description")]
pub enum Sums {
    /// Of times, text and binary.
    None,
    Int(Vec<i64>),
    Float(Vec<f64>),
}

impl Sums {
    /// No sums of arrays of this dtype.
    pub(crate) fn new(dtype: DType) -> Self {
        match Statistics::empty(dtype).sum {
            None => Sums::None,
            Some(Sum::Int(_)) => Sums::Int(Vec::new()),
            Some(Sum::Float(_)) => Sums::Float(Vec::new()),
        }
    }

    fn get(&self, at: usize) -> Option<Sum> {
        match self {
            Sums::None => None,
            Sums::Int(sums) => sums.get(at).copied().map(Sum::Int),
            Sums::Float(sums) => sums.get(at).copied().map(Sum::Float),
        }
    }

    fn set(&mut self, at: usize, sum: Option<Sum>) {
        match (self, sum) {
            (Sums::Int(sums), Some(Sum::Int(sum))) => sums[at] = sum,
            (Sums::Float(sums), Some(Sum::Float(sum))) => sums[at] = sum,
            _ => {}
        }
    }
}

fn flags_of(known: &Statistics) -> u8 {
    let flag = |on: bool, bit: u8| if on { bit } else { 0 };
    KNOWN
        | flag(known.min.is_some(), HAS_MIN)
        | flag(known.max.is_some(), HAS_MAX)
        | flag(known.min_exact, MIN_EXACT)
        | flag(known.max_exact, MAX_EXACT)
        | flag(known.sum.is_some(), HAS_SUM)
}

impl StatisticsColumns {
    pub(crate) fn new(dtype: DType) -> Self {
        let none = bounds::none(dtype);
        StatisticsColumns {
            dtype,
            row_counts: Compact::new(),
            null_counts: Compact::new(),
            nan_counts: Compact::new(),
            mins: none.clone(),
            maxs: none,
            sums: Sums::new(dtype),
            flags: Compact::new(),
        }
    }

    /// The columns of a catalog file, all of one length. `exact` is as there: bit 0 the minimum, bit 1 the maximum.
    pub(crate) fn from_columns(
        dtype: DType,
        [row_counts, null_counts, nan_counts]: [Compact<u64>; 3],
        (mins, has_min): (Cells, Compact<bool>),
        (maxs, has_max): (Cells, Compact<bool>),
        exact: &Compact<u8>,
        (sums, has_sum): (Sums, Compact<bool>),
    ) -> Self {
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        let flags = |exact: u8, has_min: bool, has_max: bool, has_sum: bool| {
            KNOWN
                | flag(has_min, HAS_MIN)
                | flag(has_max, HAS_MAX)
                | flag(exact & 1 != 0, MIN_EXACT)
                | flag(exact & 2 != 0, MAX_EXACT)
                | flag(has_sum, HAS_SUM)
        };
        let has = has_min.iter().zip(has_max.iter()).zip(has_sum.iter());
        let flags = exact.iter().zip(has).map(|(exact, ((min, max), sum))| flags(exact, min, max, sum));
        let flags = Compact::Each(flags.collect()).compacted();
        StatisticsColumns { dtype, row_counts, null_counts, nan_counts, mins, maxs, sums, flags }
    }

    /// How many arrays there are.
    pub fn len(&self) -> usize {
        self.flags.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.flags.is_empty()
    }

    /// The cells of each array.
    pub fn row_counts(&self) -> &Compact<u64> {
        &self.row_counts
    }

    /// How many of them are null.
    pub fn null_counts(&self) -> &Compact<u64> {
        &self.null_counts
    }

    /// How many of them are NaN (timestamps: not-a-time) and not null.
    pub fn nan_counts(&self) -> &Compact<u64> {
        &self.nan_counts
    }

    /// The smallest cell of each array, as cells of its dtype.
    pub fn mins(&self) -> &Cells {
        &self.mins
    }

    /// The largest cell of each array.
    pub fn maxs(&self) -> &Cells {
        &self.maxs
    }

    /// The sum of each array.
    pub fn sums(&self) -> &Sums {
        &self.sums
    }

    /// Which arrays have statistics: all but those changed since the last flush.
    pub fn is_known(&self) -> Compact<bool> {
        self.flag(|flags| flags & KNOWN != 0)
    }

    /// Which arrays have a minimum.
    pub fn has_min(&self) -> Compact<bool> {
        self.flag(|flags| flags & HAS_MIN != 0)
    }

    /// Which arrays have a maximum.
    pub fn has_max(&self) -> Compact<bool> {
        self.flag(|flags| flags & HAS_MAX != 0)
    }

    /// Which arrays have a minimum that is a cell and not only a lower bound.
    pub fn has_exact_min(&self) -> Compact<bool> {
        self.flag(|flags| flags & (HAS_MIN | MIN_EXACT) == HAS_MIN | MIN_EXACT)
    }

    /// Which arrays have a maximum that is a cell and not only an upper bound.
    pub fn has_exact_max(&self) -> Compact<bool> {
        self.flag(|flags| flags & (HAS_MAX | MAX_EXACT) == HAS_MAX | MAX_EXACT)
    }

    /// Which arrays have a sum.
    pub fn has_sum(&self) -> Compact<bool> {
        self.flag(|flags| flags & HAS_SUM != 0)
    }

    fn flag(&self, test: impl Fn(u8) -> bool) -> Compact<bool> {
        match &self.flags {
            Compact::All(flags, count) => Compact::All(test(*flags), *count),
            Compact::Each(flags) => Compact::Each(flags.iter().map(|flags| test(*flags)).collect()),
        }
    }

    /// Which bounds are cells, as in a catalog file: bit 0 the minimum, bit 1 the maximum.
    pub(crate) fn exact(&self) -> Compact<u8> {
        let mut exact = self.flags.clone();
        exact.map(|flags| u8::from(flags & MIN_EXACT != 0) | u8::from(flags & MAX_EXACT != 0) << 1);
        exact
    }

    /// The statistics of one array; `None` where they are not known, or out of range.
    pub fn get(&self, at: usize) -> Option<Statistics> {
        let flags = self.flags.get(at).filter(|flags| flags & KNOWN != 0)?;
        let bound = |cells: &Cells, bit: u8| (flags & bit != 0).then(|| bounds::get(self.dtype, cells, at)).flatten();
        Some(Statistics {
            row_count: self.row_counts.get(at)?,
            null_count: self.null_counts.get(at)?,
            nan_count: self.nan_counts.get(at)?,
            min: bound(&self.mins, HAS_MIN),
            max: bound(&self.maxs, HAS_MAX),
            min_exact: flags & MIN_EXACT != 0,
            max_exact: flags & MAX_EXACT != 0,
            sum: self.sums.get(at).filter(|_| flags & HAS_SUM != 0),
        })
    }

    /// Inserts an array whose statistics are not known yet.
    pub(crate) fn insert(&mut self, at: usize) {
        for counts in [&mut self.row_counts, &mut self.null_counts, &mut self.nan_counts] {
            // A neighbour's count keeps a column of equal counts compact.
            counts.insert(at, counts.get(at.saturating_sub(1)).unwrap_or_default());
        }
        bounds::insert(&mut self.mins, at);
        bounds::insert(&mut self.maxs, at);
        match &mut self.sums {
            Sums::None => {}
            Sums::Int(sums) => sums.insert(at, 0),
            Sums::Float(sums) => sums.insert(at, 0.0),
        }
        self.flags.insert(at, 0);
    }

    /// Forgets the statistics of an array, which is about to change.
    pub(crate) fn forget(&mut self, at: usize) {
        self.flags.set(at, 0);
    }

    /// Sets the statistics of several arrays; the places ascend.
    pub(crate) fn set(&mut self, known: &[(usize, Statistics)]) {
        for (at, known) in known {
            self.row_counts.set(*at, known.row_count);
            self.null_counts.set(*at, known.null_count);
            self.nan_counts.set(*at, known.nan_count);
            self.sums.set(*at, known.sum);
            self.flags.set(*at, flags_of(known));
        }
        bounds::set(&mut self.mins, known.iter().map(|(at, known)| (*at, known.min.as_ref())));
        bounds::set(&mut self.maxs, known.iter().map(|(at, known)| (*at, known.max.as_ref())));
        self.row_counts.compact();
        self.null_counts.compact();
        self.nan_counts.compact();
        self.flags.compact();
    }

    /// Keeps the arrays whose place has a `true`.
    pub(crate) fn retain(&mut self, keep: &[bool]) {
        for counts in [&mut self.row_counts, &mut self.null_counts, &mut self.nan_counts] {
            counts.retain(keep);
        }
        bounds::retain(&mut self.mins, keep);
        bounds::retain(&mut self.maxs, keep);
        match &mut self.sums {
            Sums::None => {}
            Sums::Int(sums) => retain(sums, keep),
            Sums::Float(sums) => retain(sums, keep),
        }
        self.flags.retain(keep);
    }
}
