//! Small random stores: every dtype, several ranks, missing and mixed attributes, overwritten, deleted and unwritten arrays.

use crate::cells::Random;
use crate::fleet::empty;
use crate::generate::Pool;
use atlas_store::{ArrayData, ArraySchema, Attribute, Cells, DType, Scalar, Store, VarCells};

/// An array family of a random store.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) dtype: DType,
    /// The least extents among the datasets that have it.
    pub(crate) least: Vec<u64>,
    pub(crate) is_ragged: bool,
    /// Whether all datasets have one fill value.
    pub(crate) one_fill: bool,
}

impl Family {
    fn is_number(&self) -> bool {
        self.dtype.is_number()
    }
}

const FAMILIES: [(&str, DType); 10] = [
    ("f4", DType::Float32),
    ("f8", DType::Float64),
    ("i2", DType::Int16),
    ("i8", DType::Int64),
    ("u8", DType::UInt64),
    ("b1", DType::UInt8),
    ("ok", DType::Bool),
    ("ti", DType::TimestampNanoseconds),
    ("te", DType::String),
    ("bi", DType::Binary),
];
const DAY: i64 = 86_400_000_000_000;

pub(crate) fn attribute(random: &mut Random, key: &str) -> Option<Attribute> {
    let small = random.below(9) as i64 - 2;
    let float = |random: &mut Random| match random.below(8) {
        0 => f64::NAN,
        1 => -0.0,
        2 => 0.0,
        3 => f64::INFINITY,
        _ => small as f64 / 2.0,
    };
    let text =
        |random: &mut Random| ["", "a", "ab", "b", "é", "S1", "it's \"x\""][random.below(7) as usize].to_string();
    if random.below(4) == 0 {
        return None;
    }
    Some(match key {
        "n" | "N" => Attribute::Int64(small),
        "x" => Attribute::Float64(float(random)),
        "s" => Attribute::String(text(random)),
        "flag" => Attribute::Bool(random.below(2) == 0),
        "seen" => Attribute::Timestamp(if small < -1 { i64::MIN } else { small * DAY }),
        "both" if random.below(2) == 0 => Attribute::Int64(small),
        "both" => Attribute::Float64(float(random)),
        _ => match random.below(5) {
            0 => Attribute::Int64(small),
            1 => Attribute::Float64(float(random)),
            2 => Attribute::Bool(small > 0),
            3 => Attribute::Timestamp(small * DAY),
            _ => Attribute::String(text(random)),
        },
    })
}

fn float(random: &mut Random) -> f64 {
    match random.below(14) {
        0 => f64::NAN,
        1 => -f64::NAN,
        2 => -0.0,
        3 => 0.0,
        4 => f64::INFINITY,
        5 => f64::NEG_INFINITY,
        6 => -9.0,
        _ => random.below(24) as f64 - 8.0,
    }
}

/// Cells of any dtype, of few values each.
pub(crate) fn cells(random: &mut Random, dtype: DType, shape: &[u64]) -> ArrayData {
    let count = shape.iter().product::<u64>();
    let mut floats = || (0..count).map(|_| float(random)).collect::<Vec<f64>>();
    let cells = match dtype {
        DType::Float32 => Cells::F32(floats().into_iter().map(|cell| cell as f32).collect()),
        DType::Float64 => Cells::F64(floats()),
        DType::Int16 => Cells::I16((0..count).map(|_| random.below(24) as i16 - 9).collect()),
        DType::Int32 => Cells::I32((0..count).map(|_| random.below(24) as i32 - 9).collect()),
        DType::Int64 => Cells::I64((0..count).map(|_| random.below(24) as i64 - 9).collect()),
        DType::UInt64 => Cells::U64((0..count).map(|_| random.below(24)).collect()),
        DType::TimestampNanoseconds => Cells::I64(
            (0..count)
                .map(|_| match random.below(8) {
                    0 => i64::MIN,
                    day => day as i64 * DAY,
                })
                .collect(),
        ),
        DType::String => {
            // Of long text the statistics hold a bound only.
            let long = "ÿ".repeat(50);
            let low = "A".repeat(80);
            let texts = ["", "a", "ab", "b", "é", "S1", "i2", &long, &long[..90], &low, &low[..70]];
            Cells::Var((0..count).map(|_| texts[random.below(11) as usize]).collect::<VarCells>())
        }
        DType::Binary => {
            let values = [&[][..], &[0], &[1, 255], &[97]];
            Cells::Var((0..count).map(|_| values[random.below(4) as usize]).collect::<VarCells>())
        }
        DType::Bool => Cells::U8((0..count).map(|_| random.below(2) as u8).collect()),
        _ => Cells::U8((0..count).map(|_| random.below(24) as u8).collect()),
    };
    ArrayData::try_new(dtype, shape.to_vec(), cells).unwrap()
}

