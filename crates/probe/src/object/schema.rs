//! From an object's BTF to a schema: names, types, offsets, meanings and defaults, none of them written a second time.

use std::{collections::HashMap, sync::Arc};

use ethogram_model::{EventSchema, Field, FieldKind, Param, TrackerSchema, schema::AboutSpec};
use libbpf_rs::{
    AsRawLibbpf, MapType, OpenObject,
    btf::{
        Btf, BtfKind, BtfType, HasSize, ReferencesType, TypeId,
        types::{Array, Composite, DataSec, DeclTag, Enum, Enum64, Int, IntEncoding, MemberAttr, Ptr, Typedef, Var},
    },
};

use super::cycle;
use crate::{
    Error, Manifest,
    kernel::{syscalls, types::essential},
};

/// Members of a struct that is sent, those of the header included.
const MAX_FIELDS: usize = 512;

/// Reads the schema of the tracker `name` from its object.
///
/// # Errors
/// Where the object is not one of a tracker, or its manifest names an event or field that it does not have.
pub(crate) fn read(name: &str, object: &OpenObject, manifest: &Manifest) -> Result<TrackerSchema, Error> {
    let bad = |problem: String| Error::BadObject { origin: format!("object of tracker '{name}'"), problem };
    let btf = btf_of(object).ok_or_else(|| bad("has no BTF; compile it with clang -g".into()))?;
    if cycle::holds_itself(&btf) {
        return Err(bad("has types in its BTF that hold themselves; compile it anew with clang -g".into()));
    }
    let tags = Tags::collect(&btf);
    let mut events = Vec::new();
    for var in btf.type_by_kind::<Var<'_>>() {
        let var_name = text(var.name());
        let (sample, event) = match (var_name.strip_prefix("__event_"), var_name.strip_prefix("__sample_")) {
            (Some(event), _) => (false, event),
            (_, Some(event)) => (true, event),
            _ => continue,
        };
        let code = tags.get(var.type_id(), None, "code:").and_then(|c| c.parse().ok());
        let code = code.ok_or_else(|| bad(format!("event '{event}' has no code; declare it with EVENT or SAMPLE")))?;
        let body = pointee(&var).ok_or_else(|| bad(format!("event '{event}' is not a struct")))?;
        let mut fields = Vec::new();
        flatten(&btf, &body, 0, false, &tags, &mut fields).map_err(|e| bad(format!("event '{event}': {e}")))?;
        let mut size = body.size();
        if sample {
            let key = btf
                .type_by_kind::<Var<'_>>()
                .find(|v| text(v.name()) == format!("__key_{event}"))
                .and_then(|v| pointee(&v))
                .ok_or_else(|| bad(format!("sample '{event}' has no key; declare it with SAMPLE")))?;
            flatten(&btf, &key, size, false, &tags, &mut fields).map_err(|e| bad(format!("key of '{event}': {e}")))?;
            size += key.size();
        }
        if fields.first().is_none_or(|f| f.name != "_time") {
            return Err(bad(format!("event '{event}' does not begin with a struct event_header")));
        }
        let behaviours: Vec<_> = manifest.behaviour.iter().filter(|b| b.event == event).cloned().collect();
        let own = fields.iter().filter(|field| !field.header && !field.name.starts_with('_'));
        let truncated: Vec<_> = own.filter_map(Field::truncated).collect();
        fields.extend(truncated);
        let rules = manifest.rules.iter().find(|r| r.event == event).cloned();
        let by_rules = rules
            .iter()
            .flat_map(|r| r.fields.values().chain(&r.type_from).chain(r.policy_field.iter().map(|p| &p.field)));
        for field in behaviours
            .iter()
            .flat_map(|b| b.object.iter().chain(&b.when).chain(&b.unless).chain(&b.from))
            .chain(by_rules)
        {
            if !fields.iter().any(|f| &f.name == field) {
                return Err(Error::BadManifest {
                    tracker: name.into(),
                    problem: format!("event '{event}' has no field '{field}'"),
                });
            }
        }
        let (tracker, event_name) = (Arc::from(name), Arc::from(event));
        let about = Some(about(manifest, &fields));
        let layout = Default::default();
        let name = event_name;
        let event = EventSchema { tracker, name, code, size, sample, fields, behaviours, rules, about, layout };
        // Found now, so that no event waits for it.
        event.layout();
        events.push(Arc::new(event));
    }
    if events.is_empty() {
        return Err(bad("declares no EVENT and no SAMPLE; see crates/probe/include/tracker.bpf.h".into()));
    }
    events.sort_by_key(|e| e.code);
    if let Some(event) = manifest.serves.values().flatten().find(|name| !events.iter().any(|e| *e.name == ***name)) {
        let problem = format!("'serves' names the event '{event}', which there is not");
        return Err(Error::BadManifest { tracker: name.into(), problem });
    }
    let named = manifest.behaviour.iter().map(|b| &b.event).chain(manifest.rules.iter().map(|r| &r.event));
    if let Some(name_of_none) = named.into_iter().find(|name| !events.iter().any(|e| *e.name == ***name)) {
        return Err(Error::BadManifest {
            tracker: name.into(),
            problem: format!("there is no event '{name_of_none}'"),
        });
    }
    if let Some(field) = field_of_none(manifest, &events) {
        let problem = format!("no event has the field '{field}'");
        return Err(Error::BadManifest { tracker: name.into(), problem });
    }
    Ok(TrackerSchema {
        name: name.into(),
        summary: manifest.summary.clone(),
        default: manifest.default,
        role: manifest.role,
        events,
        params: params(object, &btf, &tags).map_err(bad)?,
    })
}

