//! What the kernel can ask of an event before it reports it.

use std::fmt;

/// A test of a number that is one of an event's fields: whether anything of it is left under a mask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldTest {
    /// The field, of four bytes at most.
    pub field: String,
    /// The bits that are compared.
    pub mask: u32,
    /// Whether all of them have to be zero, or one has to be set.
    pub zero: bool,
}

impl FieldTest {
    /// It is zero.
    pub fn zero(field: &str) -> Self {
        Self { field: field.into(), mask: u32::MAX, zero: true }
    }

    /// It is not zero.
    pub fn not_zero(field: &str) -> Self {
        Self::any_of(field, u32::MAX)
    }

    /// One of these bits is set.
    pub fn any_of(field: &str, bits: u32) -> Self {
        Self { field: field.into(), mask: bits, zero: false }
    }
}

impl fmt::Display for FieldTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, mask, zero } = self;
        match (*mask, zero) {
            (u32::MAX, true) => write!(f, "{field} = 0"),
            (u32::MAX, false) => write!(f, "{field} != 0"),
            (mask, true) => write!(f, "{field} has none of {mask:#o}"),
            (mask, false) => write!(f, "{field} has any of {mask:#o}"),
        }
    }
}
