//! Compiles every `trackers/*/tracker.bpf.c` and lists the results: a tracker's folder is all that a tracker needs.
#![allow(clippy::print_stdout)] // That is how a build speaks to cargo.

mod shared;
mod strip;

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
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rerun-if-changed=include");
    println!("cargo:rerun-if-changed=shared.bpf.c");
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
    let object = out.join("shared.bpf.o");
    compile(&root.join("shared.bpf.c"), &object, &root.join("include"), &libbpf, arch)?;
    let source = shared::source(&fs::read(&object)?).map_err(|e| format!("shared.bpf.c: {e}"))?;
    fs::write(out.join("shared.rs"), source)?;
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
    let elf = strip::stripped(&fs::read(object)?).map_err(|e| format!("{}: {e}", object.display()))?;
    fs::write(object, elf)?;
    Ok(())
}

fn clang() -> String {
    env::var("CLANG").unwrap_or_else(|_| "clang".into())
}

fn flags(include: &Path, libbpf: &str, arch: &str) -> Vec<String> {
    let flags = ["-g", "-fno-addrsig", "-O2", "-Wall", "-Werror", "-target", "bpf", "-mcpu=v3"].map(str::to_owned);
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
