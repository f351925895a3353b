//! Plans and results over real profiles, where there are some: a `shared/data` directory beside the repository, or
//! `ATLAS_TEST_DATA`.

use crate::fleet::{floats, integers, names, query, strings};
use crate::numbers::scan;
use atlas_import::{ImportOptions, find_files, import_files};
use atlas_store::{CreateOptions, MemoryStorage, Region, Scalar, Snapshot, Store};
use datafusion::prelude::{SessionConfig, SessionContext};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

struct Argo {
    snapshot: Snapshot,
    context: SessionContext,
}

/// Imported once; `None` where there are no profiles.
fn argo() -> Option<&'static Argo> {
    static ARGO: OnceLock<Option<Argo>> = OnceLock::new();
    ARGO.get_or_init(|| {
        let root = std::env::var_os("ATLAS_TEST_DATA")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
        let path = root.join("argo");
        if !path.is_dir() {
            eprintln!("skipped: no test data at {} (set ATLAS_TEST_DATA)", path.display());
            return None;
        }
        let files = find_files(&[path.to_str().unwrap().to_string()]).unwrap();
        let store = Store::create_on(Arc::new(MemoryStorage::new()), CreateOptions::default()).unwrap();
        import_files(&store, &files, &ImportOptions::default(), &|_| {}).unwrap();
        store.flush().unwrap();
        let config = SessionConfig::new().with_default_catalog_and_schema("atlas", "argo").with_target_partitions(2);
        let context = SessionContext::new_with_config(config);
        atlas_sql::register(&context, "argo", &store).unwrap();
        Some(Argo { snapshot: store.snapshot(), context })
    })
    .as_ref()
}

/// The cells of `TEMP` by dataset, without the missing ones.
fn temperatures(snapshot: &Snapshot) -> Vec<(u32, Vec<f32>)> {
    let family = snapshot.family("TEMP").unwrap();
    let read = |row: u32| {
        let data = snapshot.read(snapshot.dataset_name(row), "TEMP", None).unwrap();
        data.as_numbers::<f32>().unwrap().iter().copied().filter(|cell| !cell.is_nan()).collect()
    };
    family.entries().map(|(row, _)| (row, read(row))).collect()
}

