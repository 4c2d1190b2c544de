//! Ids that are the same on every machine and in every version.

/// FNV-1a with 128 bits over the parts, each with its length, so that parts cannot run into each other.
pub(crate) fn of<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let step = |hash: u128, byte: &u8| (hash ^ u128::from(*byte)).wrapping_mul(PRIME);
    let hash = parts.into_iter().fold(OFFSET, |hash, part| {
        let hash = (part.len() as u64).to_le_bytes().iter().fold(hash, step);
        part.as_bytes().iter().fold(hash, step)
    });
    format!("{hash:032x}")
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(of(["ab", "c"]), of(["a", "bc"]));
        assert_ne!(of(["a"]), of(["a", ""]));
    }

    #[test]
    fn never_changes() {
        // Stored profiles and alerts are found by it.
        assert_eq!(of([]), "6c62272e07bb014262b821756295c58d");
        assert_eq!(of(["a"]), "426d56754e03ad9adb79f299c730f21f");
    }
}
