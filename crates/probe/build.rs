//! Compiles every `trackers/*/tracker.bpf.c` and lists the results: a tracker's folder is all that a tracker needs.

use std::{
    env,
    error::Error,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let libbpf = env::var("DEP_BPF_INCLUDE")?;
    let arch = match env::var("CARGO_CFG_TARGET_ARCH")?.as_str() {
        "x86_64" => "x86",
        "aarch64" => "arm64",
        other => return Err(format!("no tracker is written for {other} yet: x86_64 and aarch64 are").into()),
    };
    println!("cargo:rerun-if-changed=include");
    println!("cargo:rerun-if-changed=trackers");
    println!("cargo:rerun-if-changed=dispatcher");
    println!("cargo:rerun-if-changed=response");
    println!("cargo:rerun-if-env-changed=CLANG");

    let mut folders: Vec<_> = fs::read_dir(root.join("trackers"))?.collect::<Result<_, _>>()?;
    folders.sort_by_key(|f| f.file_name());
    let (mut list, mut hooks, mut tests) = (String::new(), String::new(), String::new());
    for folder in folders {
        let path = folder.path();
        let name = folder.file_name().into_string().map_err(|n| format!("{n:?} is no name for a tracker"))?;
        let object = out.join(format!("{name}.bpf.o"));
        compile(&path.join("tracker.bpf.c"), &object, &root.join("include"), &libbpf, arch)?;
        let manifest = path.join("tracker.toml");
        let file = path.join("hook.rs");
        let hook = if file.exists() {
            writeln!(hooks, "#[path = {file:?}] pub(crate) mod {name};")?;
            format!("Some(crate::hook::{name}::hook)")
        } else {
            "None".into()
        };
        let elf = packed(&object)?;
        writeln!(
            list,
            "Builtin {{ name: {name:?}, elf: {elf}, manifest: include_str!({manifest:?}), hook: {hook} }},"
        )?;
        let file = path.join("tests.rs");
        if file.exists() {
            writeln!(tests, "#[path = {file:?}] mod {name};")?;
        }
    }
    fs::write(
        out.join("trackers.rs"),
        format!("/// Every tracker, by name.\nstatic TRACKERS: &[Builtin] = &[\n{list}];\n"),
    )?;
    // For the test that they compile for the other architectures too.
    let flags = ["x86", "arm64"].map(|arch| flags(&root.join("include"), &libbpf, arch));
    writeln!(
        tests,
        "pub(crate) static CLANG: (&str, [&[&str]; 2]) = ({:?}, [&{:?}, &{:?}]);",
        clang(),
        flags[0],
        flags[1]
    )?;
    fs::write(out.join("tracker_hooks.rs"), hooks)?;
    fs::write(out.join("tracker_tests.rs"), tests)?;
    let dispatcher = out.join("dispatcher.bpf.o");
    compile(&root.join("dispatcher/dispatcher.bpf.c"), &dispatcher, &root.join("include"), &libbpf, arch)?;
    fs::write(
        out.join("dispatcher.rs"),
        format!("/// The dispatcher's object.\nstatic DISPATCHER: &[u8] = include_bytes!({dispatcher:?});\n"),
    )?;
    let mut list = String::new();
    for name in ["cut", "policy"] {
        let object = out.join(format!("{name}.bpf.o"));
        let source = root.join(format!("response/{name}.bpf.c"));
        compile(&source, &object, &root.join("include"), &libbpf, arch)?;
        let (constant, elf) = (name.to_uppercase(), packed(&object)?);
        writeln!(list, "/// The object of `{name}.bpf.c`.\nstatic {constant}: Elf = {elf};")?;
    }
    fs::write(out.join("response.rs"), list)?;
    Ok(())
}

/// What stands in the sources for an object as the binary holds it: compressed.
fn packed(object: &Path) -> Result<String, Box<dyn Error>> {
    let elf = fs::read(object)?;
    let packed = object.with_extension("o.zst");
    fs::write(&packed, zstd::bulk::compress(&elf, 19)?)?;
    Ok(format!("Elf::Packed {{ bytes: include_bytes!({packed:?}), size: {} }}", elf.len()))
}

