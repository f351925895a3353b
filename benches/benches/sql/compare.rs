//! Rounds in which every system runs a query, and the table of what came out.

use crate::engines::{Engine, Query};
use std::time::Duration;

pub(crate) struct Compare {
    /// Part of the names of the queries that are wanted.
    only: String,
    rounds: u64,
}

impl Compare {
    pub(crate) fn new(only: String, rounds: u64) -> Compare {
        Compare { only, rounds }
    }

    /// The queries that are wanted.
    pub(crate) fn wanted(&self, queries: Vec<Query>) -> Vec<Query> {
        queries.into_iter().filter(|query| query.name.contains(&self.only)).collect()
    }

    /// Measures all queries on all systems, and prints a table. The first system is what the others are compared to.
    ///
    /// # Panics
    /// Where two systems answer differently.
    pub(crate) fn measure(&self, title: &str, engines: &mut Vec<Box<dyn Engine>>, queries: &[Query]) {
        let wanted = std::env::var("ATLAS_BENCH_SYSTEMS").unwrap_or_default();
        engines.retain(|engine| engine.name().contains(&wanted));
        if engines.is_empty() {
            return;
        }
        println!("### {title}\n");
        println!("| query | system | median ms | min–max | M/s | chunks read | MiB read | time ÷ Atlas |");
        println!("|---|---|--:|--:|--:|--:|--:|--:|");
        for query in queries {
            let first: Vec<_> = engines.iter_mut().map(|engine| engine.run(query)).collect();
            for (engine, run) in engines.iter().zip(&first) {
                if let Some(difference) = run.answer.difference(&first[0].answer) {
                    panic!("{}: {} answers {difference}", query.name, engine.name());
                }
            }
            assert!(!first[0].answer.rows.is_empty(), "{}: no row", query.name);
            let mut times: Vec<Vec<Duration>> = vec![Vec::new(); engines.len()];
            for round in 0..self.rounds as usize {
                for turn in 0..engines.len() {
                    let at = (round + turn) % engines.len();
                    times[at].push(engines[at].run(query).time);
                }
            }
            times.iter_mut().for_each(|times| times.sort());
            let millis = |time: Duration| time.as_secs_f64() * 1e3;
            let medians: Vec<f64> = times.iter().map(|times| millis(times[times.len() / 2])).collect();
            for (at, engine) in engines.iter().enumerate() {
                let (chunks, bytes) = first[at].read;
                let chunks = chunks.map_or_else(|| "".into(), |chunks| chunks.to_string());
                let bytes = bytes.map_or_else(|| "".into(), |bytes| format!("{:.2}", bytes as f64 / 1048576.0));
                println!(
                    "| {} | {} | {:.2} | {:.2}–{:.2} | {:.1} | {chunks} | {bytes} | {:.2} |",
                    if at == 0 { query.name } else { "" },
                    engine.name(),
                    medians[at],
                    millis(times[at][0]),
                    times[at].last().map_or(0.0, |most| millis(*most)),
                    query.size as f64 / 1e3 / medians[at],
                    medians[at] / medians[0],
                );
            }
        }
        println!();
    }
}