/// The types that the object has, by what their names begin with: those of the kernel among them are looked up by these names.
pub(crate) fn type_names(object: &OpenObject) -> Vec<String> {
    let Some(btf) = btf_of(object) else { return Vec::new() };
    let composites = btf.type_by_kind::<Composite<'_>>().map(|c| text(c.name()));
    let enums = btf.type_by_kind::<Enum<'_>>().map(|e| text(e.name()));
    let wide = btf.type_by_kind::<Enum64<'_>>().map(|e| text(e.name()));
    let aliases = btf.type_by_kind::<Typedef<'_>>().map(|t| text(t.name()));
    let names = composites.chain(enums).chain(wide).chain(aliases).filter(|name| !name.is_empty());
    names.map(|name| essential(&name).to_owned()).collect()
}

/// The object's BTF, with the offsets of its data sections filled in by libbpf.
pub(crate) fn btf_of(object: &OpenObject) -> Option<Btf<'_>> {
    // SAFETY: the pointer is that of an open object, valid and not changed as long as `object` is borrowed.
    let raw = unsafe { object.as_libbpf_object().as_ref() };
    Btf::from_bpf_object(raw).ok().flatten()
}

/// Offset of each variable in the section `.rodata`.
pub(crate) fn rodata_offsets(btf: &Btf<'_>) -> HashMap<String, (usize, usize)> {
    let mut offsets = HashMap::new();
    for section in btf.type_by_kind::<DataSec<'_>>().filter(|s| text(s.name()) == ".rodata") {
        for info in section.iter() {
            if let Some(var) = btf.type_by_id::<Var<'_>>(info.ty) {
                offsets.insert(text(var.name()), (info.offset as usize, info.size));
            }
        }
    }
    offsets
}

/// The members of a struct that holds nothing but u64 counters, in order, with their offsets.
pub(crate) fn counter_names(btf: &Btf<'_>, variable: &str) -> Vec<(String, usize)> {
    let var = btf.type_by_kind::<Var<'_>>().find(|v| text(v.name()) == variable);
    let Some(body) = var.and_then(|v| pointee(&v)) else { return Vec::new() };
    body.iter()
        .filter_map(|m| match m.attr {
            MemberAttr::Normal { offset } => Some((text(m.name), offset as usize / 8)),
            MemberAttr::BitField { .. } => None,
        })
        .collect()
}

/// A field that the manifest says events are about, and none has.
fn field_of_none<'m>(manifest: &'m Manifest, events: &[Arc<EventSchema>]) -> Option<&'m String> {
    let of_names = manifest.names.iter().flat_map(|names| [&names.name, &names.addresses]);
    manifest.about.iter().chain(of_names).find(|name| events.iter().all(|event| event.field(name).is_none()))
}

/// What an event with these fields is about.
fn about(manifest: &Manifest, fields: &[Field]) -> AboutSpec {
    let has = |name: &String| fields.iter().any(|f| f.name == *name);
    AboutSpec {
        fields: manifest.about.iter().filter(|name| has(name)).cloned().collect(),
        names: manifest.names.clone().filter(|names| has(&names.name) && has(&names.addresses)),
    }
}

