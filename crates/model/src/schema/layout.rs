//! Where the parts of a record lie that every event is asked for: found once for each schema, and read by offset from then on.

use std::sync::OnceLock;

use crate::{EventSchema, Field, FieldKind};

/// Where a schema has what every event is asked for.
#[derive(Debug, Default)]
pub struct Layout {
    /// When it happened, nanoseconds since boot.
    pub time: Slot,
    /// The cgroup in which it happened.
    pub cgroup: Slot,
    /// When the process started, nanoseconds since boot.
    pub process_start: Slot,
    /// The process's id in the host's namespace.
    pub pid: Slot,
    /// The thread's.
    pub thread_id: Slot,
    /// The parent's.
    pub parent_pid: Slot,
    /// Its real user.
    pub user_id: Slot,
    /// What stands for who did what to what.
    pub habit: Slot,
    /// What stands for the file that it is about, and how that is used.
    pub object: Slot,
    /// The place among the schema's fields of the thread's name.
    pub thread_name: Option<usize>,
    /// The places among the schema's fields of those that hold arguments or variables.
    pub args: Vec<usize>,
    /// Which file it is about.
    pub file: FileSlots,
    /// The place among the schema's fields of the path that this file has.
    pub file_path: Option<usize>,
    /// And of the guarded path by which it is known.
    pub guarded_path: Option<usize>,
    /// Whether that file gets another path.
    pub is_move: bool,
    /// Whether something is mounted at that path.
    pub is_mount: bool,
    /// The paths of its files, each with where that lies.
    pub real_paths: Vec<(usize, usize)>,
    /// Whether these are only as the process asked for them, so that the kernel does not say where they lie.
    pub is_unresolved: Option<usize>,
    /// Whether they lie in the host's tree.
    pub is_of_host: Option<usize>,
    /// The behaviours that such an event can show.
    pub behaviours: Vec<BehaviourLayout>,
    /// Those that only many of such events show.
    pub bulk_behaviours: Vec<BehaviourLayout>,
    /// The fields of which the first that holds a text says what the event is about.
    pub about: Vec<usize>,
    /// The address and the port of the other end.
    pub peer: Option<(usize, usize)>,
    /// The own address.
    pub local_address: Option<usize>,
    /// The fields that say what addresses are called: the name, and the addresses.
    pub names: Option<(usize, usize)>,
}

/// Paths, each with the field that says where it lies where a mount or a changed root gives it another path.
const REAL_PATHS: [(&str, &str); 3] = [
    ("file.path", "file.real_path"),
    ("file.new_path", "file.new_real_path"),
    ("file.link.target_path", "file.link.real_target_path"),
];

/// What events are about where their schemas, of earlier agents, do not say.
const ABOUT_BEFORE: [&str; 5] =
    ["file.path", "process.executable.path", "dns.question.name", "mount.source", "module.name"];
/// And where they say what addresses are called.
const NAMES_BEFORE: (&str, &str) = ("dns.question.name", "dns.answers");

/// A number of a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Slot {
    offset: usize,
    /// Zero where there is no such number.
    size: usize,
    /// Whether all ones stand for none.
    is_optional: bool,
}

/// Where a schema has which file an event is about.
#[derive(Debug, Default)]
pub struct FileSlots {
    /// The number of its inode.
    pub inode: Slot,
    /// The device of its file system.
    pub device: Slot,
    /// The inode's generation.
    pub generation: Slot,
    /// How many names it has.
    pub names: Slot,
}

/// A behaviour of the manifest with its fields by their places in the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BehaviourLayout {
    /// Which of the schema's behaviours it is.
    pub spec: usize,
    /// The field that must be true.
    pub when: Option<usize>,
    /// The field that must be false.
    pub unless: Option<usize>,
    /// The field with the path that it had before.
    pub from: Option<usize>,
    /// The fields that name the object.
    pub object: Vec<usize>,
    /// The object, where it is a path, and the field that says where that lies.
    pub real_path: Option<(usize, usize)>,
    /// The field with the guarded path by which the object is known.
    pub guarded_path: Option<usize>,
}

impl Slot {
    fn of(schema: &EventSchema, name: &str) -> Self {
        let field = schema.field(name).filter(|f| matches!(f.kind, FieldKind::Unsigned | FieldKind::Id));
        field.map_or_else(Self::default, |Field { offset, size, kind, .. }| Self {
            offset: *offset,
            size: *size,
            is_optional: *kind == FieldKind::Id,
        })
    }

    /// The number that a record has there.
    pub fn read(&self, record: &[u8]) -> Option<u64> {
        if self.size == 0 {
            return None;
        }
        let bytes = record.get(self.offset..)?.get(..self.size)?;
        if self.is_optional && bytes.iter().all(|byte| *byte == u8::MAX) {
            return None;
        }
        Some(unsigned(bytes))
    }
}

/// A number of up to eight bytes. Records never leave the machine that wrote them, but a recording does: they are
/// little-endian by definition.
pub(crate) fn unsigned(bytes: &[u8]) -> u64 {
    if let Ok(eight) = bytes.try_into() {
        return u64::from_le_bytes(eight);
    }
    if let Ok(four) = bytes.try_into() {
        return u64::from(u32::from_le_bytes(four));
    }
    bytes.iter().take(8).rev().fold(0, |n, b| n << 8 | u64::from(*b))
}

