//! An object without what only debuggers and linkers read. The types that the agent and the kernel read are in BTF, and
//! DWARF would be half of the binary.

use std::error::Error;

use object::{
    build::elf::{Builder, SectionData},
    elf::SHT_STRTAB,
};

pub(crate) fn stripped(elf: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut builder = Builder::read(elf)?;
    for section in &mut builder.sections {
        let name = section.name.as_slice();
        section.delete = [&b".debug"[..], b".rel.debug", b".rel.BTF"].iter().any(|unread| name.starts_with(unread));
        if name == b".BTF.ext"
            && let SectionData::Data(data) = &section.data
        {
            let kept = without_lines(data.as_slice()).ok_or("its section .BTF.ext is cut")?;
            section.data = SectionData::Data(kept.into());
        }
    }
    builder.delete_orphans();
    // Clang has the names of sections and of symbols in one table; the builder keeps them apart.
    let names = builder.sections.add();
    (names.name, names.sh_type, names.data) = (b".shstrtab"[..].into(), SHT_STRTAB, SectionData::SectionString);
    names.sh_addralign = 1;
    builder.set_section_sizes();
    let mut out = Vec::new();
    builder.write(&mut out)?;
    Ok(out)
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
