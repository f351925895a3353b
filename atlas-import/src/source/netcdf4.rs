//! What the NetCDF reader does not tell of a NetCDF-4 file: chunk shapes, filters, and what it leaves out.

use super::{Source, SourceVariable, chunk};
use crate::error::one_line;
use hdf5_reader::{Attribute, Dataset, Datatype, Hdf5File, StringSize};
use netcdf_reader::nc4::attributes::is_internal_attribute;
use netcdf_reader::{NcAttrValue, NcAttribute};

/// Adds the chunk shapes, which chunks cannot be decoded, the attributes whose text is not UTF-8, and what could not be read at all.
pub(super) fn complete(source: &mut Source, hdf5: &Hdf5File) -> Result<(), String> {
    let root = hdf5.root_group().map_err(one_line)?;
    if let Ok(attributes) = root.attributes() {
        add_left_out("", &mut source.attributes, &attributes, &mut source.remarks);
    }
    for dataset in root.datasets().map_err(one_line)? {
        let path = dataset.name().rsplit('/').next().unwrap_or_default();
        if let Some(variable) = source.variables.iter_mut().find(|variable| variable.path == path) {
            variable.chunks = dataset.chunks().map(|chunks| chunks.into_iter().map(u64::from).collect());
            variable.unreadable = chunk::undecodable(hdf5, &dataset).map_err(one_line)?;
            add_left_out(&variable.name, &mut variable.attributes, &dataset.attributes(), &mut source.remarks);
        } else if !is_bare_dimension(&dataset) {
            source.refused.push((path.to_string(), "its hdf5 type has no netcdf equivalent".into()));
        }
    }
    Ok(())
}

/// Whether this stands for a dimension that has no coordinate variable.
fn is_bare_dimension(dataset: &Dataset) -> bool {
    dataset
        .attribute("NAME")
        .and_then(|name| name.read_string())
        .is_ok_and(|name| name.starts_with("This is a netCDF dimension but not a netCDF variable"))
}

/// The reader leaves out attributes that it cannot decode. Texts in Latin-1 are the common case.
fn add_left_out(
    variable: &str,
    known: &mut Vec<NcAttribute>,
    stored: &[Attribute],
    remarks: &mut Vec<(String, String)>,
) {
    for attribute in stored {
        let name = &attribute.name;
        if is_internal_attribute(name) || known.iter().any(|known| known.name == *name) {
            continue;
        }
        let remark = match (&attribute.datatype, attribute.num_elements()) {
            (Datatype::String { size: StringSize::Fixed(_), .. }, Ok(1)) => {
                let text = attribute.raw_data.split(|byte| *byte == 0).next().unwrap_or_default();
                let text = text.iter().map(|byte| char::from(*byte)).collect();
                known.push(NcAttribute { name: name.clone(), value: NcAttrValue::Chars(text) });
                format!("attribute {name} is not utf-8, read as latin-1")
            }
            _ => format!("attribute {name} cannot be read and is left out"),
        };
        remarks.push((variable.to_string(), remark));
    }
}

/// The HDF5 dataset of a variable, as long as the variable's unlimited dimensions say.
pub(super) fn dataset(hdf5: &Hdf5File, variable: &SourceVariable) -> Result<Dataset, String> {
    hdf5.dataset(&variable.path).and_then(|dataset| dataset.with_padded_shape(&variable.shape)).map_err(one_line)
}
