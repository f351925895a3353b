//! Random predicates: what the scan decides equals what DataFusion decides over a copy of the table in memory.

use crate::fleet::{fleet, names, query};
use std::sync::Arc;

/// A small generator of numbers, the same ones in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }
}

/// A predicate over columns of `catalog`.
fn predicate(random: &mut Random, depth: u32) -> String {
    if depth > 0 && random.below(3) > 0 {
        let left = predicate(random, depth - 1);
        let right = predicate(random, depth - 1);
        return match random.below(4) {
            0 => format!("NOT ({left})"),
            1 => format!("(({left}) OR ({right}))"),
            _ => format!("(({left}) AND ({right}))"),
        };
    }
    let number = random.pick(&[
        "depth",
        "half",
        "temp_max",
        "temp_min",
        "temp_mean",
        "temp_null_count",
        "level_max",
        "single_min",
        "temp_shape[1]",
        "ragged_shape[1]",
    ]);
    let value = random.below(120);
    match random.below(8) {
        0 => format!("{number} IS NULL"),
        1 => format!("{number} IN ({value}, 2, 3, 24)"),
        2 => format!("{number} BETWEEN {} AND {}", value / 2, value),
        3 => format!("station LIKE '%{}'", random.below(4)),
        4 => format!("coalesce({number}, 7) * 2 - 5 > {value}"),
        5 => format!("CASE WHEN flagged THEN {number} ELSE depth END >= {value}"),
        6 => format!("dataset {} 'cast_{:02}'", random.pick(&["<", "<>", ">="]), random.below(12)),
        _ => format!("{number} {} {value}", random.pick(&["<", "<=", ">", "=", "<>", "IS DISTINCT FROM"])),
    }
}

#[tokio::test]
async fn the_scan_decides_as_datafusion_does() {
    let fleet = fleet();
    let copy = fleet.query("SELECT * FROM catalog").await;
    let table = datafusion::datasource::MemTable::try_new(copy.schema(), vec![vec![copy]]).unwrap();
    let plain = datafusion::prelude::SessionContext::new();
    plain.register_table("catalog", Arc::new(table)).unwrap();
    let mut random = Random(7);
    for _ in 0..150 {
        let predicate = predicate(&mut random, 3);
        let sql = format!("SELECT dataset FROM catalog WHERE {predicate} ORDER BY dataset");
        let expected = names(&query(&plain, &sql).await);
        assert_eq!(names(&fleet.query(&sql).await), expected, "{predicate}");
        // The same over the functions of `datasets`.
        let calls = ["temp", "level", "single", "ragged"].iter().fold(sql, |sql, array| {
            ["min", "max", "mean", "null_count"]
                .iter()
                .fold(sql, |sql, statistic| {
                    sql.replace(&format!("{array}_{statistic}"), &format!("stat_{statistic}({array})"))
                })
                .replace(&format!("{array}_shape"), &format!("shape({array})"))
        });
        let calls = calls.replace("FROM catalog", "FROM datasets");
        assert_eq!(names(&fleet.query(&calls).await), expected, "{calls}");
    }
}
