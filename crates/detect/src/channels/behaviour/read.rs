//! What an event shows: who did what to what, with the accidental taken out.

use std::{borrow::Cow, net::IpAddr, sync::LazyLock};

use ethogram_model::{
    BehaviourSpec, BehaviourWords, Container, Event, ObjectKind, Process, Severity, Value, layout::BehaviourLayout,
};

use super::{code, earlier, peers, places, reader::Reader, template};
use crate::{
    learning::Seen,
    subject::{
        names::Names,
        normalise,
        program::{
            OUTSIDE, UNKNOWN, as_actor, file_name, folder, is_called, is_in_writable_layer, is_outside, label,
            manages_users, program_of, visit,
        },
        real_path::{other_paths, real_path},
    },
};

/// The port of the DNS.
const DNS: u16 = 53;

/// What makes a behaviour of events that are none by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bulk {
    /// What each of them did.
    pub kind: ObjectKind,
    /// How many there were, as a sentence.
    pub many: String,
}

/// One thing that a process of a container did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour<'e> {
    /// What was done: `execute`, `write`, ...
    pub operation: &'e str,
    /// What did it: the executable, and for an execution the parent's.
    pub executable: Cow<'e, str>,
    /// Whether `executable` is a bare name or [`UNKNOWN`], and any that it may be counts as it.
    pub is_vague: bool,
    /// What it was done to, generalised.
    pub object: Cow<'e, str>,
    /// A peer's address where `object` has its name: by which it may be known as well.
    pub address: Option<Cow<'e, str>>,
    /// How objects of this kind are compared.
    pub kind: ObjectKind,
    /// Whether it is the workload's own start, as its configuration says: that is never news, also where the agent came
    /// after the first one.
    pub is_start: bool,
    /// Whether the object is never one among many: an executable, a secret, what decides what runs.
    pub is_guarded: bool,
    /// Which of the program's processes read it, where it is a secret.
    pub reader: Reader,
    /// What reading or writing the object gives away or decides, where that is known.
    pub sensitivity: Option<&'static str>,
    /// How severe it is by its tracker, whatever its object.
    pub severity: Option<Severity>,
    /// ATT&CK techniques, where the tracker's manifest says.
    pub techniques: &'e [String],
    /// How much of it there was, where only that makes it a behaviour.
    pub bulk: Option<Bulk>,
    /// How it is put in words, where the tracker's manifest says.
    pub words: Option<&'e BehaviourWords>,
}

impl<'e> Behaviour<'e> {
    /// The behaviours that an event shows. None for an event of the host that is of no service, or of the runtime that sets a container up.
    pub fn of(event: &'e Event) -> impl Iterator<Item = Self> {
        let container = place(event);
        let shown = specs(event, &event.schema.layout().behaviours);
        shown.filter_map(move |(spec, layout)| read(spec, layout, event, container?))
    }

    /// One that is put together from what a profile holds.
    pub(crate) fn by_name(
        operation: &'e str,
        executable: &'e str,
        object: &'e str,
        kind: ObjectKind,
        is_guarded: bool,
    ) -> Self {
        let (executable, object) = (Cow::Borrowed(executable), Cow::Borrowed(object));
        Self {
            operation,
            executable,
            is_vague: false,
            object,
            address: None,
            kind,
            is_start: false,
            is_guarded,
            reader: Reader::Any,
            sensitivity: None,
            severity: None,
            techniques: &[],
            bulk: None,
            words: None,
        }
    }

    /// Calls a peer by its name, where a DNS answer gave the container that name.
    pub(crate) fn named(mut self, event: &Event, names: &Names) -> Self {
        if self.kind == ObjectKind::Peer
            && let Some((address, port)) = peers::parse(&self.object)
            && let Some(name) = names.name(event, address)
        {
            let object = peers::named(name, address, port);
            self.address = Some(std::mem::replace(&mut self.object, object.into()));
        }
        self
    }

    /// Whether its object is a file that can be run, or decides what is.
    pub(crate) fn is_code(&self) -> bool {
        self.kind == ObjectKind::Path && code::is_code(&self.object)
    }

    /// The program that did it, by whichever way that came in.
    pub(crate) fn program(&self) -> &str {
        program_of(&self.executable)
    }

    /// The same as the service itself would do it, where people or their tools did it.
    pub(super) fn of_service(&self) -> Option<Self> {
        let (_, program) = visit(&self.executable)?;
        Some(Self { executable: program.to_owned().into(), ..self.clone() })
    }

