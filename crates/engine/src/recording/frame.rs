//! Frames: `EGFR`, then little-endian and 32 bits each the frame's number, its bytes as stored, its bytes as they were;
//! then one zstd frame with a checksum.

use std::io::{self, Read};

use zstd::bulk::{Compressor, Decompressor};

const MAGIC: [u8; 4] = *b"EGFR";
/// Bytes before the compressed ones.
const HEAD: usize = 16;
/// Bytes of one entry at most.
pub const MAX_ENTRY: usize = 8 << 20;
/// Bytes that make a frame full. The entry that fills it may be a large one.
pub const FULL: usize = 256 << 10;
const MAX_RAW: usize = FULL + MAX_ENTRY + 64;
const MAX_STORED: usize = MAX_RAW + (MAX_RAW >> 7) + 1024;
/// The fastest that is worth it: records repeat themselves.
const LEVEL: i32 = 1;

/// Makes frames.
pub struct Framer {
    compressor: Compressor<'static>,
    /// The number of the next frame.
    number: u32,
    /// The last frame, kept for its memory.
    frame: Vec<u8>,
}

impl Framer {
    /// Begins with frame 0.
    ///
    /// # Errors
    /// Where zstd cannot be set up.
    pub fn new() -> io::Result<Self> {
        let mut compressor = Compressor::new(LEVEL)?;
        compressor.include_checksum(true)?;
        Ok(Self { compressor, number: 0, frame: Vec::new() })
    }

    /// The next frame, with these bytes in it.
    ///
    /// # Errors
    /// Where zstd fails, or they are more than 4 GiB.
    pub fn frame(&mut self, raw: &[u8]) -> io::Result<&[u8]> {
        let stored = self.compressor.compress(raw)?;
        self.frame.clear();
        self.frame.extend_from_slice(&MAGIC);
        for number in [self.number as usize, stored.len(), raw.len()] {
            let number = u32::try_from(number).map_err(io::Error::other)?;
            self.frame.extend_from_slice(&number.to_le_bytes());
        }
        self.frame.extend_from_slice(&stored);
        self.number += 1;
        Ok(&self.frame)
    }
}

/// Reads frames, and trusts none of their numbers.
pub struct Unframer<R> {
    from: R,
    decompressor: Decompressor<'static>,
    /// Where the next frame begins.
    pub offset: u64,
    /// Its number.
    pub number: u32,
    stored: Vec<u8>,
}

impl<R: Read> Unframer<R> {
    /// Reads from where a first frame should be.
    ///
    /// # Errors
    /// Where zstd cannot be set up.
    pub fn new(from: R, offset: u64) -> io::Result<Self> {
        Ok(Self { from, decompressor: Decompressor::new()?, offset, number: 0, stored: Vec::new() })
    }

    /// What is in the next frame; nothing at the end of the file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, String> {
        let mut head = Vec::with_capacity(HEAD);
        self.read(HEAD, &mut head)?;
        if head.is_empty() {
            return Ok(None);
        }
        let word = |i: usize| head.get(4 * i..4 * i + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
        let (Some(magic), Some(number), Some(stored), Some(raw)) = (head.get(..4), word(1), word(2), word(3)) else {
            return Err("the file is cut within the head of a frame".into());
        };
        let (stored, raw) = (stored as usize, raw as usize);
        if magic != MAGIC {
            return Err("no frame begins here".into());
        }
        if number != self.number {
            return Err(format!("frame {number} is where frame {} should be", self.number));
        }
        if stored > MAX_STORED || raw > MAX_RAW {
            return Err(format!("the frame says it has {stored} bytes, {raw} uncompressed: more than any has"));
        }
        let mut compressed = std::mem::take(&mut self.stored);
        compressed.clear();
        self.read(stored, &mut compressed)?;
        if compressed.len() < stored {
            return Err(format!(
                "the file is cut within a frame: {} of its {stored} bytes are there",
                compressed.len()
            ));
        }
        let bytes = self.decompressor.decompress(&compressed, raw).map_err(|e| format!("the frame is damaged: {e}"))?;
        if bytes.len() != raw {
            return Err(format!("the frame holds {} bytes and says {raw}", bytes.len()));
        }
        self.stored = compressed;
        self.offset += (HEAD + stored) as u64;
        self.number = self.number.wrapping_add(1);
        Ok(Some(bytes))
    }

    /// At most so many bytes; the memory grows with what is there, not with what is promised.
    fn read(&mut self, bytes: usize, into: &mut Vec<u8>) -> Result<(), String> {
        let read = self.from.by_ref().take(bytes as u64).read_to_end(into);
        read.map(drop).map_err(|e| format!("the file cannot be read: {e}"))
    }
}
