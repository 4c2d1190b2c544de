mod bounds;
mod language;
mod merging;
mod places;
mod sigma;
mod subjects;
mod support;
mod trackers;