impl Layout {
    fn of(schema: &EventSchema) -> Self {
        let slot = |name| Slot::of(schema, name);
        let place = |name: &str| schema.fields.iter().position(|f| f.name == name);
        let real_paths: Vec<_> =
            REAL_PATHS.iter().filter_map(|(path, real)| Some((place(path)?, place(real)?))).collect();
        // Of a link, the file is its target.
        let file_path = place("file.link.target_path").or(place("file.path"));
        let guarded_path = place("file.guarded_path");
        let all = schema.behaviours.iter().enumerate();
        let behaviours = all.filter(|(_, spec)| *spec.event == *schema.name).filter_map(|(index, spec)| {
            // A field that there is not is never true.
            let when = match &spec.when {
                Some(field) => Some(place(field)?),
                None => None,
            };
            let unless = spec.unless.as_deref().and_then(place);
            let from = spec.from.as_deref().and_then(place);
            let object: Vec<_> = spec.object.iter().filter_map(|field| place(field)).collect();
            let path = object.first();
            let real_path = real_paths.iter().find(|(of, _)| Some(of) == path).copied();
            let guarded_path = guarded_path.filter(|_| path.is_some() && path.copied() == file_path);
            Some(BehaviourLayout { spec: index, when, unless, from, object, real_path, guarded_path })
        });
        let is_bulk = |layout: &BehaviourLayout| schema.behaviours[layout.spec].kind.is_bulk();
        let (bulk_behaviours, behaviours) = behaviours.partition(is_bulk);
        let both = |(one, other): (&str, &str)| Some((place(one)?, place(other)?));
        let (about, names) = match &schema.about {
            Some(about) => {
                let names = about.names.as_ref().map(|names| (names.name.as_str(), names.addresses.as_str()));
                (about.fields.iter().filter_map(|field| place(field)).collect(), names)
            }
            None => (ABOUT_BEFORE.iter().filter_map(|field| place(field)).collect(), Some(NAMES_BEFORE)),
        };
        Self {
            time: slot("_time"),
            cgroup: slot("_cgroup"),
            process_start: slot("_process_start"),
            pid: slot("process.pid"),
            thread_id: slot("thread.id"),
            parent_pid: slot("process.parent_pid"),
            user_id: slot("process.user.id"),
            habit: slot("_habit"),
            object: slot("_object"),
            thread_name: place("process.executable.name"),
            args: (0..).zip(&schema.fields).filter(|(_, f)| f.kind == FieldKind::Args).map(|(at, _)| at).collect(),
            file: FileSlots {
                inode: slot("_inode"),
                device: slot("_device"),
                generation: slot("_generation"),
                names: slot("_names"),
            },
            file_path,
            guarded_path,
            is_move: place("file.new_path").is_some(),
            is_mount: place("mount.source_path").is_some(),
            real_paths,
            is_unresolved: place("file.path_unresolved"),
            is_of_host: place("file.host"),
            behaviours,
            bulk_behaviours,
            about,
            peer: both(("network.peer.address", "network.peer.port")),
            local_address: place("network.local.address"),
            names: names.and_then(both),
        }
    }
}

/// A schema's layout, found when it is asked for first. A copy of a schema, which may be changed, finds its own.
#[derive(Debug, Default)]
pub struct LazyLayout(OnceLock<Layout>);

impl LazyLayout {
    pub(crate) fn get(&self, schema: &EventSchema) -> &Layout {
        self.0.get_or_init(|| Layout::of(schema))
    }
}

impl Clone for LazyLayout {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for LazyLayout {
    /// It follows from the schema, and is no part of what makes two schemas differ.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{AboutSpec, NameFields};

    #[test]
    fn numbers_are_read_where_the_record_has_them() {
        let slot = Slot { offset: 2, size: 4, is_optional: true };
        assert_eq!(slot.read(&[9, 9, 1, 2, 0, 0]), Some(0x201));
        assert_eq!(slot.read(&[9, 9, 1, 2, 0]), None, "too short");
        assert_eq!(slot.read(&[9, 9, 255, 255, 255, 255]), None, "none");
        assert_eq!(Slot { is_optional: false, ..slot }.read(&[9, 9, 255, 255, 255, 255]), Some(0xffff_ffff));
        assert_eq!(Slot::default().read(&[1; 16]), None, "no such field");
        assert_eq!(Slot { offset: usize::MAX, ..slot }.read(&[1; 16]), None);
    }

    #[test]
    fn what_an_event_is_about_follows_from_the_manifest_or_from_what_was_so_before_it_said() {
        let field = |name: &str| Field {
            name: name.into(),
            label: name.into(),
            kind: FieldKind::Str,
            offset: 0,
            size: 4,
            doc: String::new(),
            names: Vec::new(),
            habit_key: false,
            header: false,
        };
        let schema = |about| EventSchema {
            tracker: "t".into(),
            name: "e".into(),
            code: 1,
            size: 4,
            sample: false,
            fields: ["module.name", "dns.answers", "file.path", "dns.question.name"].map(field).into(),
            behaviours: Vec::new(),
            rules: None,
            about,
            layout: LazyLayout::default(),
        };
        let layout = |about| {
            let schema = schema(about);
            (schema.layout().about.clone(), schema.layout().names)
        };
        assert_eq!(layout(None), (vec![2, 3, 0], Some((3, 1))));
        assert_eq!(layout(Some(AboutSpec::default())), (Vec::new(), None));
        let names = NameFields { name: "module.name".into(), addresses: "file.path".into() };
        let about = AboutSpec { fields: vec!["dns.answers".into(), "other".into()], names: Some(names) };
        assert_eq!(layout(Some(about)), (vec![1], Some((0, 2))));
        let read: EventSchema = serde_json::from_value(serde_json::to_value(schema(None)).unwrap()).unwrap();
        assert_eq!(read.about, None);
    }

    #[test]
    fn numbers_have_up_to_eight_bytes() {
        for length in 0..=8 {
            let bytes: Vec<u8> = (1..=length).collect();
            let expected = bytes.iter().rev().fold(0, |n: u64, b| n << 8 | u64::from(*b));
            assert_eq!(unsigned(&bytes), expected, "{length}");
        }
    }
}
