//! How a workload is learnt: the time that was watched, the stages of a profile, what is ordinary surprise, and from whom nothing
//! is learnt.

pub(crate) mod calibration;
pub(crate) mod clock;
mod lifecycle;
mod novelty;
pub(crate) mod quarantine;
mod seen;
mod state;
mod window;

pub use lifecycle::Lifecycle;
pub use novelty::{Bits, Novelty};
pub use seen::Seen;
pub use state::LearningState;
pub(crate) use window::window_ns;
