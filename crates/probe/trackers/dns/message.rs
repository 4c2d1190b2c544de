//! A DNS message, as RFC 1035 has it. A watched process wrote it: no length in it is believed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest name, in the bytes of a message.
const NAME_MAX: usize = 255;
/// Records of an answer that are read.
const RECORDS_MAX: u16 = 128;

const CNAME: u16 = 5;
const A: u16 = 1;
const AAAA: u16 = 28;

/// What is reported of a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) name: String,
    pub(super) kind: u16,
    pub(super) class: u16,
    pub(super) code: u8,
    pub(super) truncated: bool,
    /// Records in the answer, as its header says.
    pub(super) count: u16,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) aliases: Vec<String>,
}

impl Message {
    /// Reads a message. Of one that was `cut`, what is left may end anywhere after the question.
    pub(super) fn parse(bytes: &[u8], cut: bool) -> Option<Self> {
        let mut rest = Cursor { bytes, at: 2 };
        let flags = rest.u16()?;
        let (questions, count) = (rest.u16()?, rest.u16()?);
        rest.skip(4)?;
        if questions != 1 {
            return None;
        }
        let name = rest.name()?;
        let (kind, class) = (rest.u16()?, rest.u16()?);
        let (code, truncated) = ((flags & 0xf) as u8, flags & 0x200 != 0);
        let mut message = Self { name, kind, class, code, truncated, count, ..Self::default() };
        for _ in 0..count.min(RECORDS_MAX) {
            if message.take_record(&mut rest).is_none() {
                return (cut || truncated).then_some(message);
            }
        }
        Some(message)
    }

    fn take_record(&mut self, rest: &mut Cursor<'_>) -> Option<()> {
        rest.name()?;
        let kind = rest.u16()?;
        rest.skip(6)?;
        let length = rest.u16()?;
        let start = rest.at;
        rest.skip(length.into())?;
        let data = rest.bytes.get(start..rest.at)?;
        match kind {
            A => self.addresses.push(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).into()),
            AAAA => self.addresses.push(Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).into()),
            CNAME => self.aliases.push(Cursor { bytes: rest.bytes, at: start }.name()?),
            _ => {}
        }
        Some(())
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn skip(&mut self, count: usize) -> Option<()> {
        self.at = self.at.checked_add(count).filter(|at| *at <= self.bytes.len())?;
        Some(())
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.bytes.get(self.at..)?.first_chunk::<2>()?;
        self.at += 2;
        Some(u16::from_be_bytes(*bytes))
    }

    /// A name as people write it, and on to what follows it. Each pointer must lead further back than the one before,
    /// so there is an end.
    fn name(&mut self) -> Option<String> {
        let mut out = String::new();
        let (mut at, mut earliest, mut after, mut length) = (self.at, self.at, None, 0);
        loop {
            let first = usize::from(*self.bytes.get(at)?);
            match first >> 6 {
                0 if first == 0 => break,
                0 => {
                    let label = self.bytes.get(at + 1..at + 1 + first)?;
                    length += 1 + first;
                    if length > NAME_MAX {
                        return None;
                    }
                    if !out.is_empty() {
                        out.push('.');
                    }
                    label.iter().for_each(|byte| push_byte(&mut out, *byte));
                    at += 1 + first;
                }
                3 => {
                    let to = (first & 0x3f) << 8 | usize::from(*self.bytes.get(at + 1)?);
                    after = after.or(Some(at + 2));
                    if to >= earliest {
                        return None;
                    }
                    (at, earliest) = (to, to);
                }
                _ => return None,
            }
        }
        self.at = after.unwrap_or(at + 1);
        if out.is_empty() {
            out.push('.');
        }
        Some(out)
    }
}

/// As in a master file: what could be mistaken or does not print stands as `\.` or `\DDD`.
fn push_byte(out: &mut String, byte: u8) {
    match byte {
        b'.' | b'\\' => out.extend(['\\', char::from(byte)]),
        b'!'..=b'~' => out.push(char::from(byte)),
        _ => out.push_str(&format!("\\{byte:03}")),
    }
}
