//! Random SQL over one table, typed so that most of it plans; the same SQL runs over a copy of the table in memory.
//!
//! A call that a value alone cannot answer stands between `«` and `»`: [`on`] makes the call of it, and [`off`] the name of a
//! column of the copy that holds what the call gave for each row.

use crate::cells::Random;

/// What expressions over a table are made of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pool {
    pub(crate) table: String,
    pub(crate) numbers: Vec<String>,
    pub(crate) texts: Vec<String>,
    pub(crate) times: Vec<String>,
    pub(crate) bools: Vec<String>,
    /// Anything that can be selected and be NULL: lists and tensors too.
    pub(crate) others: Vec<String>,
    /// Columns that can be grouped by: no floats, whose NaN and zeros have no one text.
    pub(crate) keys: Vec<String>,
    /// What tells any two rows apart.
    pub(crate) unique: String,
    /// Literals that numbers are compared with lie below this.
    pub(crate) range: u64,
}

/// A query, and whether its rows have an order.
pub(crate) struct Query {
    pub(crate) sql: String,
    pub(crate) is_ordered: bool,
    /// Sums of floats depend on the order of rows.
    pub(crate) is_rounded: bool,
}

/// The SQL over a store.
pub(crate) fn on(sql: &str) -> String {
    sql.replace(['«', '»'], "")
}

/// The SQL over the copy.
pub(crate) fn off(sql: &str) -> String {
    sql.replace(['«', '»'], "\"")
}

/// The calls that the copy needs as columns.
pub(crate) fn calls(pool: &Pool) -> Vec<String> {
    let all = pool.numbers.iter().chain(&pool.texts).chain(&pool.times).chain(&pool.bools).chain(&pool.others);
    let mut calls: Vec<String> = all
        .flat_map(|text| text.split('«').skip(1).filter_map(|rest| rest.split('»').next()))
        .map(String::from)
        .collect();
    calls.sort();
    calls.dedup();
    calls
}

pub(crate) fn pick(random: &mut Random, of: &[&str]) -> String {
    of[random.below(of.len() as u64) as usize].to_string()
}

fn one(random: &mut Random, of: &[String]) -> Option<String> {
    (!of.is_empty()).then(|| of[random.below(of.len() as u64) as usize].clone())
}

