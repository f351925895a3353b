//! Names that resemble one that does not exist.

/// Names beyond this many are not compared: an error must not take long.
const MAX_NAMES: usize = 100_000;
/// Longer names are not compared.
const MAX_CHARS: usize = 128;

/// `: did you mean A or B?` for the one or two names that come close; empty where none does.
pub(crate) fn hint<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> String {
    let count = wanted.chars().count();
    if count == 0 || count > MAX_CHARS {
        return String::new();
    }
    let lower = wanted.to_lowercase();
    let allowed = (count / 3).max(1);
    let close = |name: &&str| name.len() <= 4 * MAX_CHARS && name.chars().count().abs_diff(count) <= allowed;
    let mut near: Vec<(usize, &str)> = names
        .take(MAX_NAMES)
        .filter(close)
        .map(|name| (strsim::osa_distance(&lower, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= allowed)
        .collect();
    near.sort_by_key(|(distance, _)| *distance);
    match near.as_slice() {
        [] => String::new(),
        [(_, only)] => format!(": did you mean {only:?}?"),
        [(_, first), (_, second), ..] => format!(": did you mean {first:?} or {second:?}?"),
    }
}
