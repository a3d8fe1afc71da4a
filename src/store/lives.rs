//! Lives of tenants: a tenant that was deleted and made again under the same slug finds none of the old one's people.
//!
//! A deletion leaves the rows of its people where they are (spec §13.12 revokes their tokens). The table `tenant_lives` says of
//! which life they are; at the first use by a later life they are removed. Every request asks, and nearly all are answered
//! from memory. What is remembered can be old: a node that lags goes on with the life that it knows. It can do no harm with
//! that, because everything about a person hangs on the account, and whoever makes an account reads the table again, in the
//! same transaction and under the row's lock ([`UnitOfWork::hold_life`]).

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use hellojohn_control::{Slug, Timestamp};
use imbl::OrdMap;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use uuid::Uuid;

use super::database::Database;
use super::error::{Error, Reason};
use super::ports::UnitOfWork;

/// How long a request waits for the rows of an old life to be removed before it is told to come again.
const PATIENCE: Duration = Duration::from_secs(3);

/// First looks of one database that go on at the same time, at least; those of one tenant go one after the other.
const LANES: usize = 16;

/// A life of a tenant: from the making of its document to its deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// When the document was made.
    pub created_at: Timestamp,
    /// Its revision now, or at some other time of this life.
    pub revision: u64,
    /// The cluster whose document it is.
    pub cluster: Uuid,
}

/// A life as the database has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptLife {
    /// Which.
    pub life: Life,
    /// Whether the tenant was deleted, as far as the database was told.
    pub ended: bool,
}

/// How the life that a node knows stands to the one that the database has rows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is the same.
    Same,
    /// It is the same, told by a cluster that took over from the one that wrote it down.
    Adopted,
    /// The database's is over.
    Later,
    /// The node has not heard yet of the one that the database is at.
    Earlier,
    /// Nobody told the database of a deletion: perhaps these people are wanted. Of another cluster, or of a catalogue that came
    /// back from a copy made before them, or the database was away when the tenant was deleted.
    Foreign,
}

impl Life {
    fn standing(&self, kept: &KeptLife) -> Standing {
        let KeptLife { life: kept, ended } = kept;
        match (self.created_at == kept.created_at, self.cluster == kept.cluster) {
            (true, true) => Standing::Same,
            (true, false) => Standing::Adopted,
            (false, false) => Standing::Foreign,
            // Not by the time: the leader that made the later one may have had a clock that was behind.
            (false, true) if self.revision > kept.revision && *ended => Standing::Later,
            (false, true) if self.revision > kept.revision => Standing::Foreign,
            (false, true) => Standing::Earlier,
        }
    }
}

/// What a node remembers of one database.
pub(super) struct KnownLives {
    known: ArcSwap<OrdMap<Slug, (Timestamp, Uuid)>>,
    lanes: [Semaphore; LANES],
}

impl Default for KnownLives {
    fn default() -> Self {
        Self { known: ArcSwap::default(), lanes: std::array::from_fn(|_| Semaphore::new(1)) }
    }
}

impl fmt::Debug for KnownLives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownLives").field("known", &self.known.load().len()).finish_non_exhaustive()
    }
}

impl KnownLives {
    fn knows(&self, tenant: &Slug, life: &Life) -> bool {
        self.known.load().get(tenant) == Some(&(life.created_at, life.cluster))
    }

    fn remember(&self, tenant: &Slug, life: &Life) {
        self.known.rcu(|known| known.update(tenant.clone(), (life.created_at, life.cluster)));
    }

    /// The next request looks again.
    pub(super) fn forget(&self, tenant: &Slug) {
        self.known.rcu(|known| known.without(tenant));
    }

    fn lane(&self, tenant: &Slug) -> Option<&Semaphore> {
        let mut hasher = DefaultHasher::new();
        tenant.hash(&mut hasher);
        let lanes = u64::try_from(LANES).ok()?;
        self.lanes.get(usize::try_from(hasher.finish() % lanes).ok()?)
    }
}

impl Database {
    /// As [`Database::begin`], on the rows of this life of the tenant and of no other one.
    ///
    /// # Errors
    /// As [`Database::begin`] and [`Database::admit`].
    pub async fn begin_in(&self, tenant: &Slug, life: &Life) -> Result<UnitOfWork, Error> {
        self.admit(tenant, life).await?;
        let lease = self.lease("begin").await?;
        UnitOfWork::begin(lease, tenant.clone(), Some(*life)).await
    }

