//! What the server answers the API, a file for each of its resources.

mod alerts;
mod containers;
mod events;
mod health;
mod incidents;
mod profiles;
mod responses;
mod rules;
mod trackers;
