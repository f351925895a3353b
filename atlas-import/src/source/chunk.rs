//! Chunks of NetCDF-4 variables: which of them the reader can decode.

use super::open::MOST_BYTES_A_READ;
use crate::chunks::product;
use hdf5_reader::error::Result;
use hdf5_reader::filters::{
    FILTER_DEFLATE, FILTER_FLETCHER32, FILTER_LZ4, FILTER_NBIT, FILTER_SCALEOFFSET, FILTER_SHUFFLE, FILTER_SZIP,
};
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::{Dataset, Hdf5File};

/// The filters that the reader undoes.
const SUPPORTED: [u16; 7] =
    [FILTER_DEFLATE, FILTER_SHUFFLE, FILTER_FLETCHER32, FILTER_SZIP, FILTER_NBIT, FILTER_SCALEOFFSET, FILTER_LZ4];

/// Why the chunks of a dataset cannot be decoded: they are too large, or went through a filter that is not supported.
///
/// Settled from the header, before a cell is read: whatever fails in reading the chunks of a variable that passes here
/// is damage to the file.
pub(super) fn undecodable(hdf5: &Hdf5File, dataset: &Dataset) -> Result<Option<String>> {
    let extents = dataset.chunks().unwrap_or_default().into_iter().map(u64::from);
    let bytes = product(extents.chain([dataset.raw_element_size()? as u64]));
    if bytes > MOST_BYTES_A_READ as u64 {
        return Ok(Some(format!("its chunks have {bytes} bytes each, more than {MOST_BYTES_A_READ}")));
    }
    let header = hdf5.get_or_parse_header(dataset.address())?;
    let filters = header.messages.iter().filter_map(|message| match message {
        HdfMessage::FilterPipeline(pipeline) => Some(&pipeline.filters),
        _ => None,
    });
    let unsupported = filters.flatten().find(|filter| !SUPPORTED.contains(&filter.id));
    Ok(unsupported.map(|filter| {
        let name = name(filter.id).map_or(String::new(), |name| format!("{name} "));
        format!("its chunks are stored with the filter {name}(hdf5 filter {}), which is not supported", filter.id)
    }))
}

/// What people call a registered filter.
///
/// # Source
/// The HDF5 Group's list of registered filters.
fn name(filter: u16) -> Option<&'static str> {
    Some(match filter {
        305 => "lzo",
        307 => "bzip2",
        32000 => "lzf",
        32001 => "blosc",
        32008 => "bitshuffle",
        32013 => "zfp",
        32015 => "zstd",
        32017 => "sz",
        32024 => "sz3",
        32026 => "blosc2",
        _ => return None,
    })
}
