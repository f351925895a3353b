//! Compares a snapshot with a model: everything that can be asked of it.

use crate::plain::Model;
use crate::values::Random;
use atlas_store::{ArrayData, ErrorKind, Region, Scalar, Snapshot};

pub(crate) fn scalars(data: &ArrayData) -> Vec<Scalar> {
    (0..data.cells().len()).map(|at| data.scalar(at).unwrap()).collect()
}

/// Names and attributes: what needs no segment.
pub(crate) fn metadata(snapshot: &Snapshot, model: &Model) {
    let names: Vec<&str> = model.datasets.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(snapshot.dataset_names().collect::<Vec<_>>(), names);
    assert_eq!(snapshot.dataset_count(), names.len());
    for (row, (name, dataset)) in (0u32..).zip(&model.datasets) {
        assert_eq!(snapshot.find_dataset(name), Some(row));
        let expected: Vec<_> = dataset.attributes.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        assert_eq!(snapshot.attributes(row), expected, "attributes of {name:?}");
        for (key, value) in &expected {
            assert_eq!(snapshot.attribute(row, key).as_ref(), Some(value), "attribute {key:?} of {name:?}");
        }
    }
    let attributes: usize = model.datasets.iter().map(|(_, dataset)| dataset.attributes.len()).sum();
    let columns = snapshot.attribute_columns().map(|column| {
        assert!(!column.is_empty(), "an empty column {}", column.key());
        column.len()
    });
    assert_eq!(columns.sum::<usize>(), attributes);
}

/// Declarations, statistics, and the cells by every kind of read.
pub(crate) fn arrays(snapshot: &Snapshot, model: &Model, random: &mut Random) {
    for (row, (name, dataset)) in (0u32..).zip(&model.datasets) {
        for (array, expected) in &dataset.arrays {
            let named = format!("{array:?} of {name:?}: {:?}", expected.schema);
            let (entry, schema) = snapshot.array(name, array).unwrap();
            assert_eq!(*schema, expected.schema, "{named}");
            expected.check_statistics(&entry.statistics().unwrap());
            let read = snapshot.read(name, array, None).unwrap();
            assert_eq!(read.shape(), expected.schema.shape, "{named}");
            assert_eq!(scalars(&read), expected.cells, "{named}");
            let (start, extent) = random.region(&schema.shape);
            let region = Region::try_new(start.clone(), extent.clone()).unwrap();
            let read = snapshot.read(name, array, Some(&region)).unwrap();
            assert_eq!((read.dtype(), read.shape()), (schema.dtype, &extent[..]), "{named}");
            assert_eq!(scalars(&read), expected.read(&start, &extent), "{named} {region:?}");
            snapshot.array_codec(row, array).unwrap();
        }
    }
    for (array, dtype) in &model.families {
        let Some(family) = snapshot.find_family(array) else {
            assert!(!model.is_held(array), "the family {array:?} is gone");
            continue;
        };
        assert_eq!(family.dtype(), *dtype);
        across(snapshot, model, array, random);
        stacked(snapshot, model, array, random);
        let chunks = snapshot.family_totals(array).unwrap().chunks;
        let rows: Vec<u32> = family.rows().to_vec();
        assert_eq!(snapshot.chunk_totals(array, &rows).unwrap().0, chunks);
    }
}

/// One array of all datasets, in any order, some twice.
fn across(snapshot: &Snapshot, model: &Model, array: &str, random: &mut Random) {
    let count = model.datasets.len() as u64;
    let rows: Vec<u32> = (0..count + count.min(2)).map(|_| random.below(count) as u32).collect();
    let read = snapshot.read_across(array, &rows, None).unwrap();
    assert_eq!(read.len(), rows.len());
    for (row, read) in rows.into_iter().zip(read) {
        let expected = model.datasets[row as usize].1.arrays.get(array);
        assert_eq!(read.as_ref().map(scalars), expected.map(|array| array.cells.clone()), "{array:?} row {row}");
    }
}

fn stacked(snapshot: &Snapshot, model: &Model, array: &str, random: &mut Random) {
    let found = |row: u32| model.datasets[row as usize].1.arrays.get(array);
    let holders: Vec<u32> = (0..model.datasets.len() as u32).filter(|row| found(*row).is_some()).collect();
    if let Some(missing) = (0..model.datasets.len() as u32).find(|row| found(*row).is_none()) {
        let error = snapshot.read_stacked(array, &[missing], None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
    let Some(first) = holders.first() else { return };
    let shape = found(*first).unwrap().schema.shape.clone();
    let (mut equal, other): (Vec<u32>, Vec<u32>) =
        holders.iter().partition(|row| found(**row).unwrap().schema.shape == shape);
    if let Some(other) = other.first() {
        let error = snapshot.read_stacked(array, &[*first, *other], None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    }
    equal.reverse();
    equal.push(*first);
    let (start, extent) = random.region(&shape);
    let region = Region::try_new(start.clone(), extent.clone()).unwrap();
    for region in [None, Some(&region)] {
        let (start, extent) = match region {
            None => (vec![0; shape.len()], shape.clone()),
            Some(_) => (start.clone(), extent.clone()),
        };
        let read = snapshot.read_stacked(array, &equal, region).unwrap();
        assert_eq!(read.shape(), [&[equal.len() as u64], &extent[..]].concat());
        let expected: Vec<Scalar> = equal.iter().flat_map(|row| found(*row).unwrap().read(&start, &extent)).collect();
        assert_eq!(scalars(&read), expected, "{array:?} rows {equal:?} {region:?}");
    }
}
