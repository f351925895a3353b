//! The body of a catalog file: JSON with a line for each dataset, schema, array and attribute, or MessagePack.
//!
//! Arrays and attributes are serialised by all cores, each into bytes of its own, and put together.

use super::write::WrittenCatalog;
use rayon::prelude::*;
use serde::Serialize;

type Result<T> = std::result::Result<T, String>;

/// How values, maps and lists become bytes.
pub(crate) trait Encoding {
    fn value<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<()>;
    /// Begins a map of fewer than 16 entries.
    fn begin_map(out: &mut Vec<u8>, entries: u8);
    fn begin_entry(out: &mut Vec<u8>, key: &str, is_first: bool) -> Result<()>;
    fn end_map(out: &mut Vec<u8>);
    fn begin_list(out: &mut Vec<u8>, items: usize) -> Result<()>;
    fn begin_item(out: &mut Vec<u8>, is_first: bool);
    fn end_list(out: &mut Vec<u8>);
}

/// Readable and greppable: a line for each entry and item, and not a line for each number.
pub(crate) struct Json;

impl Encoding for Json {
    fn value<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<()> {
        serde_json::to_writer(out, value).map_err(|error| error.to_string())
    }

    fn begin_map(out: &mut Vec<u8>, _: u8) {
        out.push(b'{');
    }

    fn begin_entry(out: &mut Vec<u8>, key: &str, is_first: bool) -> Result<()> {
        Self::begin_item(out, is_first);
        Self::value(out, key)?;
        out.push(b':');
        Ok(())
    }

    fn end_map(out: &mut Vec<u8>) {
        out.push(b'}');
    }

    fn begin_list(out: &mut Vec<u8>, _: usize) -> Result<()> {
        out.push(b'[');
        Ok(())
    }

    fn begin_item(out: &mut Vec<u8>, is_first: bool) {
        out.extend_from_slice(if is_first { b"\n" } else { b",\n" });
    }

    fn end_list(out: &mut Vec<u8>) {
        out.push(b']');
    }
}

pub(crate) struct Msgpack;

impl Encoding for Msgpack {
    fn value<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<()> {
        rmp_serde::encode::write_named(out, value).map_err(|error| error.to_string())
    }

    fn begin_map(out: &mut Vec<u8>, entries: u8) {
        out.push(0x80 | entries);
    }

    fn begin_entry(out: &mut Vec<u8>, key: &str, _: bool) -> Result<()> {
        Self::value(out, key)
    }

    fn end_map(_: &mut Vec<u8>) {}

    fn begin_list(out: &mut Vec<u8>, items: usize) -> Result<()> {
        let items = u32::try_from(items).map_err(|_| format!("a list of {items} is too long"))?;
        out.push(0xdd);
        out.extend_from_slice(&items.to_be_bytes());
        Ok(())
    }

    fn begin_item(_: &mut Vec<u8>, _: bool) {}

    fn end_list(_: &mut Vec<u8>) {}
}

fn list<E: Encoding, T: Serialize>(items: impl ExactSizeIterator<Item = T>) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    E::begin_list(&mut out, items.len())?;
    for (at, item) in items.enumerate() {
        E::begin_item(&mut out, at == 0);
        E::value(&mut out, &item)?;
    }
    E::end_list(&mut out);
    Ok(out)
}

/// A list whose items are serialised already. What it takes is given back as it is copied.
fn put_list<E: Encoding>(out: &mut Vec<u8>, items: Vec<Vec<u8>>) -> Result<()> {
    E::begin_list(out, items.len())?;
    for (at, item) in items.into_iter().enumerate() {
        E::begin_item(out, at == 0);
        out.extend_from_slice(&item);
    }
    E::end_list(out);
    Ok(())
}

fn each<E: Encoding, T: Serialize + Sync>(items: &[T]) -> Result<Vec<Vec<u8>>> {
    let item = |item: &T| {
        let mut out = Vec::new();
        E::value(&mut out, item).map(|()| out)
    };
    items.par_iter().with_max_len(1).map(item).collect()
}

impl WrittenCatalog<'_> {
    /// Appends the catalog.
    ///
    /// # Errors
    /// A message, where something cannot be serialised.
    pub(crate) fn encode<E: Encoding>(&self, out: &mut Vec<u8>) -> Result<()> {
        let (datasets, (arrays, attributes)) = rayon::join(
            || list::<E, _>(self.datasets()),
            || rayon::join(|| each::<E, _>(&self.arrays), || each::<E, _>(&self.attributes)),
        );
        let (datasets, arrays, attributes) = (datasets?, arrays?, attributes?);
        let bytes: usize = arrays.iter().chain(&attributes).map(Vec::len).sum();
        out.reserve(datasets.len() + bytes + bytes / 64);
        E::begin_map(out, 8);
        E::begin_entry(out, "snapshot", true)?;
        E::value(out, &self.snapshot)?;
        E::begin_entry(out, "codec", false)?;
        E::value(out, self.codec)?;
        E::begin_entry(out, "next_array_id", false)?;
        E::value(out, &self.next_array_id)?;
        E::begin_entry(out, "datasets", false)?;
        out.extend_from_slice(&datasets);
        drop(datasets);
        E::begin_entry(out, "schemas", false)?;
        out.extend_from_slice(&list::<E, _>(self.schemas.iter())?);
        E::begin_entry(out, "arrays", false)?;
        put_list::<E>(out, arrays)?;
        E::begin_entry(out, "attributes", false)?;
        put_list::<E>(out, attributes)?;
        E::begin_entry(out, "retired", false)?;
        out.extend_from_slice(&list::<E, _>(self.retired.iter())?);
        E::end_map(out);
        Ok(())
    }
}
