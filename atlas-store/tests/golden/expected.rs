//! What the golden store holds, written down.

use atlas_store::{ArrayData, ArraySchema, Attribute, Cells, DType, Element, Scalar, Statistics, Sum};

/// A dataset name that every layer has to leave alone.
pub const ODD: &str = "Ærø 深い海 #1?";
/// An array name with what names rarely have.
pub const ODD_ARRAY: &str = "température °C\n\"q\" \\";
/// A NaN that is not the usual one, of the fill values.
pub const OTHER_NAN: u32 = 0x7fc0_0001;

pub struct Dataset {
    pub name: &'static str,
    /// By key.
    pub attributes: Vec<(&'static str, Attribute)>,
    pub arrays: Vec<Array>,
}

pub struct Array {
    pub name: String,
    pub schema: ArraySchema,
    pub cells: ArrayData,
    pub statistics: Statistics,
    /// How its chunks are encoded; `None` where that is left open.
    pub codec: Option<&'static str>,
}

pub fn numbers<T: Element>(shape: &[u64], cells: Vec<T>) -> ArrayData {
    ArrayData::from_numbers(shape.to_vec(), cells).unwrap()
}

pub fn texts(cells: &[&str]) -> ArrayData {
    ArrayData::from_strings(vec![cells.len() as u64], cells).unwrap()
}

pub fn binary(cells: &[&[u8]]) -> ArrayData {
    let packed = Cells::Var(cells.iter().collect());
    ArrayData::try_new(DType::Binary, vec![cells.len() as u64], packed).unwrap()
}

pub fn times(cells: &[i64]) -> ArrayData {
    ArrayData::try_new(DType::TimestampNanoseconds, vec![cells.len() as u64], Cells::I64(cells.into())).unwrap()
}

pub fn bools(cells: &[u8]) -> ArrayData {
    ArrayData::try_new(DType::Bool, vec![cells.len() as u64], Cells::U8(cells.into())).unwrap()
}

/// A walk that needs two pages, another one for each seed.
pub fn walk(seed: u32) -> ArrayData {
    let (mut at, mut state) = (0i32, seed.wrapping_mul(77).wrapping_add(1));
    let step = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        at += (state >> 24) as i32 - 127;
        at
    };
    numbers(&[3000], (0..3000).map(step).collect())
}

/// A grid as it was first written.
pub fn grid(shape: [u64; 2], first: f32) -> ArrayData {
    let rows = (0..shape[0]).flat_map(|y| (0..shape[1]).map(move |x| (y * 10 + x) as f32 + first));
    numbers(&shape, rows.collect())
}

/// `[4, 3]`: what the first chunk of the grid of alpha was overwritten with, at last.
pub fn first_chunk() -> ArrayData {
    let mut cells: Vec<f32> = grid([4, 3], 1000.0).as_numbers().unwrap().to_vec();
    cells[..4].copy_from_slice(&[f32::NAN, f32::from_bits(OTHER_NAN), f32::NEG_INFINITY, -0.0]);
    numbers(&[4, 3], cells)
}

/// The grid of alpha, written at several times.
fn final_grid() -> ArrayData {
    let chunk = first_chunk();
    let chunk = chunk.as_numbers::<f32>().unwrap();
    let cell = |y: u64, x: u64| match (y, x) {
        _ if y < 4 && x < 3 => chunk[(y * 3 + x) as usize],
        (5, 7) => f32::INFINITY,
        (1..5, 2..7) => -((y * 10 + x) as f32),
        _ => (y * 10 + x) as f32,
    };
    numbers(&[6, 8], (0..6).flat_map(|y| (0..8).map(move |x| cell(y, x))).collect())
}

fn stats(rows: u64, nulls: u64, nans: u64, bounds: Option<(Scalar, Scalar)>, sum: Option<Sum>) -> Statistics {
    let (min, max) = bounds.unzip();
    Statistics { row_count: rows, null_count: nulls, nan_count: nans, min, max, min_exact: true, max_exact: true, sum }
}

fn both(value: Scalar) -> Option<(Scalar, Scalar)> {
    Some((value.clone(), value))
}