fn largest(cells: &[f32]) -> f32 {
    cells.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

#[tokio::test]
async fn statistics_choose_the_profiles() {
    let Some(Argo { snapshot, context }) = argo() else { return };
    let all = temperatures(snapshot);
    assert_eq!(all.len(), 191);
    for (predicate, keep) in [
        (r#"stat_max("TEMP") > 25"#, &(|cells: &[f32]| largest(cells) > 25.0) as &dyn Fn(&[f32]) -> bool),
        (r#"NOT (stat_max("TEMP") > 25)"#, &|cells| !cells.is_empty() && largest(cells) <= 25.0),
        (r#"stat_max("TEMP") BETWEEN 20 AND 25 OR stat_min("TEMP") < 3"#, &|cells| {
            (20.0..=25.0).contains(&largest(cells)) || cells.iter().any(|cell| *cell < 3.0)
        }),
        (r#"stat_row_count("TEMP") - stat_null_count("TEMP") > 50"#, &|cells| cells.len() > 50),
        (r#"floor(stat_max("TEMP")) IN (24, 26) AND dataset LIKE 'R13857%'"#, &|cells| {
            [24.0, 26.0].contains(&largest(cells).floor())
        }),
    ] {
        let of_13857 = |row: u32| !predicate.contains("LIKE") || snapshot.dataset_name(row).starts_with("R13857");
        let left: Vec<u32> =
            all.iter().filter(|(row, cells)| keep(cells) && of_13857(*row)).map(|(row, _)| *row).collect();
        let sql = format!(r#"SELECT dataset, "TEMP" FROM datasets WHERE {predicate}"#);
        let scan = scan(context, &sql).await;
        let plan = snapshot.plan_across(&["TEMP"], &left, None).unwrap();
        assert_eq!(scan.datasets, (191, left.len() as u64), "{}", scan.line);
        assert_eq!((scan.chunks.1, scan.bytes), (plan.chunks(), plan.bytes()), "{}", scan.line);
        assert_eq!((scan.chunks_read, scan.bytes_read), (scan.chunks.1, scan.bytes), "{}", scan.line);
        assert!(!left.is_empty() || predicate.contains("IN"), "{predicate}");
    }
}

#[tokio::test]
async fn the_warmest_ten_are_read_and_slices_cost_slices() {
    let Some(Argo { snapshot, context }) = argo() else { return };
    let mut all = temperatures(snapshot);
    all.retain(|(_, cells)| !cells.is_empty());
    let name = |row: u32| snapshot.dataset_name(row).to_string();
    all.sort_by(|a, b| largest(&b.1).total_cmp(&largest(&a.1)).then_with(|| name(a.0).cmp(&name(b.0))));
    let left: Vec<u32> = all[..10].iter().map(|(row, _)| *row).collect();
    let sql = r#"SELECT dataset, "TEMP", stat_max("TEMP") FROM datasets ORDER BY stat_max("TEMP") DESC NULLS LAST, dataset LIMIT 10"#;
    let batch = query(context, sql).await;
    assert_eq!(names(&batch), left.iter().map(|row| name(*row)).collect::<Vec<_>>());
    let scan = scan(context, sql).await;
    let plan = snapshot.plan_across(&["TEMP"], &left, None).unwrap();
    assert_eq!((scan.datasets, scan.chunks.1, scan.bytes), ((191, 10), plan.chunks(), plan.bytes()), "{}", scan.line);
    assert_eq!((scan.chunks_read, scan.bytes_read), (plan.chunks(), plan.bytes()), "{}", scan.line);

    let rows: Vec<u32> = snapshot.family("TEMP").unwrap().rows().to_vec();
    let region = Region::try_new(vec![0, 0], vec![1, 1]).unwrap();
    let plan = snapshot.plan_stacked("TEMP", &rows, Some(&region)).unwrap();
    let sql = r#"SELECT dataset, element("TEMP", 0, 0) AS surface FROM datasets"#;
    let scan = crate::numbers::scan(context, sql).await;
    assert_eq!((scan.chunks.1, scan.chunks_read), (plan.chunks(), plan.chunks()), "{}", scan.line);
    assert_eq!(scan.bytes, plan.bytes(), "{}", scan.line);
    let batch = query(context, &format!("{sql} ORDER BY dataset")).await;
    for (dataset, cell) in names(&batch).iter().zip(floats(batch.column(1))) {
        let stored = snapshot.read(dataset, "TEMP", Some(&region)).unwrap();
        let stored = Some(f64::from(stored.as_numbers::<f32>().unwrap()[0])).filter(|cell| !cell.is_nan());
        assert_eq!(cell, stored, "{dataset}");
    }
}

#[tokio::test]
async fn cells_of_profiles_are_those_of_the_store() {
    let Some(Argo { snapshot, context }) = argo() else { return };
    let table = r#""cells_N_PROF_N_LEVELS""#;
    let all = temperatures(snapshot);
    for (predicate, keep) in [
        (r#""TEMP" > 25"#, &(|cell: f32| cell > 25.0) as &dyn Fn(f32) -> bool),
        (r#""TEMP" BETWEEN 9.5 AND 10"#, &|cell| (9.5..=10.0).contains(&cell)),
        (r#""TEMP" < 2.5 OR "TEMP" > 27"#, &|cell| !(2.5..=27.0).contains(&cell)),
        (r#"NOT ("TEMP" <= 26)"#, &|cell| cell > 26.0),
        (r#"abs("TEMP" - 20) < 0.05"#, &|cell| (cell - 20.0).abs() < 0.05),
    ] {
        let sql = format!(r#"SELECT dataset, "TEMP" FROM {table} WHERE {predicate}"#);
        let expected: usize = all.iter().map(|(_, cells)| cells.iter().filter(|cell| keep(**cell)).count()).sum();
        assert_eq!(query(context, &sql).await.num_rows(), expected, "{predicate}");
        let scan = scan(context, &sql).await;
        assert_eq!((scan.chunks_read, scan.bytes_read), (scan.chunks.1, scan.bytes), "{}", scan.line);
        if predicate.starts_with("abs") {
            assert!(scan.line.contains("not_pruned="), "{}", scan.line);
            continue;
        }
        // Chunks whose zone map does not rule the predicate out.
        let (mut chunks, mut datasets) = (0, 0);
        for (row, _) in &all {
            let could = |bound: &Option<Scalar>| bound.as_ref().and_then(Scalar::as_f64).map(|bound| bound as f32);
            let left = snapshot.chunks(*row, "TEMP").unwrap();
            let left = left.iter().filter(|chunk| {
                let (min, max) = (could(&chunk.statistics.min), could(&chunk.statistics.max));
                let Some((min, max)) = min.zip(max) else { return false };
                match predicate.split_once("AND") {
                    Some(_) => min <= 10.0 && max >= 9.5,
                    None => keep(min) || keep(max),
                }
            });
            let left = left.count() as u64;
            chunks += left;
            datasets += u64::from(left > 0);
        }
        assert_eq!((scan.datasets, scan.chunks.1), ((191, datasets), chunks), "{}", scan.line);
    }
    let count: usize = all.iter().map(|(_, cells)| cells.len()).sum();
    let sum: f64 = all.iter().flat_map(|(_, cells)| cells).map(|cell| f64::from(*cell)).sum();
    let batch = query(context, &format!(r#"SELECT count("TEMP"), sum("TEMP"), max("TEMP") FROM {table}"#)).await;
    assert_eq!(integers(batch.column(0)), [Some(count as i64)]);
    assert!((floats(batch.column(1))[0].unwrap() - sum).abs() < 1e-6 * sum);
    let warmest = all.iter().map(|(_, cells)| largest(cells)).fold(f32::NEG_INFINITY, f32::max);
    assert_eq!(floats(batch.column(2)), [Some(f64::from(warmest))]);
    // Time is a value of each profile.
    let sql =
        r#"SELECT dataset, "JULD" FROM "cells_N_PROF" WHERE "JULD" < TIMESTAMP '1997-08-15' ORDER BY "JULD" LIMIT 1"#;
    let batch = query(context, sql).await;
    assert_eq!(names(&batch), ["R13857_001"]);
    assert_eq!(strings(batch.column(1)), [Some("1997-07-29T20:03:00.002150144".to_string())]);
}
