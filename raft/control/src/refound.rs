//! An image as the first state of another cluster: what a restore and a recovery make of a saved one.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::image::Image;
use crate::state::{Formation, MemberIdentity};

/// An image cannot become the state of another cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefoundError {
    /// There is nothing to go on with.
    #[error("it is of a cluster that was never formed, so there is nothing in it to go on with")]
    NotFormed,
    /// Nobody can be a member under an id that nobody had.
    #[error("all Raft ids of its cluster are used up")]
    NoRaftIds,
}

/// The first state of another cluster, and who its only member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refounded {
    /// The state.
    pub image: Image,
    /// Raft id of the member.
    pub raft_id: u64,
    /// How often its name has come with an empty disk.
    pub incarnation: u64,
}

impl Image {
    /// The same catalogue and keys as the state of the cluster `cluster_id`, whose only member is `name`, under a Raft
    /// id that nobody had as far as this image knows.
    ///
    /// Nothing else changes: documents, their revisions, keys and tombstones stay byte for byte.
    ///
    /// # Errors
    /// [`RefoundError`].
    pub fn refounded(self, cluster_id: Uuid, name: &str) -> Result<Refounded, RefoundError> {
        let before = self.formation.as_deref().ok_or(RefoundError::NotFormed)?;
        let raft_id = before.next_raft_id;
        let next_raft_id = raft_id.checked_add(1).ok_or(RefoundError::NoRaftIds)?;
        let incarnation = before.members.get(name).map_or(1, |member| member.incarnation.saturating_add(1));
        let member = MemberIdentity { incarnation, ..MemberIdentity::founder(raft_id) };
        let members = BTreeMap::from([(name.to_owned(), member)]);
        let formation =
            Some(Arc::new(Formation { cluster_id, next_raft_id, members, format: before.format }));
        Ok(Refounded { image: Self { formation, ..self }, raft_id, incarnation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Issuer;
    use crate::{Batch, Command, Envelope, Machine, Slug, Timestamp};

    fn apply(machine: &mut Machine, command: Command) {
        let envelope = Envelope {
            at: Timestamp::from_secs(1),
            actor: "test".to_owned(),
            request_id: "r".to_owned(),
            ip: None,
            precondition: None,
            idempotency: None,
            command,
        };
        for result in machine.apply(&Batch::new(vec![envelope])).unwrap() {
            result.unwrap();
        }
    }

    fn formed() -> Machine {
        let mut machine = Machine::new(Issuer::new("http://localhost"));
        let members = BTreeMap::from([("n1".to_owned(), 1), ("n2".to_owned(), 2)]);
        apply(&mut machine, Command::FormCluster { cluster_id: Uuid::from_u128(1), members });
        let slug = Slug::parse("acme").unwrap();
        apply(&mut machine, Command::PutTenant { slug, patch: Default::default(), new_keys: Vec::new() });
        machine
    }

    #[test]
    fn only_the_cluster_changes_and_its_one_member_has_an_id_that_nobody_had() {
        let image = formed().image();
        let Refounded { image: new, raft_id, incarnation } =
            image.clone().refounded(Uuid::from_u128(2), "n2").unwrap();
        assert_eq!((raft_id, incarnation), (3, 2));
        let formation = new.formation.clone().unwrap();
        let member = MemberIdentity { incarnation: 2, ..MemberIdentity::founder(3) };
        assert_eq!((formation.cluster_id, formation.next_raft_id), (Uuid::from_u128(2), 4));
        assert_eq!(formation.members, BTreeMap::from([("n2".to_owned(), member)]));
        assert_eq!(Image { formation: image.formation.clone(), ..new }, image);
        let stranger = image.refounded(Uuid::from_u128(2), "n9").unwrap();
        assert_eq!((stranger.raft_id, stranger.incarnation), (3, 1));
    }

    #[test]
    fn an_image_without_a_cluster_or_without_ids_is_refused() {
        let empty = Machine::new(Issuer::new("http://localhost")).image();
        assert_eq!(empty.refounded(Uuid::nil(), "n1"), Err(RefoundError::NotFormed));
        let mut image = formed().image();
        let full =
            Formation { next_raft_id: u64::MAX, ..Formation::clone(image.formation.as_ref().unwrap()) };
        image.formation = Some(Arc::new(full));
        assert_eq!(image.refounded(Uuid::nil(), "n1"), Err(RefoundError::NoRaftIds));
    }
}
