//! The casts of twenty made-up cruises, and the store that holds them. The same casts on every machine, every time.

use super::ocean::Column;
use atlas_store::{ArrayData, ArraySchema, Attribute, Cells, DType, Scalar, Store};
use rayon::prelude::*;

/// Datasets of the fleet.
pub(super) const CASTS: u64 = 1000;

const CRUISES: u64 = 20;
const CASTS_PER_CRUISE: u64 = CASTS / CRUISES;
const LEVELS: usize = 50;
const HOURS: usize = 24;
const HOUR_NANOSECONDS: i64 = 3_600_000_000_000;

/// 2023-01-01T00:00:00Z in seconds since 1970, and the days of that year before each month.
const YEAR_START_SECONDS: i64 = 1_672_531_200;
const DAYS_BEFORE_MONTH: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

/// One cast: a day at one place, hour by hour and level by level.
struct Cast {
    name: String,
    cruise: String,
    station: String,
    month: i64,
    latitude: f64,
    longitude: f64,
    /// First hour, nanoseconds since 1970.
    start: i64,
    temperature: Vec<f32>,
    salinity: Vec<f32>,
}

/// Writes the fleet into an empty store: one flush.
pub(super) fn write(store: &Store) -> atlas_store::Result<()> {
    let casts: Vec<Cast> = (0..CASTS).into_par_iter().map(Cast::make).collect();
    let (levels, hours) = (LEVELS as u64, HOURS as u64);
    let missing = Scalar::Float32(f32::NAN);
    let profile = ArraySchema::new(DType::Float32, &["depth", "time"], &[levels, hours]).with_fill_value(missing);
    let depth = ArraySchema::new(DType::Float32, &["depth"], &[levels]);
    let time = ArraySchema::new(DType::TimestampNanoseconds, &["time"], &[hours]);
    for cast in casts {
        let name = cast.name.as_str();
        store.create_dataset(name)?;
        let times = (0..HOURS as i64).map(|hour| cast.start + hour * HOUR_NANOSECONDS).collect();
        let times = ArrayData::try_new(DType::TimestampNanoseconds, vec![hours], Cells::I64(times))?;
        let arrays = [
            ("depth", &depth, ArrayData::from_numbers(vec![levels], depths().to_vec())?),
            ("time", &time, times),
            ("temperature", &profile, ArrayData::from_numbers(vec![levels, hours], cast.temperature)?),
            ("salinity", &profile, ArrayData::from_numbers(vec![levels, hours], cast.salinity)?),
        ];
        for (array, schema, data) in arrays {
            store.define_array(name, array, schema.clone())?;
            store.write_array(name, array, &vec![0; schema.rank()], &data)?;
        }
        store.set_attribute(name, "cruise", Attribute::from(cast.cruise))?;
        store.set_attribute(name, "station", Attribute::from(cast.station))?;
        store.set_attribute(name, "month", Attribute::from(cast.month))?;
        store.set_attribute(name, "latitude", Attribute::from(cast.latitude))?;
        store.set_attribute(name, "longitude", Attribute::from(cast.longitude))?;
    }
    store.flush()?;
    Ok(())
}

/// Depth of each level in metres: every 5 m at the top, every 100 m at the bottom.
fn depths() -> [f32; LEVELS] {
    let mut depths = [0.0; LEVELS];
    for level in 1..LEVELS {
        let step = match level {
            ..=20 => 5.0,
            21..=30 => 20.0,
            31..=44 => 50.0,
            _ => 100.0,
        };
        depths[level] = depths[level - 1] + step;
    }
    depths
}

