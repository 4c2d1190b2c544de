//! What the ranker is told: processes, and what they did at which time.

/// What a process did. Borrowed, so that a source need not copy names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act<'a> {
    /// It started a child that the source does not name yet.
    StartedChild,
    /// It is the child of this process.
    ChildOf(u32),
    /// It ended.
    Ended,
    /// It loaded a module.
    Loaded(&'a str),
    /// It ran a script.
    Script(&'a str),
    /// It wrote, made, renamed or removed a file.
    Wrote(&'a str),
    /// It read a file.
    Read(&'a str),
    /// It changed a registry key.
    Key(&'a str),
    /// It talked to `address:port`.
    Peer(&'a str),
    /// It opened or changed another process.
    Opened(u32),
}

/// One event: who did what when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event<'a> {
    /// Microseconds since 1970.
    pub time: u64,
    /// The number of the process that acted, as declared before.
    pub actor: u32,
    /// What it did.
    pub act: Act<'a>,
}

/// Kinds of observation that are counted apart from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Op {
    /// The image of a process.
    Image = 0,
    /// The image of a child, by its parent's image.
    Child,
    /// The image of the parent, by its child's image.
    Parent,
    /// A module.
    Load,
    /// A script.
    Script,
    /// A file written.
    Write,
    /// A file read.
    Read,
    /// A registry key.
    Key,
    /// A peer.
    Peer,
    /// The image of another process that was opened.
    Open,
    /// The image of a suspicious process that opened this one.
    Opened,
    /// Code written to a folder that users can write to.
    Code,
    /// A module from a folder that users can write to.
    UserModule,
    /// The image of a process that keeps secrets and was opened.
    Secrets,
}

impl Op {
    /// How many kinds there are.
    pub const COUNT: usize = 14;
    /// All kinds in order.
    pub const ALL: [Op; Op::COUNT] = [
        Op::Image,
        Op::Child,
        Op::Parent,
        Op::Load,
        Op::Script,
        Op::Write,
        Op::Read,
        Op::Key,
        Op::Peer,
        Op::Open,
        Op::Opened,
        Op::Code,
        Op::UserModule,
        Op::Secrets,
    ];

    /// What a reason for this kind says.
    pub fn text(self) -> &'static str {
        match self {
            Op::Image => "new program",
            Op::Child => "unusual child of its parent",
            Op::Parent => "unusual parent",
            Op::Load => "unusual module",
            Op::Script => "unusual script",
            Op::Write => "unusual file written",
            Op::Read => "unusual file read",
            Op::Key => "unusual registry key",
            Op::Peer => "unusual peer",
            Op::Open => "opened an unusual process",
            Op::Opened => "opened by an unusual process",
            Op::Code => "unusual code written",
            Op::UserModule => "unusual module from a folder of users",
            Op::Secrets => "opened a process that keeps secrets",
        }
    }
}
