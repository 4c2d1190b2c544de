//! What rules found of who does it. Of all that a process does, much of every condition depends only on the process and its
//! container: that is decided once, and not for every event again.

use std::sync::{Arc, Weak};

use ethogram_model::{Container, Event, Process, Users};

/// Processes remembered for a kind of event; of two that would stand at one place, the later one stays.
const PLACES: usize = 256;

/// What is remembered for a kind of event.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    places: Vec<Option<Subject>>,
}

/// What rules found of one process.
#[derive(Debug)]
pub(super) struct Subject {
    who: Who,
    /// What is known of the program's first nodes; zero where nothing is.
    pub(super) decided: Box<[u8]>,
    /// Whether an event of it was judged before. Most processes have only one of a kind, and then more is not worth it.
    pub(super) is_known: bool,
    /// Which steps of the program may still hold, a bit each. None where that was not found out.
    pub(super) open_steps: Option<Box<[u64]>>,
}

impl Subject {
    fn new(who: Who, count: usize) -> Self {
        Self { who, decided: vec![0; count].into(), is_known: false, open_steps: None }
    }

    /// Another process takes its place, and its memory.
    fn become_another(&mut self, who: Who) {
        self.decided.fill(0);
        (self.who, self.is_known, self.open_steps) = (who, false, None);
    }
}

/// Who it is, by the places in memory of all that is known: a process that runs another program, or of which more is known, has others.
/// As they are held, nothing else can get these places; what was there does not have to stay.
#[derive(Debug)]
struct Who {
    process: Weak<Process>,
    container: Option<Weak<Container>>,
    users: Option<Weak<Users>>,
    user: Option<u64>,
}

impl Who {
    fn of(event: &Event, user: Option<u64>) -> Option<Self> {
        let context = &event.context;
        Some(Self {
            process: Arc::downgrade(context.process.as_ref()?),
            container: context.container.as_ref().map(Arc::downgrade),
            users: context.users.as_ref().map(Arc::downgrade),
            user,
        })
    }

    fn is(&self, event: &Event, user: Option<u64>) -> bool {
        let context = &event.context;
        at(context.process.as_ref()) == self.process.as_ptr()
            && at(context.container.as_ref()) == self.container.as_ref().map_or(std::ptr::null(), Weak::as_ptr)
            && at(context.users.as_ref()) == self.users.as_ref().map_or(std::ptr::null(), Weak::as_ptr)
            && user == self.user
    }
}

fn at<T>(what: Option<&Arc<T>>) -> *const T {
    what.map_or(std::ptr::null(), Arc::as_ptr)
}

impl Subjects {
    /// What was found of who an event is of, of so many nodes. None where it is not known who that is.
    pub(super) fn of(&mut self, event: &Event, user: Option<u64>, count: usize) -> Option<&mut Subject> {
        let process = event.context.process.as_ref()?;
        if self.places.is_empty() {
            self.places.resize_with(PLACES, || None);
        }
        let address = at(Some(process)) as usize;
        // Allocations are aligned, so what is lowest is always the same.
        let place = self.places.get_mut((address >> 4 ^ address >> 12) % PLACES)?;
        match place {
            Some(subject) if subject.who.is(event, user) => {}
            Some(subject) => subject.become_another(Who::of(event, user)?),
            None => *place = Some(Subject::new(Who::of(event, user)?, count)),
        }
        place.as_mut()
    }
}
