//! Characters.

use crate::writer::Values::{Char, Int};
use crate::writer::{Values, Writer};
use atlas_store::Scalar;

#[test]
fn a_dimension_of_characters_only_is_the_length_of_strings() {
    let file = Writer::new(1)
        .dim("n", 3)
        .dim("length", 4)
        .variable("name", &["n", "length"], "ab\0\0 c d\0\0\0\0".into(), &[])
        .variable("word", &["length"], "abc\0".into(), &[])
        .import();
    assert_eq!(file.strings("name"), ["ab", " c d", ""]);
    assert_eq!((file.schema("name").shape, file.schema("name").dims), (vec![3], vec!["n".to_string()]));
    assert_eq!(file.strings("word"), ["abc"]);
    assert_eq!(file.schema("word").shape, [0u64; 0]);
}

#[test]
fn characters_along_a_dimension_of_numbers_stay_single() {
    let file = Writer::new(1)
        .dim("n", 2)
        .dim("level", 3)
        .variable("temp", &["n", "level"], Int(vec![0; 6]), &[])
        .variable("qc", &["n", "level"], "1 2\x003\x00".into(), &[("_FillValue", " ".into())])
        .variable("direction", &["n"], "AD".into(), &[])
        .import();
    assert_eq!(file.strings("qc"), ["1", " ", "2", "", "3", ""]);
    assert_eq!(file.schema("qc").shape, [2, 3]);
    assert_eq!(file.fill("qc"), Some(Scalar::String(" ".into())));
    assert_eq!(file.statistics("qc").null_count, 1);
    assert_eq!(file.attribute("qc._FillValue"), None);
    assert_eq!(file.strings("direction"), ["A", "D"]);
}

#[test]
fn a_dimension_that_another_has_first_is_no_length() {
    let file = Writer::new(1)
        .dim("a", 2)
        .dim("b", 2)
        .variable("one", &["a", "b"], "wxyz".into(), &[])
        .variable("two", &["b", "a"], "wxyz".into(), &[])
        .import();
    assert_eq!(file.strings("one"), ["w", "x", "y", "z"]);
    assert_eq!(file.schema("two").shape, [2, 2]);
}

#[test]
fn a_dimension_with_a_variable_of_its_name_is_no_length() {
    let file = Writer::new(1)
        .dim("n", 2)
        .variable("n", &["n"], "xy".into(), &[])
        .variable("s", &["n"], "ab".into(), &[])
        .import();
    assert_eq!(file.strings("s"), ["a", "b"]);
    assert_eq!(file.attribute("_pyatlas_coords"), Some(r#"["n"]"#.into()));
}

#[test]
fn one_character_without_dimension_is_a_string() {
    let file = Writer::new(1).variable("mode", &[], "R".into(), &[]).import();
    assert_eq!(file.strings("mode"), ["R"]);
}

#[test]
fn two_fill_values_become_one() {
    let attributes = [("_FillValue", Values::from("-")), ("missing_value", "?".into())];
    let file = Writer::new(1)
        .dim("n", 3)
        .variable("other", &["n"], Int(vec![0; 3]), &[])
        .variable("flag", &["n"], "?-a".into(), &attributes)
        .import();
    assert_eq!(file.strings("flag"), ["-", "-", "a"]);
    assert_eq!(file.statistics("flag").null_count, 2);
}

#[test]
fn text_that_is_not_utf8_is_latin1_and_noted() {
    let file = Writer::new(1).dim("l", 4).variable("pi", &["l"], Char(b"caf\xe9".to_vec()), &[]).import();
    assert_eq!(file.strings("pi"), ["café"]);
    assert_eq!(file.remarks(), ["pi: some text is not utf-8, read as latin-1"]);
}

#[test]
fn single_characters_beyond_ascii_are_latin1_and_noted_as_such() {
    let file = Writer::new(1).dim("n", 3).variable("n", &["n"], Char("aé".as_bytes().to_vec()), &[]).import();
    assert_eq!(file.strings("n"), ["a", "Ã", "©"]);
    assert_eq!(file.remarks(), ["n: characters beyond ascii are read as latin-1, byte by byte"]);
}

#[test]
fn raw_characters_are_strings_of_one() {
    let file = Writer::new(1).dim("l", 4).variable("w", &["l"], Char(b"a \0\xe9".to_vec()), &[]).import_raw();
    assert_eq!(file.strings("w"), ["a", " ", "", "é"]);
    assert_eq!(file.schema("w").shape, [4]);
}
