//! Every encoding gives back the same bits, and refuses damage.
#![allow(clippy::cast_possible_truncation, reason = "low bits of test numbers")]

use super::compressed::{FORMS, encode_as};
use super::*;
use crate::dtype::Physical;
use crate::with_physical;
use proptest::prelude::*;

const NUMBERS: [Physical; 10] = [
    Physical::I8,
    Physical::I16,
    Physical::I32,
    Physical::I64,
    Physical::U8,
    Physical::U16,
    Physical::U32,
    Physical::U64,
    Physical::F32,
    Physical::F64,
];
const CODECS: [Codec; 5] = [Codec::Auto, Codec::Pco, Codec::Zstd, Codec::Lz4, Codec::None];

fn decode_all<T: Element>(block: &EncodedBlock) -> Result<Vec<T>, String> {
    let mut decoder = BlockDecoder::<T>::new(block.encoding, &block.header)?;
    let mut out = Vec::new();
    for page in &block.pages {
        let mut cells = vec![T::default(); page.cells as usize];
        decoder.decode(&page.bytes, &mut cells)?;
        out.extend(cells);
    }
    Ok(out)
}

fn check<T: Element>(cells: &[T], block: &EncodedBlock, what: &str) {
    let decoded = decode_all::<T>(block).unwrap();
    let (found, expected): (&[u8], &[u8]) = (bytemuck::cast_slice(&decoded), bytemuck::cast_slice(cells));
    assert_eq!(found, expected, "{what}: {}", block.encoding.name());
}

/// The block in every encoding there is, by whichever way makes it.
fn every_block<T: Element>(cells: &[T], pages: &[usize]) -> Vec<EncodedBlock> {
    let mut blocks = vec![raw_block(cells, pages), pco::encode_plain(cells, pages).unwrap()];
    if matches!(T::PHYSICAL, Physical::F32 | Physical::F64) && !cells.is_empty() {
        let scale = |code| decimal::Scale::from_code(code).unwrap();
        blocks.extend([0, 3, 10, 0x82].map(|code| pco::encode_scaled(cells, pages, scale(code)).unwrap()));
    }
    for compressor in [Compressor::Zstd, Compressor::Lz4] {
        blocks.extend(FORMS.map(|form| encode_as(cells, pages, compressor, form, None).unwrap()));
    }
    blocks
}

/// Runs of cells of the kinds that encodings treat differently, in bits.
fn cell_bits() -> impl Strategy<Value = Vec<u64>> {
    let run = prop_oneof![
        proptest::collection::vec(any::<u64>(), 0..40),
        (any::<u64>(), 0u64..5, 0usize..300)
            .prop_map(|(start, step, count)| { (0..count as u64).map(|k| start.wrapping_add(step * k)).collect() }),
        (any::<u64>(), 0usize..300).prop_map(|(cell, count)| vec![cell; count]),
        proptest::collection::vec(
            proptest::sample::select(vec![
                0,
                1,
                u64::MAX,
                1 << 63,
                u64::MAX >> 1,
                0x8000_0000_8000_0000,
                0x7FFF_FFFF_7FFF_FFFF,
                f64::NAN.to_bits(),
                0x7FF0_0000_0000_0001,
                0xFFFF_FFFF_7FC0_1234,
                (-0.0f64).to_bits(),
                f64::INFINITY.to_bits(),
            ]),
            0..40
        ),
    ];
    proptest::collection::vec(run, 0..6).prop_map(|runs| runs.concat())
}

proptest! {
    #[test]
    fn every_encoding_gives_back_the_same_bits(bits in cell_bits(), page in 1usize..400) {
        let bytes: Vec<u8> = bits.iter().flat_map(|cell| cell.to_le_bytes()).collect();
        for physical in NUMBERS {
            with_physical!(physical, T => {
                let cells: Vec<T> = bytemuck::pod_collect_to_vec(&bytes);
                let pages: Vec<usize> = cells.chunks(page).map(<[T]>::len).collect();
                for block in every_block(&cells, &pages) {
                    check(&cells, &block, physical_name(physical));
                }
            }, var => unreachable!());
        }
    }

    #[test]
    fn a_damaged_page_decodes_or_is_an_error(
        bits in cell_bits(), at in any::<prop::sample::Index>(), bit in 0u32..8, cut in any::<prop::sample::Index>()
    ) {
        let halves = bits.iter().flat_map(|cell| [*cell as u32, (cell >> 32) as u32]);
        let cells: Vec<f32> = halves.map(f32::from_bits).collect();
        prop_assume!(!cells.is_empty());
        for mut block in every_block(&cells, &[cells.len()]) {
            let stored = block.pages[0].bytes.clone();
            if stored.is_empty() {
                // Equal cells under pco: all of them are in the block's header.
                continue;
            }
            block.pages[0].bytes.truncate(cut.index(stored.len()));
            // pco does not say where its pages end.
            prop_assert!(decode_all::<f32>(&block).is_err() || matches!(block.encoding, Encoding::Pco | Encoding::PcoDecimal));
            block.pages[0].bytes = stored;
            let at = at.index(block.pages[0].bytes.len());
            block.pages[0].bytes[at] ^= 1 << bit;
            if let Ok(decoded) = decode_all::<f32>(&block) {
                prop_assert_eq!(decoded.len(), cells.len());
            }
        }
    }
}

