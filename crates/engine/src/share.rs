//! Shares of a bounded table: who has how much of it, and who gives way where it is full.
//!
//! Everyone may have as much as is free. Once all is taken, the one that has most gives up what came last, so that a share is even
//! among those who need it, and none who has little loses anything to who has much.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

/// Whose a share is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Share {
    /// A user's, to whom a part of the hierarchy is delegated.
    User(u32),
    /// That of a container, by the id of its outermost cgroup: of what it makes outside itself, and of what runs in it.
    Container(u64),
    /// That of all below a cgroup.
    Below(Arc<str>),
}

/// What each share holds of a table.
#[derive(Debug)]
pub struct Shares<M> {
    members: BTreeMap<Share, BTreeSet<M>>,
    sizes: BTreeSet<(usize, Share)>,
    /// How often each share gave way or was refused since the last [`Shares::take_crowded`].
    crowded: BTreeMap<Share, u64>,
}

impl<M> Default for Shares<M> {
    fn default() -> Self {
        Self { members: BTreeMap::new(), sizes: BTreeSet::new(), crowded: BTreeMap::new() }
    }
}

impl<M: Ord + Copy> Shares<M> {
    /// Shares of which it is known that they were crowded; beyond, they are not named.
    const MAX_CROWDED: usize = 64;

    /// A share has one more member.
    pub fn insert(&mut self, share: &Share, member: M) {
        self.change(share, |members| _ = members.insert(member));
    }

    /// A member is gone.
    pub fn remove(&mut self, share: &Share, member: M) {
        self.change(share, |members| _ = members.remove(&member));
    }

    /// How much a share has.
    pub fn size(&self, share: &Share) -> usize {
        self.members.get(share).map_or(0, BTreeSet::len)
    }

    /// The member that makes room for one more of `share` where the table is full: the last one of the largest share. None
    /// where that is `share` itself, which is refused then. Either way it is noted who was crowded.
    pub fn give_way(&mut self, share: &Share) -> Option<(Share, M)> {
        let largest = self.sizes.last().filter(|(size, _)| *size > self.size(share)).map(|(_, share)| share.clone());
        let crowded = largest.as_ref().unwrap_or(share);
        if self.crowded.len() < Self::MAX_CROWDED || self.crowded.contains_key(crowded) {
            *self.crowded.entry(crowded.clone()).or_default() += 1;
        }
        let largest = largest?;
        let member = *self.members.get(&largest)?.last()?;
        self.remove(&largest, member);
        Some((largest, member))
    }

    /// Who gave way or was refused since the last call, and how often.
    pub fn take_crowded(&mut self) -> BTreeMap<Share, u64> {
        std::mem::take(&mut self.crowded)
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    fn change(&mut self, share: &Share, how: impl FnOnce(&mut BTreeSet<M>)) {
        let members = self.members.entry(share.clone()).or_default();
        let before = members.len();
        how(members);
        let after = members.len();
        if before == after && after > 0 {
            return;
        }
        self.sizes.remove(&(before, share.clone()));
        if after == 0 {
            self.members.remove(share);
        } else {
            self.sizes.insert((after, share.clone()));
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "the user {id}"),
            Self::Container(0) => f.write_str("the host"),
            Self::Container(cgroup) => write!(f, "the container of cgroup {cgroup}"),
            Self::Below(path) => write!(f, "{}", ethogram_model::render::escape(path)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn below(path: &str) -> Share {
        Share::Below(path.into())
    }

    #[test]
    fn the_largest_share_gives_up_what_came_last() {
        let mut shares = Shares::default();
        (0..10).for_each(|n| shares.insert(&Share::User(1000), n));
        shares.insert(&below("/docker"), 100);
        assert_eq!(shares.give_way(&below("/docker")), Some((Share::User(1000), 9)));
        assert_eq!(shares.give_way(&Share::User(1000)), None, "it is the largest itself");
        assert_eq!(shares.give_way(&Share::User(7)), Some((Share::User(1000), 8)));
        assert_eq!((shares.size(&Share::User(1000)), shares.size(&below("/docker"))), (8, 1));
        assert_eq!(shares.take_crowded(), BTreeMap::from([(Share::User(1000), 3)]));
        assert!(shares.take_crowded().is_empty());
    }

    #[test]
    fn equal_shares_keep_what_they_have() {
        let mut shares = Shares::default();
        shares.insert(&below("/a"), 1);
        shares.insert(&below("/b"), 2);
        assert_eq!(shares.give_way(&below("/a")), None);
        assert!(shares.give_way(&below("/c")).is_some(), "who has nothing gets a place");
    }

    #[test]
    fn what_is_removed_leaves_nothing_behind() {
        let mut shares = Shares::default();
        for n in 0..1000_u64 {
            shares.insert(&Share::Container(n % 7), n);
            shares.insert(&Share::Container(n % 7), n);
        }
        shares.remove(&Share::Container(1), 5000);
        (0..1000).for_each(|n| shares.remove(&Share::Container(n % 7), n));
        assert!(shares.is_empty() && shares.sizes.is_empty());
        shares.remove(&Share::Container(1), 1);
        assert!(shares.is_empty() && shares.sizes.is_empty());
    }
}
