//! A door for `benches/benches/encodings.rs`, which measures each encoding on its own. Not part of the API.

use super::compressed::{FORMS, encode_as};
use super::{
    BlockDecoder, Codec, Compressor, Cut, EncodedBlock, Encoding, Paging, Result, decode_text_page, encode_block,
    encode_text_block, page_cells, pco, raw_block,
};
use crate::cells::{Cells, Element, VarCells};
use crate::error::Error;
use crate::with_physical;

/// An encoded block.
#[derive(Debug)]
pub struct Block(EncodedBlock);

/// The names of all encodings, in the order of their codes.
pub fn encodings() -> Vec<&'static str> {
    Encoding::ALL.map(Encoding::name).to_vec()
}

fn encode_numbers<T: Element>(cells: &[T], cuts: &[Cut], encoding: Encoding) -> Result<Option<EncodedBlock>> {
    let pages = |paging| page_cells(cuts, size_of::<T>(), paging);
    match encoding {
        Encoding::None => Ok(Some(raw_block(cells, &pages(Paging::Rows)))),
        Encoding::Pco => pco::encode_plain(cells, &pages(Paging::Fine)).map(Some),
        Encoding::PcoDecimal => pco::encode_decimal(cells, &pages(Paging::Fine)),
        _ => {
            let made = |compressor: Compressor| FORMS.into_iter().map(move |form| (compressor, form));
            let (compressor, form) = made(Compressor::Zstd)
                .chain(made(Compressor::Lz4))
                .find(|(compressor, form)| Encoding::of(*compressor, *form) == encoding)
                .ok_or_else(|| Error::invalid(encoding.name()))?;
            encode_as(cells, &pages(Paging::Shared), compressor, form, None).map(Some)
        }
    }
}

/// Encodes one block of chunks, given as (cells, cells of a row), as the codec would: whichever encoding it takes.
pub fn encode(cells: &Cells, chunks: &[(usize, usize)], codec: Codec, is_bool: bool) -> Result<Block> {
    let cuts: Vec<Cut> = chunks.iter().map(|&(cells, row_cells)| Cut { cells, row_cells }).collect();
    with_physical!(cells.physical(), T => {
        encode_block(T::unwrap(cells).unwrap_or_default(), &cuts, codec, is_bool).map(Block)
    }, var => match cells {
        Cells::Var(cells) => encode_text_block(cells, codec).map(Block),
        _ => Err(Error::invalid("not text")),
    })
}

/// The same in the encoding of this name; `None` where it is not for such cells.
pub fn encode_in(cells: &Cells, chunks: &[(usize, usize)], encoding: &str) -> Result<Option<Block>> {
    let cuts: Vec<Cut> = chunks.iter().map(|&(cells, row_cells)| Cut { cells, row_cells }).collect();
    let wanted = Encoding::ALL.into_iter().find(|known| known.name() == encoding);
    let wanted = wanted.ok_or_else(|| Error::invalid(format!("unknown encoding {encoding:?}")))?;
    with_physical!(cells.physical(), T => {
        if encoding.contains("planes") && size_of::<T>() == 1 {
            return Ok(None);
        }
        Ok(encode_numbers(T::unwrap(cells).unwrap_or_default(), &cuts, wanted)?.map(Block))
    }, var => {
        let codec = match wanted {
            Encoding::None => Codec::None,
            Encoding::Zstd => Codec::Zstd,
            Encoding::Lz4 => Codec::Lz4,
            _ => return Ok(None),
        };
        encode(cells, chunks, codec, false).map(Some)
    })
}

impl Block {
    /// The encoding's name.
    pub fn encoding(&self) -> &'static str {
        self.0.encoding.name()
    }

    /// Bytes of the block's header and pages.
    pub fn stored_bytes(&self) -> usize {
        self.0.stored_bytes()
    }

    /// Bytes before encoding.
    pub fn raw_bytes(&self) -> usize {
        self.0.pages.iter().map(|page| page.raw_bytes as usize).sum()
    }

    /// Decodes every page into `out`, which is as long as the block.
    pub fn decode(&self, out: &mut Cells) -> Result<()> {
        let failed = |message: String| Error::invalid(message);
        with_physical!(out.physical(), T => {
            let mut decoder = BlockDecoder::<T>::new(self.0.encoding, &self.0.header).map_err(failed)?;
            let mut rest = T::unwrap_mut(out).map_or(&mut [][..], |cells| &mut cells[..]);
            for page in &self.0.pages {
                let (cells, behind) = std::mem::take(&mut rest)
                    .split_at_mut_checked(page.cells as usize)
                    .ok_or_else(|| Error::invalid("the output is shorter than the block"))?;
                decoder.decode(&page.bytes, cells).map_err(failed)?;
                rest = behind;
            }
            Ok(())
        }, var => {
            let mut decoded = VarCells::default();
            for page in &self.0.pages {
                let cells = decode_text_page(self.0.encoding, &page.bytes, page.cells as usize, page.raw_bytes as usize);
                cells.map_err(failed)?.iter().for_each(|cell| decoded.push(cell));
            }
            *out = Cells::Var(decoded);
            Ok(())
        })
    }
}
