//! Byte planes: byte `k` of every cell together, each plane compressed on its own, or left raw where that is no gain
//! (the noise of mantissas, at the cost of a copy instead of a decompression).
//!
//! A page is, for each plane, a `u32` of its stored length (the top bit set where it is raw), then the planes. A raw plane
//! of one byte says that all cells share it.

use super::compressor::Compressor;
use crate::error::{Error, Result};

const RAW: u32 = 1 << 31;

/// Runs `$body` with `$width` as the constant that `$value` is: loops over a constant width are unrolled.
macro_rules! with_width {
    ($value:expr, $width:ident => $body:expr) => {
        match $value {
            1 => with_width!(@ 1, $width, $body),
            2 => with_width!(@ 2, $width, $body),
            4 => with_width!(@ 4, $width, $body),
            _ => with_width!(@ 8, $width, $body),
        }
    };
    (@ $number:literal, $width:ident, $body:expr) => {{
        const $width: usize = $number;
        $body
    }};
}

fn split<const WIDTH: usize>(raw: &[u8], planes: &mut [u8]) {
    let cells = raw.as_chunks::<WIDTH>().0;
    if cells.is_empty() {
        return;
    }
    for (k, plane) in planes.chunks_exact_mut(cells.len()).enumerate() {
        for (byte, cell) in plane.iter_mut().zip(cells) {
            *byte = cell[k];
        }
    }
}

/// The planes of a page, one after another.
fn planes_of(raw: &[u8], width: usize) -> Vec<u8> {
    let mut planes = vec![0u8; raw.len()];
    with_width!(width, WIDTH => split::<WIDTH>(raw, &mut planes));
    planes
}

fn join<const WIDTH: usize>(planes: &[&[u8]; 8], out: &mut [u8]) {
    let cells = out.as_chunks_mut::<WIDTH>().0;
    let planes: [&[u8]; WIDTH] = std::array::from_fn(|k| &planes[k][..cells.len()]);
    for (at, cell) in cells.iter_mut().enumerate() {
        *cell = std::array::from_fn(|k| planes[k][at]);
    }
}

/// How the planes of pages that are alike are best stored: bit `k` for plane `k`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Plan {
    /// They are not worth trying to compress.
    raw: u8,
    /// They have no pattern.
    literals: u8,
}

impl Plan {
    /// By trying it on a page.
    pub(super) fn of(page: &[u8], width: usize, compressor: Compressor) -> Result<Plan> {
        if compressor != Compressor::Zstd {
            return Ok(Plan::default());
        }
        let planes = planes_of(page, width);
        let cells = page.len() / width;
        let mut literals = 0;
        for (k, plane) in planes.chunks_exact(cells.max(1)).enumerate() {
            if compressor.compress_literals(plane)?.len() < compressor.compress(plane)?.len() {
                literals |= 1 << k;
            }
        }
        Ok(Plan { raw: 0, literals })
    }

    /// The same; planes that are raw in all of these encoded pages are not tried any more.
    pub(super) fn with_raw_of<'a>(self, pages: impl Iterator<Item = &'a [u8]>, width: usize) -> Plan {
        Plan { raw: pages.fold(u8::MAX, |all, page| all & raw_planes(page, width)), ..self }
    }
}

/// The planes that a page stores raw, all their bytes.
fn raw_planes(page: &[u8], width: usize) -> u8 {
    let words = page.get(..width * 4).unwrap_or_default().as_chunks::<4>().0;
    let is_raw = |(k, word): (usize, &[u8; 4])| u8::from(u32::from_le_bytes(*word) > RAW + 1) << k;
    words.iter().enumerate().map(is_raw).sum()
}

pub(super) fn encode(raw: &[u8], width: usize, compressor: Compressor, plan: Plan) -> Result<Vec<u8>> {
    let planes = planes_of(raw, width);
    let cells = raw.len() / width;
    let mut out = vec![0u8; width * 4];
    for k in 0..width {
        let plane = &planes[k * cells..(k + 1) * cells];
        let packed;
        let (stored, flag) = match plane.first() {
            Some(first) if plane.iter().all(|byte| byte == first) => (&plane[..1], RAW),
            _ if plan.raw >> k & 1 == 1 => (plane, RAW),
            _ => {
                packed = match plan.literals >> k & 1 {
                    1 => compressor.compress_literals(plane)?,
                    _ => compressor.compress(plane)?,
                };
                if packed.len() * 100 >= plane.len() * 95 { (plane, RAW) } else { (&packed[..], 0) }
            }
        };
        let length = u32::try_from(stored.len())
            .ok()
            .filter(|length| length & RAW == 0)
            .ok_or_else(|| Error::invalid("a page of planes passes 2 GiB"))?;
        out[k * 4..(k + 1) * 4].copy_from_slice(&(length | flag).to_le_bytes());
        out.extend_from_slice(stored);
    }
    Ok(out)
}

/// Decodes to exactly `out.len()` bytes; `width` is 1, 2, 4 or 8 and divides them.
pub(super) fn decode(
    stored: &[u8],
    width: usize,
    compressor: Compressor,
    out: &mut [u8],
    scratch: &mut Vec<u8>,
) -> Result<(), String> {
    let cells = out.len() / width;
    let (lengths, mut body) = stored.split_at_checked(width * 4).ok_or("planes: page is too short")?;
    scratch.resize(width * cells, 0);
    let mut free = &mut scratch[..];
    let mut planes: [&[u8]; 8] = [&[]; 8];
    for (k, word) in lengths.as_chunks::<4>().0.iter().enumerate() {
        let word = u32::from_le_bytes(*word);
        let (plane, rest) =
            body.split_at_checked((word & !RAW) as usize).ok_or("planes: a plane passes the end of its page")?;
        body = rest;
        if word & RAW != 0 && plane.len() == cells {
            planes[k] = plane;
            continue;
        }
        let (decoded, rest) = std::mem::take(&mut free).split_at_mut(cells);
        free = rest;
        match (word & RAW != 0, plane) {
            (false, _) => compressor.decompress(plane, decoded)?,
            (true, [byte]) => decoded.fill(*byte),
            (true, _) => return Err(format!("planes: plane {k} holds {} bytes, expected {cells}", plane.len())),
        }
        planes[k] = decoded;
    }
    with_width!(width, WIDTH => join::<WIDTH>(&planes, out));
    if body.is_empty() { Ok(()) } else { Err(format!("planes: {} bytes are left over", body.len())) }
}
