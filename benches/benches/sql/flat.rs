//! Parquet files as someone would write them who has these tables there.

use arrow::array::{ArrayRef, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::path::Path;

/// Rows of a row group: what DuckDB recommends, and small enough for its statistics to leave much out.
pub(crate) const ROW_GROUP: usize = 1 << 17;

/// A column's name and values.
pub(crate) type Column = (String, ArrayRef);

/// Writes these parts, which have the same columns, as a file: zstd, dictionaries, statistics of row groups and pages.
pub(crate) fn write(file: &Path, parts: impl Iterator<Item = Vec<Column>>) -> u64 {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap()))
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .build();
    let mut writer: Option<ArrowWriter<File>> = None;
    for part in parts {
        let batch =
            RecordBatch::try_from_iter_with_nullable(part.into_iter().map(|(name, values)| (name, values, true)));
        let batch = batch.unwrap();
        let writer = writer.get_or_insert_with(|| {
            let options = ArrowWriterOptions::new().with_properties(properties.clone());
            // Text is handed over as dictionaries, and is text in the file.
            let options = options.with_skip_arrow_metadata(true);
            ArrowWriter::try_new_with_options(File::create(file).unwrap(), batch.schema(), options).unwrap()
        });
        writer.write(&batch).unwrap();
    }
    writer.unwrap().close().unwrap();
    file.metadata().unwrap().len()
}
