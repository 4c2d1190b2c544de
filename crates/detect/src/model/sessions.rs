//! Whatever is started in a container from outside, by people and scripts that look into it. What comes of a session in a
//! terminal is one finding group; scripts do one thing each.

use std::{collections::VecDeque, sync::Arc};

use ethogram_model::{Container, Event, Exec};

use super::habits::Usual;

/// Sessions remembered; beyond, the oldest are forgotten, and raised anew.
const MAX: usize = 1_024;

/// What runs in a session: a program that was started from outside, and is not what the container is there for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    cgroup: u64,
    pid: u32,
    program: String,
    /// Whether a person types into it.
    pub(super) is_interactive: bool,
}

impl Session {
    /// The session that an event belongs to. None where it is part of what the container was started with, whose pid is `init`;
    /// where that is not known, what was started in a terminal is a session.
    pub(super) fn of(event: &Event, container: &Container, init: Option<u32>) -> Option<Self> {
        let process = event.context.process.as_deref()?;
        let chain = std::iter::once(&process.exec).chain(&process.ancestors);
        let inside: Vec<&Arc<Exec>> = chain.take_while(|exec| exec.container_cgroup == container.cgroup_id).collect();
        // Where the chain is cut, nothing is known of where it began.
        let is_whole = inside.len() <= process.ancestors.len();
        let first = inside.last().filter(|_| is_whole)?;
        let is_init = match init {
            Some(pid) => first.pid == pid,
            None if first.was_seen_to_start() => first.is_in_init,
            None => first.terminal.is_empty() || container.command.is_empty() || first.args == container.command,
        };
        let (program, is_interactive) = (first.path.clone(), !first.terminal.is_empty());
        (!is_init).then_some(Self { cgroup: container.cgroup_id, pid: first.pid, program, is_interactive })
    }
}

/// What each session led to.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    raised: VecDeque<(Session, Usual)>,
}

impl Sessions {
    /// What was raised first of a session.
    pub(super) fn first_of(&self, session: &Session) -> Option<&Usual> {
        self.raised.iter().find(|(known, _)| known == session).map(|(_, first)| first)
    }

    /// Something of a session is raised.
    pub(super) fn raise(&mut self, session: Session, first: Usual) {
        if self.first_of(&session).is_some() {
            return;
        }
        if self.raised.len() >= MAX {
            self.raised.pop_front();
        }
        self.raised.push_back((session, first));
    }
}
