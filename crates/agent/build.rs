//! What becomes part of the binary besides code, and how it is linked.

use std::{env, error::Error, fmt::Write as _, fs, path::Path, process::Command};

/// The first glibc whose static programs relocate themselves by a packed table.
const PACKED_SINCE: (u32, u32) = (2, 36);

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    pack_relocations();
    embed_rules()
}

/// Puts the rules that ship into the binary: all files of the `rules` folder.
fn embed_rules() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../rules").canonicalize()?;
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "yaml") {
            println!("cargo::rerun-if-changed={}", path.display());
            names.push(path);
        }
    }
    names.sort();
    let mut code = String::from("const SHIPPED: &[(&str, &str)] = &[\n");
    for path in names {
        let name = path.file_name().and_then(|n| n.to_str()).ok_or("a rule file's name is not UTF-8")?;
        writeln!(code, "    ({:?}, include_str!({:?})),", format!("ethogram/{name}"), path)?;
    }
    code += "];\n";
    fs::write(Path::new(&env::var("OUT_DIR")?).join("rules.rs"), code)?;
    Ok(())
}

fn pack_relocations() {
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|v| v.split(',').any(|part| part == value));
    let is_ours = env::var("HOST").ok() == env::var("TARGET").ok();
    let is_static = is("CARGO_CFG_TARGET_ENV", "gnu") && is("CARGO_CFG_TARGET_FEATURE", "crt-static");
    // 0.3 MB less. An older glibc would start a program that it has not relocated.
    if is_ours && is_static && glibc().is_some_and(|version| version >= PACKED_SINCE) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Of the machine that builds.
fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}
