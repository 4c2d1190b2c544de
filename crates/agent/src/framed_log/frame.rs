//! How an entry lies in a segment: a mark, its length, a checksum, its number, and its text.

/// Begins each frame. Its first byte is in no UTF-8 text, so no entry can hold a frame.
const MARK: [u8; 4] = *b"\xffeth";
/// Bytes before the text.
const HEADER: usize = 20;
/// Bytes of text that are held possible, whatever a header says.
pub(crate) const MAX_TEXT: usize = 4 << 20;

/// No log gets that far.
pub(crate) const MAX_NUMBER: u64 = u64::MAX / 2;

/// One entry as it lies in a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Counted from the log's beginning.
    pub(crate) number: u64,
    /// As it was appended.
    pub(crate) text: Vec<u8>,
    /// Where the next one begins.
    pub(super) end: usize,
}

/// The bytes that are appended to a segment.
pub(super) fn encode(number: u64, text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
    let number = number.to_le_bytes();
    [&MARK[..], &length, &checksum(length, number, text).to_le_bytes(), &number, text].concat()
}

/// The bytes that this takes.
pub(super) fn size(text: &[u8]) -> u64 {
    (HEADER + text.len()) as u64
}

/// All whole frames of a segment. What lies between and is none is skipped.
pub(super) fn all(segment: Vec<u8>) -> impl Iterator<Item = Frame> {
    let mut at = 0;
    std::iter::from_fn(move || next(&segment, at).inspect(|frame| at = frame.end))
}

/// The first whole frame at `from` or behind it.
fn next(segment: &[u8], from: usize) -> Option<Frame> {
    let rest = segment.get(from..)?;
    let starts = rest.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
    starts.map(|(at, _)| from + at).find_map(|at| decode(segment, at))
}

fn decode(segment: &[u8], at: usize) -> Option<Frame> {
    let header = segment.get(at..)?.get(..HEADER)?;
    let length: [u8; 4] = header.get(4..8)?.try_into().ok()?;
    let sum = u32::from_le_bytes(header.get(8..12)?.try_into().ok()?);
    let number: [u8; 8] = header.get(12..20)?.try_into().ok()?;
    let bytes = u32::from_le_bytes(length) as usize;
    if bytes > MAX_TEXT || u64::from_le_bytes(number) > MAX_NUMBER {
        return None;
    }
    let text = segment.get(at + HEADER..)?.get(..bytes)?;
    (checksum(length, number, text) == sum).then(|| Frame {
        number: u64::from_le_bytes(number),
        text: text.to_vec(),
        end: at + HEADER + bytes,
    })
}

fn checksum(length: [u8; 4], number: [u8; 8], text: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&length);
    sum.update(&number);
    sum.update(text);
    sum.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers(segment: &[u8]) -> Vec<u64> {
        all(segment.to_vec()).map(|f| f.number).collect()
    }

    #[test]
    fn what_is_damaged_is_skipped_and_the_rest_is_found() {
        let frames: Vec<_> = (7..10).map(|n| encode(n, format!("entry {n}").as_bytes())).collect();
        let whole = frames.concat();
        assert_eq!(numbers(&whole), [7, 8, 9]);
        for damaged in 0..frames[0].len() {
            let mut bytes = whole.clone();
            bytes[frames[0].len() + damaged] ^= 0x55;
            assert_eq!(numbers(&bytes), [7, 9], "byte {damaged} of the second");
        }
        for missing in 1..frames[2].len() {
            assert_eq!(numbers(&whole[..whole.len() - missing]), [7, 8], "{missing} bytes of the third");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_borne(bytes: Vec<u8>, from in 0_usize..64) {
            let _ = next(&bytes, from);
        }

        #[test]
        fn rubbish_before_a_frame_does_not_hide_it(rubbish: Vec<u8>, text: String) {
            let segment = [rubbish, encode(3, text.as_bytes())].concat();
            prop_assert!(numbers(&segment).contains(&3));
        }
    }
}
