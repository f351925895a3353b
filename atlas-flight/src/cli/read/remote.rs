//! The stacked read of a store on a server.

use super::{Read, SHOWN, Stack, Take};
use crate::cli::{Failure, describe, runtime};
use atlas_flight::bulk::request::{Missing, StackedRequest};
use atlas_flight::client::{Address, BatchStream, Client, ReadOptions};
use atlas_sql::tensor::GivenArray;
use atlas_store::DType;
use datafusion::arrow::array::AsArray;
use futures::TryStreamExt;
use tokio::runtime::Runtime;

/// Into how many parts a read is cut: so much less is read again, where the connection is lost.
const PARTS: u32 = 8;

/// A planned read, and what has come of it.
pub(super) struct Remote {
    runtime: Runtime,
    client: Client,
    request: StackedRequest,
    column: GivenArray,
    /// Leading dataset axis included.
    shape: Vec<u64>,
    /// The plan, until it is made anew for another pass.
    planned: Option<BatchStream>,
    first_names: Vec<String>,
    batches: u64,
    bytes: u64,
}

impl Remote {
    /// Connects, and learns from the plan what there is to read.
    pub(super) fn plan(read: &Read, address: &Address) -> Result<Self, Failure> {
        let runtime = runtime()?;
        let client = runtime.block_on(read.server.connect(address))?;
        let (request, planned) = runtime.block_on(chosen(read, &client))?;
        let (shape, column) = layout(&planned)?;
        let Some(shape) = shape else {
            let array = &read.array;
            let message =
                format!("cannot stack array {array}: its shape differs between datasets; --shape cuts a region");
            return Err(Failure::failed(message));
        };
        let planned = Some(planned);
        Ok(Remote { runtime, client, request, column, shape, planned, first_names: Vec::new(), batches: 0, bytes: 0 })
    }
}

/// The request, and its plan: at least one dataset.
async fn chosen(read: &Read, client: &Client) -> Result<(StackedRequest, BatchStream), Failure> {
    let store = match client.address().store() {
        Some(store) => store.to_owned(),
        None => client.default_store().await?,
    };
    let mut request = StackedRequest {
        store,
        arrays: vec![read.array.clone()],
        datasets: read.datasets.clone(),
        where_: read.condition.clone(),
        missing: if read.datasets.is_some() { Missing::Error } else { Missing::Skip },
        partitions: PARTS,
        ..StackedRequest::default()
    };
    let mut first_shape = None;
    if read.start.is_some() && read.shape.is_none() {
        let whole = client.stacked_stream(&request).await?;
        first_shape = layout(&whole)?.0.map(|shape| shape[1..].to_vec());
        if first_shape.is_none() {
            let array = &read.array;
            return Err(Failure::usage(format!(
                "array {array} differs in shape between datasets: --start needs --shape"
            )));
        }
    }
    let region = read.region(|| Ok(first_shape))?;
    if let Some(region) = region {
        (request.start, request.shape) = (Some(region.start().to_vec()), Some(region.shape().to_vec()));
    }
    let planned = client.stacked_stream(&request).await?;
    if let Some(condition) = &read.condition {
        // What is left out is not in the plan: the same question with a null in its place tells.
        let with_nulls = StackedRequest { missing: Missing::Null, partitions: 1, ..request.clone() };
        let satisfying = client.stacked_stream(&with_nulls).await?.total_rows().unwrap_or(0);
        match planned.total_rows() {
            Some(0) => return Err(read.nothing_chosen(condition, satisfying)),
            rows => read.tell_left_out(satisfying.saturating_sub(rows.unwrap_or(satisfying))),
        }
    }
    Ok((request, planned))
}

/// The shape of the whole, its leading axis the datasets (`None` where their arrays' shapes differ), and what the column
/// holds.
fn layout(planned: &BatchStream) -> Result<(Option<Vec<u64>>, GivenArray), Failure> {
    let schema = planned.schema();
    let column = schema.fields().get(1).map(|field| GivenArray::of(field)).transpose()?.flatten();
    let (Some(column), Some(rows)) = (column, planned.total_rows()) else {
        return Err(Failure::failed("the server does not say what it would read"));
    };
    let shape = column.shape().map(|shape| std::iter::once(rows).chain(shape).collect());
    Ok((shape, column))
}

impl Stack for Remote {
    fn array(&self) -> &str {
        &self.request.arrays[0]
    }

    fn dtype(&self) -> DType {
        self.column.dtype
    }

    fn shape(&self) -> &[u64] {
        &self.shape
    }

    fn for_each(&mut self, take: &mut Take<'_>) -> Result<(), Failure> {
        let Remote { runtime, client, request, column, shape, planned, first_names, batches, bytes } = self;
        runtime.block_on(async {
            let mut stream = match planned.take() {
                Some(planned) => planned,
                None => client.stacked_stream_with(request, &ReadOptions::default()).await?,
            };
            if layout(&stream)?.0.as_ref() != Some(shape) {
                return Err(Failure::failed("the store was changed between two passes of the read: read again"));
            }
            first_names.clear();
            while let Some(batch) = stream.try_next().await? {
                let missing = SHOWN - first_names.len();
                let names = batch.column(0).as_string_opt::<i32>();
                first_names.extend(names.into_iter().flatten().flatten().take(missing).map(str::to_owned));
                *batches += 1;
                let cells = column.values(batch.column(1))?.stacked()?;
                *bytes += cells.cells().byte_len() as u64;
                take(&cells, column.fill_value.as_ref())?;
            }
            Ok(())
        })
    }

    fn first_names(&self) -> Vec<String> {
        self.first_names.clone()
    }

    /// Which chunks the server has read for it is not told.
    fn cost(&self) -> String {
        let batches = if self.batches == 1 { "1 batch".to_owned() } else { format!("{} batches", self.batches) };
        format!("{batches}, {} received", describe::bytes(self.bytes))
    }
}