    /// Sees to it that the tenant's rows are of this life. From memory, once it was found out.
    ///
    /// # Errors
    /// `Unavailable`: the rows of an earlier life are being removed (`OldLife`; each call goes on with it), or the database is
    /// at a later one, or at one of another cluster (`OtherLife`).
    pub async fn admit(&self, tenant: &Slug, life: &Life) -> Result<(), Error> {
        const NAME: &str = "lives.admit";
        let lives = self.lives();
        if lives.knows(tenant, life) {
            return Ok(());
        }
        let lane = lives.lane(tenant).ok_or_else(|| Error::internal(NAME, "no such lane"))?;
        // The semaphore is never closed.
        let Ok(_turn) = timeout(PATIENCE, lane.acquire()).await else {
            return Err(Error::unavailable(Reason::OldLife, NAME, "somebody else is at it"));
        };
        if lives.knows(tenant, life) {
            return Ok(());
        }
        self.settle(tenant, life).await?;
        lives.remember(tenant, life);
        Ok(())
    }

    async fn settle(&self, tenant: &Slug, life: &Life) -> Result<(), Error> {
        const NAME: &str = "lives.settle";
        let began = Instant::now();
        let mut removed = 0;
        loop {
            let mut work = self.begin(tenant).await?;
            let mut standing = work.lives().find().await?.map(|kept| life.standing(&kept));
            if standing == Some(Standing::Later) {
                // Again, under the lock: somebody else may have done it, or be about to make an account.
                standing = work.lives().find_for_update().await?.map(|kept| life.standing(&kept));
            }
            match standing {
                Some(Standing::Same) => return Ok(()),
                None | Some(Standing::Adopted) => {
                    work.lives().note(life).await?;
                    work.commit().await?;
                }
                Some(Standing::Later) => {
                    let portion = work.lives().remove_portion().await?;
                    if portion == 0 {
                        work.lives().replace(life).await?;
                    }
                    work.commit().await?;
                    removed += portion;
                    if portion == 0 {
                        tracing::info!(%tenant, removed, "the people of a deleted tenant of this name are removed");
                        return Ok(());
                    }
                }
                Some(Standing::Earlier) => {
                    return Err(Error::unavailable(
                        Reason::OtherLife,
                        NAME,
                        "the tenant was made again, which this node has not heard yet",
                    ));
                }
                Some(Standing::Foreign) => {
                    return Err(Error::unavailable(
                        Reason::OtherLife,
                        NAME,
                        "it has people of a tenant of this name of whose deletion it was not told; nothing is removed and nobody let in \
                         until the row in tenant_lives is dealt with: docs/operations.md, \"Tenants that are deleted\"",
                    ));
                }
            }
            if began.elapsed() > PATIENCE {
                return Err(Error::unavailable(Reason::OldLife, NAME, format!("{removed} rows so far")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(created_at: i64, revision: u64, cluster: u128) -> Life {
        Life { created_at: Timestamp::from_secs(created_at), revision, cluster: Uuid::from_u128(cluster) }
    }

    #[test]
    fn a_life_is_told_by_its_beginning_and_its_place_by_the_revision() {
        let kept = KeptLife { life: life(1_000, 7, 1), ended: true };
        let living = KeptLife { ended: false, ..kept };
        assert_eq!(life(2_000, 8, 1).standing(&living), Standing::Foreign, "nobody deleted them");
        assert_eq!(life(1_000, 9, 1).standing(&living), Standing::Same);
        assert_eq!(life(2_000, 6, 1).standing(&living), Standing::Earlier);
        for (now, standing) in [
            (life(1_000, 7, 1), Standing::Same),
            (life(1_000, 9, 1), Standing::Same),
            (life(1_000, 3, 1), Standing::Same),
            (life(2_000, 8, 1), Standing::Later),
            // Made by a leader whose clock was behind.
            (life(500, 8, 1), Standing::Later),
            (life(500, 6, 1), Standing::Earlier),
            (life(2_000, 6, 1), Standing::Earlier),
            // A cluster that was restored from a snapshot, and one that was made anew.
            (life(1_000, 2, 2), Standing::Adopted),
            (life(2_000, 1, 2), Standing::Foreign),
            (life(2_000, 9, 2), Standing::Foreign),
        ] {
            assert_eq!(now.standing(&kept), standing, "{now:?}");
        }
    }

    #[test]
    fn what_is_remembered_is_one_life_of_one_tenant() {
        let lives = KnownLives::default();
        let (acme, other) = (Slug::parse("acme").unwrap(), Slug::parse("other").unwrap());
        lives.remember(&acme, &life(1, 1, 1));
        assert!(lives.knows(&acme, &life(1, 5, 1)));
        assert!(!lives.knows(&acme, &life(2, 5, 1)) && !lives.knows(&acme, &life(1, 1, 2)));
        assert!(!lives.knows(&other, &life(1, 1, 1)));
        lives.forget(&acme);
        assert!(!lives.knows(&acme, &life(1, 1, 1)));
    }
}
