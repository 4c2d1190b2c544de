mod bounds;
mod decidable;
mod language;
mod merging;
mod places;
mod sigma;
mod support;
mod trackers;
