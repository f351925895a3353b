//! Characters and strings.

use crate::source::Attributes;
use atlas_store::VarCells;
use netcdf_reader::NcAttrValue;
use std::borrow::Cow;

/// The text of some bytes, and whether they were read as Latin-1 because they are not UTF-8.
pub(crate) fn decode(bytes: &[u8]) -> (Cow<'_, str>, bool) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.into(), false),
        Err(_) => (bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into(), true),
    }
}

/// Strings of `length` bytes each, without the NULs at their end; and whether some were not UTF-8.
///
/// `count` is how many there are, for strings of length 0.
pub(crate) fn fixed(bytes: &[u8], length: usize, count: usize) -> (VarCells, bool) {
    let mut strings = VarCells::with_capacity(count);
    let mut latin1 = false;
    if length == 0 {
        (0..count).for_each(|_| strings.push(b""));
        return (strings, false);
    }
    for cell in bytes.chunks_exact(length) {
        let end = cell.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let (text, is_latin1) = decode(&cell[..end]);
        latin1 |= is_latin1;
        strings.push(text.as_bytes());
    }
    (strings, latin1)
}

/// The strings that stand for nothing: `_FillValue` and `missing_value`, without the NULs at their end.
pub(super) fn fills(attributes: Attributes<'_>) -> Vec<String> {
    let mut fills = Vec::<String>::new();
    for name in ["_FillValue", "missing_value"] {
        let texts: &[String] = match attributes.get(name) {
            Some(NcAttrValue::Chars(text)) => std::slice::from_ref(text),
            Some(NcAttrValue::Strings(texts)) => texts,
            _ => &[],
        };
        for text in texts {
            let text = text.trim_end_matches('\0');
            if !fills.iter().any(|fill| fill == text) {
                fills.push(text.into());
            }
        }
    }
    fills
}

/// The strings with every one of `mask` replaced by the first of it.
pub(crate) fn unify(strings: VarCells, mask: &[String]) -> VarCells {
    match mask {
        [first, others @ ..] if !others.is_empty() => strings
            .iter()
            .map(|cell| if others.iter().any(|other| other.as_bytes() == cell) { first.as_bytes() } else { cell })
            .collect(),
        _ => strings,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_nuls_are_cut_and_blanks_kept() {
        let (strings, latin1) = fixed(b"ab \0\0\0a\0\0\0b\0", 4, 3);
        assert_eq!(strings.iter().collect::<Vec<_>>(), [&b"ab "[..], b"\0\0a", b"\0\0b"]);
        assert!(!latin1);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_latin1() {
        let (strings, latin1) = fixed(b"caf\xe9\xc3\xa9\0\0", 4, 2);
        assert_eq!(strings.iter().collect::<Vec<_>>(), ["café".as_bytes(), "é".as_bytes()]);
        assert!(latin1);
    }
}
