//! What the kernel does on the agent's behalf: it cuts a cgroup's network.

mod cut;

pub use cut::NetworkCut;

include!(concat!(env!("OUT_DIR"), "/response.rs"));
