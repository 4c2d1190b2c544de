//! What is usual: counted trees of names by operation and by (operation, image).

use super::event::Op;
use super::name;
use super::stakes;
use super::tree::{Surprise, Trees};

/// Share of an image's own novelty in the surprise, the rest is novelty for all images together.
const OWN_SHARE: f64 = 0.5;

/// A name ready to be looked up: hashes of its generalised segments.
pub(super) struct Name {
    segments: Vec<u64>,
}

impl Name {
    /// The name as this kind of observation sees it.
    pub(super) fn of(op: Op, text: &str) -> Self {
        let parts = match op {
            Op::Peer => name::peer_segments(text),
            Op::Key => name::key_segments(text),
            Op::Load | Op::Script | Op::Write | Op::Read | Op::Code | Op::UserModule => name::path_segments(text, true),
            Op::Image | Op::Child | Op::Parent | Op::Open | Op::Opened | Op::Secrets => {
                name::path_segments(text, false)
            }
        };
        Name { segments: parts.iter().map(|p| name::hash(p)).collect() }
    }

    /// One number for the generalised name.
    pub(super) fn id(&self) -> u64 {
        self.segments.iter().fold(7, |h, s| (h ^ s).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(5))
    }
}

/// The counts learned so far.
pub(super) struct Model {
    trees: Trees,
    processes: u32,
}

impl Model {
    /// An empty model of at most `limit` segments (about 60 bytes each).
    pub(super) fn new(limit: usize) -> Self {
        Model { trees: Trees::new(limit), processes: 0 }
    }

    /// Segments held and segments that found no room.
    pub(super) fn size(&self) -> (usize, u64) {
        (self.trees.len(), self.trees.dropped)
    }

    /// Counts that `process` of `image` did this.
    pub(super) fn learn(&mut self, op: Op, image: u64, name: &Name, process: u32) {
        self.trees.learn(context(op, 0), &name.segments, process);
        if op != Op::Image {
            self.trees.learn(context(op, image), &name.segments, process);
        }
    }

    /// Bits of surprise that a process of `image`, of which `known` processes were seen, does this.
    /// Backs off from the image to all images, as language models do from long to short contexts.
    pub(super) fn bits(&self, op: Op, image: u64, known: u32, name: &Name) -> f64 {
        let everywhere = match self.trees.surprise(context(op, 0), &name.segments) {
            Surprise::New(b) => b,
            Surprise::Known | Surprise::NoContext => 0.0,
        };
        if op == Op::Image {
            return everywhere;
        }
        let own = match self.trees.surprise(context(op, image), &name.segments) {
            Surprise::Known => return 0.0,
            Surprise::New(b) => b,
            // Known processes of this image never did anything of the kind; for an unknown image,
            // touching secrets is as rare as it is among all processes.
            Surprise::NoContext if known > 0 || op != Op::Secrets => f64::from(known + 1).log2(),
            Surprise::NoContext => {
                let (_, passes) = self.trees.context(context(op, 0)).unwrap_or_default();
                (f64::from(self.processes + 1) / f64::from(passes.min(self.processes) + 1)).log2()
            }
        };
        OWN_SHARE * own + (1.0 - OWN_SHARE) * everywhere
    }

    /// Whether a program's folder, or the one above it, is known as the folder of a program: its
    /// own, not one where everybody puts things.
    pub(super) fn familiar(&self, path: &str) -> bool {
        const DEPTH: usize = 4;
        let parts: Vec<&str> = path.split(['\\', '/']).filter(|p| !p.is_empty()).collect();
        let name = Name::of(Op::Image, path);
        (1..=2).any(|up| {
            let Some(depth) = name.segments.len().checked_sub(up).filter(|d| *d >= DEPTH) else {
                return false;
            };
            let own = depth.checked_sub(1).and_then(|i| parts.get(i)).is_some_and(|f| !stakes::is_common_folder(f));
            own && name.segments.get(..depth).is_some_and(|s| self.trees.reaches(context(Op::Image, 0), s))
        })
    }

    /// Counts that `process` runs `image`.
    pub(super) fn learn_process(&mut self, image: u64, process: u32) {
        self.trees.learn(!image, &[], process);
        self.processes = self.processes.saturating_add(1);
    }

    /// Processes seen while learning.
    pub(super) fn processes(&self) -> u32 {
        self.processes
    }

    /// Processes of `image` seen while learning.
    pub(super) fn known(&self, image: u64) -> u32 {
        self.trees.context(!image).map_or(0, |(_, passes)| passes)
    }

    /// Counts that a process of `image` started `child` (an image too).
    pub(super) fn learn_child(&mut self, image: u64, child: u64, process: u32) {
        self.trees.learn(!context(Op::Child, image), &[child], process);
    }

    /// How many different images processes of `image` started.
    pub(super) fn kinds_of_children(&self, image: u64) -> u32 {
        self.trees.context(!context(Op::Child, image)).map_or(0, |(kinds, _)| kinds)
    }
}

fn context(op: Op, image: u64) -> u64 {
    image.rotate_left(17) ^ (op as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_image_never_does_surprises_and_what_it_always_renews_does_not() {
        let mut m = Model::new(100_000);
        for p in 0..200u32 {
            m.learn(
                Op::Write,
                1,
                &Name::of(
                    Op::Write,
                    &format!("c:\\cache\\data\\word{}.dat", "abcdefghij".chars().nth(p as usize % 10).unwrap()),
                ),
                p,
            );
            m.learn(Op::Write, 2, &Name::of(Op::Write, "c:\\log\\one.log"), p);
        }
        let new = Name::of(Op::Write, "c:\\users\\a\\run.exe");
        let cache = Name::of(Op::Write, "c:\\cache\\data\\wordz.dat");
        assert!(m.bits(Op::Write, 2, 200, &new) > 5.0);
        assert!(m.bits(Op::Write, 1, 200, &cache) < m.bits(Op::Write, 1, 200, &new));
        assert!(m.bits(Op::Peer, 2, 200, &Name::of(Op::Peer, "1.2.3.4:443")) > 3.0);
        assert!(m.bits(Op::Peer, 9, 0, &Name::of(Op::Peer, "1.2.3.4:443")) < 0.1);
    }
}
