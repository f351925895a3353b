//! Byte planes: byte `k` of every cell together, each plane compressed on its own, or left raw where that is no gain
//! (the noise of mantissas, at the cost of a copy instead of a decompression).
//!
//! A page is, for each plane, a `u32` of its stored length (the top bit set where it is raw), then the planes.

use super::Compressor;
use crate::error::{Error, Result};

const RAW: u32 = 1 << 31;

pub(super) fn encode(raw: &[u8], width: usize, compressor: Compressor) -> Result<Vec<u8>> {
    let cells = raw.len() / width;
    let mut lengths = Vec::with_capacity(width * 4);
    let mut body = Vec::new();
    let mut plane = vec![0u8; cells];
    for k in 0..width {
        for (byte, cell) in plane.iter_mut().zip(raw.chunks_exact(width)) {
            *byte = cell[k];
        }
        let packed = compressor.compress(&plane)?;
        let is_raw = packed.len() * 100 >= plane.len() * 95;
        let stored = if is_raw { &plane } else { &packed };
        let length = u32::try_from(stored.len())
            .ok()
            .filter(|length| length & RAW == 0)
            .ok_or_else(|| Error::invalid("a page of planes passes 2 GiB"))?;
        lengths.extend_from_slice(&(length | if is_raw { RAW } else { 0 }).to_le_bytes());
        body.extend_from_slice(stored);
    }
    lengths.extend_from_slice(&body);
    Ok(lengths)
}

pub(super) fn decode(
    stored: &[u8],
    width: usize,
    compressor: Compressor,
    out: &mut [u8],
    scratch: &mut Vec<u8>,
) -> Result<(), String> {
    let cells = out.len() / width;
    let (lengths, mut body) = stored.split_at_checked(width * 4).ok_or("planes: page is too short")?;
    scratch.resize(cells, 0);
    for (k, word) in lengths.as_chunks::<4>().0.iter().enumerate() {
        let word = u32::from_le_bytes(*word);
        let (plane, rest) =
            body.split_at_checked((word & !RAW) as usize).ok_or("planes: a plane passes the end of its page")?;
        body = rest;
        let plane = if word & RAW != 0 {
            if plane.len() != cells {
                return Err(format!("planes: plane {k} holds {} bytes, expected {cells}", plane.len()));
            }
            plane
        } else {
            compressor.decompress(plane, scratch)?;
            &*scratch
        };
        for (cell, byte) in out.chunks_exact_mut(width).zip(plane) {
            cell[k] = *byte;
        }
    }
    if body.is_empty() { Ok(()) } else { Err(format!("planes: {} bytes are left over", body.len())) }
}
