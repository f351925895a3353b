//! A handle of obstore whose objects only that library reaches: those of a `MemoryStore`.
//!
//! Handles to remote places are made again from their settings, in this library; objects in memory cannot be. They are
//! read and written by calling the handle's own methods.

use atlas_store::{Error, Expected, ObjectInfo, ObjectReader, ObjectWriter, Result, Storage, Version};
use bytes::Bytes;
use pyo3::exceptions::PyFileNotFoundError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Objects behind a handle.
pub(crate) struct HandleStorage {
    handle: Arc<Py<PyAny>>,
    location: String,
}

impl HandleStorage {
    pub(crate) fn new(handle: &Bound<'_, PyAny>) -> PyResult<Self> {
        // Two of them are two places: their addresses tell them apart.
        let location = format!("{} at {:#x}", handle.get_type().name()?, handle.as_ptr() as usize);
        Ok(HandleStorage { handle: Arc::new(handle.clone().unbind()), location })
    }

    /// What `call` gives; `None` where the handle says that there is no such object.
    fn call<T>(&self, object: &str, call: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>) -> Result<Option<T>> {
        Python::attach(|py| match call(self.handle.bind(py)) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_instance_of::<PyFileNotFoundError>(py) => Ok(None),
            Err(error) => Err(failed(py, object, &error)),
        })
    }
}

impl fmt::Debug for HandleStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandleStorage").field("location", &self.location).finish_non_exhaustive()
    }
}

fn failed(py: Python<'_>, object: &str, error: &PyErr) -> Error {
    let text = error.value(py).to_string();
    let message = text.split_whitespace().collect::<Vec<_>>().join(" ");
    Error::Storage { object: object.into(), message }
}

fn bytes_of(given: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    let plain = given.py().get_type::<PyBytes>().call1((given,))?;
    Ok(Bytes::copy_from_slice(plain.cast::<PyBytes>()?.as_bytes()))
}

fn version_of(meta: &Bound<'_, PyAny>, bytes: &[u8]) -> PyResult<Version> {
    let tag: Option<String> = meta.get_item("e_tag")?.extract()?;
    Ok(tag.map_or_else(|| Version::of_bytes(bytes), Version))
}

impl Storage for HandleStorage {
    fn location(&self) -> String {
        self.location.clone()
    }

    fn get(&self, object: &str) -> Result<Option<(Bytes, Version)>> {
        self.call(object, |handle| {
            let got = handle.call_method1("get", (object,))?;
            let bytes = bytes_of(&got.call_method0("bytes")?)?;
            let version = version_of(&got.getattr("meta")?, &bytes)?;
            Ok((bytes, version))
        })
    }

    fn open(&self, object: &str) -> Result<Arc<dyn ObjectReader>> {
        match self.get(object)? {
            Some((bytes, _)) => Ok(Arc::new(HandleReader { object: object.into(), bytes })),
            None => Err(Error::Corrupt {
                object: object.into(),
                offset: 0,
                message: "the catalog names this object, which is missing".into(),
            }),
        }
    }

    fn create(&self, object: &str) -> Result<Box<dyn ObjectWriter>> {
        let writer = HandleWriter {
            storage: HandleStorage { handle: self.handle.clone(), location: self.location.clone() },
            object: object.into(),
            bytes: Vec::new(),
            is_finished: false,
        };
        Ok(Box::new(writer))
    }

    fn replace(&self, object: &str, bytes: &[u8], expected: &Expected) -> Result<Version> {
        let put = Python::attach(|py| {
            let mode = match expected {
                Expected::Absent => "create".into_pyobject(py)?.into_any(),
                Expected::Version(version) => {
                    let update = PyDict::new(py);
                    update.set_item("e_tag", &version.0)?;
                    update.into_any()
                }
            };
            let options = PyDict::new(py);
            options.set_item("mode", mode)?;
            let put = self.handle.bind(py).call_method("put", (object, PyBytes::new(py, bytes)), Some(&options))?;
            version_of(&put, bytes)
        });
        put.map_err(|error| {
            Python::attach(|py| match error.get_type(py).name().map(|name| name.to_string()).as_deref() {
                Ok("AlreadyExistsError" | "PreconditionError" | "NotFoundError") => {
                    Error::Conflict { message: format!("{object} was changed by another writer") }
                }
                _ => failed(py, object, &error),
            })
        })
    }

    fn list(&self) -> Result<Vec<ObjectInfo>> {
        let listed = self.call("", |handle| {
            let mut objects = Vec::new();
            for batch in handle.call_method0("list")?.try_iter()? {
                for meta in batch?.try_iter()? {
                    let meta = meta?;
                    let seconds: f64 = meta.get_item("last_modified")?.call_method0("timestamp")?.extract()?;
                    objects.push(ObjectInfo {
                        object: meta.get_item("path")?.extract()?,
                        bytes: meta.get_item("size")?.extract()?,
                        modified: SystemTime::UNIX_EPOCH + Duration::from_secs_f64(seconds.max(0.0)),
                    });
                }
            }
            Ok(objects)
        })?;
        Ok(listed.unwrap_or_default())
    }

    fn delete(&self, object: &str) -> Result<()> {
        self.call(object, |handle| handle.call_method1("delete", (object,)).map(drop)).map(drop)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn prepare(&self) -> Result<()> {
        Ok(())
    }

    fn is_present(&self) -> bool {
        true
    }

    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>> {
        Ok(Box::new(()))
    }
}

/// The bytes from `range` of an object.
fn part(object: &str, bytes: &[u8], range: &Range<u64>) -> Result<Range<usize>> {
    let ends = (usize::try_from(range.start), usize::try_from(range.end));
    match ends {
        (Ok(start), Ok(end)) if start <= end && end <= bytes.len() => Ok(start..end),
        _ => Err(Error::Corrupt {
            object: object.into(),
            offset: range.start,
            message: format!("bytes up to {} are needed, the object has {} (truncated?)", range.end, bytes.len()),
        }),
    }
}

#[derive(Debug)]
struct HandleReader {
    object: String,
    bytes: Bytes,
}

impl ObjectReader for HandleReader {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        Ok(self.bytes.slice(part(&self.object, &self.bytes, &range)?))
    }
}

struct HandleWriter {
    storage: HandleStorage,
    object: String,
    bytes: Vec<u8>,
    is_finished: bool,
}

impl ObjectWriter for HandleWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn read_back(&mut self, range: Range<u64>) -> Result<Bytes> {
        Ok(Bytes::copy_from_slice(&self.bytes[part(&self.object, &self.bytes, &range)?]))
    }

    fn finish(&mut self) -> Result<()> {
        if !self.is_finished {
            self.storage.call(&self.object, |handle| {
                handle.call_method1("put", (&*self.object, PyBytes::new(handle.py(), &self.bytes))).map(drop)
            })?;
            self.is_finished = true;
        }
        Ok(())
    }
}