fn text(text: impl Into<String>) -> Scalar {
    Scalar::String(text.into().into())
}

fn int(sum: i64) -> Option<Sum> {
    Some(Sum::Int(sum))
}

fn float(sum: f64) -> Option<Sum> {
    Some(Sum::Float(sum))
}

/// An array of one chunk.
fn array(name: &str, cells: ArrayData, fill: Option<Scalar>, statistics: Statistics) -> Array {
    let dims: Vec<String> = (0..cells.shape().len()).map(|dim| format!("dim {dim} λ")).collect();
    let dims: Vec<&str> = dims.iter().map(String::as_str).collect();
    let schema = ArraySchema::new(cells.dtype(), &dims, cells.shape()).with_fill_value(fill);
    Array { name: name.into(), schema, cells, statistics, codec: None }
}

impl Array {
    fn chunked(mut self, chunk_shape: &[u64]) -> Self {
        self.schema.chunk_shape = chunk_shape.to_vec();
        self
    }

    fn encoded(self, codec: &'static str) -> Self {
        Array { codec: Some(codec), ..self }
    }

    fn inexact(mut self, min: bool, max: bool) -> Self {
        (self.statistics.min_exact, self.statistics.max_exact) = (!min, !max);
        self
    }

    /// For a maximum that is not known.
    fn with_min(mut self, min: &[u8]) -> Self {
        self.statistics.min = Some(Scalar::from_bytes(self.schema.dtype, min));
        self
    }
}

fn walk_of(seed: u32, codec: &'static str, low: i64, high: i64, sum: i64) -> Array {
    let bounds = Some((Scalar::Int(low), Scalar::Int(high)));
    array("walk", walk(seed), None, stats(3000, 0, 0, bounds, int(sum))).encoded(codec)
}

/// All of it, in the order of the datasets.
pub fn expected() -> Vec<Dataset> {
    vec![alpha(), odd(), third(), fourth(), gone(), fifth()]
}

fn alpha() -> Dataset {
    let nan = Scalar::Float32(f32::NAN);
    let infinite = Some((Scalar::Float32(f32::NEG_INFINITY), Scalar::Float32(f32::INFINITY)));
    let mut sparse = vec![-1i16; 100];
    sparse[73] = 12;
    let words = ["", &"é".repeat(40), &"z".repeat(64), &"a".repeat(65)];
    let bytes: [&[u8]; 5] = [b"", b"\0", &[0xff; 70], b"\xfe\xff", b"xxxxxxxxxx"];
    let int8s = Some((Scalar::Int(-128), Scalar::Int(127)));
    Dataset {
        name: "alpha",
        attributes: vec![
            ("b", Attribute::Bool(false)),
            ("f", Attribute::Float64(f64::NAN)),
            ("i", Attribute::Int64(i64::MIN)),
            ("mixed", Attribute::Int64(1 << 62)),
            ("retyped", Attribute::String("1".into())),
            ("s", Attribute::String("2023-11-14T22:13:20Z".into())),
            ("when", Attribute::Timestamp(i64::MIN)),
        ],
        arrays: vec![
            array("t", final_grid(), Some(nan), stats(48, 1, 1, infinite, float(f64::NAN))).chunked(&[4, 3]),
            walk_of(0, "pco", -440, 4808, 7_192_003),
            array("T", numbers(&[2], vec![-128i8, 127]), None, stats(2, 0, 0, int8s, int(-1))),
            array(
                "flag",
                bools(&[0, 1, 1, 0, 0, 0, 1, 0, 0, 1]),
                None,
                stats(10, 0, 0, Some((Scalar::Bool(false), Scalar::Bool(true))), int(4)),
            ),
            array("raw", binary(&bytes), None, stats(5, 0, 0, None, None)).inexact(false, true).with_min(&[]),
            array(
                "text",
                texts(&words),
                Some(text("")),
                stats(4, 1, 0, Some((text("a".repeat(64)), text("é".repeat(31) + "ê"))), None),
            )
            .inexact(true, true),
            array(
                "when",
                times(&[0, i64::MIN, i64::MAX, -1, 1_700_000_000_000_000_000]),
                None,
                stats(5, 0, 1, Some((Scalar::Timestamp(-1), Scalar::Timestamp(i64::MAX))), None),
            ),
            array(
                "big",
                numbers(&[3], vec![i64::MAX, 1, 0]),
                None,
                stats(3, 0, 0, Some((Scalar::Int(0), Scalar::Int(i64::MAX))), None),
            ),
            array(
                "unsigned",
                numbers(&[2], vec![u64::MAX, 0]),
                Some(Scalar::UInt(0)),
                stats(2, 1, 0, both(Scalar::UInt(u64::MAX)), None),
            ),
            // Equal to its fill value, although not the same bits.
            array("point", numbers(&[], vec![-0.0f64]), Some(Scalar::Float64(0.0)), stats(1, 1, 0, None, float(0.0))),
            array("none", numbers::<f64>(&[0, 3], vec![]), None, stats(0, 0, 0, None, float(0.0))).chunked(&[1, 2]),
            array(
                "sparse",
                numbers(&[10, 10], sparse),
                Some(Scalar::Int(-1)),
                stats(100, 99, 0, both(Scalar::Int(12)), int(12)),
            )
            .chunked(&[5, 5]),
            array("nans", numbers(&[4], vec![f32::NAN; 4]), None, stats(4, 0, 4, None, float(0.0))),
            array(
                "redefined",
                numbers(&[2, 3], vec![9i32, 9, 9, 5, 9, 7]),
                Some(Scalar::Int(9)),
                stats(6, 4, 0, Some((Scalar::Int(5), Scalar::Int(7))), int(12)),
            ),
            array("moved", texts(&["now text", ""]), None, stats(2, 0, 0, Some((text(""), text("now text"))), None)),
            array(&"n".repeat(200), numbers(&[1], vec![7u8]), None, stats(1, 0, 0, both(Scalar::UInt(7)), int(7))),
        ],
    }
}

