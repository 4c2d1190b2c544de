//! What C and Rust share, as Rust: read from the BTF of `shared.bpf.c`, so that it is written in C alone.

use std::{error::Error, fmt::Write};

use btf_rs::{Btf, BtfType, Struct, Type};
use object::{Object, ObjectSection, ObjectSymbol};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The source of the tables, structs, enumerations and values that an object shares: all its maps, and what its variables
/// `__shared_NAME` and `__value_NAME` stand for.
pub(crate) fn source(elf: &[u8]) -> Result<String> {
    let object = object::File::parse(elf)?;
    let section = object.section_by_name(".BTF").ok_or("it has no BTF")?;
    let shared = Shared { btf: Btf::from_bytes(section.data()?)? };
    let (mut tables, mut types, mut values) = (String::new(), String::new(), String::new());
    let (first, last) = shared.btf.base().type_id_range();
    for id in first.max(1)..=last {
        match shared.btf.resolve_type_by_id(id)? {
            Type::Datasec(section) if shared.btf.resolve_name(&section)? == ".maps" => {
                for variable in &section.variables {
                    let Type::Var(map) = shared.pointee(variable)? else { continue };
                    tables += &shared.table(&map)?;
                }
            }
            Type::Var(var) => {
                let name = shared.btf.resolve_name(&var)?;
                if name.starts_with("__shared_") {
                    let Type::Ptr(pointer) = shared.resolved(&var)? else { continue };
                    types += &shared.declared(&pointer)?;
                } else if let Some(value) = name.strip_prefix("__value_") {
                    let number = constant(&object, &name).ok_or_else(|| format!("{name} is no u64 with a value"))?;
                    writeln!(values, "/// `{value}`.\npub(crate) const {value}: u64 = {number};")?;
                }
            }
            _ => {}
        }
    }
    Ok(format!(
        "/// The tables, with their sizes.\npub(crate) mod table {{\nuse super::Table;\n{tables}}}\n{types}{values}"
    ))
}

