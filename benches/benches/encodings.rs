//! Every encoding on real and made-up data: Markdown tables of ratios and speeds, from which the choices in
//! `docs/decisions/004-encodings.md` were made.
//!
//! ```text
//! cargo bench -p atlas-benches --bench encodings            all data
//! cargo bench -p atlas-benches --bench encodings -- argo    data whose name contains "argo"
//! ```
//!
//! One thread; the best of several runs. Blocks are those that a store makes: neighbouring small chunks packed up to
//! 256 KiB, larger ones alone. Sizes are those of the blocks; a page takes up to 16 bytes of the index beside that.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a bench")]

#[path = "encodings/real.rs"]
mod real;
#[path = "encodings/synthetic.rs"]
mod synthetic;

use atlas_store::measure::{Block, encode, encode_in, encodings};
use atlas_store::{Cells, Codec, Element, VarCells};
use std::time::{Duration, Instant};

/// What a block is made of: cells, and the chunks among them as (cells, cells of a row).
struct Part {
    cells: Cells,
    chunks: Vec<(usize, usize)>,
}

/// Data to measure on.
pub(crate) struct Case {
    name: String,
    is_bool: bool,
    parts: Vec<Part>,
}

/// Small chunks are packed to blocks of about this many bytes, as by the store.
const BLOCK_BYTES: usize = 256 << 10;

impl Case {
    /// Chunks of numbers, each with the length of its rows; packed into blocks, or each in its own.
    pub(crate) fn numbers<T: Element>(name: &str, chunks: &[(Vec<T>, usize)], is_packed: bool) -> Case {
        let mut blocks: Vec<(Vec<T>, Part)> = Vec::new();
        for (cells, row_cells) in chunks {
            let chunk = (cells.len(), *row_cells);
            match blocks.last_mut() {
                Some((block, part))
                    if is_packed && size_of_val(&block[..]) + size_of_val(&cells[..]) <= BLOCK_BYTES =>
                {
                    block.extend_from_slice(cells);
                    part.chunks.push(chunk);
                }
                _ => blocks.push((cells.clone(), Part { cells: T::wrap(Vec::new()), chunks: vec![chunk] })),
            }
        }
        let parts = blocks.into_iter().map(|(cells, part)| Part { cells: T::wrap(cells), ..part }).collect();
        Case { name: name.into(), is_bool: false, parts }
    }

    /// Zeros and ones, as the cells of a bool array.
    pub(crate) fn bools(name: &str, cells: Vec<u8>) -> Case {
        Case { is_bool: true, ..Case::numbers(name, &[(cells, 1)], true) }
    }

    /// Strings, in one block.
    pub(crate) fn texts(name: &str, cells: VarCells) -> Case {
        let chunks = vec![(cells.len(), 1)];
        Case { name: name.into(), is_bool: false, parts: vec![Part { cells: Cells::Var(cells), chunks }] }
    }
}

/// What one way of encoding gave.
struct Outcome {
    raw_bytes: usize,
    stored_bytes: usize,
    encode: Duration,
    decode: Duration,
    /// The encodings that were taken, each once.
    taken: Vec<&'static str>,
}

/// Runs until it has taken half a second or been done fifty times, at least three times; the fastest run counts.
fn fastest<R>(mut run: impl FnMut() -> R) -> (Duration, R) {
    let begin = Instant::now();
    let mut result = run();
    let mut best = begin.elapsed();
    for done in 1..50 {
        if done >= 3 && begin.elapsed() > Duration::from_millis(500) {
            break;
        }
        let start = Instant::now();
        result = run();
        best = best.min(start.elapsed());
    }
    (best, result)
}

fn measure(case: &Case, encode: impl Fn(&Part) -> Option<Block>) -> Option<Outcome> {
    let (encode, blocks) = fastest(|| case.parts.iter().map(&encode).collect::<Option<Vec<Block>>>());
    let blocks = blocks?;
    let mut out: Vec<Cells> = case.parts.iter().map(|part| part.cells.clone()).collect();
    let (decode, ()) = fastest(|| blocks.iter().zip(&mut out).for_each(|(block, cells)| block.decode(cells).unwrap()));
    for (part, cells) in case.parts.iter().zip(&out) {
        // NaN is not equal to itself, its text is.
        assert!(part.cells == *cells || format!("{:?}", part.cells) == format!("{cells:?}"), "{}", case.name);
    }
    let mut taken: Vec<&str> = blocks.iter().map(Block::encoding).collect();
    taken.sort_unstable();
    taken.dedup();
    let stored_bytes = blocks.iter().map(Block::stored_bytes).sum();
    let raw_bytes = blocks.iter().map(Block::raw_bytes).sum();
    Some(Outcome { raw_bytes, stored_bytes, encode, decode, taken })
}

impl Outcome {
    fn ratio(&self) -> String {
        let ratio = self.raw_bytes as f64 / self.stored_bytes.max(1) as f64;
        if ratio < 20.0 { format!("{ratio:.2}") } else { format!("{ratio:.0}") }
    }

    fn speed(&self, time: Duration) -> String {
        format!("{:.0}", self.raw_bytes as f64 / time.as_secs_f64() / 1e6)
    }
}

fn header(columns: &[&str]) {
    println!("| data | {} |\n|---|{}", columns.join(" | "), "---|".repeat(columns.len()));
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let mut cases = real::cases();
    cases.extend(synthetic::cases());
    cases.retain(|case| wanted.is_empty() || wanted.iter().any(|name| case.name.contains(name)));
    let names: Vec<&str> = encodings().into_iter().filter(|name| *name != "none").collect();
    let measured: Vec<Vec<Option<Outcome>>> = cases
        .iter()
        .map(|case| {
            let one = |name: &&str| measure(case, |part| encode_in(&part.cells, &part.chunks, name).unwrap());
            names.iter().map(one).collect()
        })
        .collect();

    type Show = fn(&Outcome) -> String;
    let tables: [(&str, Show); 3] = [
        ("Ratio", |outcome| outcome.ratio()),
        ("Encoding, MB/s", |outcome| outcome.speed(outcome.encode)),
        ("Decoding, MB/s", |outcome| outcome.speed(outcome.decode)),
    ];
    for (title, show) in tables {
        println!("\n{title}\n");
        header(&[&["raw bytes"][..], &names[..]].concat());
        for (case, outcomes) in cases.iter().zip(&measured) {
            let raw_bytes = outcomes.iter().flatten().next().map_or(0, |outcome| outcome.raw_bytes);
            let cells: Vec<String> =
                outcomes.iter().map(|outcome| outcome.as_ref().map_or_else(String::new, show)).collect();
            println!("| {} | {raw_bytes} | {} |", case.name, cells.join(" | "));
        }
    }

    println!("\nWhat each codec takes: encoding, ratio, encoding and decoding MB/s (with the choice)\n");
    let codecs = [Codec::Auto, Codec::Zstd, Codec::Lz4, Codec::None];
    header(&codecs.map(Codec::name));
    for case in &cases {
        let cells = codecs.map(|codec| {
            let outcome =
                measure(case, |part| Some(encode(&part.cells, &part.chunks, codec, case.is_bool).unwrap())).unwrap();
            let (encode, decode) = (outcome.speed(outcome.encode), outcome.speed(outcome.decode));
            format!("{} ×{}, {encode}, {decode}", outcome.taken.join("/"), outcome.ratio())
        });
        println!("| {} | {} |", case.name, cells.join(" | "));
    }
}
