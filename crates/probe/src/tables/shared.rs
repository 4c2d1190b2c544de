//! What C and Rust share: tables, structs, enumerations and values. The build reads them from the BTF of `shared.bpf.c`.
// Of what C shares, this side uses what it needs.
#![allow(dead_code)]

use libbpf_rs::{MapHandle, MapType};

use crate::Error;

include!(concat!(env!("OUT_DIR"), "/shared.rs"));

/// A table as C declares it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    /// Its name in C.
    pub(crate) name: &'static str,
    /// Its number among the kernel's types of maps.
    pub(crate) kind: u32,
    /// Bytes of a key.
    pub(crate) key: u32,
    /// Bytes of a value.
    pub(crate) value: u32,
    /// How many entries it has room for.
    pub(crate) entries: u32,
    /// The kernel's flags for it.
    pub(crate) flags: u32,
}

impl Table {
    /// Makes it, empty.
    pub(crate) fn make(&self) -> Result<MapHandle, Error> {
        let options = libbpf_sys::bpf_map_create_opts {
            sz: size_of::<libbpf_sys::bpf_map_create_opts>() as _,
            map_flags: self.flags,
            ..Default::default()
        };
        MapHandle::create(MapType::from(self.kind), Some(self.name), self.key, self.value, self.entries, &options)
            .map_err(|source| Error::Kernel { doing: format!("making the map '{}'", self.name), source })
    }
}
