//! Reduces a stream of alerts to the few that tell something new, and joins those into incidents.
//!
//! [`Reducer::step`] takes one alert after the other, in order of time, and says at once whether it is kept, why, and
//! in which incident it belongs. The same alerts give the same decisions, and its memory is bounded whatever comes.

mod budget;
mod clock;
mod incident;
mod limits;
mod reducer;
mod sightings;
mod surge;
mod table;

pub use clock::ClockCounts;
pub use incident::Place;
pub use limits::Limits;
pub use reducer::{Alert, Counts, Decision, Reason, Reducer};