    /// Whether it is as what was seen: what only the main process of a program read is news of those that it forks.
    pub(super) fn is_as(&self, seen: &Seen) -> bool {
        self.reader != Reader::Forked || !seen.is_of_main_alone
    }

    /// Whether `executable`, as a profile holds it, may be the one that did this.
    pub fn may_be_by(&self, executable: &str) -> bool {
        if !self.is_vague {
            return self.executable == executable;
        }
        let way = |actor| visit(actor).map(|(way, _)| way);
        let executable = match visit(executable) {
            Some((_, program)) if way(executable) == way(&self.executable) => program,
            Some(_) => return false,
            None => executable,
        };
        if self.program() == UNKNOWN || self.program() == executable {
            return true;
        }
        let called = executable.rsplit_once(" (").and_then(|(_, name)| name.strip_suffix(')'));
        is_called(called.unwrap_or_else(|| file_name(executable)), self.program())
    }
}

/// The container in which it happened. Processes of the host are in none, which is the same for all of them.
pub(super) fn place(event: &Event) -> Option<&Container> {
    static HOST: LazyLock<Container> = LazyLock::new(Container::default);
    let container = event.context.container.as_deref();
    container.or_else(|| event.context.service.is_some().then(|| &*HOST))
}

/// Whether an event shows nothing, whatever process did it, because of its file: one that holds no secret is read,
/// or one is written that swallows everything.
pub fn is_ordinary(event: &Event) -> bool {
    let layout = event.schema.layout();
    let mut shown = specs(event, &layout.behaviours).chain(specs(event, &layout.bulk_behaviours));
    shown.all(|(spec, layout)| {
        let is_of_use = |path: &str| is_of_interest(spec.kind, path);
        let is_guarded = || other_paths(layout, event).any(|path| is_guarded(spec.kind, &path));
        text(layout, event).is_some_and(|path| !is_of_use(&path) && !is_guarded())
    })
}

/// The guarded path that an event shows its file to have: of a secret that is read, or of a place that is written.
pub fn guarded_path(event: &Event) -> Option<Cow<'_, str>> {
    specs(event, &event.schema.layout().behaviours).find_map(|(spec, layout)| {
        let lies = || Some(String::from_utf8_lossy(&real_path(event, layout.real_path?)?).into_owned().into());
        let is_guarded = |path: &Cow<'_, str>| is_guarded(spec.kind, path);
        text(layout, event).filter(is_guarded).or_else(|| lies().filter(is_guarded))
    })
}

/// Whether it matters who uses the file that has this path, be it in the container or elsewhere.
fn is_guarded(kind: ObjectKind, path: &str) -> bool {
    match kind {
        ObjectKind::SensitivePath => places::secret(path).is_some(),
        ObjectKind::Path | ObjectKind::GuardedPath => places::control(path).is_some(),
        _ => false,
    }
}

/// Whether it matters who uses the file at this path.
fn is_of_interest(kind: ObjectKind, path: &str) -> bool {
    match kind {
        ObjectKind::SensitivePath => places::secret(path).is_some(),
        ObjectKind::GuardedPath => places::control(path).is_some() || code::is_code(path),
        ObjectKind::Path | ObjectKind::RemovedFile | ObjectKind::NewFile | ObjectKind::ChangedFile => {
            !places::is_sink(path)
        }
        ObjectKind::Executable | ObjectKind::Peer | ObjectKind::Port | ObjectKind::Name | ObjectKind::Subdomain => true,
    }
}

/// Which of these behaviours of the manifest an event shows.
pub(super) fn specs<'e>(
    event: &'e Event,
    all: &'e [BehaviourLayout],
) -> impl Iterator<Item = (&'e BehaviourSpec, &'e BehaviourLayout)> {
    let is_true = |field: usize| event.value_at(field).is_truthy();
    let shown = all.iter().filter(move |spec| spec.when.is_none_or(is_true) && !spec.unless.is_some_and(is_true));
    let shown = shown.filter(|_| !is_change_of_mount(event));
    shown.filter_map(|layout| Some((event.schema.behaviours.get(layout.spec)?, layout)))
}

/// Whether nothing is mounted, but what is mounted already gets other options, or is shared in another way.
fn is_change_of_mount(event: &Event) -> bool {
    let operation = || {
        let field = event.schema.field("mount.operation")?;
        Some(field.name_of(event.value(field).as_u64()?))
    };
    event.schema.layout().is_mount && matches!(operation().as_deref(), Some("remount" | "propagation"))
}

