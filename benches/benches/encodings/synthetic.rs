//! Data that instruments and models give, made up.

use crate::Case;
use atlas_store::Element;

/// Numbers that look random and are the same everywhere (splitmix64).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> i64 {
        (self.next() % end).cast_signed()
    }

    /// From 0 to 1.
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Nearly normal: of mean 0 and deviation 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.fraction()).sum::<f64>() - 6.0
    }
}

const CELLS: i64 = 400_000;
const START: i64 = 1_600_000_000_000_000_000;
const HOUR: i64 = 3_600_000_000_000;

/// One chunk, in rows of a thousandth.
fn one<T: Element>(name: &str, cells: impl Iterator<Item = T>) -> Case {
    let cells: Vec<T> = cells.collect();
    let row = cells.len() / 1000;
    Case::numbers(name, &[(cells, row)], true)
}

/// Forty profiles of (50, 168): smooth along both axes, with noise, at three decimals.
fn profiles(noise: &mut Noise) -> Vec<Vec<f64>> {
    let mut cell = |k: u32| {
        let (depth, time) = (f64::from(k / 168), f64::from(k % 168));
        ((20.0 - depth * 0.3 + (time / 24.0).sin() + noise.fraction()) * 1000.0).round() / 1000.0
    };
    (0..40).map(|_| (0..8400).map(&mut cell).collect()).collect()
}

#[allow(clippy::cast_possible_truncation, reason = "narrow cells out of wide arithmetic")]
pub(crate) fn cases() -> Vec<Case> {
    let mut noise = Noise(1);
    let n = &mut noise;
    let profiles = profiles(n);
    let single = |cells: &Vec<f64>| (cells.iter().map(|cell| *cell as f32).collect::<Vec<f32>>(), 168);
    let smooth = |k: i64| {
        let (x, y, z) = ((k / 4800) as f64, (k / 48 % 100) as f64, (k % 48) as f64);
        (x / 15.0).sin() + (y / 20.0).cos() + z * 0.05
    };
    let casts: Vec<(Vec<i64>, usize)> = (0..1000)
        .map(|cast| {
            ((0..100).map(|k| START + cast * 240 * HOUR + k * HOUR / 6 + n.below(60) * 1_000_000_000).collect(), 1)
        })
        .collect();
    let (mut counter, mut walk) = (0i64, 0i64);
    vec![
        one("time i8, hourly", (0..CELLS).map(|k| START + k * HOUR)),
        one("time i8, hourly ± 5 ms", (0..CELLS).map(|k| START + k * HOUR + n.below(10_000_000))),
        one("time i8, hourly ± 30 s in whole s", (0..CELLS).map(|k| START + k * HOUR + n.below(60) * 1_000_000_000)),
        Case::numbers("time i8, 1000 casts of 100, packed", &casts, true),
        one("time f8, hourly in days", (0..CELLS).map(|k| 18_000.0 + k as f64 / 24.0)),
        one(
            "counter i4, steps 0 to 99",
            (0..CELLS).map(|_| {
                counter += n.below(100);
                counter as i32
            }),
        ),
        one("counter i8, steps of 1", 0..CELLS),
        one("station ids i4, each 100 times", (0..CELLS).map(|k| 3_900_000 + (k / 100) as i32 * 17)),
        one(
            "random walk i2",
            (0..CELLS).map(|_| {
                walk = (walk + n.below(19) - 9).clamp(-30_000, 30_000);
                walk as i16
            }),
        ),
        one("random i4", (0..CELLS).map(|_| n.next() as i32)),
        one("random i2, 0 to 999", (0..CELLS).map(|_| n.below(1000) as i16)),
        one("noise f4", (0..CELLS).map(|_| n.normal() as f32)),
        one("noise f8", (0..CELLS).map(|_| n.normal())),
        Case::numbers("smooth + noise, 3 decimals, f4", &profiles.iter().map(single).collect::<Vec<_>>(), true),
        Case::numbers("the same, f8", &profiles.iter().map(|cells| (cells.clone(), 168)).collect::<Vec<_>>(), true),
        one("smooth field f8", (0..480_000).map(smooth)),
        one("smooth field + 1 % noise, f4", (0..480_000).map(|k| (smooth(k) + n.normal() * 0.01) as f32)),
        one("NaN f4", (0..CELLS).map(|_| f32::NAN)),
        one(
            "NaN but for one in 500, f4",
            (0..CELLS).map(|k| if k % 500 == 0 { n.fraction() as f32 } else { f32::NAN }),
        ),
    ]
}