fn params(object: &OpenObject, btf: &Btf<'_>, tags: &Tags) -> Result<Vec<Param>, String> {
    let offsets = rodata_offsets(btf);
    let rodata =
        object.maps().find(|m| m.map_type() == MapType::Array && m.name().to_string_lossy().ends_with(".rodata"));
    let data = rodata.as_ref().and_then(|m| m.initial_value()).unwrap_or_default();
    let mut params = Vec::new();
    for var in btf.type_by_kind::<Var<'_>>() {
        let Some(doc) = tags.get(var.type_id(), None, "param:") else { continue };
        let name = text(var.name());
        let &(offset, size) = offsets.get(&name).ok_or_else(|| format!("parameter '{name}' is not in .rodata"))?;
        let bytes =
            data.get(offset..offset + size).ok_or_else(|| format!("parameter '{name}' lies outside .rodata"))?;
        let (alias, base) = resolve(var.referenced_type());
        let signed = Int::try_from(base).is_ok_and(|i| matches!(i.encoding, IntEncoding::Signed));
        let raw = bytes.iter().take(8).rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
        let unused = 64 - 8 * size.clamp(1, 8) as u32;
        let default = if signed { i128::from((raw << unused) as i64 >> unused) } else { i128::from(raw) };
        let boolean = alias.as_deref() == Some("bool8");
        params.push(Param { name, doc: doc.into(), size, offset, signed, boolean, default });
    }
    Ok(params)
}

/// Adds the fields of a struct at `base` to `out`; those of the embedded header first.
fn flatten(
    btf: &Btf<'_>,
    body: &Composite<'_>,
    base: usize,
    header: bool,
    tags: &Tags,
    out: &mut Vec<Field>,
) -> Result<(), String> {
    for (index, member) in body.iter().enumerate() {
        let label = text(member.name);
        let MemberAttr::Normal { offset } = member.attr else {
            return Err(format!("'{label}' is a bit field; use a whole type"));
        };
        let offset = base + offset as usize / 8;
        let ty = body.type_id();
        let Some(member_type) = btf.type_by_id(member.ty) else { continue };
        let (alias, resolved) = resolve(member_type);
        if let Ok(inner) = Composite::try_from(resolved)
            && let name = text(inner.name())
            && matches!(name.as_str(), "event_header" | "file_identity")
        {
            if header {
                return Err(format!("struct event_header has a struct {name} in it"));
            }
            flatten(btf, &inner, offset, name == "event_header", tags, out)?;
            continue;
        }
        let (kind, size) =
            kind_of(alias.as_deref(), resolved).ok_or_else(|| format!("'{label}' has no type that can be read"))?;
        let tag = |prefix| tags.get(ty, Some(index as u32), prefix);
        let name = tag("name:").map_or_else(|| label.clone(), str::to_owned);
        let doc = tag("doc:").unwrap_or_default().into();
        let syscalls = matches!(alias.as_deref(), Some("syscall_number" | "syscall_set")).then(syscalls::names);
        let set = alias.as_deref().and_then(|a| set_of(btf, a));
        let (kind, names) = match (syscalls, set, Enum::try_from(resolved)) {
            (Some(names), ..) => (kind, names),
            (None, Some(names), _) => (FieldKind::Flags, names),
            (None, None, Ok(values)) => (kind, enumerators(&values)),
            (None, None, Err(_)) => (kind, Vec::new()),
        };
        let habit_key = tag("habit key").is_some();
        if out.len() >= MAX_FIELDS {
            return Err(format!("has more than {MAX_FIELDS} members"));
        }
        out.push(Field { name, label, kind, offset, size, doc, names, habit_key, header });
    }
    Ok(())
}

/// An enum's values and their names, without the name of the enum that they may begin with; system calls by theirs.
fn enumerators(names: &Enum<'_>) -> Vec<(u64, String)> {
    let own = text(names.name());
    let prefix = if own.ends_with("_calls") { "SYS_".to_owned() } else { format!("{own}_") };
    let short = |name: String| name.strip_prefix(&prefix).map(str::to_owned).unwrap_or(name);
    names.iter().map(|m| (m.value as u64 & u64::from(u32::MAX), short(text(m.name)))).collect()
}

