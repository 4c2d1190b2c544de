//! What the kernel can ask of an event before it reports it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A test of a number that is one of an event's fields: what is left of it under a mask is a value, or is not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FieldTest {
    /// The field, of four bytes at most.
    pub field: String,
    /// The bits that are looked at.
    pub mask: u32,
    /// What they are compared with.
    pub value: u32,
    /// Whether they have to be that, or have to be something else.
    pub equal: bool,
}

impl FieldTest {
    /// It is this value.
    pub fn is(field: &str, value: u32) -> Self {
        Self { field: field.into(), mask: u32::MAX, value, equal: true }
    }

    /// It is another value.
    pub fn is_not(field: &str, value: u32) -> Self {
        Self { equal: false, ..Self::is(field, value) }
    }

    /// One of these bits is set.
    pub fn any_of(field: &str, bits: u32) -> Self {
        Self { field: field.into(), mask: bits, value: 0, equal: false }
    }
}

impl fmt::Display for FieldTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, mask, value, equal } = self;
        match (mask, value, equal) {
            (&u32::MAX, ..) => write!(f, "{field} {} {value}", if *equal { "=" } else { "!=" }),
            (_, 0, false) => write!(f, "{field} has any of {mask:#o}"),
            _ => write!(f, "{field} under {mask:#o} {} {value:#o}", if *equal { "=" } else { "!=" }),
        }
    }
}
