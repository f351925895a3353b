//! Which column is called what.
//!
//! The `datasets` table has `dataset`, then the attributes sorted by key, then the arrays sorted by name. `catalog` has
//! `dataset`, the attributes, and for each array the columns of [`DERIVED`]. Names keep their case; SQL reaches any of
//! them as a quoted identifier (`"TEMP"`, `"TEMP.units"`).
//!
//! Where two things would have one name, the first of this list keeps it, so that the outcome depends on the names
//! alone:
//! 1. `dataset`, the dataset's name;
//! 2. an array; one called `dataset` is `dataset@array`;
//! 3. a column that `catalog` derives from an array (`TEMP_min`);
//! 4. an attribute; one that clashes is `key@attribute`, in every table.
//!
//! A suffix is repeated until the name is free.

use std::collections::BTreeSet;

/// The column of the dataset's name.
pub(crate) const DATASET: &str = "dataset";

/// What `catalog` derives from an array, as suffixes of its name. None is the end of another, so that two arrays never
/// derive the same name.
pub(crate) const DERIVED: [&str; 6] = ["min", "max", "mean", "null_count", "row_count", "shape"];

/// The names of columns, in the order of the keys and arrays that they were made from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) attributes: Vec<String>,
    pub(crate) arrays: Vec<String>,
}

/// Names the columns of these attribute keys and arrays.
pub(crate) fn assign(keys: &[&str], arrays: &[&str]) -> Names {
    let mut taken: BTreeSet<String> = arrays.iter().map(|array| (*array).to_string()).collect();
    taken.insert(DATASET.into());
    let array_names = arrays
        .iter()
        .map(|array| if *array == DATASET { free(array, "@array", &mut taken) } else { (*array).to_string() })
        .collect();
    for array in arrays {
        taken.extend(DERIVED.iter().map(|derived| format!("{array}_{derived}")));
    }
    let clashing: BTreeSet<&str> = keys.iter().copied().filter(|key| taken.contains(*key)).collect();
    taken.extend(keys.iter().map(|key| (*key).to_string()));
    let attributes = keys
        .iter()
        .map(|key| if clashing.contains(key) { free(key, "@attribute", &mut taken) } else { (*key).to_string() })
        .collect();
    Names { attributes, arrays: array_names }
}

/// `name` with `suffix` as often as it takes; the result is taken then.
fn free(name: &str, suffix: &str, taken: &mut BTreeSet<String>) -> String {
    let mut candidate = format!("{name}{suffix}");
    while !taken.insert(candidate.clone()) {
        candidate.push_str(suffix);
    }
    candidate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_win_over_attributes() {
        let names = assign(&["TEMP", "dataset", "TEMP_min", "temp"], &["TEMP"]);
        assert_eq!(names.arrays, ["TEMP"]);
        assert_eq!(names.attributes, ["TEMP@attribute", "dataset@attribute", "TEMP_min@attribute", "temp"]);
    }

    #[test]
    fn suffixed_names_are_themselves_kept_free() {
        let names = assign(&["dataset", "dataset@attribute"], &["dataset", "dataset@array"]);
        assert_eq!(names.arrays, ["dataset@array@array", "dataset@array"]);
        assert_eq!(names.attributes, ["dataset@attribute@attribute", "dataset@attribute"]);
    }

    #[test]
    fn every_name_is_different() {
        let arrays = ["T", "T_min", "T_row", "dataset", "x"];
        let keys = ["T", "T_min", "T_min_min", "T_row_count", "dataset", "dataset_shape", "x@attribute", "x"];
        let names = assign(&keys, &arrays);
        let mut all: Vec<String> = names.attributes.clone();
        all.push(DATASET.into());
        all.extend(arrays.iter().flat_map(|array| DERIVED.map(|derived| format!("{array}_{derived}"))));
        let count = all.len();
        assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), count);
    }
}
