//! The smallest object that libbpf opens, around given types.

const EM_BPF: u16 = 247;
const ET_REL: u16 = 1;
const SHT_PROGBITS: u32 = 1;
const SHT_SYMTAB: u32 = 2;
const SHT_STRTAB: u32 = 3;
const SHF_ALLOC: u64 = 2;
const HEAD: u64 = 64;
const SECTION: u16 = 64;
const SYMBOL: u64 = 24;
const NAMES: &[u8] = b"\0.strtab\0.symtab\0license\0.rodata\0.BTF\0";

/// An object whose BTF has these types and strings.
pub fn with_types(types: &[u8], strings: &[u8]) -> Vec<u8> {
    let mut btf = vec![0x9f, 0xeb, 1, 0];
    // The head's size; where the types begin and how many bytes they are; the same of the strings.
    for number in [24, 0, types.len(), types.len(), strings.len() + 2] {
        btf.extend((number as u32).to_le_bytes());
    }
    btf.extend(types);
    // They begin and end with a NUL.
    btf.push(0);
    btf.extend(strings);
    btf.push(0);

    let rodata = [0x11; 64];
    let sections: [(&str, u32, u64, &[u8]); 5] = [
        (".strtab", SHT_STRTAB, 0, NAMES),
        (".symtab", SHT_SYMTAB, 0, &[0; SYMBOL as usize]),
        ("license", SHT_PROGBITS, 0, b"GPL\0"),
        (".rodata", SHT_PROGBITS, SHF_ALLOC, &rodata),
        (".BTF", SHT_PROGBITS, 0, &btf),
    ];
    let mut heads = vec![0; usize::from(SECTION)];
    let mut data = Vec::new();
    for (name, kind, flags, bytes) in sections {
        let at = NAMES.windows(name.len()).position(|w| w == name.as_bytes()).expect("it is among them");
        let is_symbols = kind == SHT_SYMTAB;
        for number in [at as u32, kind] {
            heads.extend(number.to_le_bytes());
        }
        for number in [flags, 0, HEAD + data.len() as u64, bytes.len() as u64] {
            heads.extend(number.to_le_bytes());
        }
        // Of symbols: where their strings are, and the first that is global.
        heads.extend(u32::from(is_symbols).to_le_bytes());
        heads.extend(u32::from(is_symbols).to_le_bytes());
        for number in [8, if is_symbols { SYMBOL } else { 0 }] {
            heads.extend(number.to_le_bytes());
        }
        data.extend(bytes);
        data.resize(data.len().next_multiple_of(8), 0);
    }

    let mut object = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for number in [ET_REL, EM_BPF, 1, 0] {
        object.extend(number.to_le_bytes());
    }
    for number in [0, 0, HEAD + data.len() as u64] {
        object.extend(number.to_le_bytes());
    }
    for number in [0, 0, HEAD as u16, 0, 0, SECTION, sections.len() as u16 + 1, 1] {
        object.extend(number.to_le_bytes());
    }
    object.extend(data);
    object.extend(heads);
    object
}
