//! What a file becomes, settled before its cells are read (but for times, which are read to see whether they fit).

use crate::attributes::{COORDINATES, ENCODING, attribute, json, json_text};
use crate::cf::{self, Context, Meaning};
use crate::chunks::{BOX_BYTES, boxes, chunk_shape, product};
use crate::decode::{Decoded, decode};
use crate::error::Failure;
use crate::options::ImportOptions;
use crate::source::{Source, SourceVariable, Stored};
use atlas_store::{ArrayData, ArraySchema, Attribute, DType, Scalar};
use std::collections::HashSet;

/// What a file becomes.
#[derive(Debug, Clone, Default)]
pub(crate) struct FilePlan {
    pub(crate) variables: Vec<VariablePlan>,
    /// The global attributes.
    pub(crate) attributes: Vec<(String, Attribute)>,
    /// The coordinates that global `coordinates` and those of variables name.
    pub(crate) coordinates: Vec<String>,
    /// Variables that cannot be stored, and why.
    pub(crate) skipped: Vec<(String, String)>,
    /// Notes on variables, or on the file where the name is empty.
    pub(crate) notes: Vec<(String, String)>,
}

/// What a variable becomes.
#[derive(Debug, Clone)]
pub(crate) struct VariablePlan {
    pub(crate) source: SourceVariable,
    pub(crate) meaning: Meaning,
    pub(crate) schema: ArraySchema,
    /// Its attributes, under their names in the dataset.
    pub(crate) attributes: Vec<(String, Attribute)>,
    /// What decoding consumed, as the members of a JSON object.
    pub(crate) encoding: Vec<String>,
}

impl FilePlan {
    /// Plans a file.
    pub(crate) fn of(source: &Source, options: &ImportOptions) -> Result<Self, Failure> {
        let mut plan =
            FilePlan { skipped: source.refused.clone(), notes: source.remarks.clone(), ..FilePlan::default() };
        let mut names = HashSet::new();
        for variable in &source.variables {
            let problem = match variable.stored {
                Stored::Unsupported(what) => Some(format!("{what} cannot be stored")),
                _ => name_problem(&variable.name)
                    .map(|problem| format!("an array's name {problem}"))
                    .or_else(|| variable.unreadable.clone()),
            };
            let problem = problem.or_else(|| (!names.insert(&variable.name)).then(|| "the name is used twice".into()));
            if let Some(problem) = problem {
                plan.skipped.push((variable.name.clone(), problem));
                continue;
            }
            let meaning = meaning(source, variable, options).map_err(Failure::File)?;
            let planned = VariablePlan::of(variable, meaning, options)
                .map_err(|reason| Failure::File(format!("variable {}: {reason}", variable.name)))?;
            plan.variables.push(planned);
        }
        plan.add_attributes(source, options);
        for (name, _) in &options.chunks {
            if source.variables.iter().all(|variable| variable.name != *name) {
                plan.notes.push((name.clone(), "chunks are given for it, and the file has no such variable".into()));
            }
        }
        plan.coordinates = coordinates(source);
        Ok(plan)
    }

    /// Bytes of all cells, decoded.
    pub(crate) fn bytes(&self) -> u64 {
        self.variables.iter().map(|variable| variable.bytes()).fold(0, u64::saturating_add)
    }

    fn add_attributes(&mut self, source: &Source, options: &ImportOptions) {
        for global in &source.attributes {
            if !options.raw && global.name == "coordinates" {
                continue;
            }
            match attribute(&global.value) {
                Ok(value) => self.attributes.push((global.name.clone(), value)),
                Err(reason) => self.notes.push((String::new(), format!("attribute {} {reason}", global.name))),
            }
        }
        for variable in &mut self.variables {
            let notes = variable.meaning.notes.clone().into_iter().chain(variable.add_attributes());
            self.notes.extend(notes.map(|note| (variable.source.name.clone(), note)));
        }
        self.leave_out_taken(options);
    }

    /// Of attributes that get the same name in the dataset, the importer's own stays, then that of a variable.
    fn leave_out_taken(&mut self, options: &ImportOptions) {
        let mut taken = HashSet::from([COORDINATES.to_string()]);
        if !options.raw {
            taken.insert(ENCODING.into());
        }
        let notes = &mut self.notes;
        let mut keep = |variable: &str, attributes: &mut Vec<(String, Attribute)>| {
            attributes.retain(|(key, _)| {
                let is_free = taken.insert(key.clone());
                if !is_free {
                    let note = format!("attribute {key:?} is left out: another one has this name in the dataset");
                    notes.push((variable.to_string(), note));
                }
                is_free
            });
        };
        for variable in &mut self.variables {
            keep(&variable.source.name, &mut variable.attributes);
        }
        keep("", &mut self.attributes);
    }
}