const COMPARISONS: [&str; 8] = ["<", "<=", ">", ">=", "=", "<>", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"];
const TEXTS: [&str; 9] = ["", "a", "ab", "b", "é", "d03", "S1", "NaN", "i2"];

impl Pool {
    fn literal(&self, random: &mut Random) -> String {
        let number = random.below(self.range + 12) as i64 - 12;
        match random.below(12) {
            0 => format!("{number}.5"),
            1 => pick(random, &["0.0", "-0.0", "CAST('NaN' AS DOUBLE)", "CAST('inf' AS DOUBLE)", "1e9"]),
            _ => number.to_string(),
        }
    }

    pub(crate) fn number(&self, random: &mut Random, depth: u64) -> String {
        if depth > 0 && random.below(2) == 0 {
            let (a, b) = (self.number(random, depth - 1), self.number(random, depth - 1));
            return match random.below(8) {
                0 => format!("abs({a})"),
                1 => format!("coalesce({a}, {b})"),
                2 => format!("CASE WHEN {} THEN {a} ELSE {b} END", self.predicate(random, depth - 1)),
                3 => format!("({a}) + {}", self.literal(random)),
                4 => format!("({a}) * 2 - CAST({b} AS DOUBLE)"),
                5 => format!("nullif({a}, {})", self.literal(random)),
                6 => match self.text(random, 0) {
                    Some(text) => format!("length({text})"),
                    None => a,
                },
                _ => format!("CAST({a} AS DOUBLE) / 4"),
            };
        }
        one(random, &self.numbers).unwrap_or_else(|| "1".into())
    }

    pub(crate) fn text(&self, random: &mut Random, depth: u64) -> Option<String> {
        let plain = one(random, &self.texts)?;
        if depth == 0 || random.below(2) == 0 {
            return Some(plain);
        }
        let other = self.text(random, depth - 1)?;
        Some(match random.below(7) {
            0 => format!("lower({plain})"),
            1 => format!("upper({plain})"),
            2 => format!("coalesce({plain}, {other}, 'none')"),
            3 => format!("concat({plain}, '-', {other})"),
            4 => format!("substr({plain}, 2)"),
            5 => format!("CASE WHEN {} THEN {plain} ELSE {other} END", self.predicate(random, depth - 1)),
            _ => format!("CAST({} AS VARCHAR)", one(random, &self.keys)?),
        })
    }

    fn comparison(&self, random: &mut Random, depth: u64) -> String {
        let op = pick(random, &COMPARISONS);
        let number = self.number(random, depth);
        match random.below(14) {
            0..=2 => format!("{number} {op} {}", self.literal(random)),
            3 => format!("{number} {op} {}", self.number(random, depth)),
            4 => format!(
                "{number} {}BETWEEN {} AND {}",
                pick(random, &["", "NOT "]),
                self.literal(random),
                self.literal(random)
            ),
            5 => format!(
                "{number} {}IN ({}, {}, 3{})",
                pick(random, &["", "NOT "]),
                self.literal(random),
                self.literal(random),
                pick(random, &["", ", NULL"])
            ),
            6 | 7 => match self.text(random, depth) {
                Some(text) => format!("{text} {op} '{}'", pick(random, &TEXTS)),
                None => format!("{number} IS NULL"),
            },
            8 => match self.text(random, depth) {
                Some(text) => format!(
                    "{text} {}LIKE '{}'",
                    pick(random, &["", "NOT "]),
                    pick(random, &["a%", "%b", "d_3", "%", "é%", "S%", "%a%", ""])
                ),
                None => format!("{number} IS NOT NULL"),
            },
            9 => match self.text(random, 0) {
                Some(text) => format!("{text} IN ('a', '{}', 'd01', 'd07')", pick(random, &TEXTS)),
                None => format!("{number} = 1"),
            },
            10 => match one(random, &self.times) {
                Some(time) => format!("{time} {op} TIMESTAMP '1970-01-0{}'", 1 + random.below(8)),
                None => format!("{number} > 2"),
            },
            11 => match one(random, &self.bools) {
                Some(truth) => {
                    format!("{truth}{}", pick(random, &["", " IS TRUE", " IS NOT FALSE", " = false", " IS UNKNOWN"]))
                }
                None => format!("{number} < 2"),
            },
            _ => {
                let all: Vec<String> = [&self.numbers, &self.texts, &self.times, &self.bools, &self.others]
                    .into_iter()
                    .flatten()
                    .cloned()
                    .collect();
                let any = one(random, &all).unwrap_or_else(|| "1".into());
                format!("{any} IS {}NULL", pick(random, &["", "NOT "]))
            }
        }
    }

    pub(crate) fn predicate(&self, random: &mut Random, depth: u64) -> String {
        if depth > 0 && random.below(3) > 0 {
            let (a, b) = (self.predicate(random, depth - 1), self.predicate(random, depth - 1));
            return match random.below(6) {
                0 => format!("NOT ({a})"),
                1 | 2 => format!("(({a}) OR ({b}))"),
                3 => format!("(CASE WHEN {a} THEN {b} ELSE {} IS NULL END)", self.number(random, 0)),
                _ => format!("(({a}) AND ({b}))"),
            };
        }
        self.comparison(random, depth.min(1))
    }

    /// Something that can be selected.
    fn value(&self, random: &mut Random) -> String {
        match random.below(6) {
            0 | 1 => self.number(random, 1),
            2 => self.text(random, 1).unwrap_or_else(|| "1".into()),
            3 => one(random, &self.times).unwrap_or_else(|| "2".into()),
            4 => one(random, &self.bools).unwrap_or_else(|| "3".into()),
            _ => one(random, &self.others).unwrap_or_else(|| self.unique.clone()),
        }
    }

    fn values(&self, random: &mut Random) -> String {
        let count = 1 + random.below(4);
        (0..count).map(|at| format!("{} AS v{at}", self.value(random))).collect::<Vec<_>>().join(", ")
    }

    fn condition(&self, random: &mut Random) -> String {
        match random.below(6) {
            0 => String::new(),
            _ => format!(" WHERE {}", self.predicate(random, 2)),
        }
    }

    /// Aggregates; `grouped`, those of floats leave out NaN, with which DataFusion's result depends on the order of rows.
    fn aggregates(&self, random: &mut Random, grouped: bool) -> String {
        let count = 1 + random.below(3);
        let mut all = Vec::new();
        for at in 0..count {
            let own = one(random, &self.numbers).unwrap_or_else(|| "1".into());
            let number = match random.below(4) {
                0 => self.number(random, 1),
                _ => own,
            };
            let no_nan =
                if grouped { format!(" FILTER (WHERE NOT isnan(CAST({number} AS DOUBLE)))") } else { String::new() };
            let aggregate = match random.below(10) {
                0 => "count(*)".to_string(),
                1 => format!("count({number})"),
                2 => format!("min({number}){no_nan}"),
                3 => format!("max({number}){no_nan}"),
                4 => format!("sum(CAST({number} AS DOUBLE))"),
                5 => format!("avg(CAST({number} AS DOUBLE))"),
                6 => match self.text(random, 0) {
                    Some(text) => format!("{}({text})", pick(random, &["min", "max", "count"])),
                    None => "count(*)".into(),
                },
                7 => match one(random, &self.times) {
                    Some(time) => format!("{}({time})", pick(random, &["min", "max", "count"])),
                    None => "count(*)".into(),
                },
                8 => match one(random, &self.bools) {
                    Some(truth) => format!("{}({truth})", pick(random, &["min", "max", "count", "bool_and"])),
                    None => "count(*)".into(),
                },
                _ => match one(random, &self.others) {
                    Some(other) => format!("count({other})"),
                    None => format!("count(DISTINCT {number})"),
                },
            };
            all.push(format!("{aggregate} AS a{at}"));
        }
        all.join(", ")
    }

    /// A query over this table alone.
    pub(crate) fn query(&self, random: &mut Random) -> Query {
        let Pool { table, unique, .. } = self;
        let condition = self.condition(random);
        let plain = |sql| Query { sql, is_ordered: false, is_rounded: false };
        let key = one(random, &self.keys).unwrap_or_else(|| unique.clone());
        match random.below(16) {
            0..=3 => plain(format!("SELECT {} FROM {table}{condition}", self.values(random))),
            4..=6 => {
                let order = match random.below(4) {
                    0 => self.number(random, 1),
                    1 => key,
                    2 => self.text(random, 1).unwrap_or_else(|| self.number(random, 0)),
                    _ => one(random, &self.numbers).unwrap_or_else(|| unique.clone()),
                };
                let limit = match random.below(4) {
                    0 => String::new(),
                    1 => format!(" LIMIT {} OFFSET {}", random.below(5), random.below(6)),
                    _ => format!(" LIMIT {}", random.below(8)),
                };
                let way = pick(random, &["", " DESC", " ASC NULLS FIRST", " DESC NULLS LAST"]);
                let sql = format!(
                    "SELECT {}, {unique} FROM {table}{condition} ORDER BY {order}{way}, {unique}{limit}",
                    self.values(random)
                );
                Query { sql, is_ordered: true, is_rounded: false }
            }
            7..=9 => {
                let sql = format!("SELECT {} FROM {table}{condition}", self.aggregates(random, false));
                Query { sql, is_ordered: false, is_rounded: true }
            }
            10..=12 => {
                let having = match random.below(3) {
                    0 => format!(" HAVING count(*) > {}", random.below(4)),
                    _ => String::new(),
                };
                let aggregates = self.aggregates(random, true);
                let sql = format!("SELECT {key} AS k, {aggregates} FROM {table}{condition} GROUP BY {key}{having}");
                Query { sql, is_ordered: false, is_rounded: true }
            }
            13 => plain(format!("SELECT DISTINCT {key} AS k FROM {table}{condition}")),
            14 => plain(format!(
                "SELECT {unique}, v FROM (SELECT {unique}, {} AS v FROM {table}{condition}) WHERE v > {}",
                self.number(random, 1),
                self.literal(random)
            )),
            _ => plain(format!(
                "SELECT {0} AS v FROM {table}{condition} UNION ALL SELECT {0} AS v FROM {table} WHERE {1}",
                self.number(random, 1),
                self.predicate(random, 1)
            )),
        }
    }

    /// A query over this table and another that has a `dataset` too.
    pub(crate) fn join(&self, other: &Pool, random: &mut Random) -> Query {
        let (mine, theirs) = (&self.table, &other.table);
        let (a, b) = (self.predicate(random, 2), other.predicate(random, 1));
        let value = self.value(random);
        let own = other.number(random, 1);
        let sql = match random.below(6) {
            0 => format!(
                "SELECT dataset, {value} AS v FROM {mine} WHERE dataset IN (SELECT dataset FROM {theirs} WHERE {b}) AND {a}"
            ),
            1 => format!(
                "SELECT dataset, {value} AS v FROM {mine} WHERE dataset NOT IN (SELECT dataset FROM {theirs} WHERE {b}) AND {a}"
            ),
            2 => format!(
                "SELECT l.dataset, l.v FROM (SELECT dataset, {value} AS v FROM {mine} WHERE {a}) l WHERE EXISTS (SELECT 1 FROM {theirs} r WHERE r.dataset = l.dataset AND ({b}))"
            ),
            3 => format!(
                "SELECT dataset, {value} AS v FROM {mine} WHERE {} > (SELECT count(*) FROM {theirs} WHERE {b})",
                self.number(random, 0)
            ),
            _ => format!(
                "SELECT l.dataset, l.v, r.w FROM (SELECT dataset, {value} AS v FROM {mine} WHERE {a}) l {} JOIN (SELECT dataset, {own} AS w FROM {theirs} WHERE {b}) r ON l.dataset = r.dataset",
                pick(random, &["", "LEFT", "RIGHT", "FULL"])
            ),
        };
        Query { sql, is_ordered: false, is_rounded: false }
    }
}
