//! What tests give of arguments and variables before secrets are masked in them.

use std::sync::Arc;

use ethogram_model::{Answer, Answers, Event, Exec};

use super::{Rules, address};

impl Rules {
    /// What tests give of a program before secrets are masked, where they give something else afterwards.
    pub fn answers_of(&self, plain: &Arc<Exec>, masked: &Arc<Exec>) -> Option<Arc<Answers>> {
        some(self.of_program(plain, masked))
    }

    /// The same of an event that is about such a program, its own fields included.
    pub fn answers(&mut self, plain: (&Event, &Arc<Exec>), masked: (&Event, &Arc<Exec>)) -> Option<Arc<Answers>> {
        self.meet(&masked.0.schema);
        let mut found = self.of_program(plain.1, masked.1);
        let kind = self.kinds.get(&address(&masked.0.schema));
        if let Some(program) = kind.and_then(|kind| kind.program(&self.set)) {
            for predicate in &program.predicates {
                let asked = predicate.asked.as_deref().filter(|asked| asked.is_of_event());
                if let (Some(asked), Some(slot)) = (asked, program.slots.get(predicate.slot)) {
                    let read = |event| slot.access.read(event, &self.facts);
                    found.extend(asked.of_event(read(plain.0), read(masked.0)));
                }
            }
        }
        some(found)
    }

    fn of_program(&self, plain: &Arc<Exec>, masked: &Arc<Exec>) -> Vec<(u64, Answer)> {
        let mut found = Vec::new();
        self.set.asked.iter().for_each(|asked| asked.answer(plain, masked, &mut found));
        found
    }
}

fn some(found: Vec<(u64, Answer)>) -> Option<Arc<Answers>> {
    (!found.is_empty()).then(|| Arc::new(Answers::new(found)))
}
