//! The memory of a stream's batches: decoded into, sent from, and used again for the next batch.

use super::column;
use crate::status;
use crate::ticket::ColumnTicket;
use arrow::array::{ArrayData as ArrowData, ArrayRef, FixedSizeListArray, make_array};
use arrow::buffer::Buffer;
use arrow::datatypes::DataType;
use atlas_sql::tensor;
use atlas_store::{ArrayData, Cells, DType, SpareMemory};
use bytes::Bytes;
use std::sync::Arc;
use tonic::Status;

/// Cells that lie in the columns of a batch; their memory goes home once nobody has the batch any more.
struct Lent {
    cells: Cells,
    home: SpareMemory,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.cells.as_bytes()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.home.put(std::mem::replace(&mut self.cells, Cells::U8(Vec::new())));
    }
}

/// Cells as a plain column, whose memory goes to `home` when it is done with.
pub(super) fn flat(dtype: DType, cells: Cells, home: &SpareMemory) -> Result<ArrayRef, Status> {
    if matches!(dtype, DType::Bool | DType::String | DType::Binary) {
        // Other bytes than those that were decoded.
        let len = cells.len() as u64;
        let flat = ArrayData::try_new(dtype, vec![len], cells).map_err(|error| status::from_store(&error))?;
        return tensor::array_from(flat).map_err(|error| status::from_datafusion(&error));
    }
    let count = cells.len();
    let buffer = Buffer::from(Bytes::from_owner(Lent { cells, home: home.clone() }));
    let data = ArrowData::try_new(tensor::data_type(dtype), count, None, 0, vec![buffer], Vec::new());
    Ok(make_array(data.map_err(|error| status::from_arrow(&error))?))
}

/// Cells of `rows` datasets as the column's type `data_type`, as [`flat`].
///
/// # Errors
/// `INTERNAL` where the cells are not of that type.
pub(super) fn stacked(
    ticket: &ColumnTicket,
    data_type: &DataType,
    (rows, cells): (usize, Cells),
    home: &SpareMemory,
) -> Result<ArrayRef, Status> {
    let values = flat(column::dtype(ticket)?, cells, home)?;
    let DataType::FixedSizeList(item, size) = data_type else { return Ok(values) };
    let lists = FixedSizeListArray::try_new_with_length(Arc::clone(item), *size, values, None, rows);
    Ok(Arc::new(lists.map_err(|error| status::internal(&error))?))
}