fn read<'e>(
    spec: &'e BehaviourSpec,
    layout: &BehaviourLayout,
    event: &'e Event,
    container: &Container,
) -> Option<Behaviour<'e>> {
    let process = event.context.process.as_deref();
    let behaviour = |(executable, is_vague), object| Behaviour {
        operation: &spec.operation,
        executable,
        is_vague,
        object,
        address: None,
        kind: spec.kind,
        is_start: false,
        is_guarded: true,
        reader: Reader::Any,
        sensitivity: None,
        severity: spec.severity.or_else(|| earlier::find(&spec.operation)?.severity),
        techniques: &spec.techniques,
        bulk: None,
        words: spec.words.as_ref(),
    };
    match spec.kind {
        ObjectKind::Executable => {
            let object = match process {
                Some(process) if is_outside(&process.exec, container) => return None,
                Some(process) if !process.exec.path.is_empty() => run(process),
                _ => normalised(text(layout, event)?),
            };
            let is_start = process.is_some_and(|p| is_start(p, event, container));
            Some(Behaviour { is_start, ..behaviour(parent(process, container), object) })
        }
        ObjectKind::Path | ObjectKind::SensitivePath | ObjectKind::GuardedPath => {
            let path = text(layout, event)?;
            let before = layout.from.and_then(|field| owned_text(event.value_at(field)));
            let stays = before.is_some_and(|before| stays(&before, &path));
            let elsewhere = other_paths(layout, event).find(|path| is_guarded(spec.kind, path));
            if stays || (elsewhere.is_none() && !is_of_interest(spec.kind, &path)) {
                return None;
            }
            let sensitive = spec.kind == ObjectKind::SensitivePath;
            let known = if sensitive { places::secret } else { places::control };
            let sensitivity = known(&path).or_else(|| known(elsewhere.as_deref()?));
            let is_guarded = sensitive || elsewhere.is_some() || places::is_guarded(&path);
            let kind = if sensitive { spec.kind } else { ObjectKind::Path };
            let actor = actor(event, container)?;
            // What is known by another name is learnt as what it is.
            let known_by = layout.guarded_path.and_then(|field| owned_text(event.value_at(field)));
            let path = known_by.filter(|path| self::is_guarded(spec.kind, path)).unwrap_or(path);
            let object = at_any_home(&actor.0, normalised(path));
            let reader = if sensitive { Reader::of(event) } else { Reader::Any };
            Some(Behaviour { kind, is_guarded, reader, sensitivity, ..behaviour(actor, object) })
        }
        ObjectKind::Peer => {
            let (address, port) = (address(layout, event)?, port(layout, event)?);
            // The resolver of the container itself is no news.
            if address.to_canonical().is_loopback() && port == DNS {
                return None;
            }
            let sensitivity = places::sensitive_peer(address);
            Some(Behaviour { sensitivity, ..behaviour(actor(event, container)?, peers::name(address, port).into()) })
        }
        ObjectKind::Port => {
            let object = match port(layout, event)? {
                0 => return None,
                peers::FIRST_EPHEMERAL.. => Cow::Borrowed(peers::EPHEMERAL),
                port => Cow::Owned(port.to_string()),
            };
            // A port counts even where who opened it came too early to be known.
            let actor = match actor(event, container) {
                None if event.context.process.is_none() => (Cow::Borrowed(UNKNOWN), true),
                actor => actor?,
            };
            Some(behaviour(actor, object))
        }
        ObjectKind::Name => Some(behaviour(actor(event, container)?, name(layout, event)?)),
        // Only many of them are a behaviour.
        ObjectKind::RemovedFile | ObjectKind::NewFile | ObjectKind::ChangedFile | ObjectKind::Subdomain => None,
    }
}

/// A file in the home of a user, whose name is anybody's where a program makes users.
fn at_any_home<'e>(actor: &str, path: Cow<'e, str>) -> Cow<'e, str> {
    match path.strip_prefix("/home/").and_then(|path| path.split_once('/')) {
        Some((_, file)) if manages_users(program_of(actor)) => format!("/home/<id>/{file}").into(),
        _ => path,
    }
}

