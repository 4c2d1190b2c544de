//! Where secrets are masked: at the one door to the engine, before an input is recorded or taken.
//!
//! Rules make their tests of the text as it was. Those that give something else of what is left are kept with it, as answers:
//! the plain text is nowhere from here on, and a replay, which has the masked text and the answers, judges the same.

use std::sync::Arc;

use ethogram_model::{Event, Exec};

use crate::{Consumer, Engine, FoundProcess, Input, processes::program_of, secrets};

impl<C: Consumer> Engine<C> {
    /// Masks secrets in an input, as it came from the kernel or from procfs.
    pub fn mask(&mut self, input: &mut Input) {
        match input {
            Input::Events(batch) => {
                for event in batch {
                    if let Some(plain) = secrets::mask_event(event) {
                        self.answer(event, plain);
                    }
                }
            }
            Input::Processes(found) => found.iter_mut().for_each(|found| self.mask_found(found)),
            _ => {}
        }
    }

    fn answer(&mut self, event: &mut Event, plain: Box<[u8]>) {
        let plain = Event { record: plain, ..event.clone() };
        let (before, after) = (Arc::new(program_of(&plain)), Arc::new(program_of(event)));
        event.context.answers = self.consumer.answers((&plain, &before), (event, &after));
    }

    fn mask_found(&mut self, found: &mut FoundProcess) {
        if let Some(plain) = found.mask() {
            let masked = Arc::new(found.exec.clone());
            found.answers = self.consumer.answers_of(&Arc::new(plain), &masked);
        }
    }
}

impl FoundProcess {
    /// Masks secrets in its arguments. Returns what it runs as it was, where there are any.
    pub fn mask(&mut self) -> Option<Exec> {
        let mut args = self.exec.args.join("\0").into_bytes();
        if !secrets::mask(&mut args) {
            return None;
        }
        let plain = self.exec.clone();
        self.exec.args = args.split(|b| *b == 0).map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
        Some(plain)
    }
}

#[cfg(test)]
#[path = "masking_tests.rs"]
mod tests;
