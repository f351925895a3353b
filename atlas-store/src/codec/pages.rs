//! How a block is cut into pages.

/// Cells per page: whole rows of at least this many bytes for encodings whose pages cost little.
const SMALL_PAGE_BYTES: usize = 8 << 10;
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

/// The cells of each page of a block that holds these chunks: pages end at rows of their chunk.
pub(super) fn page_cells(cuts: &[Cut], cell_bytes: usize, share_pages: bool) -> Vec<usize> {
    let total: usize = cuts.iter().map(|cut| cut.cells).sum();
    if total == 0 {
        return Vec::new();
    }
    if share_pages && cuts.len() > 1 {
        // Small chunks packed for a general compressor: one page, for the ratio.
        return vec![total];
    }
    let mut pages = Vec::new();
    for cut in cuts {
        let chunk_bytes = cut.cells * cell_bytes;
        let target = if share_pages || chunk_bytes > (1 << 20) { LARGE_PAGE_BYTES } else { SMALL_PAGE_BYTES };
        let row_cells = cut.row_cells.clamp(1, cut.cells.max(1));
        let row_bytes = row_cells * cell_bytes;
        // Rows far wider than a page are cut, each into equal pages, so that a thin column costs a part of them.
        let (page, run) = match row_bytes > 2 * target {
            true => (row_cells.div_ceil(row_bytes / target), row_cells),
            false => ((target / row_bytes).max(1) * row_cells, cut.cells),
        };
        let page = page.min(MAX_PAGE_CELLS);
        let mut done = 0;
        while done < cut.cells {
            let mut left = run.min(cut.cells - done);
            done += left;
            while left > 0 {
                // A last sliver joins the page before it.
                let take = if left < (page + page / 4).min(MAX_PAGE_CELLS + 1) { left } else { page };
                pages.push(take);
                left -= take;
            }
        }
    }
    // Neighbouring tiny chunks share a page: a page costs a header and a checksum.
    let floor = 256.max(SMALL_PAGE_BYTES / cell_bytes / 4);
    let mut merged: Vec<usize> = Vec::with_capacity(pages.len());
    for page in pages {
        match merged.last_mut() {
            Some(last) if *last < floor && *last + page <= SMALL_PAGE_BYTES / cell_bytes => *last += page,
            _ => merged.push(page),
        }
    }
    merged
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
            for share in [true, false] {
                let pages = page_cells(&cuts, 4, share);
                assert_eq!(pages.iter().sum::<usize>(), cuts.iter().map(|cut| cut.cells).sum::<usize>());
                assert!(pages.iter().all(|cells| (1..=MAX_PAGE_CELLS).contains(cells)), "{pages:?}");
            }
        }
        assert_eq!(page_cells(&[Cut { cells: 8400, row_cells: 168 }], 4, false)[0], 12 * 168);
        let wide = page_cells(&[Cut { cells: 120_000, row_cells: 40_000 }], 4, false);
        assert_eq!((wide.len(), wide[..19].iter().sum()), (57, 40_000), "a row is cut into pages of 8 KiB");
    }
}