/// The value of a constant, from the section that it lies in.
fn constant(object: &object::File<'_>, name: &str) -> Option<u64> {
    let symbol = object.symbols().find(|symbol| symbol.name() == Ok(name))?;
    let section = object.section_by_index(symbol.section_index()?).ok()?;
    let data = section.data().ok()?.get(usize::try_from(symbol.address()).ok()?..)?;
    data.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

struct Shared {
    btf: Btf,
}

impl Shared {
    fn pointee(&self, ty: &dyn BtfType) -> Result<Type> {
        Ok(self.btf.resolve_chained_type(ty)?)
    }

    /// What a type refers to, behind typedefs and qualifiers.
    fn resolved(&self, ty: &dyn BtfType) -> Result<Type> {
        let mut of = self.pointee(ty)?;
        loop {
            of = match of {
                Type::Typedef(next) => self.pointee(&next)?,
                Type::Const(next) | Type::Volatile(next) | Type::Restrict(next) => self.pointee(&next)?,
                Type::TypeTag(next) => self.pointee(&next)?,
                other => return Ok(other),
            }
        }
    }

    /// A map, whose struct says with the types of its members what it is: see `__uint` and `__type` of libbpf.
    fn table(&self, map: &btf_rs::Var) -> Result<String> {
        let name = self.btf.resolve_name(map)?;
        let Type::Struct(layout) = self.resolved(map)? else { return Err(format!("map {name} is no struct").into()) };
        let [mut kind, mut key, mut value, mut entries, mut flags] = [0; 5];
        for member in &layout.members {
            let Type::Ptr(pointer) = self.resolved(member)? else { continue };
            match (self.btf.resolve_name(member)?.as_str(), self.resolved(&pointer)?) {
                ("type", Type::Array(number)) => kind = number.len(),
                ("max_entries", Type::Array(number)) => entries = number.len(),
                ("map_flags", Type::Array(number)) => flags = number.len(),
                ("key", ty) => key = self.size(&ty)?,
                ("value", ty) => value = self.size(&ty)?,
                _ => {}
            }
        }
        let constant = name.to_uppercase();
        Ok(format!(
            "/// `{name}`.\npub(crate) const {constant}: Table = Table {{ name: {name:?}, kind: {kind}, key: {key}, \
             value: {value}, entries: {entries}, flags: {flags} }};\n"
        ))
    }

    /// A struct or an enumeration that is shared.
    fn declared(&self, pointer: &btf_rs::Ptr) -> Result<String> {
        match self.resolved(pointer)? {
            Type::Struct(layout) => self.structure(&layout),
            Type::Enum(values) => {
                let name = self.btf.resolve_name(&values)?;
                let mut out = format!("/// `enum {name}`.\npub(crate) mod {name} {{\n");
                for member in &values.members {
                    let (name, value) = (self.btf.resolve_name(member)?, member.val());
                    writeln!(out, "/// `{name}`.\npub(crate) const {}: u32 = {value};", name.to_uppercase())?;
                }
                Ok(out + "}\n")
            }
            other => Err(format!("a {} cannot be shared: only structs and enums can", other.name()).into()),
        }
    }

    fn structure(&self, layout: &Struct) -> Result<String> {
        let (name, size) = (self.btf.resolve_name(layout)?, layout.size());
        let [mut members, mut written, mut read] = [const { String::new() }; 3];
        for member in &layout.members {
            let label = self.btf.resolve_name(member)?;
            let at = member.bit_offset() as usize / 8;
            let (each, count) = match self.resolved(member)? {
                Type::Array(array) => (self.size(&self.resolved(&array)?)?, Some(array.len())),
                other => (self.size(&other)?, None),
            };
            let number = match each {
                1 | 2 | 4 | 8 => format!("u{}", 8 * each),
                _ => return Err(format!("member '{label}' of struct {name} is no number").into()),
            };
            writeln!(members, "/// `{label}`.")?;
            match count {
                None => {
                    writeln!(members, "pub(crate) {label}: {number},")?;
                    writeln!(written, "out[{at}..{}].copy_from_slice(&self.{label}.to_ne_bytes());", at + each)?;
                    writeln!(read, "{label}: {number}::from_ne_bytes(*bytes.get({at}..)?.first_chunk()?),")?;
                }
                Some(count) => {
                    writeln!(members, "pub(crate) {label}: [{number}; {count}],")?;
                    let (mut values, mut end) = (String::new(), at);
                    for index in 0..count {
                        writeln!(
                            written,
                            "out[{end}..{}].copy_from_slice(&self.{label}[{index}].to_ne_bytes());",
                            end + each
                        )?;
                        write!(values, "{number}::from_ne_bytes(*bytes.get({end}..)?.first_chunk()?), ")?;
                        end += each;
                    }
                    writeln!(read, "{label}: [{values}],")?;
                }
            }
        }
        let camel: String = name.split('_').map(capitalised).collect();
        Ok(format!(
            "/// `struct {name}`.\n#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]\npub(crate) struct {camel} {{\n{members}}}\n\
             impl {camel} {{\n\
             /// Its bytes in C.\npub(crate) const SIZE: usize = {size};\n\
             /// As C has it.\npub(crate) fn to_bytes(self) -> [u8; {size}] {{\nlet mut out = [0; {size}];\n{written}out\n}}\n\
             /// As C has written it. None where bytes are missing.\n\
             pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {{\nSome(Self {{\n{read}}})\n}}\n}}\n"
        ))
    }

    fn size(&self, ty: &Type) -> Result<usize> {
        match ty {
            Type::Int(int) => Ok(int.size()),
            Type::Enum(values) => Ok(values.size()),
            Type::Struct(layout) | Type::Union(layout) => Ok(layout.size()),
            Type::Ptr(_) => Ok(8),
            Type::Array(array) => Ok(array.len() * self.size(&self.resolved(array)?)?),
            Type::Typedef(_) | Type::Const(_) | Type::Volatile(_) => {
                self.size(&self.resolved(ty.as_btf_type().ok_or("a type without a name")?)?)
            }
            other => Err(format!("a {} has no size", other.name()).into()),
        }
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}
