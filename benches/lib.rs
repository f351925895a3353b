//! Benches only: see `benches/`. `cargo bench -p atlas-benches`.
