//! Cells and attributes of every kind, drawn from a seed: small numbers, extremes, NaN of several bits, long text.

use atlas_store::{ArrayData, Attribute, Cells, DType, Scalar, VarCells};

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

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// A box that lies in an array of this shape, possibly empty.
    pub(crate) fn region(&mut self, shape: &[u64]) -> (Vec<u64>, Vec<u64>) {
        shape
            .iter()
            .map(|extent| {
                let start = self.below(extent + 1);
                (start, self.below(extent - start + 1))
            })
            .unzip()
    }
}

fn text(random: &mut Random) -> String {
    match random.below(10) {
        0 => String::new(),
        1 => "NaN".into(),
        2 => "0x7fc0".into(),
        3 => "\u{10FFFF}".repeat(20),
        4 => format!("{}{}", "ÿ".repeat(40), random.below(3)),
        5 => "nul \0, newline \n, quote \", emoji 😀".into(),
        _ => format!("v{}", random.below(5)),
    }
}

/// A value of this dtype; often one of few, so that fill values occur among cells.
pub(crate) fn value(dtype: DType, random: &mut Random) -> Scalar {
    let small = random.below(5) as i64;
    let is_extreme = random.below(8) == 0;
    let int = |low: i64, high: i64, bits: u64| {
        Scalar::Int(if is_extreme { if bits & 1 == 0 { low } else { high } } else { small - 2 * i64::from(low < 0) })
    };
    let uint = |high: u64| Scalar::UInt(if is_extreme { high } else { small as u64 });
    let bits = random.next();
    match dtype {
        DType::Bool => Scalar::Bool(bits & 1 == 1),
        DType::Int8 => int(i8::MIN.into(), i8::MAX.into(), bits),
        DType::Int16 => int(i16::MIN.into(), i16::MAX.into(), bits),
        DType::Int32 => int(i32::MIN.into(), i32::MAX.into(), bits),
        DType::Int64 => int(i64::MIN, i64::MAX, bits),
        DType::UInt8 => uint(u8::MAX.into()),
        DType::UInt16 => uint(u16::MAX.into()),
        DType::UInt32 => uint(u32::MAX.into()),
        DType::UInt64 => uint(u64::MAX),
        DType::Float32 => Scalar::Float32(match bits % 12 {
            0 => f32::NAN,
            1 => f32::from_bits(0xFFC0_0123),
            2 => -0.0,
            3 if is_extreme => f32::INFINITY,
            4 if is_extreme => f32::NEG_INFINITY,
            5 if is_extreme => f32::MIN_POSITIVE / 2.0,
            _ => small as f32 * 0.1,
        }),
        DType::Float64 => Scalar::Float64(float(bits, small, is_extreme)),
        DType::TimestampNanoseconds => Scalar::Timestamp(match bits % 6 {
            0 => i64::MIN,
            1 if is_extreme => i64::MAX,
            _ => 1_700_000_000_000_000_000 + small,
        }),
        DType::String => Scalar::String(text(random).into()),
        DType::Binary => Scalar::Binary(match bits % 5 {
            0 => Box::from([]),
            1 => vec![0xFF; 60 + small as usize * 4].into(),
            _ => bits.to_le_bytes()[..small as usize].iter().map(|byte| byte % 3).collect(),
        }),
    }
}

fn float(bits: u64, small: i64, is_extreme: bool) -> f64 {
    match bits % 12 {
        0 => f64::NAN,
        1 => f64::from_bits(0x7FF8_0000_0000_0042),
        2 => -0.0,
        3 if is_extreme => f64::INFINITY,
        4 if is_extreme => f64::NEG_INFINITY,
        5 if is_extreme => 5e-324,
        _ => small as f64 / 3.0,
    }
}

/// What a cell holds that was never written and has no fill value.
pub(crate) fn zero(dtype: DType) -> Scalar {
    match dtype {
        DType::Bool => Scalar::Bool(false),
        DType::Int8 | DType::Int16 | DType::Int32 | DType::Int64 => Scalar::Int(0),
        DType::UInt8 | DType::UInt16 | DType::UInt32 | DType::UInt64 => Scalar::UInt(0),
        DType::Float32 => Scalar::Float32(0.0),
        DType::Float64 => Scalar::Float64(0.0),
        DType::TimestampNanoseconds => Scalar::Timestamp(0),
        DType::String => Scalar::String("".into()),
        DType::Binary => Scalar::Binary(Box::from([])),
    }
}

pub(crate) fn attribute(random: &mut Random) -> Attribute {
    let bits = random.next();
    match random.below(5) {
        0 => Attribute::Bool(bits & 1 == 1),
        1 => Attribute::Int64([0, 1, -1, i64::MIN, i64::MAX, (1 << 53) + 1][(bits % 6) as usize]),
        2 => Attribute::Float64(if bits & 1 == 0 { 1.0 } else { float(bits >> 1, 7, true) }),
        3 => Attribute::String(text(random)),
        _ => Attribute::Timestamp([0, i64::MIN, i64::MAX, 1_700_000_000_000_000_000][(bits % 4) as usize]),
    }
}

/// An array of these cells.
pub(crate) fn array(dtype: DType, shape: &[u64], cells: &[Scalar]) -> ArrayData {
    fn all<T>(cells: &[Scalar], one: impl Fn(&Scalar) -> Option<T>) -> Vec<T> {
        cells.iter().map(|cell| one(cell).unwrap()).collect()
    }
    fn signed<T: TryFrom<i64>>(cell: &Scalar) -> Option<T> {
        match cell {
            Scalar::Int(value) | Scalar::Timestamp(value) => T::try_from(*value).ok(),
            _ => None,
        }
    }
    fn unsigned<T: TryFrom<u64>>(cell: &Scalar) -> Option<T> {
        match cell {
            Scalar::UInt(value) => T::try_from(*value).ok(),
            Scalar::Bool(value) => T::try_from(u64::from(*value)).ok(),
            _ => None,
        }
    }
    let cells = match dtype {
        DType::Bool | DType::UInt8 => Cells::U8(all(cells, unsigned)),
        DType::UInt16 => Cells::U16(all(cells, unsigned)),
        DType::UInt32 => Cells::U32(all(cells, unsigned)),
        DType::UInt64 => Cells::U64(all(cells, unsigned)),
        DType::Int8 => Cells::I8(all(cells, signed)),
        DType::Int16 => Cells::I16(all(cells, signed)),
        DType::Int32 => Cells::I32(all(cells, signed)),
        DType::Int64 | DType::TimestampNanoseconds => Cells::I64(all(cells, signed)),
        DType::Float32 => Cells::F32(all(cells, |cell| match cell {
            Scalar::Float32(value) => Some(*value),
            _ => None,
        })),
        DType::Float64 => Cells::F64(all(cells, |cell| match cell {
            Scalar::Float64(value) => Some(*value),
            _ => None,
        })),
        DType::String | DType::Binary => {
            Cells::Var(all(cells, |cell| cell.as_bytes().map(<[u8]>::to_vec)).iter().collect::<VarCells>())
        }
    };
    ArrayData::try_new(dtype, shape.to_vec(), cells).unwrap()
}
