//! The store that the tests query, and how they do it.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Float64Type, Int64Type};
use atlas_store::{ArrayData, ArraySchema, Attribute, Cells, CreateOptions, DType, Scalar, Store};
use datafusion::prelude::SessionContext;
use tempfile::TempDir;

pub(crate) const DATASETS: usize = 12;

/// A store, and the directory that it lives in.
pub(crate) struct Fleet {
    pub(crate) store: Store,
    pub(crate) context: SessionContext,
    _directory: TempDir,
}

pub(crate) fn empty() -> (Store, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let location = directory.path().join("store");
    (Store::create(location.to_str().unwrap(), CreateOptions::default()).unwrap(), directory)
}

/// Whether dataset `index` has `temp`.
pub(crate) fn has_temp(index: usize) -> bool {
    index % 4 != 3
}

/// `temp` of dataset `index`, 4 × 6; cell (0, 1) of dataset 2 is missing.
pub(crate) fn temp(index: usize) -> Vec<f32> {
    (0..24)
        .map(|cell| if index == 2 && cell == 1 { f32::NAN } else { index as f32 * 10.0 + cell as f32 * 0.5 })
        .collect()
}

/// The rows of `ragged` in dataset `index`.
pub(crate) fn ragged_rows(index: usize) -> usize {
    1 + index % 3
}

pub(crate) fn fleet() -> Fleet {
    let (store, directory) = empty();
    for index in 0..DATASETS {
        let name = format!("cast_{index:02}");
        store.create_dataset(&name).unwrap();
        let attribute = |key: &str, value: Attribute| store.set_attribute(&name, key, value).unwrap();
        attribute("station", Attribute::String(format!("S{}", index % 3)));
        attribute("depth", Attribute::Int64(index as i64 * 100));
        attribute("flagged", Attribute::Bool(index % 2 == 0));
        attribute("when", Attribute::Timestamp(index as i64 * 86_400_000_000_000));
        if index < 6 {
            attribute("half", Attribute::Float64(index as f64 / 2.0));
        }
        if has_temp(index) {
            let schema = ArraySchema::new(DType::Float32, &["depth", "time"], &[4, 6])
                .with_chunk_shape(&[2, 3])
                .with_fill_value(Scalar::Float32(f32::NAN));
            write(&store, &name, "temp", schema, ArrayData::from_numbers(vec![4, 6], temp(index)).unwrap());
        }
        let schema = ArraySchema::new(DType::Int16, &["level"], &[3]).with_fill_value(Scalar::Int(-1));
        let levels = vec![index as i16, -1, index as i16 + 1];
        write(&store, &name, "level", schema, ArrayData::from_numbers(vec![3], levels).unwrap());
        let rows = ragged_rows(index) as u64;
        let cells: Vec<f64> = (0..rows * 2).map(|cell| index as f64 + cell as f64 / 10.0).collect();
        let schema = ArraySchema::new(DType::Float64, &["row", "pair"], &[rows, 2]);
        write(&store, &name, "ragged", schema, ArrayData::from_numbers(vec![rows, 2], cells).unwrap());
        let schema = ArraySchema::new(DType::String, &["label"], &[2]).with_fill_value(Scalar::String("".into()));
        write(
            &store,
            &name,
            "label",
            schema,
            ArrayData::from_strings(vec![2], [format!("L{index}"), String::new()]).unwrap(),
        );
        let schema = ArraySchema::new(DType::TimestampNanoseconds, &["instant"], &[2])
            .with_fill_value(Scalar::Timestamp(i64::MIN));
        let times = Cells::I64(vec![index as i64 * 1_000_000_000, i64::MIN]);
        write(
            &store,
            &name,
            "instant",
            schema,
            ArrayData::try_new(DType::TimestampNanoseconds, vec![2], times).unwrap(),
        );
        let schema = ArraySchema::new(DType::Bool, &["q"], &[3]);
        let bools = ArrayData::try_new(DType::Bool, vec![3], Cells::U8(vec![1, 0, (index % 2) as u8])).unwrap();
        write(&store, &name, "good", schema, bools);
        let schema = ArraySchema::new(DType::Float64, &[], &[]).with_fill_value(Scalar::Float64(f64::NAN));
        let single = if index == 5 { f64::NAN } else { index as f64 };
        write(&store, &name, "single", schema, ArrayData::from_numbers(vec![], vec![single]).unwrap());
    }
    store.flush().unwrap();
    Fleet::of(store, directory)
}

/// Defines and writes a whole array.
pub(crate) fn write(store: &Store, dataset: &str, array: &str, schema: ArraySchema, data: ArrayData) {
    let start = vec![0; schema.shape.len()];
    store.define_array(dataset, array, schema).unwrap();
    store.write_array(dataset, array, &start, &data).unwrap();
}

impl Fleet {
    /// What queries a store.
    pub(crate) fn of(store: Store, directory: TempDir) -> Fleet {
        let context = atlas_sql::session(&[("fleet".to_string(), store.clone())]).unwrap();
        Fleet { store, context, _directory: directory }
    }

    /// All rows of a query as one batch.
    pub(crate) async fn query(&self, sql: &str) -> RecordBatch {
        query(&self.context, sql).await
    }

    /// The lines of the plan that are scans of a store.
    pub(crate) async fn scans(&self, sql: &str) -> Vec<String> {
        self.plan_lines(&format!("EXPLAIN {sql}"), "AtlasScanExec").await
    }

    /// The lines of what an EXPLAIN says that are of this node.
    pub(crate) async fn plan_lines(&self, explain: &str, node: &str) -> Vec<String> {
        let plan = self.query(explain).await;
        let text: String = strings(plan.column(1)).into_iter().flatten().collect::<Vec<_>>().join("\n");
        text.lines().filter(|line| line.contains(node)).map(|line| line.trim().to_string()).collect()
    }

    /// The one line of the failure of a query.
    pub(crate) async fn failure(&self, sql: &str) -> String {
        let error = match self.context.sql(sql).await {
            Ok(frame) => frame.collect().await.expect_err(sql),
            Err(error) => error,
        };
        let text = atlas_sql::describe(&error);
        assert!(!text.contains('\n'), "{text}");
        text
    }
}

pub(crate) async fn query(context: &SessionContext, sql: &str) -> RecordBatch {
    let frame = context.sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let schema = frame.schema().as_arrow().clone();
    let batches = frame.collect().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let schema = batches.first().map_or_else(|| schema.into(), |batch| batch.schema());
    concat_batches(&schema, &batches).unwrap()
}

pub(crate) fn strings(column: &ArrayRef) -> Vec<Option<String>> {
    let text = arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8).unwrap();
    text.as_string::<i32>().iter().map(|value| value.map(str::to_string)).collect()
}

pub(crate) fn names(batch: &RecordBatch) -> Vec<String> {
    strings(batch.column(0)).into_iter().flatten().collect()
}

pub(crate) fn floats(column: &dyn Array) -> Vec<Option<f64>> {
    let floats = arrow::compute::cast(column, &arrow::datatypes::DataType::Float64).unwrap();
    floats.as_primitive::<Float64Type>().iter().collect()
}

pub(crate) fn integers(column: &dyn Array) -> Vec<Option<i64>> {
    let integers = arrow::compute::cast(column, &arrow::datatypes::DataType::Int64).unwrap();
    integers.as_primitive::<Int64Type>().iter().collect()
}