impl VariablePlan {
    fn of(variable: &SourceVariable, meaning: Meaning, options: &ImportOptions) -> Result<Self, String> {
        let mut rank = variable.shape.len();
        let mut cell_bytes = meaning.dtype.physical().cell_bytes().map_or(16, |bytes| bytes as u64);
        if let cf::Decoding::Characters { length: Some(length), .. } = &meaning.decoding {
            rank -= 1;
            cell_bytes = (*length).max(1);
        }
        let shape = &variable.shape[..rank];
        let user = options.chunks.iter().rev().find(|(name, _)| *name == variable.name).map(|(_, chunks)| &chunks[..]);
        let file = variable.chunks.as_deref().and_then(|chunks| chunks.get(..rank));
        let schema = ArraySchema {
            dtype: meaning.dtype,
            dims: variable.dims[..rank].to_vec(),
            shape: shape.to_vec(),
            chunk_shape: chunk_shape(shape, cell_bytes, user, file)?,
            fill_value: meaning.fill.clone(),
        };
        let mut plan =
            VariablePlan { source: variable.clone(), meaning, schema, attributes: Vec::new(), encoding: Vec::new() };
        if let Stored::Numbers(dtype) | Stored::Enumeration(dtype, _) = &variable.stored
            && *dtype != plan.schema.dtype
        {
            plan.encoding.push(format!("\"dtype\": {}", json_text(dtype.name())));
        }
        Ok(plan)
    }

    /// Sorts the attributes into those that stay and those that decoding consumed; the notes on the others.
    fn add_attributes(&mut self) -> Vec<String> {
        let mut notes = Vec::new();
        for stored in self.source.attributes.clone() {
            let result = if self.meaning.consumed.contains(&stored.name.as_str()) {
                json(&stored.value).map(|value| self.keep(&stored.name, &value))
            } else {
                attribute(&stored.value).map(|value| self.attributes.push((self.key(&stored.name), value)))
            };
            if let Err(reason) = result {
                notes.push(format!("attribute {} {reason}", stored.name));
            }
        }
        if let Stored::Enumeration(_, members) = &self.source.stored
            && !self.source.attributes().has("flag_meanings")
        {
            // The convention for what an enumeration says: "Flags" in the CF conventions.
            let (names, values): (Vec<_>, Vec<_>) =
                members.iter().map(|(name, value)| (name.as_str(), value.to_string())).unzip();
            let (values, names) = (format!("json:[{}]", values.join(", ")), names.join(" "));
            let flags = [(self.key("flag_values"), values.into()), (self.key("flag_meanings"), names.into())];
            self.attributes.extend(flags);
        }
        notes
    }

    fn key(&self, attribute: &str) -> String {
        format!("{}.{attribute}", self.source.name)
    }

    /// Keeps a consumed attribute among the encoding, unless the array's fill value says the same.
    fn keep(&mut self, name: &str, value: &str) {
        let said = match &self.schema.fill_value {
            Some(Scalar::Float32(_) | Scalar::Float64(_)) => value == "NaN",
            Some(Scalar::String(fill)) => value == json_text(fill),
            Some(Scalar::Int(fill)) => value == fill.to_string(),
            Some(Scalar::UInt(fill)) => value == fill.to_string(),
            _ => false,
        };
        if !(name == "_FillValue" && said) {
            self.encoding.push(format!("{}: {value}", json_text(name)));
        }
    }

    /// Bytes of its cells, decoded.
    pub(crate) fn bytes(&self) -> u64 {
        self.cells().saturating_mul(self.cell_bytes())
    }

    /// How many cells it has.
    pub(crate) fn cells(&self) -> u64 {
        product(self.schema.shape.iter().copied())
    }

    fn cell_bytes(&self) -> u64 {
        let decoded = self.schema.dtype.physical().cell_bytes().map_or(16, |bytes| bytes as u64);
        decoded.max(stored_bytes(&self.source, &self.schema.shape))
    }

    /// The boxes to read and write it in.
    pub(crate) fn boxes(&self) -> impl Iterator<Item = (Vec<u64>, Vec<u64>)> + use<> {
        boxes(&self.schema.shape, &self.schema.chunk_shape, self.cell_bytes(), BOX_BYTES)
    }

    /// What is said of text that was read as Latin-1.
    pub(crate) fn latin1_remark(&self) -> &'static str {
        match self.meaning.decoding {
            cf::Decoding::Characters { length: None, .. } => {
                "characters beyond ascii are read as latin-1, byte by byte"
            }
            _ => "some text is not utf-8, read as latin-1",
        }
    }

    /// Reads and decodes a box; also whether some of its text was not UTF-8.
    pub(crate) fn read(&self, source: &Source, start: &[u64], shape: &[u64]) -> Result<(ArrayData, bool), String> {
        let Decoded { cells, latin1 } = read(source, &self.source, &self.meaning, start, shape)?;
        let data = ArrayData::try_new(self.schema.dtype, shape.to_vec(), cells)
            .map_err(|error| format!("variable {}: {error}", self.source.name))?;
        Ok((data, latin1))
    }
}

