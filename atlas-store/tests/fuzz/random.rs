//! Damage that its seed decides: numbers at the edges, bytes changed, moved, cut out and repeated, JSON of other kinds.

use serde_json::{Value, json};

/// A sequence of numbers that its seed decides (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ bits >> 31
    }

    /// A number below `end`; 0 where that is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % (end as u64).max(1)) as usize
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// A number that parsers get wrong, often near the one that is there.
    pub(crate) fn number(&mut self, old: u64) -> u64 {
        let shift = self.below(64);
        match self.below(10) {
            0 => 0,
            1 => u64::MAX,
            2 => *self.pick(&[0x7F, 0xFF, 0x7FFF_FFFF, 0xFFFF_FFFF, 1 << 20, (1 << 20) + 1, 1 << 32, 1 << 40, 1 << 62]),
            3 => i64::MAX as u64,
            4 => old.wrapping_add(1),
            5 => old.wrapping_sub(1),
            6 => old.wrapping_mul(2),
            7 => old ^ (1 << shift),
            8 => 1 << shift,
            _ => self.next() >> shift,
        }
    }

    /// Changes bytes in place; the length stays.
    pub(crate) fn overwrite(&mut self, bytes: &mut [u8]) {
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            let count = 1 + self.below(8);
            let end = (at + count).min(bytes.len());
            let noise = self.next().to_le_bytes();
            match self.below(4) {
                0 => bytes[at..end].fill(0),
                1 => bytes[at..end].fill(0xFF),
                2 => bytes[at..end].iter_mut().zip(noise).for_each(|(byte, noise)| *byte = noise),
                _ => bytes[at..end].iter_mut().take(1).for_each(|byte| *byte ^= 1 << (noise[0] % 8)),
            }
        }
    }

    /// Changes bytes, cuts some out, repeats some.
    pub(crate) fn damage(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        let end = (at + 1 + self.below(16)).min(bytes.len());
        match self.below(6) {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let part = bytes[at..end].to_vec();
                let to = self.below(bytes.len());
                bytes.splice(to..to, part);
            }
            2 => bytes.truncate(at),
            _ => self.overwrite(bytes),
        }
    }

    fn json(&mut self) -> Value {
        let number = self.number(3);
        match self.below(16) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(-1),
            3 => json!(i64::MIN),
            4 => json!(1e308),
            5 => json!(0.5),
            6 => json!(""),
            7 => {
                json!(*self.pick(&["NaN", "inf", "-inf", "0x", "0x7fc00001", "0xffffffffffffffffff", "..", "/", "a/b"]))
            }
            8 => json!("é".repeat(1 + self.below(300))),
            9 => json!([]),
            10 => json!({}),
            11 => json!({"float64": []}),
            12 => json!(*self.pick(&["int8", "string", "binary", "float64", "bool", "auto", "none", "line\nbreak"])),
            13 => {
                let depth = self.below(400);
                (0..depth).fold(Value::Null, |inner, _| json!([inner]))
            }
            _ => json!(number),
        }
    }

    /// Changes one node of a value, whichever it is.
    pub(crate) fn change(&mut self, value: &mut Value) {
        let count = nodes(value);
        let mut at = self.below(count);
        if let Some(node) = find(value, &mut at) {
            self.change_node(node);
        }
    }

    fn change_node(&mut self, node: &mut Value) {
        let other = self.json();
        match node {
            Value::Number(number) if self.below(4) > 0 => {
                let old = number.as_u64().unwrap_or(7);
                *node = json!(self.number(old));
            }
            Value::Array(items) if self.below(4) > 0 => {
                let (at, to) = (self.below(items.len()), self.below(items.len()));
                match self.below(4) {
                    0 if !items.is_empty() => drop(items.remove(at)),
                    1 if !items.is_empty() => items.insert(to, items[at].clone()),
                    2 if !items.is_empty() => items.swap(at, to),
                    _ => items.push(other),
                }
            }
            Value::Object(entries) if self.below(8) > 0 => {
                let keys: Vec<String> = entries.keys().cloned().collect();
                if !keys.is_empty() {
                    let key = self.pick(&keys);
                    match self.below(3) {
                        0 => drop(entries.remove(key)),
                        1 => drop(entries.insert(key.clone(), other)),
                        _ => drop(entries.insert(format!("{key}2"), other)),
                    }
                }
            }
            _ => *node = other,
        }
    }
}

fn children(value: &mut Value) -> Vec<&mut Value> {
    match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(entries) => entries.values_mut().collect(),
        _ => Vec::new(),
    }
}

fn nodes(value: &mut Value) -> usize {
    1 + children(value).into_iter().map(nodes).sum::<usize>()
}

/// The node of a number, counted depth first.
fn find<'a>(value: &'a mut Value, at: &mut usize) -> Option<&'a mut Value> {
    if *at == 0 {
        return Some(value);
    }
    *at -= 1;
    for child in children(value) {
        let count = nodes(child);
        if *at < count {
            return find(child, at);
        }
        *at -= count;
    }
    None
}
