//! The connections to one place that listens: how many, from whom, and which is given up where there is no room for another.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// How many connections there may be, and how long a client may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Connections that may be open at a time.
    pub(super) open: usize,
    /// Of these, those of one user of this host, or from its own address, which all its users share.
    pub(super) of_local_peer: usize,
    /// Of these, those from one address elsewhere.
    pub(super) of_remote_peer: usize,
    /// How long the head of a request may take, and how long a connection may be open without a request.
    pub(super) head: Duration,
    /// How long the body of a request may take.
    pub(super) body: Duration,
    /// From when on a client that sends no more of a body, or takes no more of an answer, holds a place for nothing.
    pub(super) stuck: Duration,
}

impl Limits {
    pub(super) const DEFAULT: Self = Self {
        open: 64,
        of_local_peer: 48,
        of_remote_peer: 16,
        head: Duration::from_secs(30),
        body: Duration::from_secs(30),
        stuck: Duration::from_secs(5),
    };
}

/// Who connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// A user of this host, over a unix socket.
    User(u32),
    /// An address.
    Address(IpAddr),
}

impl Peer {
    /// Who has one address of IPv6 usually has all that begin with the same 64 bits.
    pub(super) fn at(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(v6) if !v6.is_loopback() => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
            other => other,
        })
    }

    fn is_local(self) -> bool {
        match self {
            Self::User(_) => true,
            Self::Address(address) => address.is_loopback(),
        }
    }
}

/// All connections to one place.
pub(super) struct Connections {
    pub(super) limits: Limits,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    open: BTreeMap<u64, (Peer, Arc<Activity>)>,
}

impl Connections {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, table: Mutex::default() })
    }

    /// A place for one more of that peer. Where all are taken, that peer's or anybody's connection that waits for its
    /// client the longest is given up. None where no connection waits.
    pub(super) fn admit(self: &Arc<Self>, peer: Peer) -> Option<Place> {
        let mut table = self.table.lock();
        let of_peer = table.open.values().filter(|(other, _)| *other == peer).count();
        let most = if peer.is_local() { self.limits.of_local_peer } else { self.limits.of_remote_peer };
        if of_peer >= most {
            table.give_up_one(Some(peer), self.limits.stuck)?;
        } else if table.open.len() >= self.limits.open {
            table.give_up_one(None, self.limits.stuck)?;
        }
        let (id, activity) = (table.next, Arc::new(Activity::new()));
        table.next += 1;
        table.open.insert(id, (peer, Arc::clone(&activity)));
        Some(Place { id, activity, connections: Arc::clone(self) })
    }
}

impl Table {
    fn give_up_one(&mut self, of: Option<Peer>, stuck: Duration) -> Option<()> {
        let all = self.open.iter().filter(|(_, (peer, _))| of.is_none_or(|of| of == *peer));
        let (_, id) = all.filter_map(|(id, (_, activity))| Some((activity.waits_since(stuck)?, *id))).min()?;
        let (_, activity) = self.open.remove(&id)?;
        activity.given_up.notify_one();
        Some(())
    }
}

/// What a connection holds as long as it is open.
pub(super) struct Place {
    id: u64,
    pub(super) activity: Arc<Activity>,
    connections: Arc<Connections>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.table.lock().open.remove(&self.id);
    }
}

/// What a connection does.
pub(super) struct Activity {
    state: Mutex<State>,
    /// Its place is needed for another.
    given_up: Notify,
}

#[derive(Clone, Copy)]
enum State {
    /// No request is under way since then.
    Idle(Instant),
    /// The agent makes an answer, or there is nothing to be sent yet.
    Busy,
    /// The client is to send more of a body, or to take more of an answer, since then.
    Blocked(Instant),
}

impl Activity {
    fn new() -> Self {
        Self { state: Mutex::new(State::Idle(Instant::now())), given_up: Notify::new() }
    }

    pub(super) fn idle(&self) {
        *self.state.lock() = State::Idle(Instant::now());
    }

    pub(super) fn busy(&self) {
        *self.state.lock() = State::Busy;
    }

    pub(super) fn blocked(&self) {
        let mut state = self.state.lock();
        if !matches!(*state, State::Blocked(_)) {
            *state = State::Blocked(Instant::now());
        }
    }

    /// Resolves when the connection is to end.
    pub(super) async fn given_up(&self) {
        self.given_up.notified().await;
    }

    /// Since when it waits for its client, those first that are without a request.
    fn waits_since(&self, stuck: Duration) -> Option<(bool, Instant)> {
        match *self.state.lock() {
            State::Idle(since) => Some((false, since)),
            State::Blocked(since) if since.elapsed() >= stuck => Some((true, since)),
            State::Busy | State::Blocked(_) => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { open: 3, of_local_peer: 2, of_remote_peer: 1, stuck: Duration::ZERO, ..Limits::DEFAULT };

    fn from(address: &str) -> Peer {
        Peer::at(address.parse().unwrap())
    }

    async fn is_given_up(place: &Place) -> bool {
        tokio::time::timeout(Duration::ZERO, place.activity.given_up()).await.is_ok()
    }

    #[tokio::test]
    async fn who_is_idle_the_longest_makes_room_and_who_is_answered_does_not() {
        let connections = Connections::new(LIMITS);
        let places: Vec<_> = (1..=3).map(|n| connections.admit(from(&format!("192.0.2.{n}"))).unwrap()).collect();
        places[0].activity.busy();
        let fourth = connections.admit(from("192.0.2.4")).unwrap();
        assert!(!is_given_up(&places[0]).await && is_given_up(&places[1]).await && !is_given_up(&places[2]).await);
        // A blocked one goes only after those that are idle.
        places[2].activity.blocked();
        let fifth = connections.admit(from("192.0.2.5")).unwrap();
        assert!(is_given_up(&fourth).await && !is_given_up(&places[2]).await);
        fifth.activity.busy();
        let sixth = connections.admit(from("192.0.2.6")).unwrap();
        assert!(is_given_up(&places[2]).await);
        sixth.activity.busy();
        assert!(connections.admit(from("192.0.2.7")).is_none(), "all are being answered");
        drop(sixth);
        assert!(connections.admit(from("192.0.2.7")).is_some());
    }

    #[tokio::test]
    async fn a_peer_has_its_own_limit_and_gives_up_its_own() {
        let connections = Connections::new(LIMITS);
        let other = connections.admit(from("2001:db8:0:1::1")).unwrap();
        let first = connections.admit(from("2001:db8:0:2::1")).unwrap();
        let second = connections.admit(from("2001:db8:0:2:ffff::2")).unwrap();
        assert!(is_given_up(&first).await && !is_given_up(&other).await);
        second.activity.busy();
        assert!(connections.admit(from("2001:db8:0:2::3")).is_none(), "its one place is in use");
        drop((first, second));
        let users: Vec<_> = (0..2).map(|_| connections.admit(Peer::User(0)).unwrap()).collect();
        assert!(!is_given_up(&users[0]).await && !is_given_up(&other).await);
    }

    #[test]
    fn an_address_is_one_peer_however_it_is_written() {
        assert_eq!(from("::ffff:192.0.2.1"), from("192.0.2.1"));
        assert_ne!(from("192.0.2.1"), from("192.0.2.2"));
        assert!(from("::1").is_local() && from("::ffff:127.0.0.1").is_local() && !from("2001:db8::1").is_local());
    }
}
