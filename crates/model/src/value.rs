//! The value of one field, borrowed from its record.

use std::{borrow::Cow, net::IpAddr};

/// A field's value. Texts are bytes as the kernel saw them: an output that shows them escapes them.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// Not present in this record.
    Absent,
    /// A number.
    Unsigned(u64),
    /// A number that may be negative.
    Signed(i64),
    /// True or false.
    Bool(bool),
    /// Text, not necessarily UTF-8.
    Text(Cow<'a, [u8]>),
    /// Several texts, such as arguments.
    List(Vec<Cow<'a, [u8]>>),
    /// An address; IPv4-mapped ones are IPv4.
    Ip(IpAddr),
}

impl Value<'_> {
    /// Whether it is there and neither false, zero nor empty.
    pub fn is_truthy(&self) -> bool {
        match self {
            Self::Absent => false,
            Self::Unsigned(n) => *n != 0,
            Self::Signed(n) => *n != 0,
            Self::Bool(b) => *b,
            Self::Text(t) => !t.is_empty(),
            Self::List(l) => !l.is_empty(),
            Self::Ip(_) => true,
        }
    }

    /// The number, where it is one.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Unsigned(n) => Some(*n),
            Self::Signed(n) => u64::try_from(*n).ok(),
            Self::Bool(b) => Some(u64::from(*b)),
            _ => None,
        }
    }

    /// The text as UTF-8, bytes that are not replaced; empty where it is not a text.
    pub fn to_text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(t) => String::from_utf8_lossy(t),
            _ => Cow::Borrowed(""),
        }
    }
}
