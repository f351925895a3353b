//! Which axes of a table an array has, and where its cells are among the table's.

use atlas_store::{ArraySchema, Region};

/// An array of one dataset, as a table of cells has it.
#[derive(Debug)]
pub(crate) struct Declared<'a> {
    pub(crate) schema: &'a ArraySchema,
    pub(crate) axes: Axes,
}

/// The axes of the table that the dimensions of an array are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Axes {
    /// All of them, in the table's order.
    All,
    /// These, in the array's order; along the others its cells are repeated.
    Some(Vec<usize>),
}

impl Axes {
    /// The axes of an array with these dimensions in a table of `table` dimensions; `None` where they are no fewer, or one
    /// is not the table's, or it is there twice.
    pub(crate) fn of(dims: &[String], table: &[String]) -> Option<Axes> {
        if dims == table {
            return Some(Axes::All);
        }
        if dims.len() >= table.len() {
            return None;
        }
        let mut axes = Vec::with_capacity(dims.len());
        for dim in dims {
            let mut found = (0..table.len()).filter(|axis| table[*axis] == *dim);
            let axis = found.next().filter(|axis| !axes.contains(axis))?;
            if found.next().is_some() {
                return None;
            }
            axes.push(axis);
        }
        Some(Axes::Some(axes))
    }

    /// The region of the array that a region of the table needs.
    pub(crate) fn region(&self, region: &Region) -> Region {
        match self {
            Axes::All => region.clone(),
            Axes::Some(axes) => {
                let start = axes.iter().map(|axis| region.start()[*axis]).collect();
                let shape = axes.iter().map(|axis| region.shape()[*axis]).collect();
                // Its bounds are those of a region, so that this is one.
                Region::try_new(start, shape).unwrap_or_else(|_| Region::full(&vec![0; axes.len()]))
            }
        }
    }

    /// Appends, for each cell of a region of the table in row-major order, `first` and its position among the cells of
    /// the array's own region. The region has no more than `u32::MAX` cells.
    pub(crate) fn positions(&self, region: &Region, first: u32, into: &mut Vec<u32>) {
        let shape: Vec<u32> = region.shape().iter().map(|extent| u32::try_from(*extent).unwrap_or(u32::MAX)).collect();
        let cells = shape.iter().product::<u32>();
        let Axes::Some(axes) = self else { return into.extend(first..first + cells) };
        let mut strides = vec![0u32; shape.len()];
        let mut stride = 1;
        for axis in axes.iter().rev() {
            strides[*axis] = stride;
            stride *= shape[*axis];
        }
        if cells == 0 {
            return;
        }
        // The axes at the end that the array lacks repeat a cell; the one before them steps from cell to cell.
        let inner = (0..shape.len()).rev().take_while(|axis| strides[*axis] == 0).count();
        let (outer, repeat) = shape.split_at(shape.len() - inner);
        let repeat = repeat.iter().product::<u32>() as usize;
        let Some((&line, outer)) = outer.split_last() else {
            return into.extend(std::iter::repeat_n(first, repeat));
        };
        let step = strides[outer.len()];
        let mut index = vec![0u32; outer.len()];
        loop {
            let at = first + index.iter().zip(&strides).map(|(index, stride)| index * stride).sum::<u32>();
            match (repeat, step) {
                (1, 1) => into.extend(at..at + line),
                (1, step) => into.extend((0..line).map(|along| at + along * step)),
                _ => (0..line).for_each(|along| into.extend(std::iter::repeat_n(at + along * step, repeat))),
            }
            let mut axis = outer.len();
            loop {
                if axis == 0 {
                    return;
                }
                axis -= 1;
                index[axis] += 1;
                if index[axis] < outer[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &str) -> Vec<String> {
        names.chars().map(String::from).collect()
    }

    #[test]
    fn fewer_dimensions_of_the_table_are_axes() {
        let of = |dims: &str, table: &str| Axes::of(&names(dims), &names(table));
        assert_eq!(of("xy", "xy"), Some(Axes::All));
        assert_eq!(of("", "xy"), Some(Axes::Some(vec![])));
        assert_eq!(of("zx", "xyz"), Some(Axes::Some(vec![2, 0])));
        for (dims, table) in [("yx", "xy"), ("z", "xy"), ("x", "xxy"), ("xx", "xyz"), ("xyz", "xy")] {
            assert_eq!(of(dims, table), None, "{dims} in {table}");
        }
    }

    #[test]
    fn positions_are_those_of_the_cell_below() {
        let region = Region::try_new(vec![1, 2, 0, 5], vec![2, 3, 4, 2]).unwrap();
        for axes in
            [vec![], vec![0], vec![1], vec![3], vec![0, 2], vec![3, 1], vec![2, 0], vec![1, 2, 3], vec![2, 3, 0]]
        {
            let mut expected = Vec::new();
            for cell in 0..2 * 3 * 4 * 2u32 {
                let (index, shape) = ([cell / 24, cell / 8 % 3, cell / 2 % 4, cell % 2], [2, 3, 4, 2]);
                let own = axes.iter().fold(0, |at, axis: &usize| at * shape[*axis] + index[*axis]);
                expected.push(7 + own);
            }
            let axes = Axes::Some(axes);
            let mut found = Vec::new();
            axes.positions(&region, 7, &mut found);
            assert_eq!(found, expected, "{axes:?}");
        }
        let mut found = Vec::new();
        Axes::All.positions(&region, 7, &mut found);
        assert_eq!(found, (7..7 + 48).collect::<Vec<_>>());
    }
}