fn physical_name(physical: Physical) -> &'static str {
    match physical {
        Physical::F32 => "f32",
        Physical::F64 => "f64",
        _ => "integers",
    }
}

#[test]
fn every_codec_gives_back_the_same_bits() {
    for physical in NUMBERS {
        for codec in CODECS {
            with_physical!(physical, T => {
                for count in [0usize, 1, 7, 255, 10_000] {
                    // Every bit pattern class, NaN payloads among them.
                    let noise: Vec<u8> = (0..count * size_of::<T>())
                        .map(|k| (k as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes()[7])
                        .collect();
                    for cells in [bytemuck::pod_collect_to_vec::<u8, T>(&noise), vec![T::default(); count]] {
                        let block = encode_block(&cells, &[Cut { cells: count, row_cells: 7 }], codec, false).unwrap();
                        check(&cells, &block, codec.name());
                    }
                }
            }, var => unreachable!());
        }
    }
}

fn encoding_of<T: Element>(cells: &[T], codec: Codec) -> Encoding {
    let cuts = [Cut { cells: cells.len(), row_cells: 1 }];
    let block = encode_block(cells, &cuts, codec, false).unwrap();
    check(cells, &block, codec.name());
    block.encoding
}

/// Numbers that look random and are the same everywhere (the finaliser of splitmix64).
fn noise(k: u64) -> u64 {
    let mixed = k.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[test]
fn the_form_is_chosen_by_the_data() {
    let hourly: Vec<i64> = (0..100_000).map(|k| 1_600_000_000_000_000_000 + k * 3_600_000_000_000).collect();
    assert_eq!(encoding_of(&hourly, Codec::Zstd), Encoding::ZstdDelta);
    assert_eq!(encoding_of(&hourly, Codec::Lz4), Encoding::Lz4Delta);
    let mut walk = 0i64;
    let steps = |k: u64| i64::try_from(noise(k) >> 48).unwrap() - (1 << 15);
    let walk: Vec<i64> = (0..100_000)
        .map(|k| {
            walk += steps(k);
            walk
        })
        .collect();
    assert_eq!(encoding_of(&walk, Codec::Zstd), Encoding::ZstdDeltaPlanes);
    assert_eq!(encoding_of(&walk, Codec::Lz4), Encoding::Lz4DeltaPlanes);
    let shuffled: Vec<u32> = (0..100_000).map(|k| (noise(k) >> 46) as u32).collect();
    assert_eq!(encoding_of(&shuffled, Codec::Zstd), Encoding::ZstdPlanes);
    assert_eq!(encoding_of(&shuffled, Codec::Lz4), Encoding::Lz4Planes);
    let words: Vec<u64> = (0..100_000).map(|k| noise(noise(k) % 50)).collect();
    assert_eq!(encoding_of(&words, Codec::Zstd), Encoding::Zstd);
    let random: Vec<u64> = (0..100_000).map(noise).collect();
    for codec in [Codec::Auto, Codec::Zstd, Codec::Lz4, Codec::None] {
        assert_eq!(encoding_of(&random, codec), Encoding::None, "{codec}: nothing to gain");
    }
}

#[test]
fn auto_takes_zstd_where_it_is_clearly_smaller() {
    let hourly: Vec<i64> = (0..1_000_000).map(|k| k * 3_600 + i64::from(noise(k as u64) as u8)).collect();
    assert_eq!(encoding_of(&hourly, Codec::Auto), Encoding::Pco);
    // Thirds of a day are not binary fractions: pco finds no multiple, the differences of the bits are few.
    let days: Vec<f64> = (0..1_000_000).map(|hour| 18_000.0 + f64::from(hour) / 24.0).collect();
    assert_eq!(encoding_of(&days, Codec::Auto), Encoding::ZstdDeltaPlanes);
    // Words that are noise and come again: as planes nothing is found in them.
    let words: Vec<u64> = (0..400_000).map(|k| noise(noise(k) % 3000)).collect();
    let stored =
        |codec| encode_block(&words, &[Cut { cells: words.len(), row_cells: 1 }], codec, false).unwrap().stored_bytes();
    assert!(stored(Codec::Auto) * 10 <= stored(Codec::Zstd) * 11);
    assert_eq!(encoding_of(&days[..10_000], Codec::Auto), Encoding::Pco, "pages of 8 KiB");
}

/// What an instrument gives: a slope with noise, of so many decimals.
fn measured(count: u64, decimals: i32) -> Vec<f64> {
    let unit = 10f64.powi(decimals);
    (0..count)
        .map(|k| (((k as f64 / 900.0).sin() * 9.0 + (noise(k) % 40) as f64 / 1000.0) * unit).round() / unit)
        .collect()
}

#[test]
fn decimal_numbers_are_stored_as_integers() {
    for decimals in [0, 1, 3, 6] {
        let doubles = measured(20_000, decimals);
        let singles: Vec<f32> = doubles.iter().map(|cell| *cell as f32).collect();
        assert_eq!(encoding_of(&doubles, Codec::Auto), Encoding::PcoDecimal, "{decimals} decimals");
        if decimals < 6 {
            assert_eq!(encoding_of(&singles, Codec::Pco), Encoding::PcoDecimal, "{decimals} decimals");
        }
        // As libraries unpack integers: 0.001 has no exact value, so these differ from the quotients.
        let unpacked: Vec<f64> = doubles.iter().map(|cell| (cell * 1000.0).round() * 0.001).collect();
        assert_eq!(encoding_of(&unpacked, Codec::Auto), Encoding::PcoDecimal, "{decimals} decimals, unpacked");
        let unpacked: Vec<f32> = singles.iter().map(|cell| (cell * 1000.0).round() * 0.001).collect();
        assert_eq!(encoding_of(&unpacked, Codec::Auto), Encoding::PcoDecimal, "{decimals} decimals, unpacked");
    }
    // Missing values of all kinds, one by one and in runs.
    for missing in
        [f64::NAN, f64::from_bits(0x7FF8_0000_0000_1234), 9.969_209_968_386_869e36, 99_999.0, -0.0, f64::INFINITY]
    {
        let mut cells = measured(20_000, 3);
        cells[..100].fill(missing);
        cells[5000..9000].fill(missing);
        cells[19_999] = missing;
        assert_eq!(encoding_of(&cells, Codec::Auto), Encoding::PcoDecimal, "{missing}");
        let singles: Vec<f32> = cells.iter().map(|cell| *cell as f32).collect();
        assert_eq!(encoding_of(&singles, Codec::Auto), Encoding::PcoDecimal, "{missing}");
    }
    // Zeros have every scale.
    let mostly = |few: f64, many: f64| -> Vec<f32> {
        (0..20_000)
            .map(|k| if noise(k).is_multiple_of(25) { few + (noise(k) % 1000) as f64 / 100.0 } else { many } as f32)
            .collect()
    };
    for cells in [mostly(0.25, 0.0), mostly(0.25, 3.0)] {
        let block = encode_block(&cells, &[Cut { cells: 20_000, row_cells: 1 }], Codec::Auto, false).unwrap();
        assert_eq!((block.encoding, block.header[0]), (Encoding::PcoDecimal, 2));
    }
    // Every other cell is another number: pco alone is smaller.
    let mixed: Vec<f64> = measured(20_000, 3)
        .into_iter()
        .enumerate()
        .map(|(k, cell)| if k % 2 == 0 { cell } else { cell / 3.0 })
        .collect();
    assert_ne!(encoding_of(&mixed, Codec::Auto), Encoding::PcoDecimal);
    let random: Vec<f32> = (0..20_000).map(|k| (noise(k) >> 40) as f32 / (1u64 << 24) as f32).collect();
    assert_eq!(encoding_of(&random, Codec::Pco), Encoding::Pco);
    assert_eq!(encoding_of(&vec![f32::NAN; 20_000], Codec::Auto), Encoding::Pco);
}

#[test]
fn auto_takes_planes_where_all_but_the_exponents_is_noise() {
    let normal =
        |k: u64| (0..12).map(|part| (noise(k * 12 + part) >> 11) as f64 / (1u64 << 53) as f64).sum::<f64>() - 6.0;
    let doubles: Vec<f64> = (0..40_000).map(normal).collect();
    let singles: Vec<f32> = doubles.iter().map(|cell| *cell as f32).collect();
    for (encoding, pco, own) in [
        (
            encoding_of(&doubles, Codec::Auto),
            follow(&doubles, &doubles, Codec::Pco),
            follow(&doubles, &doubles, Codec::Auto),
        ),
        (
            encoding_of(&singles, Codec::Auto),
            follow(&singles, &singles, Codec::Pco),
            follow(&singles, &singles, Codec::Auto),
        ),
    ] {
        assert_eq!(encoding, Encoding::ZstdPlanes);
        let (followed, tried) = own;
        let followed = followed.unwrap();
        assert_eq!(followed.encoding, Encoding::ZstdPlanes);
        assert!(followed.stored_bytes() <= tried.stored_bytes());
        assert!(tried.stored_bytes() * 100 <= pco.1.stored_bytes() * 105);
    }
    // Short matches among the exponents of floats cost more than they gain.
    let exponents: Vec<u8> = singles[..4000].iter().map(|cell| cell.to_le_bytes()[3]).collect();
    let (plain, literals) =
        (Compressor::Zstd.compress(&exponents).unwrap(), Compressor::Zstd.compress_literals(&exponents).unwrap());
    assert!(literals.len() * 10 < plain.len() * 9, "{} bytes, {} with short matches", literals.len(), plain.len());
    let mut out = vec![0; 4000];
    Compressor::Zstd.decompress(&literals, &mut out).unwrap();
    assert_eq!(out, exponents);
}

#[test]
fn decimals_are_smaller_than_the_floats_they_are() {
    for decimals in [1, 2, 3] {
        let cells: Vec<f32> = measured(60_000, decimals).into_iter().map(|cell| cell as f32).collect();
        let pages = vec![2000; 30];
        let plain = pco::encode_plain(&cells, &pages).unwrap().stored_bytes();
        let own = pco::encode(&cells, &pages).unwrap().stored_bytes();
        assert!(own < plain, "{decimals} decimals: {own} bytes, {plain} as floats");
    }
}

#[test]
fn damaged_decimals_are_refused() {
    let mut cells = measured(2000, 3);
    cells[5..8].fill(f64::NAN);
    cells[1999] = f64::NAN;
    let block = || pco::encode(&cells, &[2000]).unwrap();
    let refusal = |block: &EncodedBlock| decode_all::<f64>(block).unwrap_err();
    assert_eq!(block().pages[0].bytes[..12], [2, 0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0]);
    let with = |at: usize, bytes: &[u8]| {
        let mut block = block();
        block.pages[0].bytes[at..at + bytes.len()].copy_from_slice(bytes);
        refusal(&block)
    };
    assert_eq!(with(0, &[255; 4]), "decimal: the exceptions pass the end of their page");
    assert_eq!(with(8, &[0; 4]), "decimal: no place for an exception of 0 cells from cell 5");
    assert_eq!(with(8, &[255; 4]), "decimal: no place for an exception of 4294967295 cells from cell 5");
    assert_eq!(with(20, &[7, 0]), "decimal: no place for an exception of 1 cells from cell 7", "cell 7 has its own");
    let mut scaled = block();
    scaled.header[0] = 11;
    assert_eq!(refusal(&scaled), "decimal: unknown scale 11");
    scaled.header.clear();
    assert_eq!(refusal(&scaled), "decimal: the block has no header");
    assert!(decode_all::<i64>(&block()).unwrap_err().contains("no floats"));
    let mut short = block();
    short.pages[0].bytes.truncate(3);
    assert_eq!(refusal(&short), "decimal: page is too short");
}

#[test]
fn a_plane_that_all_cells_share_is_one_byte() {
    let cells: Vec<u8> =
        (0..1000u32).flat_map(|k| (0xAB00_0000 | (noise(k.into()) as u32 & 0xFFFF)).to_le_bytes()).collect();
    let page = planes::encode(&cells, 4, Compressor::Lz4, planes::Plan::default()).unwrap();
    assert_eq!(page.len(), 16 + 2 * 1000 + 2);
    let mut out = vec![0; cells.len()];
    planes::decode(&page, 4, Compressor::Lz4, &mut out, &mut Vec::new()).unwrap();
    assert_eq!(out, cells);
    let long = [&page[..], b"x"].concat();
    assert!(planes::decode(&long, 4, Compressor::Lz4, &mut out, &mut Vec::new()).unwrap_err().contains("left over"));
    assert!(planes::decode(&page, 4, Compressor::Lz4, &mut out[..3996], &mut Vec::new()).is_err());
}

#[test]
fn codes_are_those_of_the_format() {
    for (code, encoding) in Encoding::ALL.into_iter().enumerate() {
        assert_eq!(encoding as usize, code);
        assert_eq!(Encoding::from_code(code as u8), Some(encoding));
    }
    assert_eq!(Encoding::from_code(11), None);
}

/// The lesson of a block of `taught`, and a block of `cells` that follows it.
fn follow<T: Element>(taught: &[T], cells: &[T], codec: Codec) -> (Option<EncodedBlock>, EncodedBlock) {
    let cuts = |cells: &[T]| [Cut { cells: cells.len(), row_cells: 7 }];
    let tried = encode_block(cells, &cuts(cells), codec, false).unwrap();
    let first = encode_block(taught, &cuts(taught), codec, false).unwrap();
    let lesson = Lesson::of(taught, &cuts(taught), codec, false, &first).unwrap();
    let followed = lesson.map(|lesson| encode_like(cells, &cuts(cells), codec, false, &lesson).unwrap());
    (followed, tried)
}

#[test]
fn what_a_block_taught_does_not_change_a_bit() {
    let kinds: [fn(u64) -> u64; 6] =
        [|_| 7, |k| k, |k| noise(k), |k| noise(k) % 1000 * 60, |k| k * k * 1000 + noise(k) % 5, |k| noise(k % 50)];
    for physical in NUMBERS {
        for codec in CODECS {
            with_physical!(physical, T => {
                for (taught, cells) in kinds.iter().flat_map(|one| kinds.iter().map(move |other| (one, other))) {
                    let cells_of = |kind: &fn(u64) -> u64, count| -> Vec<T> {
                        let bytes = (0..count).flat_map(|k| kind(k).to_le_bytes()[..size_of::<T>()].to_vec());
                        bytemuck::pod_collect_to_vec(&bytes.collect::<Vec<u8>>())
                    };
                    let cells = cells_of(cells, 5000);
                    let (followed, tried) = follow(&cells_of(taught, 4000), &cells, codec);
                    let Some(followed) = followed else { continue };
                    check(&cells, &followed, codec.name());
                    assert!(followed.stored_bytes() < size_of_val(&cells[..]).max(tried.stored_bytes() + 1));
                }
            }, var => unreachable!());
        }
    }
}

#[test]
fn blocks_of_the_same_kind_follow_the_first_one_without_loss() {
    // Three decimals over a slope: pco finds the multiple and the differences.
    let measured = |from: u64| -> Vec<f32> {
        (from..from + 40_000)
            .map(|k| ((k as f64 / 900.0).sin() * 9000.0 + (noise(k) % 40) as f64).round() as f32 / 1000.0)
            .collect()
    };
    let floats: fn(u64) -> f64 = |k| (noise(k) >> 11) as f64;
    for codec in [Codec::Auto, Codec::Pco, Codec::Zstd, Codec::Lz4] {
        let (followed, tried) = follow(&measured(0), &measured(777_777), codec);
        let (followed, tried) = (followed.unwrap(), tried);
        assert_eq!(followed.encoding, tried.encoding, "{codec}");
        let (own, best) = (followed.stored_bytes() as f64, tried.stored_bytes() as f64);
        assert!(own <= best * 1.015, "{codec}: {own} bytes, {best} with a search");
    }
    // What was learnt does not fit: the block is tried as if nothing had been.
    let noise: Vec<f32> = (0..40_000).map(|k| floats(k) as f32).collect();
    let (followed, tried) = follow(&measured(0), &noise, Codec::Auto);
    assert!(followed.unwrap().stored_bytes() <= tried.stored_bytes());
    // Decimals after noise are not taken for noise.
    let (followed, tried) = follow(&noise, &measured(0), Codec::Auto);
    assert_eq!((followed.unwrap().stored_bytes(), tried.encoding), (tried.stored_bytes(), Encoding::PcoDecimal));
    // Cells that nothing makes smaller teach nothing.
    let random: Vec<u64> = (0..10_000).map(super::tests::noise).collect();
    assert!(follow(&random, &random, Codec::Auto).0.is_none());
}
