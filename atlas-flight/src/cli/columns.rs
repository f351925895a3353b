//! Aligned text for people: a header line, then one line a row.

use std::io::{self, Write};

/// On which side of its column a cell stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Names and words.
    Left,
    /// Numbers.
    Right,
}

/// Rows of text cells under column names.
pub(crate) struct Columns {
    header: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Columns {
    /// No rows yet, under these names.
    pub(crate) fn new(header: &[(&'static str, Align)]) -> Self {
        Columns { header: header.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; it has one cell per column.
    pub(crate) fn push<const N: usize>(&mut self, row: [String; N]) {
        self.rows.push(row.into());
    }

    /// Whether there are no rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes the header and the rows, each line after `indent`.
    pub(crate) fn write(&self, out: &mut dyn Write, indent: &str) -> io::Result<()> {
        let widths: Vec<usize> = (0..self.header.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell));
                cells.chain([width(self.header[column].0)]).max().unwrap_or(0)
            })
            .collect();
        let header: Vec<String> = self.header.iter().map(|(name, _)| (*name).to_owned()).collect();
        for row in std::iter::once(&header).chain(&self.rows) {
            let mut line = indent.to_owned();
            for (place, ((cell, (_, align)), &columns)) in row.iter().zip(&self.header).zip(&widths).enumerate() {
                if place > 0 {
                    line.push_str("  ");
                }
                let padding = " ".repeat(columns - width(cell));
                match align {
                    Align::Left => line.extend([cell.as_str(), &padding]),
                    Align::Right => line.extend([&padding, cell.as_str()]),
                }
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn width(cell: &str) -> usize {
    cell.chars().count()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut columns = Columns::new(&[("name", Align::Left), ("cells", Align::Right), ("unit", Align::Left)]);
        columns.push(["t".into(), "1200".into(), "°C".into()]);
        columns.push(["salinity".into(), "7".into(), String::new()]);
        let mut text = Vec::new();
        columns.write(&mut text, " ").unwrap();
        let expected = " name      cells  unit\n t          1200  °C\n salinity      7\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }
}