fn compile(source: &Path, object: &Path, include: &Path, libbpf: &str, arch: &str) -> Result<(), Box<dyn Error>> {
    let clang = clang();
    let output = Command::new(&clang)
        .args(flags(include, libbpf, arch))
        .arg(source)
        .arg("-o")
        .arg(object)
        .output()
        .map_err(|e| format!("{clang} does not start: {e}; install clang 14 or newer"))?;
    if !output.status.success() {
        return Err(format!("{}:\n{}", source.display(), String::from_utf8_lossy(&output.stderr)).into());
    }
    strip(object)
}

/// Takes out what only debuggers and linkers read: the types that the agent and the kernel read are in BTF, and DWARF
/// would be half of the binary. The sections stay, empty, so that nothing has to be renumbered.
fn strip(object: &Path) -> Result<(), Box<dyn Error>> {
    let elf = fs::read(object)?;
    let number = |at: usize, bytes: usize| -> Option<usize> {
        let bytes = elf.get(at..at + bytes)?;
        Some(bytes.iter().rev().fold(0, |n, b| n << 8 | usize::from(*b)))
    };
    let stripped = || -> Option<Vec<u8>> {
        // Offsets are those of Elf64_Ehdr and Elf64_Shdr.
        let (headers, entry, count) = (number(0x28, 8)?, number(0x3a, 2)?, number(0x3c, 2)?);
        let names = number(headers + number(0x3e, 2)? * entry + 0x18, 8)?;
        let mut out = elf.get(..0x40)?.to_vec();
        let mut table = elf.get(headers..headers + count * entry)?.to_vec();
        for (index, header) in table.chunks_exact_mut(entry).enumerate() {
            let at = headers + index * entry;
            let (kind, from, size) = (number(at + 4, 4)?, number(at + 0x18, 8)?, number(at + 0x20, 8)?);
            let name = elf.get(names + number(at, 4)?..)?;
            let is_unread = [&b".debug"[..], b".rel.debug", b".rel.BTF"].iter().any(|n| name.starts_with(n));
            const NOBITS: usize = 8;
            out.resize(out.len().next_multiple_of(8), 0);
            header[0x18..0x20].copy_from_slice(&(out.len() as u64).to_le_bytes());
            if kind == NOBITS {
                continue;
            }
            let kept = match elf.get(from..from + size)? {
                _ if is_unread => Vec::new(),
                section if name.starts_with(b".BTF.ext\0") => without_lines(section)?,
                section => section.to_vec(),
            };
            header[0x20..0x28].copy_from_slice(&(kept.len() as u64).to_le_bytes());
            out.extend_from_slice(&kept);
        }
        out.resize(out.len().next_multiple_of(8), 0);
        let at = out.len() as u64;
        out.get_mut(0x28..0x30)?.copy_from_slice(&at.to_le_bytes());
        out.extend_from_slice(&table);
        Some(out)
    };
    let stripped = stripped().ok_or_else(|| format!("{} is no ELF object", object.display()))?;
    fs::write(object, stripped)?;
    Ok(())
}

/// A section `.BTF.ext` without the lines of its programs' sources, which are a third of an object. Of them the verifier
/// only makes remarks in its log.
fn without_lines(section: &[u8]) -> Option<Vec<u8>> {
    let number = |at: usize| Some(u32::from_le_bytes(section.get(at..at + 4)?.try_into().ok()?));
    // Offsets are those of struct btf_ext_header; what they point at is counted from its end.
    let (header, line_from, line_bytes, relocations) = (number(4)?, number(16)?, number(20)?, number(24)?);
    let (from, to) = ((header + line_from) as usize, (header + line_from + line_bytes) as usize);
    let mut out = [section.get(..from)?, section.get(to..)?].concat();
    out.get_mut(20..24)?.fill(0);
    if relocations > line_from {
        out.get_mut(24..28)?.copy_from_slice(&(relocations - line_bytes).to_le_bytes());
    }
    Some(out)
}

fn clang() -> String {
    env::var("CLANG").unwrap_or_else(|_| "clang".into())
}

fn flags(include: &Path, libbpf: &str, arch: &str) -> Vec<String> {
    let flags = ["-g", "-O2", "-Wall", "-Werror", "-target", "bpf", "-mcpu=v3"].map(str::to_owned);
    let places = [
        format!("-D__TARGET_ARCH_{arch}"),
        format!("-I{}", include.display()),
        format!("-I{libbpf}"),
        // Objects name their sources relatively: the same sources give the same bytes wherever they are built.
        format!("-fdebug-prefix-map={}=.", include.parent().unwrap_or(include).display()),
        "-c".to_owned(),
    ];
    flags.into_iter().chain(places).collect()
}
