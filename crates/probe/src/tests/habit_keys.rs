//! What the tag HABIT_KEY says is so: events that differ in a member with the tag are of different habits, and those that
//! differ in others may be of one. A rule that asks for such another keeps its events from becoming a habit, which detection
//! sees to; so nothing that a rule asks for is hidden from it.

use std::{
    collections::BTreeSet,
    ffi::{CStr, CString},
    net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket},
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::net::{AddressFamily, SendFlags, SocketType, bind, connect, listen, sendto, socket, sockopt};

use super::{child::forked, habit::Habits, *};

/// The events that take part, each with the test below that shows it.
const SHOWN: [(&str, &str); 6] =
    [("net", "bind"), ("net", "peer"), ("open", "open"), ("tcp", "accept"), ("tcp", "connect"), ("tcp", "listen")];

#[test]
fn every_event_that_can_be_a_habit_is_shown_here() {
    let trackers = builtin().unwrap();
    let events = trackers.iter().flat_map(|t| &t.schema.events);
    let tagged = events.filter(|e| e.fields.iter().any(|f| f.habit_key && !f.header));
    let tagged: BTreeSet<_> = tagged.map(|e| (e.tracker.to_string(), e.name.to_string())).collect();
    assert_eq!(tagged, SHOWN.map(|(tracker, event)| (tracker.to_owned(), event.to_owned())).into());
    // None asks the table of habits without saying what is in its keys.
    for tracker in &trackers {
        let object = tracker.elf.open(&tracker.schema.name, None).unwrap();
        let asks = object.maps().any(|map| map.name() == "habits");
        assert_eq!(asks, SHOWN.iter().any(|(name, _)| *name == &*tracker.schema.name), "{}", tracker.schema.name);
    }
}

/// Events of one kind, by what was done.
struct Shown {
    event: &'static str,
    seen: Vec<Event>,
    /// Members with the tag that were shown to distinguish habits.
    told_apart: BTreeSet<&'static str>,
}

impl Shown {
    /// `first` and `again` are of one habit, and differ in all members without the tag.
    fn of(event: &'static str, first: Event, again: Event) -> Self {
        assert_ne!(habit(&first), 0, "{}", render::to_json(&first));
        assert_eq!(habit(&first), habit(&again), "{}\n{}", render::to_json(&first), render::to_json(&again));
        assert_eq!(differing(&first, &again), BTreeSet::new());
        // Two may take as long as each other, above all where a clock counts instructions. What the agent adds is in none here.
        let may_be_same = |f: &&ethogram_model::Field| {
            f.kind == ethogram_model::FieldKind::Duration || f.name.starts_with("file.guarded_path")
        };
        let without_tag = first.schema.fields.iter().filter(|f| !f.habit_key && !f.header && !f.name.starts_with('_'));
        for field in without_tag.filter(|f| !may_be_same(f)) {
            assert_ne!(first.value(field), again.value(field), "is '{}' part of the key?", field.name);
        }
        Self { event, seen: vec![first, again], told_apart: BTreeSet::new() }
    }

