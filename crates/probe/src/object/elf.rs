//! An object's bytes, and opening them.

use std::{borrow::Cow, sync::Arc};

use libbpf_rs::{ObjectBuilder, OpenObject};

use crate::{
    Error,
    kernel::{self, types::KernelTypes},
};

/// An object's bytes.
#[derive(Debug, Clone)]
pub(crate) enum Elf {
    Plain(Arc<[u8]>),
    /// As part of the binary, compressed: most of the time it is not read.
    Packed {
        bytes: &'static [u8],
        /// When it is unpacked.
        size: usize,
    },
}

impl Elf {
    /// Opens the object of `tracker` without loading anything into the kernel.
    pub(crate) fn open(&self, tracker: &str, types: Option<&KernelTypes>) -> Result<OpenObject, Error> {
        open(&self.bytes(tracker)?, types).map_err(|e| Error::BadObject {
            origin: format!("object of tracker '{tracker}'"),
            problem: format!("is not a BPF object: {e}"),
        })
    }

    /// The bytes of the object of `tracker`, unpacked.
    pub(crate) fn bytes(&self, tracker: &str) -> Result<Cow<'_, [u8]>, Error> {
        match self {
            Self::Plain(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::Packed { bytes, size } => {
                let unpacked = zstd::bulk::decompress(bytes, *size);
                unpacked.map(Cow::Owned).map_err(|e| Error::BadObject {
                    origin: format!("object of tracker '{tracker}'"),
                    problem: format!("cannot be unpacked: {e}"),
                })
            }
        }
    }
}

/// Opens an object without loading anything into the kernel. It will look for kernel types in those of `types`.
pub(crate) fn open(elf: &[u8], types: Option<&KernelTypes>) -> Result<OpenObject, String> {
    let open = || {
        let mut builder = ObjectBuilder::default();
        if let Some(types) = types {
            builder.btf_custom_path(types.path())?;
        }
        builder.open_memory(elf)
    };
    kernel::capture_log(open).map_err(|(e, log)| kernel::explain(&e, &log))
}
