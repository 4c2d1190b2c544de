//! Puts the rules that ship into the binary: all files of the `rules` folder.

use std::{env, fmt::Write as _, fs, path::Path};

fn main() -> Result<(), Box<dyn std::error::Error>> {
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