fn odd() -> Dataset {
    let raised = [&[0xab; 63][..], &[0xac]].concat();
    let mut sparse = vec![0i16; 24];
    sparse[23] = -3;
    Dataset {
        name: ODD,
        attributes: vec![
            ("clé \n\"", Attribute::String("line\nbreak \u{1} \\".into())),
            ("f", Attribute::Float64(-0.0)),
            ("mixed", Attribute::String("text".into())),
        ],
        arrays: vec![
            walk_of(1, "zstd+planes", -4662, 72, -5_781_944),
            array(
                "flag",
                bools(&[1, 0, 1]),
                Some(Scalar::Bool(true)),
                stats(3, 2, 0, both(Scalar::Bool(false)), int(0)),
            ),
            array(
                "raw",
                binary(&[&[0xab; 65], b"\0"]),
                Some(Scalar::Binary(b"\0"[..].into())),
                stats(2, 1, 0, Some((Scalar::Binary([0xab; 64].into()), Scalar::Binary(raised.into()))), None),
            )
            .inexact(true, true),
            array("text", texts(&[]), None, stats(0, 0, 0, None, None)),
            array(
                "when",
                times(&[i64::MIN, 5]),
                Some(Scalar::Timestamp(i64::MIN)),
                stats(2, 1, 0, both(Scalar::Timestamp(5)), None),
            ),
            array(
                "big",
                numbers(&[3], vec![i64::MAX, -1, i64::MIN]),
                None,
                stats(3, 0, 0, Some((Scalar::Int(i64::MIN), Scalar::Int(i64::MAX))), int(-2)),
            ),
            // Never written.
            array("point", numbers(&[], vec![2.5f64]), Some(Scalar::Float64(2.5)), stats(1, 1, 0, None, float(0.0))),
            array(
                "sparse",
                numbers(&[4, 6], sparse),
                None,
                stats(24, 0, 0, Some((Scalar::Int(-3), Scalar::Int(0))), int(-3)),
            )
            .chunked(&[3, 4]),
            array(
                "nans",
                numbers(&[2], vec![f32::INFINITY, f32::NEG_INFINITY]),
                None,
                stats(
                    2,
                    0,
                    0,
                    Some((Scalar::Float32(f32::NEG_INFINITY), Scalar::Float32(f32::INFINITY))),
                    float(f64::NAN),
                ),
            ),
            array(
                ODD_ARRAY,
                numbers(&[2], vec![u16::MAX, 1]),
                Some(Scalar::UInt(1)),
                stats(2, 1, 0, both(Scalar::UInt(65535)), int(65535)),
            ),
            array(
                "dot.",
                numbers(&[1], vec![u32::MAX]),
                None,
                stats(1, 0, 0, both(Scalar::UInt(u32::MAX.into())), int(u32::MAX.into())),
            ),
            array("atlas.json", numbers(&[], vec![3u8]), None, stats(1, 0, 0, both(Scalar::UInt(3)), int(3))),
        ],
    }
}