/// What is wrong with a variable's name. The store has the last word; but the reader cannot even read variables of some of
/// these names, and one such variable must not cost the file.
fn name_problem(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("cannot be empty")
    } else if name.starts_with('_') {
        Some("cannot begin with '_'")
    } else if name.contains(['/', '\0']) {
        Some("cannot contain '/' or nul")
    } else if matches!(name, "." | "..") {
        Some("cannot be that of a directory")
    } else {
        None
    }
}

/// Stored bytes behind each cell of an array of this shape.
fn stored_bytes(variable: &SourceVariable, shape: &[u64]) -> u64 {
    variable.cell_bytes().saturating_mul(product(variable.shape.iter().skip(shape.len()).copied()))
}

fn read(
    source: &Source,
    variable: &SourceVariable,
    meaning: &Meaning,
    start: &[u64],
    shape: &[u64],
) -> Result<Decoded, String> {
    let (mut stored_start, mut stored_shape) = (start.to_vec(), shape.to_vec());
    if let cf::Decoding::Characters { length: Some(length), .. } = &meaning.decoding {
        stored_start.push(0);
        stored_shape.push(*length);
    }
    let cells = source.read(variable, &stored_start, &stored_shape)?;
    decode(&meaning.decoding, cells, shape).map_err(|reason| format!("variable {}: {reason}", variable.name))
}

/// What a variable means; times that do not fit into nanoseconds mean numbers.
fn meaning(source: &Source, variable: &SourceVariable, options: &ImportOptions) -> Result<Meaning, String> {
    if options.raw {
        return Ok(cf::raw(variable));
    }
    let context = Context {
        last_is_length: last_is_length(source, variable),
        bounded: source
            .variables
            .iter()
            .map(SourceVariable::attributes)
            .find(|attributes| attributes.text("bounds") == Some(&variable.name) && cf::tells_time(*attributes)),
        not_as_times: None,
    };
    let mut meaning = cf::decoded(variable, context);
    if meaning.dtype == DType::TimestampNanoseconds
        && let Some(reason) = unfit_time(source, variable, &meaning)?
    {
        meaning = cf::decoded(variable, Context { not_as_times: Some(&reason), ..context });
    }
    if variable.attributes().text("coordinates").is_some() {
        meaning.consumed.push("coordinates");
    }
    Ok(meaning)
}

/// Reads all of a time variable: whether one of its times cannot be told, and why.
fn unfit_time(source: &Source, variable: &SourceVariable, meaning: &Meaning) -> Result<Option<String>, String> {
    let chunks = variable.chunks.clone().unwrap_or_else(|| vec![1; variable.shape.len()]);
    let chunks = chunks.iter().map(|chunk| (*chunk).max(1)).collect::<Vec<_>>();
    for (start, shape) in boxes(&variable.shape, &chunks, variable.cell_bytes().max(8), BOX_BYTES) {
        let cells = source.read(variable, &start, &shape)?;
        if let Err(reason) = decode(&meaning.decoding, cells, &shape) {
            return Ok(Some(reason));
        }
    }
    Ok(None)
}

/// Whether the last dimension of a variable of characters is the length of strings: whether every variable that uses it
/// is made of characters and has it last, and no variable is named like it.
///
/// # Source
/// `decode_cf_variables` of xarray's `conventions.py`.
fn last_is_length(source: &Source, variable: &SourceVariable) -> bool {
    let Some(last) = variable.dims.last() else { return false };
    variable.stored == Stored::Characters
        && source.variables.iter().all(|other| {
            other.name != *last
                && other.dims.iter().enumerate().all(|(axis, dim)| {
                    dim != last || (other.stored == Stored::Characters && axis + 1 == other.dims.len())
                })
        })
}

/// The coordinates: 1-D variables named like their dimension, and what `coordinates` attributes name.
fn coordinates(source: &Source) -> Vec<String> {
    let named = source
        .variables
        .iter()
        .map(SourceVariable::attributes)
        .chain([crate::source::Attributes(&source.attributes)])
        .filter_map(|attributes| attributes.text("coordinates"))
        .flat_map(str::split_whitespace)
        .collect::<Vec<_>>();
    source
        .variables
        .iter()
        .filter(|variable| {
            variable.dims.as_slice() == [variable.name.clone()] || named.contains(&variable.name.as_str())
        })
        .map(|variable| variable.name.clone())
        .collect()
}
