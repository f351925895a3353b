//! How a block is cut into pages.

/// Cells per page: whole rows of at least this many bytes for encodings whose pages cost little.
const SMALL_PAGE_BYTES: usize = 8 << 10;
/// Cells of the smallest page that a row is cut to: two of the batches that pco decodes. Pages half as long take a tenth longer
/// to decode whole, and 1 % more bytes.
const FINE_PAGE_CELLS: usize = 512;
/// A row is cut to so many pages before they become longer.
const FINE_PAGES: usize = 8;
/// The same for general compressors, which lose ratio on short inputs, and for large chunks.
pub(super) const LARGE_PAGE_BYTES: usize = 64 << 10;

/// The most cells a page holds.
pub(crate) const MAX_PAGE_CELLS: usize = 1 << 20;
/// The most cells a block holds: chunks beyond that are spread over several.
pub(crate) const MAX_BLOCK_CELLS: usize = 1 << 22;

/// How one chunk in a block wants to be cut: `cells` in rows of `row_cells`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    pub(crate) cells: usize,
    pub(crate) row_cells: usize,
}

/// How an encoding wants its pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paging {
    /// Whole rows.
    Rows,
    /// Wide rows are cut: decoding costs by the cell, so a slice of a row should not decode all of it.
    Fine,
    /// Long ones, which small chunks share.
    Shared,
}

/// The cells of each page of a block that holds these chunks: pages end at rows of their chunk.
pub(super) fn page_cells(cuts: &[Cut], cell_bytes: usize, paging: Paging) -> Vec<usize> {
    let total: usize = cuts.iter().map(|cut| cut.cells).sum();
    if total == 0 {
        return Vec::new();
    }
    let share_pages = paging == Paging::Shared;
    if share_pages && cuts.len() > 1 {
        // Small chunks packed for a general compressor: one page, for the ratio.
        return vec![total];
    }
    // With how many cells each page has: whether it is whole chunks.
    let mut pages: Vec<(usize, bool)> = Vec::new();
    for cut in cuts {
        let chunk_bytes = cut.cells * cell_bytes;
        let is_large = share_pages || chunk_bytes > (1 << 20);
        let target = if is_large { LARGE_PAGE_BYTES } else { SMALL_PAGE_BYTES } / cell_bytes;
        let row_cells = cut.row_cells.clamp(1, cut.cells.max(1));
        let in_row = match paging {
            Paging::Fine if !is_large => (row_cells / FINE_PAGES).clamp(FINE_PAGE_CELLS.min(target), target),
            _ => target,
        };
        // Rows far wider than a page are cut, each into equal pages, so that a thin column costs a part of them.
        let (page, run) = match row_cells >= 2 * in_row {
            true => (row_cells.div_ceil(row_cells / in_row), row_cells),
            false => ((target / row_cells).max(1) * row_cells, cut.cells),
        };
        let page = page.min(MAX_PAGE_CELLS);
        let mut done = 0;
        while done < cut.cells {
            let mut left = run.min(cut.cells - done);
            done += left;
            while left > 0 {
                // A last sliver joins the page before it.
                let take = if left < (page + page / 4).min(MAX_PAGE_CELLS + 1) { left } else { page };
                pages.push((take, take == cut.cells));
                left -= take;
            }
        }
    }
    // Neighbouring tiny chunks share a page: a page costs a header and a checksum.
    let floor = 256.max(SMALL_PAGE_BYTES / cell_bytes / 4);
    let mut merged: Vec<(usize, bool)> = Vec::with_capacity(pages.len());
    for (page, is_chunk) in pages {
        match merged.last_mut() {
            Some((last, true)) if is_chunk && *last < floor && *last + page <= SMALL_PAGE_BYTES / cell_bytes => {
                *last += page;
            }
            _ => merged.push((page, is_chunk)),
        }
    }
    merged.into_iter().map(|(page, _)| page).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_tile_the_block() {
        for cuts in [
            vec![Cut { cells: 8400, row_cells: 168 }; 7],
            vec![Cut { cells: 1, row_cells: 1 }; 1000],
            vec![Cut { cells: 3_000_000, row_cells: 3_000_000 }],
            vec![Cut { cells: 1_200_000, row_cells: 1_200_000 }],
            vec![Cut { cells: 2_400_001, row_cells: 40_000 }],
            vec![Cut { cells: 0, row_cells: 1 }],
            vec![Cut { cells: 0, row_cells: 1 }; 2],
        ] {
            for paging in [Paging::Rows, Paging::Fine, Paging::Shared] {
                let pages = page_cells(&cuts, 4, paging);
                assert_eq!(pages.iter().sum::<usize>(), cuts.iter().map(|cut| cut.cells).sum::<usize>());
                assert!(pages.iter().all(|cells| (1..=MAX_PAGE_CELLS).contains(cells)), "{pages:?}");
            }
        }
        let rows = |paging, row_cells| page_cells(&[Cut { cells: 50 * row_cells, row_cells }], 4, paging)[0];
        assert_eq!((rows(Paging::Rows, 168), rows(Paging::Fine, 168)), (12 * 168, 12 * 168));
        assert_eq!((rows(Paging::Rows, 1200), rows(Paging::Fine, 1200)), (1200, 600));
        let fine = |cells, row_cells, cell_bytes| {
            page_cells(&[Cut { cells, row_cells }; 2], cell_bytes, Paging::Fine)[..4].to_vec()
        };
        assert_eq!(fine(2400, 1200, 2), [600; 4]);
        assert_eq!(fine(2400, 1200, 1), [600; 4]);
        assert_eq!(fine(1537, 1537, 4), [513, 513, 511, 513], "pages end with their row");
        let wide = page_cells(&[Cut { cells: 120_000, row_cells: 40_000 }], 4, Paging::Rows);
        assert_eq!((wide.len(), wide[..19].iter().sum()), (57, 40_000), "a row is cut into pages of 8 KiB");
    }
}