/// A fill value that occurs among those cells, or none.
pub(crate) fn fill(random: &mut Random, dtype: DType) -> Option<Scalar> {
    if random.below(3) == 0 {
        return None;
    }
    let which = random.below(3);
    Some(match dtype {
        DType::Float32 => Scalar::Float32([f32::NAN, -9.0, 0.0][which as usize]),
        DType::Float64 => Scalar::Float64([f64::NAN, -9.0, -0.0][which as usize]),
        DType::Int8 | DType::Int16 | DType::Int32 | DType::Int64 => Scalar::Int([-9, 0, 3][which as usize]),
        DType::UInt8 | DType::UInt16 | DType::UInt32 | DType::UInt64 => Scalar::UInt([0, 3, 23][which as usize]),
        DType::Bool => Scalar::Bool(which == 0),
        DType::TimestampNanoseconds => Scalar::Timestamp([i64::MIN, DAY, 0][which as usize]),
        DType::String => Scalar::String(["", "a", "é"][which as usize].into()),
        DType::Binary => Scalar::Binary([&[][..], &[0], &[97]][which as usize].into()),
    })
}

/// A store of `datasets` datasets, written in several flushes.
pub(crate) fn store(random: &mut Random, datasets: u64) -> (Store, tempfile::TempDir, Vec<Family>) {
    let (store, directory) = empty();
    for index in 0..datasets {
        let name = format!("d{index:02}");
        store.create_dataset(&name).unwrap();
        for key in ["n", "N", "x", "s", "flag", "seen", "both", "any"] {
            if let Some(value) = attribute(random, key) {
                store.set_attribute(&name, key, value).unwrap();
            }
        }
    }
    let mut families = Vec::new();
    for (name, dtype) in FAMILIES {
        let rank = random.below(3) as usize;
        let dims = &["y", "x"][..rank];
        let shape: Vec<u64> = (0..rank).map(|_| 1 + random.below(6)).collect();
        let (is_ragged, one_fill) = (rank > 0 && random.below(3) == 0, random.below(3) > 0);
        let common = fill(random, dtype);
        let presence = 1 + random.below(4);
        let mut family = Family { name, dtype, least: shape.clone(), is_ragged, one_fill };
        let mut has = 0;
        for index in 0..datasets {
            if random.below(presence) > 0 && has > 0 {
                continue;
            }
            has += 1;
            let dataset = format!("d{index:02}");
            let mut own = shape.clone();
            if is_ragged {
                own.iter_mut().for_each(|extent| *extent += random.below(4));
            }
            let chunk: Vec<u64> = own.iter().map(|_| 1 + random.below(4)).collect();
            let own_fill = if one_fill { common.clone() } else { fill(random, dtype) };
            let schema = ArraySchema::new(dtype, dims, &own).with_chunk_shape(&chunk).with_fill_value(own_fill);
            store.define_array(&dataset, name, schema).unwrap();
            if random.below(6) > 0 {
                let some = if rank > 0 && random.below(4) == 0 { 1 } else { own.first().copied().unwrap_or(1) };
                let mut part = own.clone();
                part.iter_mut().take(1).for_each(|extent| *extent = some);
                store.write_array(&dataset, name, &vec![0; rank], cells(random, dtype, &part)).unwrap();
            }
            if random.below(5) == 0 {
                store.flush().unwrap();
            }
            if random.below(6) == 0 {
                // Overwritten in part, in another segment if there was a flush in between.
                let part: Vec<u64> = own.iter().map(|extent| 1 + random.below(*extent)).collect();
                store.write_array(&dataset, name, &vec![0; rank], cells(random, dtype, &part)).unwrap();
            }
            if random.below(9) == 0 && has > 1 {
                store.delete_array(&dataset, name).unwrap();
            }
        }
        family.least = shape;
        families.push(family);
    }
    store.flush().unwrap();
    if random.below(2) == 0 {
        let gone = format!("d{:02}", random.below(datasets - 1));
        store.delete_dataset(&gone).unwrap();
        store.create_dataset(&gone).unwrap();
        store.flush().unwrap();
    }
    (store, directory, families)
}

/// The attributes of these stores, as every table of them has them.
fn attributes() -> Pool {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_string()).collect::<Vec<_>>();
    Pool {
        numbers: names(&["n", "\"N\"", "x", "both"]),
        texts: names(&["s", "dataset", "\"any\""]),
        times: names(&["seen"]),
        bools: names(&["flag"]),
        keys: names(&["n", "s", "flag", "seen"]),
        range: 24,
        ..Pool::default()
    }
}

