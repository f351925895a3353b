//! The water of a made-up Atlantic: temperature and salinity by place, season, depth and hour.
//!
//! Shapes and magnitudes follow the textbook picture (warm tropics, salty subtropics, a seasonal mixed layer over an
//! exponential thermocline, fresh intermediate water in the south, a daily cycle at the surface and an internal tide
//! below); the numbers are plausible, not measured. Everything is a function of its arguments: no state, no randomness.

use std::f64::consts::TAU;

/// Hours of the principal lunar tide.
const TIDE_HOURS: f64 = 12.42;

/// Water at great depth, °C and g/kg.
const DEEP: Water = Water { temperature: 2.8, salinity: 34.9 };

/// Temperature in °C and salinity in g/kg.
#[derive(Debug, Clone, Copy)]
pub(super) struct Water {
    pub(super) temperature: f64,
    pub(super) salinity: f64,
}

/// The water column at one place in one month.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    surface: Water,
    latitude: f64,
    /// Depth of the mixed layer, m.
    mixed: f64,
    /// Depth over which the thermocline fades, m.
    thermocline: f64,
    /// Height of the internal tide, m, and its phase.
    tide: (f64, f64),
}

impl Column {
    /// The column at `latitude` in `month` (1 to 12); `phase` (0 to 1) sets the tide apart from its neighbours'.
    pub(super) fn new(latitude: f64, month: i64, phase: f64) -> Self {
        let poleward = latitude.abs();
        // 1 in the warmest month (September in the north, March in the south), -1 in the coldest.
        let warmest = if latitude < 0.0 { 3.0 } else { 9.0 };
        let season = ((month as f64 - warmest) / 12.0 * TAU).cos();
        let seasonal_range = 3.2 * (poleward.min(45.0) * 2.0).to_radians().sin();
        let decline = if latitude < 0.0 { 0.0085 } else { 0.0072 };
        let temperature = 27.6 - decline * (poleward - 5.0).max(0.0).powi(2) + seasonal_range * season;
        let salinity = 35.1 + 1.9 * bell(poleward, 25.0, 11.0)
            - 0.8 * bell(latitude, 5.0, 5.0)
            - 1.1 * ((poleward - 42.0) / 20.0).max(0.0);
        Column {
            surface: Water { temperature: temperature.max(-1.8), salinity },
            latitude,
            mixed: 35.0 + 1.6 * poleward.min(50.0) * (1.0 - season) / 2.0,
            thermocline: 170.0 + 330.0 * bell(poleward, 32.0, 16.0),
            tide: (6.0 + 6.0 * phase, phase),
        }
    }

    /// The water at `depth` metres, `hour` hours after midnight.
    pub(super) fn at(&self, depth: f64, hour: f64) -> Water {
        let (height, phase) = self.tide;
        // Lifted most in the thermocline, not at all at the surface.
        let depth_of_origin = depth + height * (depth / (depth + 60.0)) * ((hour / TIDE_HOURS + phase) * TAU).sin();
        let surface_share = (-(depth_of_origin - self.mixed).max(0.0) / self.thermocline).exp();
        let between = |deep: f64, surface: f64| deep + (surface - deep) * surface_share;
        // The sun warms the upper metres, most in the early afternoon.
        let daily = 0.45 * (-depth / 9.0).exp() * ((hour - 14.0) / 24.0 * TAU).cos();
        let southern = ((5.0 - self.latitude) / 40.0).clamp(0.0, 1.0);
        let intermediate = 0.55 * southern * bell(depth_of_origin, 800.0, 280.0);
        Water {
            temperature: between(DEEP.temperature, self.surface.temperature) + daily,
            salinity: between(DEEP.salinity, self.surface.salinity) - intermediate,
        }
    }
}

/// 1 at `centre`, falling off over `width` to both sides.
fn bell(at: f64, centre: f64, width: f64) -> f64 {
    (-((at - centre) / width).powi(2)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tropics_are_warm_and_the_deep_is_cold() {
        let tropics = Column::new(3.0, 4, 0.5);
        assert!((26.0..31.0).contains(&tropics.at(0.0, 14.0).temperature));
        assert!((2.0..6.0).contains(&tropics.at(1500.0, 14.0).temperature));
        let north = Column::new(55.0, 3, 0.5);
        assert!((-1.8..12.0).contains(&north.at(0.0, 0.0).temperature));
    }

    #[test]
    fn summers_are_warmer_than_winters_on_both_sides() {
        for (latitude, summer, winter) in [(40.0, 8, 2), (-40.0, 2, 8)] {
            let at = |month| Column::new(latitude, month, 0.0).at(0.0, 0.0).temperature;
            assert!(at(summer) > at(winter) + 3.0, "{latitude}");
        }
    }

    #[test]
    fn water_is_water_everywhere() {
        for latitude in -60..=65 {
            for month in 1..=12 {
                let column = Column::new(f64::from(latitude), month, 0.3);
                for depth in [0.0, 10.0, 100.0, 500.0, 1500.0] {
                    let water = column.at(depth, 7.0);
                    assert!((-2.5..33.0).contains(&water.temperature), "{latitude} {month} {depth} {water:?}");
                    assert!((32.5..38.0).contains(&water.salinity), "{latitude} {month} {depth} {water:?}");
                }
            }
        }
    }
}
