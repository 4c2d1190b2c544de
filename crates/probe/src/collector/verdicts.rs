//! What the agent writes into the kernel's tables about containers, objects and habits, while trackers run.

use super::Collector;
use crate::{ContainerVerdict, Error, HabitCount, tables::shared::table};

impl Collector {
    /// Cgroups at most that the container filter can have a verdict on.
    pub const MAX_VERDICTS: usize = table::CONTAINER_FILTER.entries as usize;
    /// Habits at most that the kernel can know.
    pub const MAX_HABITS: usize = table::HABITS.entries as usize;

    /// Sets what the container filter does with a cgroup; `None` leaves the decision to the agent.
    ///
    /// # Errors
    /// Where the kernel's table is full.
    pub fn set_container_filter(&self, cgroup: u64, verdict: Option<ContainerVerdict>) -> Result<(), Error> {
        self.tables.container_filter.set(cgroup, verdict)
    }

    /// Says that an event about this object, as its field `_object` has it, is of no interest. Events about it are counted
    /// as filtered from then on, where the tracker's [`Subscription`](crate::Subscription) allows, until
    /// [`Collector::renew_verdicts`].
    ///
    /// # Errors
    /// Where the kernel's table cannot be written.
    pub fn set_ordinary(&self, object: u64) -> Result<(), Error> {
        self.tables.subscriptions.set_ordinary(object)
    }

    /// Voids what was said of objects, and reads anew where the host's file systems are.
    ///
    /// # Errors
    /// Where the kernel's table cannot be written.
    pub fn renew_verdicts(&self) -> Result<(), Error> {
        self.tables.host_trees.renew();
        self.tables.subscriptions.renew()
    }

    /// Says that events of this habit, as their field `_habit` has it, are known. They are counted from then on, and not
    /// handed on, where the tracker's [`Subscription`](crate::Subscription) allows; until [`Collector::end_habit`] or
    /// [`Collector::renew_habits`].
    ///
    /// # Errors
    /// Where the kernel's table is full or cannot be written.
    pub fn habituate(&self, habit: u64) -> Result<(), Error> {
        self.tables.habits.begin(habit, self.tables.subscriptions.habits_generation())
    }

    /// Has events of a habit handed on again. What was counted of it comes with the next [`Collector::habit_counts`].
    ///
    /// # Errors
    /// Where the kernel's table cannot be written.
    pub fn end_habit(&self, habit: u64) -> Result<(), Error> {
        self.tables.habits.end(habit)
    }

    /// What was counted of each habit since the last call; of those that there was something of.
    ///
    /// # Errors
    /// Where the kernel's table cannot be read.
    pub fn habit_counts(&self) -> Result<Vec<HabitCount>, Error> {
        self.tables.habits.counts()
    }

    /// Has events of all habits handed on again, at once. What was counted of them comes with the next
    /// [`Collector::habit_counts`].
    ///
    /// # Errors
    /// Where the kernel's tables cannot be written.
    pub fn renew_habits(&self) -> Result<(), Error> {
        self.tables.subscriptions.renew_habits()?;
        self.tables.habits.end_all()
    }

    /// How many habits the kernel knows.
    pub fn habits(&self) -> usize {
        self.tables.habits.len()
    }
}
