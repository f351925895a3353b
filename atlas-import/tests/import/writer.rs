//! Writes small NetCDF classic files, byte by byte.
//!
//! The format is that of the NetCDF "classic format specification": CDF-1 (32-bit offsets), CDF-2 (64-bit offsets),
//! CDF-5 (64-bit counts too).
#![allow(dead_code, reason = "each test uses the part that it needs")]
#![allow(clippy::cast_possible_truncation, reason = "test files are small")]

/// The values of an attribute or variable.
#[derive(Clone)]
pub(crate) enum Values {
    Char(Vec<u8>),
    Byte(Vec<i8>),
    Short(Vec<i16>),
    Int(Vec<i32>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    UShort(Vec<u16>),
    Int64(Vec<i64>),
}

impl Values {
    fn code(&self) -> u32 {
        match self {
            Values::Byte(_) => 1,
            Values::Char(_) => 2,
            Values::Short(_) => 3,
            Values::Int(_) => 4,
            Values::Float(_) => 5,
            Values::Double(_) => 6,
            Values::UShort(_) => 8,
            Values::Int64(_) => 10,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Values::Char(v) => v.clone(),
            Values::Byte(v) => v.iter().flat_map(|x| x.to_be_bytes()).collect(),
            Values::Short(v) => v.iter().flat_map(|x| x.to_be_bytes()).collect(),
            Values::Int(v) => v.iter().flat_map(|x| x.to_be_bytes()).collect(),
            Values::Float(v) => v.iter().flat_map(|x| x.to_be_bytes()).collect(),
            Values::Double(v) => v.iter().flat_map(|x| x.to_be_bytes()).collect(),
            Values::UShort(v) => v.iter().flat_map(|x| x.to_be_bytes()).collect(),
            Values::Int64(v) => v.iter().flat_map(|x| x.to_be_bytes()).collect(),
        }
    }

    fn len(&self) -> u64 {
        let size = match self {
            Values::Char(_) | Values::Byte(_) => 1,
            Values::Short(_) | Values::UShort(_) => 2,
            Values::Int(_) | Values::Float(_) => 4,
            Values::Double(_) | Values::Int64(_) => 8,
        };
        self.bytes().len() as u64 / size
    }
}

impl From<&str> for Values {
    fn from(text: &str) -> Self {
        Values::Char(text.as_bytes().to_vec())
    }
}

type Attributes = Vec<(String, Values)>;

struct Variable {
    name: String,
    dims: Vec<usize>,
    attributes: Attributes,
    values: Values,
}

/// A file in the making. Dimensions are declared first; one of them may be the record dimension.
pub(crate) struct Writer {
    version: u8,
    records: u64,
    dims: Vec<(String, u64)>,
    attributes: Attributes,
    variables: Vec<Variable>,
}

impl Writer {
    /// A file of CDF version 1, 2 or 5.
    pub(crate) fn new(version: u8) -> Self {
        Writer { version, records: 0, dims: Vec::new(), attributes: Vec::new(), variables: Vec::new() }
    }

    /// Declares a dimension.
    pub(crate) fn dim(mut self, name: &str, extent: u64) -> Self {
        self.dims.push((name.into(), extent));
        self
    }

    /// Declares the record dimension.
    pub(crate) fn record_dim(mut self, name: &str, records: u64) -> Self {
        self.records = records;
        self.dim(name, 0)
    }

    /// Sets a global attribute.
    pub(crate) fn attribute(mut self, name: &str, values: impl Into<Values>) -> Self {
        self.attributes.push((name.into(), values.into()));
        self
    }

    /// Adds a variable with its attributes.
    pub(crate) fn variable(mut self, name: &str, dims: &[&str], values: Values, attributes: &[(&str, Values)]) -> Self {
        let dims = dims.iter().map(|dim| self.dims.iter().position(|(name, _)| name == dim).unwrap()).collect();
        let attributes = attributes.iter().map(|(name, values)| ((*name).into(), values.clone())).collect();
        self.variables.push(Variable { name: name.into(), dims, attributes, values });
        self
    }

    /// The file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let header = self.header(&vec![0; self.variables.len()]).len() as u64;
        let is_record = |variable: &Variable| variable.dims.first().is_some_and(|dim| self.dims[*dim].1 == 0);
        let contents = self.variables.iter().map(|variable| variable.values.bytes()).collect::<Vec<_>>();
        let alone = self.variables.iter().filter(|variable| is_record(variable)).count() == 1;

        let mut offsets = vec![0; self.variables.len()];
        let mut body = Vec::new();
        for (index, _) in self.variables.iter().enumerate().filter(|(_, variable)| !is_record(variable)) {
            offsets[index] = header + body.len() as u64;
            body.extend(&contents[index]);
            pad(&mut body);
        }
        for record in 0..self.records.max(1) {
            for (index, _) in self.variables.iter().enumerate().filter(|(_, variable)| is_record(variable)) {
                if record == 0 {
                    offsets[index] = header + body.len() as u64;
                }
                if self.records > 0 {
                    let size = contents[index].len() / self.records as usize;
                    body.extend(&contents[index][record as usize * size..][..size]);
                    if !alone {
                        pad(&mut body);
                    }
                }
            }
        }
        let mut file = self.header(&offsets);
        file.extend(body);
        file
    }

    fn header(&self, offsets: &[u64]) -> Vec<u8> {
        let mut out = vec![b'C', b'D', b'F', self.version];
        self.count(&mut out, self.records);
        self.list(&mut out, 10, self.dims.len());
        for (name, extent) in &self.dims {
            self.text(&mut out, name);
            self.count(&mut out, *extent);
        }
        self.attributes(&mut out, &self.attributes);
        self.list(&mut out, 11, self.variables.len());
        for (variable, offset) in self.variables.iter().zip(offsets) {
            self.text(&mut out, &variable.name);
            self.count(&mut out, variable.dims.len() as u64);
            for dim in &variable.dims {
                self.count(&mut out, *dim as u64);
            }
            self.attributes(&mut out, &variable.attributes);
            out.extend(variable.values.code().to_be_bytes());
            let size = variable.values.bytes().len() as u64;
            self.count(&mut out, size.next_multiple_of(4));
            if self.version == 1 {
                out.extend((*offset as u32).to_be_bytes());
            } else {
                out.extend(offset.to_be_bytes());
            }
        }
        out
    }

    fn count(&self, out: &mut Vec<u8>, count: u64) {
        if self.version == 5 {
            out.extend(count.to_be_bytes());
        } else {
            out.extend((count as u32).to_be_bytes());
        }
    }

    fn list(&self, out: &mut Vec<u8>, tag: u32, length: usize) {
        out.extend(if length == 0 { 0 } else { tag }.to_be_bytes());
        self.count(out, length as u64);
    }

    fn text(&self, out: &mut Vec<u8>, text: &str) {
        self.count(out, text.len() as u64);
        out.extend(text.as_bytes());
        pad(out);
    }

    fn attributes(&self, out: &mut Vec<u8>, attributes: &Attributes) {
        self.list(out, 12, attributes.len());
        for (name, values) in attributes {
            self.text(out, name);
            out.extend(values.code().to_be_bytes());
            self.count(out, values.len());
            out.extend(values.bytes());
            pad(out);
        }
    }
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}
