//! Whether types of an object hold themselves. No compiler makes such, and to follow them would never end.

use libbpf_rs::btf::{
    Btf, BtfKind, BtfType, TypeId,
    types::{Array, Composite},
};

/// Whether a type holds itself by value: through names for types, qualifiers, arrays and members, but not through a pointer.
pub(crate) fn holds_itself(btf: &Btf<'_>) -> bool {
    let mut seen = vec![Seen::Not; btf.len() + 1];
    let mut path: Vec<(TypeId, Vec<TypeId>)> = Vec::new();
    for root in (0..).map(TypeId::from).take(seen.len()) {
        path.push((root, held(btf, root)));
        while let Some((id, held_by_it)) = path.last_mut() {
            let (id, next) = (*id, held_by_it.pop());
            match next {
                None => {
                    mark(&mut seen, id, Seen::Wholly);
                    path.pop();
                }
                Some(next) => match seen.get(place(next)) {
                    Some(Seen::OnTheWay) => return true,
                    Some(Seen::Not) => {
                        mark(&mut seen, next, Seen::OnTheWay);
                        path.push((next, held(btf, next)));
                    }
                    Some(Seen::Wholly) | None => {}
                },
            }
        }
    }
    false
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Not,
    OnTheWay,
    Wholly,
}

fn place(id: TypeId) -> usize {
    u32::from(id) as usize
}

fn mark(seen: &mut [Seen], id: TypeId, as_what: Seen) {
    if let Some(seen) = seen.get_mut(place(id)) {
        *seen = as_what;
    }
}

/// What a type holds by value.
fn held(btf: &Btf<'_>, id: TypeId) -> Vec<TypeId> {
    let Some(ty) = btf.type_by_id::<BtfType<'_>>(id) else { return Vec::new() };
    if ty.is_mod() || ty.kind() == BtfKind::Typedef {
        return ty.next_type().map(|next| next.type_id()).into_iter().collect();
    }
    if let Ok(array) = Array::try_from(ty) {
        return vec![array.contained_type().type_id()];
    }
    Composite::try_from(ty).map(|body| body.iter().map(|member| member.ty).collect()).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::{Manifest, TrackerObject, builtin};

    /// Where the types of an object's BTF begin, and how many bytes they are.
    fn types(object: &[u8]) -> (usize, usize) {
        let begin = object.windows(8).position(|w| w == [0x9f, 0xeb, 1, 0, 24, 0, 0, 0]).unwrap();
        let word = |at: usize| u32::from_le_bytes(object[begin + at..begin + at + 4].try_into().unwrap()) as usize;
        (begin + word(4) + word(8), word(12))
    }

    /// The object over and over, each time with another type of that kind referring to itself.
    fn with_a_cycle(object: &[u8], wanted: u32) -> Vec<Vec<u8>> {
        let (begin, length) = types(object);
        let word = |at: usize| u32::from_le_bytes(object[at..at + 4].try_into().unwrap());
        let (mut at, mut id, mut all) = (begin, 1_u32, Vec::new());
        while at < begin + length {
            let info = word(at + 4);
            let (kind, count) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
            if kind == wanted {
                let mut changed = object.to_vec();
                changed[at + 8..at + 12].copy_from_slice(&id.to_le_bytes());
                all.push(changed);
            }
            at += 12
                + match kind {
                    1 | 14 | 17 => 4,
                    3 => 12,
                    4 | 5 | 15 | 19 => 12 * count,
                    6 | 13 => 8 * count,
                    _ => 0,
                };
            id += 1;
        }
        all
    }

    /// How many of the objects are refused since their types hold themselves. libbpf refuses some itself.
    fn refused(objects: &[Vec<u8>]) -> usize {
        let problem = |object: &Vec<u8>| TrackerObject::new("changed", object, Manifest::default()).err();
        objects.iter().filter_map(problem).filter(|error| error.to_string().contains("hold themselves")).count()
    }

    #[test]
    fn an_object_whose_types_hold_themselves_is_refused() {
        const TYPEDEF: u32 = 8;
        const POINTER: u32 = 2;
        let tracker = builtin().unwrap().into_iter().find(|t| &*t.schema.name == "open").unwrap();
        let bytes = &*tracker.elf.bytes("open").unwrap();
        let typedefs = with_a_cycle(bytes, TYPEDEF);
        assert!(refused(&typedefs) > typedefs.len() / 2, "{} of {}", refused(&typedefs), typedefs.len());
        // A pointer to itself holds only an address.
        assert_eq!(refused(&with_a_cycle(bytes, POINTER)), 0);
    }
}
