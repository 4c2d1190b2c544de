//! A field's value in one event, borrowed from it wherever that is possible.

use std::{borrow::Cow, net::IpAddr};

use ethogram_model::Value as Raw;
use serde_json::Value as Json;

use super::condition::Transformer;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'e> {
    Absent,
    Bool(bool),
    Number(i64),
    Text(Cow<'e, [u8]>),
    Texts(Vec<Cow<'e, [u8]>>),
    Ip(IpAddr),
    /// Either of both.
    Two(Box<Value<'e>>, Box<Value<'e>>),
}

impl<'e> From<Raw<'e>> for Value<'e> {
    fn from(value: Raw<'e>) -> Self {
        match value {
            Raw::Absent => Self::Absent,
            Raw::Unsigned(n) => Self::number(n),
            Raw::Signed(n) => Self::Number(n),
            Raw::Bool(b) => Self::Bool(b),
            Raw::Text(text) => Self::Text(text),
            Raw::List(list) => Self::Texts(list),
            Raw::Ip(ip) => Self::Ip(ip),
        }
    }
}

impl<'e> Value<'e> {
    /// A text that may be missing; an empty one is there.
    pub(super) fn text(text: Option<&'e str>) -> Self {
        text.map_or(Self::Absent, |text| Self::Text(Cow::Borrowed(text.as_bytes())))
    }

    pub(super) fn owned(text: impl Into<Vec<u8>>) -> Self {
        Self::Text(Cow::Owned(text.into()))
    }

    pub(super) fn number(n: impl TryInto<i64>) -> Self {
        Self::Number(n.try_into().unwrap_or(i64::MAX))
    }

    /// As it is shown and compared as a text.
    pub(super) fn to_text(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Absent => Cow::Borrowed(b"<NA>"),
            Self::Bool(true) => Cow::Borrowed(b"true"),
            Self::Bool(false) => Cow::Borrowed(b"false"),
            Self::Number(n) => Cow::Owned(n.to_string().into_bytes()),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Texts(all) => Cow::Owned(all.join(b" ".as_slice())),
            Self::Ip(ip) => Cow::Owned(ip.to_string().into_bytes()),
            Self::Two(a, _) => a.to_text(),
        }
    }

    pub(super) fn to_json(&self) -> Json {
        match self {
            Self::Absent => Json::Null,
            Self::Bool(b) => (*b).into(),
            Self::Number(n) => (*n).into(),
            other => String::from_utf8_lossy(&other.to_text()).into(),
        }
    }

    pub(super) fn is_there(&self) -> bool {
        match self {
            Self::Absent => false,
            Self::Two(a, b) => a.is_there() || b.is_there(),
            _ => true,
        }
    }

    /// The value that a transformer makes of it.
    pub(super) fn transformed(self, transformer: Transformer) -> Self {
        match self {
            Self::Absent => Self::Absent,
            Self::Texts(all) => Self::Texts(all.into_iter().filter_map(|one| changed(one, transformer)).collect()),
            other if transformer == Transformer::Length => Self::number(other.to_text().len()),
            Self::Text(text) => changed(text, transformer).map_or(Self::Absent, Self::Text),
            other => changed(Cow::Owned(other.to_text().into_owned()), transformer).map_or(Self::Absent, Self::Text),
        }
    }
}

fn changed(text: Cow<'_, [u8]>, transformer: Transformer) -> Option<Cow<'_, [u8]>> {
    Some(match transformer {
        Transformer::ToLower => Cow::Owned(text.to_ascii_lowercase()),
        Transformer::ToUpper => Cow::Owned(text.to_ascii_uppercase()),
        Transformer::Basename => match memchr::memrchr(b'/', &text) {
            None => text,
            Some(at) => Cow::Owned(text[at + 1..].to_vec()),
        },
        Transformer::Base64 => Cow::Owned(base64(&text)?),
        Transformer::Length => Cow::Owned(text.len().to_string().into_bytes()),
    })
}

/// Decodes base64 with or without its padding.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.trim_ascii_end();
    let text = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0);
    for byte in text {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Some(out)
}
