//! Columns whose cells are often all equal.

/// A column of cells: one value where they are all equal, else a list.
#[derive(Debug, Clone)]
pub enum Compact<T> {
    /// So many cells of one value.
    All(T, usize),
    /// Each cell.
    Each(Vec<T>),
}

impl<T: Copy + PartialEq> Compact<T> {
    /// No cells.
    pub(crate) const fn new() -> Self {
        Compact::Each(Vec::new())
    }

    /// How many cells there are.
    pub fn len(&self) -> usize {
        match self {
            Compact::All(_, count) => *count,
            Compact::Each(cells) => cells.len(),
        }
    }

    /// Whether there are no cells.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Cell `at`; `None` out of range.
    pub fn get(&self, at: usize) -> Option<T> {
        match self {
            Compact::All(cell, count) => (at < *count).then_some(*cell),
            Compact::Each(cells) => cells.get(at).copied(),
        }
    }

    /// The cells, first to last.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        let (one, count, each) = match self {
            Compact::All(cell, count) => (Some(*cell), *count, &[][..]),
            Compact::Each(cells) => (None, 0, &cells[..]),
        };
        one.into_iter().cycle().take(count).chain(each.iter().copied())
    }

    /// The value that all cells share, if they do.
    pub(crate) fn shared(&self) -> Option<T> {
        match self {
            Compact::All(cell, count) => (*count > 0).then_some(*cell),
            Compact::Each(cells) => cells.first().copied().filter(|first| cells.iter().all(|cell| cell == first)),
        }
    }

    /// Takes as little memory as the cells need.
    pub(crate) fn compact(&mut self) {
        *self = std::mem::replace(self, Compact::new()).compacted();
    }

    /// The same cells in as little memory as they need.
    pub(crate) fn compacted(self) -> Self {
        match (self.shared(), self) {
            (Some(cell), column) => Compact::All(cell, column.len()),
            (None, Compact::All(..)) => Compact::new(),
            (None, Compact::Each(mut cells)) => {
                cells.shrink_to_fit();
                Compact::Each(cells)
            }
        }
    }

    /// Sets cell `at`, which exists.
    pub(crate) fn set(&mut self, at: usize, cell: T) {
        if self.get(at) != Some(cell) {
            self.change(|cells| cells[at] = cell);
        }
    }

    /// Inserts a cell before cell `at`, or at the end.
    pub(crate) fn insert(&mut self, at: usize, cell: T) {
        match self {
            Compact::All(own, count) if *own == cell => *count += 1,
            column if column.is_empty() => *column = Compact::All(cell, 1),
            column => column.change(|cells| cells.insert(at, cell)),
        }
    }

    /// Keeps the cells whose place has a `true`.
    pub(crate) fn retain(&mut self, keep: &[bool]) {
        match self {
            Compact::All(_, count) => *count = keep.iter().filter(|keep| **keep).count(),
            Compact::Each(cells) => retain(cells, keep),
        }
    }

    /// Replaces each cell.
    pub(crate) fn map(&mut self, map: impl Fn(T) -> T) {
        match self {
            Compact::All(_, 0) => {}
            Compact::All(cell, _) => *cell = map(*cell),
            Compact::Each(cells) => cells.iter_mut().for_each(|cell| *cell = map(*cell)),
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Vec<T>)) {
        let mut cells = match std::mem::replace(self, Compact::new()) {
            Compact::All(cell, count) => vec![cell; count],
            Compact::Each(cells) => cells,
        };
        change(&mut cells);
        *self = Compact::Each(cells);
    }
}

/// Keeps the cells whose place has a `true`.
pub(super) fn retain<T>(cells: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    cells.retain(|_| keep.next().copied().unwrap_or(false));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compact_column_holds_what_a_list_would() {
        let mut column = Compact::new();
        let mut list: Vec<u8> = Vec::new();
        let check = |column: &Compact<u8>, list: &[u8]| {
            assert_eq!(column.iter().collect::<Vec<_>>(), list);
            assert_eq!(column.len(), list.len());
            assert_eq!(column.get(list.len()), None);
            assert_eq!(column.clone().compacted().iter().collect::<Vec<_>>(), list);
        };
        for (at, cell) in [(0, 7), (0, 7), (2, 7), (1, 8), (4, 7), (0, 9)] {
            column.insert(at, cell);
            list.insert(at, cell);
            check(&column, &list);
        }
        column.set(0, 8);
        list[0] = 8;
        check(&column, &list);
        column.map(|cell| cell + 1);
        list.iter_mut().for_each(|cell| *cell += 1);
        check(&column, &list);
        let keep: Vec<bool> = list.iter().map(|cell| *cell == 8).collect();
        column.retain(&keep);
        list.retain(|cell| *cell == 8);
        check(&column, &list);
        let mut column = column.compacted();
        assert!(matches!(column, Compact::All(8, 4)));
        column.retain(&[false; 4]);
        column.map(|_| 1);
        column.insert(0, 3);
        check(&column, &[3]);
    }
}