/// Whether a file that is moved was as well where it was: in the same folder, and code of the same kind.
fn stays(before: &str, path: &str) -> bool {
    folder(before) == folder(path)
        && (places::control(path).is_some() || code::any_like(file_name(before)) == code::any_like(file_name(path)))
}

/// What did it, and whether that is vague. Nothing where it was the runtime, or cannot be named.
pub(super) fn actor<'e>(event: &'e Event, container: &Container) -> Option<(Cow<'e, str>, bool)> {
    match event.context.process.as_deref() {
        Some(process) if is_outside(&process.exec, container) => None,
        Some(process) => Some((as_actor(&process.exec), process.exec.path.is_empty())),
        None => Some((normalised(owned_text(event.thread_name())?), true)),
    }
}

/// What a process was started by, and whether that is vague.
fn parent<'e>(process: Option<&'e Process>, container: &Container) -> (Cow<'e, str>, bool) {
    match process.and_then(|p| p.replaced.as_ref().or(p.ancestors.first())) {
        Some(parent) if is_outside(parent, container) => (Cow::Borrowed(OUTSIDE), false),
        Some(parent) => (as_actor(parent), parent.path.is_empty()),
        None => (Cow::Borrowed(UNKNOWN), true),
    }
}

/// What was run: the program, as another one than the image's where it was written in the container or deleted, with its
/// arguments where it is an interpreter.
fn run(process: &Process) -> Cow<'_, str> {
    let mut program = label(&process.exec);
    // A space separates a program from what follows.
    let path = normalise::path(&process.exec.path);
    if path.contains(' ')
        && let Some(called) = program.strip_prefix(&*path)
    {
        program = format!("{}{called}", path.replace(' ', "\\ ")).into();
    }
    if process.exec.in_writable_layer {
        program = format!("{program} (written)").into();
    }
    if process.exec.is_unlinked && !process.exec.in_memory {
        program = format!("{program} (deleted)").into();
    }
    match template::of(&process.exec) {
        None => program,
        Some(template) => format!("{program} {template}").into(),
    }
}

/// Whether the runtime starts the container: what runs is its first program, or just what it is configured to run, from the image.
fn is_start(process: &Process, event: &Event, container: &Container) -> bool {
    let is_configured = !container.command.is_empty() && process.exec.args == container.command;
    (process.exec.is_entrypoint || is_configured)
        && process.replaced.is_none()
        && process.ancestors.first().is_some_and(|parent| is_outside(parent, container))
        && !is_in_writable_layer(event)
}

/// The first of the object's fields that holds a text, or a number that has a name.
fn name<'e>(layout: &BehaviourLayout, event: &'e Event) -> Option<Cow<'e, str>> {
    layout.object.iter().find_map(|place| {
        let field = event.schema.fields.get(*place)?;
        match event.value(field) {
            Value::Unsigned(number) if !field.names.is_empty() => Some(field.name_of(number).into()),
            value => match owned_text(value)? {
                Cow::Borrowed(name) => Some(normalise::segment(name)),
                Cow::Owned(name) => Some(Cow::Owned(normalise::segment(&name).into_owned())),
            },
        }
    })
}

fn normalised(path: Cow<'_, str>) -> Cow<'_, str> {
    match path {
        Cow::Borrowed(path) => normalise::path(path),
        Cow::Owned(path) => match normalise::path(&path) {
            Cow::Owned(generalised) => Cow::Owned(generalised),
            Cow::Borrowed(_) => Cow::Owned(path),
        },
    }
}

/// The first of the object's fields that holds a text.
pub(super) fn text<'e>(layout: &BehaviourLayout, event: &'e Event) -> Option<Cow<'e, str>> {
    layout.object.iter().find_map(|place| owned_text(event.value_at(*place)))
}

pub(super) fn owned_text(value: Value<'_>) -> Option<Cow<'_, str>> {
    let text = match value {
        Value::Text(Cow::Borrowed(bytes)) => String::from_utf8_lossy(bytes),
        Value::Text(Cow::Owned(bytes)) => match String::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned().into(),
        },
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

fn address(layout: &BehaviourLayout, event: &Event) -> Option<IpAddr> {
    layout.object.iter().find_map(|place| match event.value_at(*place) {
        Value::Ip(ip) => Some(ip),
        _ => None,
    })
}

fn port(layout: &BehaviourLayout, event: &Event) -> Option<u16> {
    let number = layout.object.iter().find_map(|place| event.value_at(*place).as_u64());
    number.and_then(|port| u16::try_from(port).ok())
}
