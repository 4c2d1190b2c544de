//! What the engine's step costs an event of a recording: identity alone, and with the rules and the behaviour model that judge it.
//!
//!     cargo run --release --package ethogram-engine --example cost -- RECORDING
#![allow(clippy::print_stdout)]
// It measures, so it has a clock, and reads a file.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::{error::Error, fs, sync::Arc, time::Instant};

use ethogram_detect::{
    Detector, Model,
    rules::{RuleSet, Rules},
};
use ethogram_engine::{
    Consumer, Engine, Forwarded, Input, Judged,
    collection::Collection,
    identity::Identity,
    judged::Judges,
    recording::{Item, Player, Recorded},
};

const ROUNDS: usize = 15;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name a recording")?;
    let bytes = fs::read(path)?;
    let container_filter = || Player::open(&*bytes).map(|player| player.conditions.container_filter);
    let judged = |judges| {
        let player = Player::open(&*bytes)?;
        let mut model = Model::new(player.conditions.settings());
        for (_, json) in &player.profiles {
            model.restore(serde_json::from_str(json)?)?;
        }
        let set = RuleSet::load(&player.rules, &player.schemas()).set;
        let detector = Detector { model, rules: Rules::new(Arc::new(set)), ..Detector::default() };
        Ok::<_, Box<dyn Error>>(Judged::new(player.conditions.container_filter, detector, judges))
    };
    let alone = median(ROUNDS, || {
        measure(&bytes, Forwarded { container_filter: container_filter()?, filter: None, rules: None })
    })?;
    let rules = median(ROUNDS, || measure(&bytes, judged(Judges::Rules)?))?;
    let whole = median(ROUNDS, || measure(&bytes, judged(Judges::All)?))?;
    println!("identity alone: {alone:.0} ns an event; judged by rules: {rules:.0} ns; and by the model: {whole:.0} ns");
    Ok(())
}

/// Nanoseconds for each event of a recording. It is decoded before.
fn measure(bytes: &[u8], consumer: impl Consumer) -> Result<f64, Box<dyn Error>> {
    let player = Player::open(bytes)?;
    let roles = player.trackers.iter().filter_map(|t| t.role.map(|role| (t.name.clone(), role)));
    let mut engine = Engine::new(Identity::new(roles), consumer, Some(Collection::default()));
    let (mut recorded, mut inputs) = (Recorded::open(bytes)?, Vec::new());
    while let Some(item) = recorded.next_item()? {
        if let Item::Input(input) = item {
            inputs.push(input);
        }
    }
    let events: usize = inputs.iter().map(|input| if let Input::Events(batch) = input { batch.len() } else { 0 }).sum();
    let begun = Instant::now();
    inputs.into_iter().for_each(|input| drop(engine.step(input)));
    Ok(begun.elapsed().as_nanos() as f64 / events.max(1) as f64)
}

fn median(rounds: usize, mut round: impl FnMut() -> Result<f64, Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let mut all = (0..rounds).map(|_| round()).collect::<Result<Vec<_>, _>>()?;
    all.sort_by(f64::total_cmp);
    all.get(rounds / 2).copied().ok_or_else(|| "nothing was measured".into())
}
