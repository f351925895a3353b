//! `sel` and the forms by dimension name over random stores and random bounds, against a look at each label, and in
//! predicates.

use crate::cells::Random;
use crate::fleet::{Fleet, empty, names, query, write};
use crate::grids::{Bounds, expected, float64, sel, tensor};
use atlas_store::{ArrayData, ArraySchema, DType, Scalar};

/// Datasets with `t` of lat × lon, and coordinates that ascend or descend, with labels twice, or are not there.
fn random_fleet(random: &mut Random) -> Fleet {
    let (store, directory) = empty();
    for index in 0..10 {
        let name = format!("d{index:02}");
        store.create_dataset(&name).unwrap();
        let shape = [1 + random.below(8), 1 + random.below(8)];
        if random.below(8) > 0 {
            let cells = (0..shape[0] * shape[1]).map(|_| random.below(40) as f32 - 1.0).collect();
            let chunk = [1 + random.below(4), 1 + random.below(4)];
            let schema = ArraySchema::new(DType::Float32, &["lat", "lon"], &shape)
                .with_chunk_shape(&chunk)
                .with_fill_value(Scalar::Float32(-1.0));
            write(&store, &name, "t", schema, ArrayData::from_numbers::<f32>(shape.to_vec(), cells).unwrap());
        }
        for (dim, extent) in ["lat", "lon"].into_iter().zip(shape) {
            let mut at = random.below(10) as f64 - 5.0;
            let mut labels: Vec<f64> = Vec::new();
            for _ in 0..extent {
                labels.push(at);
                at += random.below(4) as f64;
            }
            if random.below(2) == 0 {
                labels.reverse();
            }
            write(&store, &name, dim, ArraySchema::new(DType::Float64, &[dim], &[extent]), float64(&labels));
        }
    }
    store.flush().unwrap();
    Fleet::of(store, directory)
}

fn random_bounds(random: &mut Random) -> Vec<Bounds<'static>> {
    let mut bounds: Vec<Bounds<'static>> = Vec::new();
    for dim in ["lat", "lon"] {
        let low = random.below(16) as f64 - 6.0;
        let high = low + random.below(12) as f64;
        let open = random.below(6);
        if random.below(4) > 0 {
            bounds.push((dim, (open != 0).then_some(low), (open != 1).then_some(high)));
        }
    }
    if bounds.is_empty() {
        bounds.push(("lon", None, Some(3.0)));
    }
    bounds
}

#[tokio::test]
async fn selections_are_those_of_each_label_in_columns_and_predicates() {
    let mut random = Random(31);
    let mut kept = 0;
    for _ in 0..6 {
        let fleet = random_fleet(&mut random);
        for _ in 0..20 {
            let (bounds, least) = (random_bounds(&mut random), random.below(300) as f64);
            let call = sel(&bounds);
            let sql = format!("SELECT dataset, {call} AS s FROM datasets ORDER BY dataset");
            let batch = fleet.query(&sql).await;
            let mut wanted = Vec::new();
            for (row, dataset) in names(&batch).iter().enumerate() {
                let own = expected(&fleet.store, dataset, &bounds);
                assert_eq!(tensor(batch.column(1), row), own, "{dataset}: {sql}");
                let sum = own.map(|(_, cells)| cells.into_iter().filter(|cell| *cell != -1.0).collect::<Vec<_>>());
                if sum.is_some_and(|cells| !cells.is_empty() && cells.iter().sum::<f64>() > least) {
                    wanted.push(dataset.clone());
                }
            }
            let sql = format!("SELECT dataset FROM datasets WHERE tensor_sum({call}) > {least} ORDER BY dataset");
            assert_eq!(names(&fleet.query(&sql).await), wanted, "{sql}");
            kept += wanted.len();
        }
    }
    assert!(kept > 100, "{kept}");
}

#[tokio::test]
async fn named_regions_are_the_positional_ones() {
    let mut random = Random(47);
    for _ in 0..6 {
        let fleet = random_fleet(&mut random);
        query(&fleet.context, "SET atlas.out_of_bounds = 'null'").await;
        for _ in 0..20 {
            let [a, b, m, n] = [4, 4, 5, 5].map(|most| random.below(most));
            let named = format!("slice(t, 'lon', {b}, {n}, 'lat', {a}, {m})");
            let sql = format!(
                "SELECT count(*) FILTER (WHERE {named} IS DISTINCT FROM slice(t, [{a}, {b}], [{m}, {n}])) AS slices, \
                 count(*) FILTER (WHERE element(t, 'lon', {b}, 'lat', {a}) IS DISTINCT FROM element(t, {a}, {b})) AS cells \
                 FROM datasets"
            );
            assert_eq!(crate::cells::rows(&fleet.query(&sql).await), ["0|0"], "{sql}");
        }
    }
}