    /// An event that differs from the first in these members with the tag, and in no others.
    fn differs(&mut self, event: Event, fields: &[&'static str]) {
        let first = self.seen[0].clone();
        self.differ(first, event, fields);
    }

    /// Two events that differ in these members with the tag, and in no others.
    fn differ(&mut self, one: Event, other: Event, fields: &[&'static str]) {
        let shown = format!("{}\n{}", render::to_json(&one), render::to_json(&other));
        assert_eq!(differing(&one, &other), fields.iter().map(|f| f.to_string()).collect(), "{shown}");
        assert!(habit(&one) != 0 && habit(&other) != 0 && habit(&one) != habit(&other), "{fields:?}: {shown}");
        self.told_apart.extend(fields);
        self.seen.extend([one, other]);
    }

    /// All members with the tag were shown, but for those that always have the same value.
    fn finish(self, same: &[&'static str]) {
        let schema = &self.seen[0].schema;
        // What is cut has no habit.
        let tagged = schema.fields.iter().filter(|f| f.habit_key && f.kind != ethogram_model::FieldKind::PathCut);
        let tagged: BTreeSet<_> = tagged.map(|f| f.name.as_str()).collect();
        let shown: BTreeSet<_> = self.told_apart.iter().chain(same).copied().collect();
        assert_eq!(tagged, shown, "{}", self.event);
        for name in same {
            let values: Vec<_> = self.seen.iter().map(|e| e.get(name)).collect();
            assert!(values.windows(2).all(|pair| pair[0] == pair[1]), "{name}");
        }
    }
}

fn habit(event: &Event) -> u64 {
    event.get("_habit").as_u64().unwrap()
}

/// The members with the tag in which two events differ.
fn differing(one: &Event, other: &Event) -> BTreeSet<String> {
    let tagged = one.schema.fields.iter().filter(|f| f.habit_key);
    tagged.filter(|f| one.value(f) != other.value(f)).map(|f| f.name.clone()).collect()
}

const ANOTHER_USER: u32 = 65_534;

/// The event of that kind that a child causes, which has the lineage of this process. For what it may do see [`forked`].
fn caused(habits: &mut Habits, event: &'static str, user: u32, act: impl FnOnce() -> bool) -> Event {
    let child = forked(|| {
        // SAFETY: it takes a number, and changes the child alone.
        unsafe { libc::syscall(libc::SYS_setresuid, user, user, user) };
        i32::from(!act())
    });
    let pid = child.pid();
    assert_eq!(child.go(), 0, "{event}");
    habits.rig.expect(event, |e| is(e, event) && of(e, pid))
}

fn c_path(path: &Path) -> CString {
    CString::new(path.to_str().unwrap()).unwrap()
}

fn opens(path: &CStr, flags: i32, mode: u32) -> bool {
    // SAFETY: the path ends with NUL and outlives the call; the descriptor ends with the child.
    unsafe { libc::open(path.as_ptr(), flags, mode) >= 0 }
}

#[test]
fn of_an_open() {
    let mut habits = Habits::of("open", &["open"]);
    let folder = habits.path("");
    std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let (file, other) = (c_path(&habits.file("file")), c_path(&habits.file("other")));
    let link = habits.path("link");
    std::os::unix::fs::symlink(habits.path("file"), &link).unwrap();
    let (link, made) = (c_path(&link), habits.path("made"));
    let made_c = c_path(&made);
    let mut open = |path: &CStr, flags, mode, user| caused(&mut habits, "open", user, || opens(path, flags, mode));

    let mut shown = Shown::of("open", open(&file, libc::O_RDONLY, 0, 0), open(&file, libc::O_RDONLY, 0, 0));
    shown.differs(open(&file, libc::O_RDONLY, 0, ANOTHER_USER), &["process.user.id"]);
    shown.differs(open(&other, libc::O_RDONLY, 0, 0), &["file.path"]);
    shown.differs(open(&link, libc::O_RDONLY, 0, 0), &["file.requested_path"]);
    shown.differs(open(&file, libc::O_NOFOLLOW, 0, 0), &["file.open.flags"]);
    shown.differs(open(&file, libc::O_WRONLY, 0, 0), &["file.open.flags", "file.open.read", "file.open.write"]);

    let new = open(&made_c, libc::O_CREAT, 0o600, 0);
    let there = open(&made_c, libc::O_CREAT, 0o600, 0);
    std::fs::remove_file(&made).unwrap();
    let another = open(&made_c, libc::O_CREAT, 0o640, 0);
    shown.differ(new.clone(), another, &["file.mode"]);
    shown.differ(new, there, &["file.created", "file.mode"]);

    let regular = open(&made_c, libc::O_NONBLOCK, 0, 0);
    std::fs::remove_file(&made).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &*made_c, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let fifo = open(&made_c, libc::O_NONBLOCK, 0, 0);
    shown.differ(regular, fifo, &["file.type"]);

    // What they are follows from the mount, which is part of the path that the key has: tests/places.rs shows them.
    let mut same = vec!["file.real_path", "file.host"];
    match Overlay::mount(&folder) {
        Some(overlay) => {
            let path = c_path(&overlay.file);
            let from_image = open(&path, libc::O_RDONLY, 0, 0);
            std::fs::write(&overlay.file, "y").unwrap();
            let written = open(&path, libc::O_RDONLY, 0, 0);
            shown.differ(from_image, written, &["file.writable_layer"]);
        }
        // This kernel has no overlayfs, and so no such layers.
        None => same.push("file.writable_layer"),
    }
    shown.finish(&same);
    habits.finish();
}

/// An overlay with a file of its lower layer, as a container's root is. Gone when it is dropped.
struct Overlay {
    place: std::path::PathBuf,
    file: std::path::PathBuf,
}

impl Overlay {
    fn mount(folder: &Path) -> Option<Self> {
        use rustix::mount::{MountFlags, mount};
        // The layers lie in memory: not every file system can be one, and what the tests run in may be an overlay.
        let place = folder.join("overlay");
        std::fs::create_dir(&place).unwrap();
        mount("none", &place, "tmpfs", MountFlags::empty(), None).unwrap();
        let this = Self { file: place.join("merged/file"), place };
        let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|name| this.place.join(name));
        [&lower, &upper, &work, &merged].into_iter().for_each(|layer| std::fs::create_dir(layer).unwrap());
        std::fs::write(lower.join("file"), "x").unwrap();
        let layers = format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
        match mount("overlay", &merged, "overlay", MountFlags::empty(), Some(&*CString::new(layers).unwrap())) {
            Err(rustix::io::Errno::NODEV) => None,
            done => done.map(|()| this).map(Some).unwrap(),
        }
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        use rustix::mount::{UnmountFlags, unmount};
        for place in [self.place.join("merged"), self.place.clone()] {
            _ = unmount(place, UnmountFlags::DETACH);
        }
    }
}

const fn loopback(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, host)
}

/// A socket with that own address. None where it cannot be had.
fn bound(kind: SocketType, to: SocketAddrV4) -> Option<OwnedFd> {
    let socket = socket(AddressFamily::INET, kind, None).ok()?;
    sockopt::set_socket_reuseaddr(&socket, true).ok()?;
    bind(&socket, &to).ok()?;
    Some(socket)
}

/// A port that no socket has.
fn free_port() -> u16 {
    TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn of_a_connection_that_is_opened() {
    let mut habits = Habits::of("tcp", &["connect"]);
    let listeners = [0, 1, 2].map(|_| TcpListener::bind("0.0.0.0:0").unwrap());
    let [port, other, full] = listeners.each_ref().map(|l| l.local_addr().unwrap().port());
    let connects = |from: u8, to: (u8, u16)| {
        move || {
            let Some(socket) = bound(SocketType::STREAM, SocketAddrV4::new(loopback(from), 0)) else { return false };
            // One repetition: where nobody answers, it ends after three seconds.
            // SAFETY: the option is a number of that size.
            let set = unsafe {
                let (count, size) = (1i32, size_of::<i32>() as u32);
                libc::setsockopt(
                    std::os::fd::AsRawFd::as_raw_fd(&socket),
                    libc::IPPROTO_TCP,
                    libc::TCP_SYNCNT,
                    (&raw const count).cast(),
                    size,
                )
            };
            _ = connect(&socket, &SocketAddrV4::new(loopback(to.0), to.1));
            set == 0
        }
    };
    let mut connect = |user, from, to| caused(&mut habits, "connect", user, connects(from, to));

    let mut shown = Shown::of("connect", connect(0, 1, (1, port)), connect(0, 1, (1, port)));
    shown.differs(connect(ANOTHER_USER, 1, (1, port)), &["process.user.id"]);
    shown.differs(connect(0, 1, (2, port)), &["network.peer.address"]);
    shown.differs(connect(0, 3, (1, port)), &["network.local.address"]);
    shown.differs(connect(0, 1, (1, other)), &["network.peer.port"]);

    let opened = connect(0, 1, (1, full));
    // No more connections than one are kept waiting from now on.
    let [.., last] = listeners;
    listen(&last, 0).unwrap();
    let waiting: Vec<_> = (0..4).map(|_| started_connecting(full)).collect();
    let unanswered = connect(0, 1, (1, full));
    drop((waiting, last));
    let refused = connect(0, 1, (1, full));
    shown.differ(refused.clone(), unanswered, &["error.type"]);
    shown.differ(refused, opened, &["error.type", "network.connection.established"]);
    shown.finish(&[]);
    habits.finish();
}

/// A connection that is on its way to being opened.
fn started_connecting(port: u16) -> OwnedFd {
    let socket = bound(SocketType::STREAM, SocketAddrV4::new(loopback(1), 0)).unwrap();
    rustix::io::ioctl_fionbio(&socket, true).unwrap();
    _ = connect(&socket, &SocketAddrV4::new(loopback(1), port));
    socket
}

#[test]
fn of_a_connection_that_is_accepted_and_of_a_port_that_is_listened_on() {
    let mut habits = Habits::of("tcp", &["accept", "listen"]);
    let [port, other] = [free_port(), free_port()];
    // A process that connects to itself.
    let serves = |(host, port): (u8, u16), from: u8| {
        move || {
            let own = SocketAddrV4::new(loopback(host), port);
            let listener = bound(SocketType::STREAM, own).filter(|socket| listen(socket, 1).is_ok());
            let client = bound(SocketType::STREAM, SocketAddrV4::new(loopback(from), 0));
            let opened = client.is_some_and(|client| connect(client.as_fd(), &own).is_ok());
            listener.is_some() && opened
        }
    };
    for event in ["accept", "listen"] {
        let mut serve = |user, at, from| caused(&mut habits, event, user, serves(at, from));
        let mut shown = Shown::of(event, serve(0, (1, port), 1), serve(0, (1, port), 9));
        shown.differs(serve(ANOTHER_USER, (1, port), 1), &["process.user.id"]);
        shown.differs(serve(0, (2, port), 1), &["network.local.address"]);
        shown.differs(serve(0, (1, other), 1), &["network.local.port"]);
        shown.finish(&[]);
    }
    habits.finish();
}

#[test]
fn of_a_peer_that_datagrams_are_sent_to() {
    let mut habits = Habits::of("net", &["peer"]);
    let receivers = [0, 1].map(|_| UdpSocket::bind("0.0.0.0:0").unwrap());
    let [port, other] = receivers.each_ref().map(|r| r.local_addr().unwrap().port());
    let sends = |from: u8, to: (u8, u16)| {
        move || {
            let socket = bound(SocketType::DGRAM, SocketAddrV4::new(loopback(from), 0));
            let to = SocketAddrV4::new(loopback(to.0), to.1);
            socket.is_some_and(|socket| sendto(&socket, b"x", SendFlags::empty(), &to).is_ok())
        }
    };
    let mut send = |user, from, to| caused(&mut habits, "peer", user, sends(from, to));

    let mut shown = Shown::of("peer", send(0, 1, (1, port)), send(0, 1, (1, port)));
    shown.differs(send(ANOTHER_USER, 1, (1, port)), &["process.user.id"]);
    shown.differs(send(0, 1, (2, port)), &["network.peer.address"]);
    shown.differs(send(0, 3, (1, port)), &["network.local.address"]);
    shown.differs(send(0, 1, (1, other)), &["network.peer.port"]);
    shown.finish(&["network.transport"]);
    habits.finish();
}

#[test]
fn of_an_address_that_is_bound() {
    let mut habits = Habits::of("net", &["bind"]);
    let [port, other] = [free_port(), free_port()];
    let taken = UdpSocket::bind((loopback(1), 0)).unwrap();
    let taken_port = taken.local_addr().unwrap().port();
    let binds = |kind, to: SocketAddrV4| {
        move || {
            let protocol = (kind == SocketType::RAW).then_some(rustix::net::ipproto::UDP);
            let Ok(socket) = socket(AddressFamily::INET, kind, protocol) else { return false };
            _ = bind(&socket, &to);
            true
        }
    };
    let at = |host, port| SocketAddrV4::new(loopback(host), port);
    let mut bind = |user, kind, to| caused(&mut habits, "bind", user, binds(kind, to));

    let (udp, raw) = (SocketType::DGRAM, SocketType::RAW);
    let mut shown = Shown::of("bind", bind(0, udp, at(1, port)), bind(0, udp, at(1, port)));
    shown.differs(bind(ANOTHER_USER, udp, at(1, port)), &["process.user.id"]);
    shown.differs(bind(0, udp, at(2, port)), &["network.local.address"]);
    shown.differs(bind(0, udp, at(1, other)), &["network.local.port", "network.local.requested_port"]);
    // A raw socket's port is the number of its protocol, which is 17.
    shown.differ(bind(0, udp, at(1, 17)), bind(0, raw, at(1, 17)), &["network.transport"]);
    shown.differ(bind(0, udp, at(1, 0)), bind(0, udp, at(1, 0)), &["network.local.port"]);
    // Neither has an own address in the end.
    let is_taken = bind(0, udp, at(1, taken_port));
    let is_elsewhere = bind(0, udp, SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), taken_port));
    shown.differ(is_taken, is_elsewhere, &["error.type"]);
    shown.finish(&[]);
    habits.finish();
}
