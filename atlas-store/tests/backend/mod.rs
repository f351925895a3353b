//! What every storage must do, as plain functions: run against each backend and each wrapper.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

pub mod contract;
pub mod faulty;
pub mod scenarios;

use atlas_store::Storage;
use std::sync::Arc;

/// Gives an empty place, a new one each time.
pub type Fresh<'a> = &'a dyn Fn() -> Arc<dyn Storage>;

type Check = fn(Fresh<'_>);

/// Runs every function of [`contract`] and [`scenarios`].
pub fn conform(backend: &str, fresh: Fresh<'_>) {
    let checks: [(&str, Check); 15] = [
        ("an_object_is_whole_or_absent", contract::an_object_is_whole_or_absent),
        ("any_range_is_read", contract::any_range_is_read),
        ("bytes_are_read_into_places", contract::bytes_are_read_into_places),
        ("a_large_object_is_read_and_written", contract::a_large_object_is_read_and_written),
        ("what_is_missing_is_told", contract::what_is_missing_is_told),
        ("names_may_be_any", contract::names_may_be_any),
        ("a_replacement_needs_the_expected_version", contract::a_replacement_needs_the_expected_version),
        ("a_conditional_get_tells_what_has_changed", contract::a_conditional_get_tells_what_has_changed),
        ("one_of_those_that_race_replaces", contract::one_of_those_that_race_replaces),
        ("a_store_lives", scenarios::a_store_lives),
        ("every_catalog_variant_is_found", scenarios::every_catalog_variant_is_found),
        ("one_of_two_writers_wins_and_nothing_is_lost", scenarios::one_of_two_writers_wins_and_nothing_is_lost),
        ("many_writers_lose_nothing", scenarios::many_writers_lose_nothing),
        ("a_reader_keeps_its_snapshot", scenarios::a_reader_keeps_its_snapshot),
        ("orphans_are_kept_as_long_as_promised", scenarios::orphans_are_kept_as_long_as_promised),
    ];
    for (name, check) in checks {
        println!("{backend}: {name}");
        check(fresh);
    }
}