fn third() -> Dataset {
    let tiny = f32::from_bits(1);
    Dataset {
        name: "third",
        attributes: vec![("f", Attribute::Float64(f64::INFINITY)), ("mixed", Attribute::Float64(1.0))],
        arrays: vec![
            walk_of(2, "lz4+planes", -5267, 1360, -6_328_268),
            // Never written.
            array("text", texts(&["–"; 3]), Some(text("–")), stats(3, 3, 0, None, None)),
            array("point", numbers(&[], vec![0.0f64]), None, stats(1, 0, 0, both(Scalar::Float64(0.0)), float(0.0))),
            array("sparse", numbers(&[7], vec![0i16; 7]), None, stats(7, 0, 0, both(Scalar::Int(0)), int(0))),
            array(
                "nans",
                numbers(&[2], vec![tiny, -0.0]),
                None,
                stats(2, 0, 0, Some((Scalar::Float32(-0.0), Scalar::Float32(tiny))), float(tiny.into())),
            ),
        ],
    }
}

fn fourth() -> Dataset {
    Dataset {
        name: "fourth",
        attributes: vec![
            ("f", Attribute::Float64(f64::NEG_INFINITY)),
            ("mixed", Attribute::Bool(true)),
            ("s", Attribute::String(String::new())),
        ],
        arrays: vec![
            walk_of(3, "none", -4708, 1967, -2_877_319),
            // Never written, and without a fill value: not null.
            array("text", texts(&["", ""]), None, stats(2, 0, 0, both(text("")), None)),
            array(
                "point",
                numbers(&[], vec![f64::INFINITY]),
                None,
                stats(1, 0, 0, both(Scalar::Float64(f64::INFINITY)), float(f64::INFINITY)),
            ),
        ],
    }
}

/// Deleted, and created anew.
fn gone() -> Dataset {
    let long = "\u{d7ff}".repeat(30);
    // The next character after the surrogates.
    let above = "\u{d7ff}".repeat(20) + "\u{e000}";
    Dataset {
        name: "gone",
        attributes: vec![],
        arrays: vec![
            array("t", numbers(&[1, 1], vec![6f32]), None, stats(1, 0, 0, both(Scalar::Float32(6.0)), float(6.0))),
            array(
                "text",
                texts(&[&long]),
                None,
                stats(1, 0, 0, Some((text("\u{d7ff}".repeat(21)), text(above))), None),
            )
            .inexact(true, true),
        ],
    }
}

fn fifth() -> Dataset {
    let last = "\u{10ffff}".repeat(20);
    Dataset {
        name: "fifth",
        attributes: vec![
            ("f", Attribute::Float64(f64::from_bits(0x7ff8_0000_0000_0001))),
            ("i", Attribute::Int64(i64::MAX)),
            ("mixed", Attribute::Timestamp(-1)),
        ],
        arrays: vec![
            walk_of(4, "pco", -273, 8397, 14_664_642),
            // No text of 64 bytes is above it.
            array("text", texts(&[&last]), None, stats(1, 0, 0, None, None))
                .inexact(true, true)
                .with_min("\u{10ffff}".repeat(16).as_bytes()),
        ],
    }
}
