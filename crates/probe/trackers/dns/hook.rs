//! Fills in what a message says in place of the message.

mod message;

use std::net::IpAddr;

use ethogram_model::{EventSchema, Value, event};

use self::message::Message;

/// Bytes of a record's tail; the rest of an absurdly long answer is left out.
const TAIL_MAX: usize = 16384;

pub(crate) fn hook(record: &[u8], schema: &EventSchema) -> Option<Vec<u8>> {
    let mut out = record.get(..schema.size)?.to_vec();
    let payload = schema.field("_payload")?;
    let (offset, length) = (u16_at(record, payload.offset)?, u16_at(record, payload.offset + 2)?);
    let bytes = record.get(offset.into()..)?.get(..length.into())?;
    let Value::Unsigned(size) = event::read(record, schema.field("_size")?) else { return None };
    let message = Message::parse(bytes, size > u64::from(length))?;
    let addresses: Vec<_> = message.addresses.iter().map(IpAddr::to_string).collect();
    put(&mut out, schema, "_payload", &[0; 4]);
    put(&mut out, schema, "dns.question.type", &u32::from(message.kind).to_le_bytes());
    put(&mut out, schema, "dns.question.class", &u32::from(message.class).to_le_bytes());
    put(&mut out, schema, "dns.response_code", &u32::from(message.code).to_le_bytes());
    put(&mut out, schema, "dns.answer_count", &message.count.to_le_bytes());
    put(&mut out, schema, "dns.truncated", &[u8::from(message.truncated)]);
    append(&mut out, schema, "dns.question.name", std::slice::from_ref(&message.name));
    append(&mut out, schema, "dns.answers", &addresses);
    append(&mut out, schema, "dns.canonical_names", &message.aliases);
    Some(out)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_le_bytes(*b))
}

/// Overwrites a field, where the event has it.
fn put(out: &mut [u8], schema: &EventSchema, field: &str, value: &[u8]) {
    let field = schema.field(field).filter(|f| f.size == value.len());
    if let Some(place) = field.and_then(|f| out.get_mut(f.offset..f.offset + f.size)) {
        place.copy_from_slice(value);
    }
}

/// Appends texts to the tail, each ended by NUL, and has a field refer to them.
fn append(out: &mut Vec<u8>, schema: &EventSchema, field: &str, texts: &[String]) {
    if schema.field(field).is_none() {
        return;
    }
    let start = out.len();
    for text in texts.iter().take_while({
        let mut end = start;
        move |text| {
            end += text.len() + 1;
            end <= TAIL_MAX
        }
    }) {
        out.extend_from_slice(text.as_bytes());
        out.push(0);
    }
    let (Ok(offset), Ok(length)) = (u16::try_from(start), u16::try_from(out.len() - start)) else { return };
    put(out, schema, field, &[offset.to_le_bytes(), length.to_le_bytes()].concat());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::{Arc, LazyLock};

    use ethogram_model::{EventSchema, event};
    use proptest::prelude::*;

    use super::message::Message;

    /// A query's or answer's header and question, with `tail` behind it.
    fn message(flags: u16, answers: u16, question: &[u8], tail: &[u8]) -> Vec<u8> {
        let [high, low] = flags.to_be_bytes();
        let head = [0x12, 0x34, high, low, 0, 1, 0, answers as u8, 0, 0, 0, 0];
        [&head[..], question, &[0, 1, 0, 1], tail].concat()
    }

    const NAME: &[u8] = b"\x03www\x07example\0";

    #[test]
    fn an_answer_names_addresses_and_aliases_also_through_pointers() {
        let alias = b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x06\x03cdn\xc0\x10";
        let four = b"\xc0\x29\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07";
        let six = b"\xc0\x29\0\x1c\0\x01\0\0\0\x3c\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01";
        let m = Message::parse(&message(0x8183, 3, NAME, &[&alias[..], four, six].concat()), false).unwrap();
        assert_eq!((m.name.as_str(), m.kind, m.class, m.code, m.count), ("www.example", 1, 1, 3, 3));
        assert_eq!(m.aliases, ["cdn.example"]);
        assert_eq!(m.addresses, ["192.0.2.7".parse::<std::net::IpAddr>().unwrap(), "2001:db8::1".parse().unwrap()]);
        assert!(!m.truncated);
    }

    #[test]
    fn odd_bytes_of_a_name_cannot_be_mistaken() {
        let m = Message::parse(&message(0x0100, 0, b"\x07a.b\\\0\n\xff\0", b""), false).unwrap();
        assert_eq!(m.name, "a\\.b\\\\\\000\\010\\255");
        assert_eq!(Message::parse(&message(0x0100, 0, b"\0", b""), false).unwrap().name, ".");
    }

    #[test]
    fn names_that_lead_nowhere_are_refused() {
        let long = [[63; 64].repeat(4), vec![0]].concat();
        for name in [&b"\xc0\x0c"[..], b"\x01a\xc0\x0c", b"\xc0\xff", b"\x40a\0", b"\x80", b"\x3fab\0", b"\xc0", &long] {
            assert_eq!(Message::parse(&message(0x0100, 0, name, b""), false), None, "{name:?}");
        }
    }

    #[test]
    fn an_answer_may_end_early_only_where_something_says_so() {
        let whole = message(0x8180, 2, NAME, b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07\xc0");
        assert_eq!(Message::parse(&whole, false), None);
        assert_eq!(Message::parse(&whole, true).unwrap().addresses.len(), 1);
        let truncated = message(0x8380, 2, NAME, b"\xc0");
        assert!(Message::parse(&truncated, false).unwrap().truncated);
        let short_address = message(0x8180, 1, NAME, b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x03\xc0\0\x02");
        assert_eq!(Message::parse(&short_address, false), None);
    }

    /// Every event of the tracker.
    static SCHEMAS: LazyLock<Vec<Arc<EventSchema>>> =
        LazyLock::new(|| crate::find(&crate::builtin().unwrap(), "dns").unwrap().schema.events.clone());

    proptest! {
        #[test]
        fn any_bytes_are_borne(bytes in prop::collection::vec(any::<u8>(), 0..700), cut: bool) {
            if let Some(m) = Message::parse(&bytes, cut) {
                prop_assert!(m.name.len() <= 4 * 255 && m.addresses.len() + m.aliases.len() <= 128);
            }
        }

        #[test]
        fn any_answer_is_borne(tail in prop::collection::vec(any::<u8>(), 0..400), count: u16, cut: bool) {
            Message::parse(&message(0x8180, count, NAME, &tail), cut);
        }

        #[test]
        fn any_record_is_borne(
            head in prop::collection::vec(any::<u8>(), 256),
            tail in prop::collection::vec(any::<u8>(), 0..400),
            refers: bool,
        ) {
            for schema in SCHEMAS.iter() {
                let mut record = [&head[..schema.size], &message(0x8180, 9, NAME, &tail)].concat();
                if refers {
                    let length = record.len() - schema.size;
                    super::put(&mut record, schema, "_payload", &[schema.size as u8, 0, length as u8, (length >> 8) as u8]);
                }
                if let Some(record) = super::hook(&record, schema) {
                    prop_assert!(record.len() >= schema.size && record.len() < super::TAIL_MAX + schema.size);
                    for field in &schema.fields {
                        event::read(&record, field);
                    }
                }
            }
        }
    }
}
