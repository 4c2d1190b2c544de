//! Setting a tracker's parameters from text.

use std::collections::BTreeMap;

use ethogram_model::{Param, TrackerSchema, nearest::nearest};

use crate::Error;

/// Checks values against a tracker's parameters and writes them into a copy of its `.rodata`.
pub(crate) fn apply(schema: &TrackerSchema, values: &BTreeMap<String, String>, rodata: &mut [u8]) -> Result<(), Error> {
    for (name, value) in values {
        let param = schema.params.iter().find(|p| &p.name == name).ok_or_else(|| {
            let known = || schema.params.iter().map(|p| p.name.as_str());
            Error::UnknownParam {
                tracker: schema.name.to_string(),
                name: name.clone(),
                near: nearest(name, known()),
                known: known().map(str::to_owned).collect(),
            }
        })?;
        let number = parse(param, value).ok_or_else(|| Error::BadParam {
            tracker: schema.name.to_string(),
            name: name.clone(),
            value: value.clone(),
            expected: expected(param),
        })?;
        if let Some(bytes) = rodata.get_mut(param.offset..param.offset + param.size) {
            bytes.copy_from_slice(&number.to_le_bytes()[..param.size]);
        }
    }
    Ok(())
}

fn parse(param: &Param, value: &str) -> Option<i128> {
    if param.boolean {
        return match value {
            "true" | "1" | "yes" | "on" => Some(1),
            "false" | "0" | "no" | "off" => Some(0),
            _ => None,
        };
    }
    let (low, high) = range(param);
    value.parse::<i128>().ok().filter(|n| (low..=high).contains(n))
}

fn range(param: &Param) -> (i128, i128) {
    let bits = 8 * param.size.clamp(1, 8) as u32;
    if param.signed { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
}

fn expected(param: &Param) -> String {
    if param.boolean {
        return "true or false".into();
    }
    let (low, high) = range(param);
    format!("a number from {low} to {high}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> TrackerSchema {
        let param = |name: &str, size, offset, signed, boolean| Param {
            name: name.into(),
            doc: String::new(),
            size,
            offset,
            signed,
            boolean,
            default: 0,
        };
        TrackerSchema {
            name: "t".into(),
            summary: String::new(),
            default: false,
            role: None,
            events: Vec::new(),
            params: vec![
                param("bytes", 2, 0, false, false),
                param("level", 1, 2, true, false),
                param("all", 1, 3, false, true),
            ],
        }
    }

    fn set(name: &str, value: &str) -> Result<[u8; 4], String> {
        let mut rodata = [9; 4];
        apply(&schema(), &BTreeMap::from([(name.into(), value.into())]), &mut rodata).map_err(|e| e.to_string())?;
        Ok(rodata)
    }

    #[test]
    fn values_are_written_where_the_program_reads_them() {
        assert_eq!(set("bytes", "513"), Ok([1, 2, 9, 9]));
        assert_eq!(set("level", "-1"), Ok([9, 9, 255, 9]));
        assert_eq!(set("all", "true"), Ok([9, 9, 9, 1]));
    }

    #[test]
    fn what_does_not_fit_is_named_with_what_would() {
        assert!(set("bytes", "70000").unwrap_err().ends_with("'70000' is not a number from 0 to 65535"));
        assert!(set("level", "-129").unwrap_err().ends_with("a number from -128 to 127"));
        assert!(set("all", "maybe").unwrap_err().ends_with("'maybe' is not true or false"));
        assert!(set("byte", "1").unwrap_err().contains("did you mean bytes?"));
    }
}