/// The members of a set, each a bit, where `alias` is a typedef that the object declares with SET: the enum numbers them.
fn set_of(btf: &Btf<'_>, alias: &str) -> Option<Vec<(u64, String)>> {
    let variable = format!("__set_{}", alias.strip_suffix("_set")?);
    let var = btf.type_by_kind::<Var<'_>>().find(|v| text(v.name()) == variable)?;
    let pointer = Ptr::try_from(var.referenced_type().skip_mods_and_typedefs()).ok()?;
    let bits = enumerators(&Enum::try_from(pointer.referenced_type().skip_mods_and_typedefs()).ok()?);
    Some(bits.into_iter().filter_map(|(bit, name)| Some((1u64.checked_shl(u32::try_from(bit).ok()?)?, name))).collect())
}

fn kind_of(alias: Option<&str>, ty: BtfType<'_>) -> Option<(FieldKind, usize)> {
    let size = size_of(ty)?;
    let kind = match alias {
        Some("bool8") => FieldKind::Bool,
        Some("str_ref") => FieldKind::Str,
        Some("path_ref") => FieldKind::Path,
        Some("path_at") => FieldKind::PathAt,
        Some("requested_path") => FieldKind::RequestedPath,
        Some("path_buf") => FieldKind::PathBuf,
        Some("args_ref") => FieldKind::Args,
        Some("ip_address") => FieldKind::Ip,
        Some("duration_ns") => FieldKind::Duration,
        Some("error_number") => FieldKind::Errno,
        Some("open_flags") => FieldKind::OpenFlags,
        Some("file_type") => FieldKind::FileType,
        Some("file_mode") => FieldKind::FileMode,
        Some("signal_number") => FieldKind::Signal,
        Some("optional_id") => FieldKind::Id,
        Some("syscall_number") => FieldKind::Name,
        Some("syscall_set") => FieldKind::Names,
        _ => {
            if Enum::try_from(ty).is_ok() {
                if alias.is_some_and(|a| a.ends_with("_flags")) { FieldKind::Flags } else { FieldKind::Name }
            } else if Array::try_from(ty).is_ok() {
                FieldKind::Text
            } else if let Ok(int) = Int::try_from(ty) {
                match int.encoding {
                    IntEncoding::Signed => FieldKind::Signed,
                    IntEncoding::Bool => FieldKind::Bool,
                    _ => FieldKind::Unsigned,
                }
            } else {
                return None;
            }
        }
    };
    Some((kind, size))
}

fn size_of(ty: BtfType<'_>) -> Option<usize> {
    if let Ok(array) = Array::try_from(ty) {
        return array.capacity().checked_mul(size_of(array.contained_type().skip_mods_and_typedefs())?);
    }
    if let Ok(int) = Int::try_from(ty) {
        return Some(usize::from(int.bits).div_ceil(8));
    }
    if let Ok(names) = Enum::try_from(ty) {
        return Some(names.size());
    }
    Composite::try_from(ty).ok().map(|c| c.size())
}

/// Follows const, volatile and typedefs; returns the typedef that carries the meaning, and the type below.
fn resolve(mut ty: BtfType<'_>) -> (Option<String>, BtfType<'_>) {
    let mut alias = None;
    while ty.is_mod() || ty.kind() == BtfKind::Typedef {
        if alias.is_none() && ty.kind() == BtfKind::Typedef {
            alias = Some(text(ty.name()));
        }
        match ty.next_type() {
            Some(next) => ty = next,
            None => break,
        }
    }
    (alias, ty)
}

fn pointee<'b>(var: &Var<'b>) -> Option<Composite<'b>> {
    let pointer = Ptr::try_from(var.referenced_type().skip_mods_and_typedefs()).ok()?;
    Composite::try_from(pointer.referenced_type().skip_mods_and_typedefs()).ok()
}

fn text(name: Option<&std::ffi::OsStr>) -> String {
    name.map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// All declaration tags, by the type and the member that they stand at.
struct Tags(HashMap<(TypeId, Option<u32>), Vec<String>>);

impl Tags {
    fn collect(btf: &Btf<'_>) -> Self {
        let mut tags: HashMap<_, Vec<_>> = HashMap::new();
        for tag in btf.type_by_kind::<DeclTag<'_>>() {
            tags.entry((tag.referenced_type_id(), tag.component_index())).or_default().push(text(tag.name()));
        }
        Self(tags)
    }

    fn get(&self, ty: TypeId, member: Option<u32>, prefix: &str) -> Option<&str> {
        self.0.get(&(ty, member))?.iter().find_map(|t| t.strip_prefix(prefix))
    }
}