impl Cast {
    /// Cast `number` of the fleet.
    ///
    /// A cruise sets out fifty profilers along a section of some latitudes, two a day for most of a month; each records
    /// a day, hour by hour.
    fn make(number: u64) -> Self {
        let (cruise, station) = (number / CASTS_PER_CRUISE, number % CASTS_PER_CRUISE);
        let along = station as f64 / CASTS_PER_CRUISE as f64;
        let south = -55.0 + 70.0 * noise(cruise, 1);
        let north = south + 25.0 + 20.0 * noise(cruise, 2);
        let place = |value: f64| (value * 1000.0).round() / 1000.0;
        let latitude = place(south + (north - south) * along + 0.2 * noise(number, 3));
        let longitude = place(-34.0 + 14.0 * noise(cruise, 4) + 6.0 * along + 0.2 * noise(number, 5));
        let month_index = usize::try_from(cruise * 5 % 12).unwrap_or(0);
        let day = DAYS_BEFORE_MONTH[month_index] + i64::try_from(station / 2).unwrap_or(0);
        let month = month_index as i64 + 1;
        let (temperature, salinity) = measure(number, &Column::new(latitude, month, noise(number, 6)));
        Cast {
            name: format!("cast_{:04}", number + 1),
            cruise: format!("AT{:02}", cruise + 1),
            station: format!("AT{:02}-{:03}", cruise + 1, station + 1),
            month,
            latitude,
            longitude,
            start: (YEAR_START_SECONDS + day * 86_400) * 1_000_000_000,
            temperature,
            salinity,
        }
    }
}

/// What the instruments recorded: the water, their noise and their gaps (NaN).
fn measure(number: u64, column: &Column) -> (Vec<f32>, Vec<f32>) {
    // One cast in fifteen stands on a shelf; one in a hundred has lost its conductivity cell, one in thirty some hours.
    let bottom = if noise(number, 7) < 1.0 / 15.0 { 180.0 + 900.0 * noise(number, 8) } else { f64::INFINITY };
    let no_salinity = noise(number, 9) < 0.01;
    let first_lost_hour = if noise(number, 10) < 1.0 / 30.0 { 18 } else { HOURS };
    let mut temperature = Vec::with_capacity(LEVELS * HOURS);
    let mut salinity = Vec::with_capacity(LEVELS * HOURS);
    for depth in depths().map(f64::from) {
        for hour in 0..HOURS {
            let cell = number * (LEVELS * HOURS) as u64 + temperature.len() as u64;
            if depth > bottom || hour >= first_lost_hour || noise(cell, 11) < 0.002 {
                temperature.push(f32::NAN);
                salinity.push(f32::NAN);
                continue;
            }
            let water = column.at(depth, hour as f64);
            temperature.push(recorded(water.temperature + 0.02 * (noise(cell, 12) - 0.5)));
            salinity.push(if no_salinity {
                f32::NAN
            } else {
                recorded(water.salinity + 0.004 * (noise(cell, 13) - 0.5))
            });
        }
    }
    (temperature, salinity)
}

/// A reading with the three decimals that the instruments resolve.
#[allow(clippy::cast_possible_truncation, reason = "readings are small and have three decimals")]
fn recorded(value: f64) -> f32 {
    ((value * 1000.0).round() / 1000.0) as f32
}

/// A number in 0..1 that depends on nothing but its arguments.
///
/// # Source
/// splitmix64's output function: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
fn noise(index: u64, stream: u64) -> f64 {
    let mut bits = (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ stream.wrapping_mul(0xd1b5_4a32_d192_ed03);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_standard_depths() {
        let depths = depths();
        assert_eq!((depths[0], depths[20], depths[30], depths[44], depths[49]), (0.0, 100.0, 300.0, 1000.0, 1500.0));
    }

    #[test]
    fn noise_is_spread_and_repeatable() {
        let mean = (0..10_000).map(|index| noise(index, 1)).sum::<f64>() / 10_000.0;
        assert!((0.49..0.51).contains(&mean), "{mean}");
        assert_eq!(noise(7, 3).to_bits(), noise(7, 3).to_bits());
    }

    #[test]
    fn casts_are_complete_apart_from_a_few_gaps() {
        let (mut missing, mut cells, mut no_salinity) = (0, 0, 0);
        for number in (0..CASTS).step_by(10) {
            let cast = Cast::make(number);
            assert_eq!((cast.temperature.len(), cast.salinity.len()), (LEVELS * HOURS, LEVELS * HOURS));
            assert!((-60.0..=65.0).contains(&cast.latitude) && (1..=12).contains(&cast.month));
            missing += cast.temperature.iter().filter(|value| value.is_nan()).count();
            no_salinity += usize::from(cast.salinity.iter().all(|value| value.is_nan()));
            cells += cast.temperature.len();
        }
        assert!(missing > cells / 1000 && missing < cells / 10, "{missing} of {cells}");
        assert!(no_salinity < 10);
    }
}