/// A cell, or a region, of an array of these extents, as arguments.
fn place(random: &mut Random, least: &[u64]) -> (String, String) {
    let start: Vec<u64> = least.iter().map(|extent| random.below(*extent)).collect();
    let shape: Vec<u64> = least.iter().zip(&start).map(|(extent, start)| 1 + random.below(extent - start)).collect();
    (start.iter().map(|index| format!(", {index}")).collect(), format!("{start:?}, {shape:?}"))
}

/// `datasets`: attributes, statistics, declarations, cells, slices and what reduces them.
pub(crate) fn of_datasets(random: &mut Random, families: &[Family]) -> Pool {
    let mut pool = Pool { table: "datasets".into(), unique: "dataset".into(), ..attributes() };
    for family in families {
        let Family { name, least, .. } = family;
        let (index, region) = place(random, least);
        let element = if least.is_empty() { (*name).to_string() } else { format!("element({name}{index})") };
        // A single cell is NULL where it is missing, so that it does not tell whether the dataset has the array.
        let declared = |function: &str| match least.is_empty() {
            true => format!("«{function}({name})»"),
            false => format!("{function}({name})"),
        };
        pool.others.extend([
            (*name).to_string(),
            declared("shape"),
            declared("dims"),
            format!("«chunk_shape({name})»"),
        ]);
        pool.numbers.extend([
            format!("«stat_null_count({name})»"),
            format!("«stat_row_count({name})»"),
            format!("«tensor_count({name})»"),
        ]);
        pool.texts.push(declared("dtype"));
        if !least.is_empty() {
            pool.others.push(format!("slice({name}, {region})"));
            pool.numbers.push(format!("shape({name})[1]"));
            pool.numbers.push(format!("«tensor_count(slice({name}, {region}))»"));
        }
        let both =
            [format!("«stat_min({name})»"), format!("«stat_max({name})»"), element, format!("«tensor_max({name})»")];
        match family.dtype {
            DType::String => pool.texts.extend(both),
            DType::TimestampNanoseconds => pool.times.extend(both),
            DType::Bool => pool.bools.extend(both),
            DType::Binary => pool.others.extend(both),
            _ => pool.numbers.extend(both),
        }
        if family.is_number() {
            pool.numbers.extend([format!("«stat_mean({name})»"), format!("«stat_sum({name})»")]);
            if !least.is_empty() {
                // Over a value, where the fill value is known to it.
                let mark = if family.one_fill && !family.is_ragged { ["", ""] } else { ["«", "»"] };
                pool.numbers.push(format!("{}tensor_sum(slice({name}, {region})){}", mark[0], mark[1]));
                pool.numbers.push(format!("{}tensor_mean({name}){}", mark[0], mark[1]));
            }
        }
    }
    pool
}

/// `catalog`, whose columns are plain ones.
pub(crate) fn of_catalog(families: &[Family]) -> Pool {
    let mut pool = Pool { table: "catalog".into(), unique: "dataset".into(), ..attributes() };
    for Family { name, dtype, least, .. } in families {
        let both = [format!("{name}_min"), format!("{name}_max")];
        match dtype {
            DType::String => pool.texts.extend(both),
            DType::TimestampNanoseconds => pool.times.extend(both),
            DType::Bool => pool.bools.extend(both),
            DType::Binary => pool.others.extend(both),
            _ => pool.numbers.extend(both),
        }
        pool.numbers.extend([format!("{name}_null_count"), format!("{name}_row_count"), format!("{name}_mean")]);
        pool.others.push(format!("{name}_shape"));
        if !least.is_empty() {
            pool.numbers.push(format!("{name}_shape[1]"));
        }
    }
    pool
}

/// The tables whose columns are the same for every store.
pub(crate) fn of_listings() -> [Pool; 3] {
    let names = |text: &str| text.split(' ').map(str::to_string).collect::<Vec<_>>();
    let arrays = Pool {
        table: "arrays".into(),
        numbers: names("min max mean null_count row_count chunk_count stored_bytes raw_bytes shape[1]"),
        texts: names("dataset array dtype fill_value codec min_text max_text dims[1]"),
        others: names("dims shape chunk_shape"),
        keys: names("array dtype null_count fill_value dims"),
        unique: "dataset, array".into(),
        range: 40,
        ..Pool::default()
    };
    let attributes = Pool {
        table: "attributes".into(),
        numbers: names("number"),
        texts: names("dataset key type value"),
        keys: names("key type value"),
        unique: "dataset, key".into(),
        range: 12,
        ..Pool::default()
    };
    let chunks = Pool {
        table: "chunks".into(),
        numbers: names("chunk row_count null_count nan_count min max sum \"offset\" stored_bytes start[1]"),
        texts: names("dataset array dtype min_text max_text sum_text codec segment"),
        others: names("\"start\" shape"),
        keys: names("array dtype chunk null_count max_text"),
        unique: "dataset, array, chunk".into(),
        range: 40,
        ..Pool::default()
    };
    [arrays, attributes, chunks]
}
