//! What a session may read and wants: the users' read capabilities, delegated to the key of that session.

use std::num::NonZeroU64;
use std::sync::Arc;

use willow25::authorisation::ReadCapability;
use willow25::entry::{NamespaceId, SubspaceId};
use willow25::groupings::{Area, Grouping};

use super::Wallet;

/// What to sync.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum InterestSelection {
    /// Everything that the local users may read.
    #[default]
    All,
    /// These, as far as the local users may read them.
    Only(Vec<Interest>),
}

/// Something to sync.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interest {
    /// The namespace.
    pub namespace: NamespaceId,
    /// Where; `None` for everywhere.
    pub area: Option<Area>,
    /// At most this many entries, the newest; `None` for all.
    pub max_count: Option<NonZeroU64>,
    /// At most this many bytes of payloads; `None` for all.
    pub max_size: Option<u64>,
}

/// An interest of one session. The area that its capability grants *is* the area of interest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionInterest {
    /// Delegated to the receiver key of the session, restricted to the area.
    pub capability: Arc<ReadCapability>,
    /// As asked for in [`Interest::max_count`].
    pub max_count: Option<NonZeroU64>,
    /// As asked for in [`Interest::max_size`].
    pub max_size: Option<u64>,
}

/// A part of what was asked for that one capability covers.
struct Candidate<'a> {
    held: &'a Arc<ReadCapability>,
    area: Area,
    max_count: Option<NonZeroU64>,
    max_size: Option<u64>,
}

impl Candidate<'_> {
    /// Whether `other` brings everything that this brings.
    fn is_part_of(&self, other: &Self) -> bool {
        let unlimited = other.max_count.is_none() && other.max_size.is_none();
        let same_limits = (self.max_count, self.max_size) == (other.max_count, other.max_size);
        let same_area = self.area == other.area;
        self.held.granted_namespace() == other.held.granted_namespace()
            && (unlimited || (same_limits && same_area))
            && other.area.includes_grouping(&self.area)
    }
}

impl Wallet {
    /// Delegates the users' read capabilities, restricted to the areas selected, to the receiver key of a session.
    ///
    /// A part that another one contains is left out. What no capability covers is left out as well: compare the number of
    /// interests with the selection to tell "nothing to read there". One signature per interest.
    #[must_use]
    pub fn for_session(&self, receiver: &SubspaceId, selection: &InterestSelection) -> Vec<SessionInterest> {
        let candidates = self.candidates(selection);
        let kept = candidates.iter().enumerate().filter(|(i, candidate)| {
            !candidates.iter().enumerate().any(|(j, other)| {
                // Of two equal ones the first stays.
                i != &j && candidate.is_part_of(other) && (j < *i || !other.is_part_of(candidate))
            })
        });
        kept.filter_map(|(_, candidate)| {
            let mut capability = ReadCapability::clone(candidate.held);
            let secret = self.user_secret(capability.receiver())?;
            capability.try_delegate(secret, candidate.area.clone(), receiver.clone()).ok()?;
            Some(SessionInterest { capability: Arc::new(capability), max_count: candidate.max_count, max_size: candidate.max_size })
        })
        .collect()
    }

    fn candidates(&self, selection: &InterestSelection) -> Vec<Candidate<'_>> {
        match selection {
            InterestSelection::All => {
                self.read.iter().map(|held| Candidate { held, area: held.granted_area(), max_count: None, max_size: None }).collect()
            }
            InterestSelection::Only(interests) => interests
                .iter()
                .flat_map(|interest| {
                    self.read_capabilities(Some(&interest.namespace)).filter_map(|held| {
                        let granted = held.granted_area();
                        let area = match &interest.area {
                            None => granted,
                            Some(area) => granted.intersection(area).ok()?,
                        };
                        Some(Candidate { held, area, max_count: interest.max_count, max_size: interest.max_size })
                    })
                })
                .collect(),
        }
    }
}
