//! Who leads, as this node may tell others.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::propose::ProposeError;
use crate::running::Running;
use crate::shared::Shared;
use crate::status;
use crate::types::Metrics;

/// How often a leader whose quorum is late looks whether it has answered.
const LOOK: Duration = Duration::from_millis(10);

impl Shared {
    /// As [`Self::check_leader`], but a leader whose quorum is late gets until the longest election timeout after its
    /// last answer: a disk or a network that stalls for half a second delays writes and fails none. Nothing is
    /// proposed meanwhile, so a refusal after that is still certain.
    pub(crate) async fn let_write(&self, running: &Running) -> Result<(), ProposeError> {
        let until = Instant::now() + self.settings.timers.election_max;
        loop {
            match self.check_leader(running) {
                Err(ProposeError::Unavailable) if self.may_recover(running) && Instant::now() < until => {
                    sleep(LOOK).await;
                }
                checked => return checked,
            }
        }
    }

    /// Whether this node leads and a quorum has answered it not too long ago. Ends by itself: without an answer the last
    /// one grows old.
    fn may_recover(&self, running: &Running) -> bool {
        let metrics = running.raft.metrics();
        let metrics = metrics.borrow();
        let longest = self.settings.timers.election_max;
        status::leads(&metrics, running.pulse.age(), longest)
    }

    /// Whether this node takes writes now; see [`crate::Node::may_lead`].
    pub(crate) fn check_leader(&self, running: &Running) -> Result<(), ProposeError> {
        let metrics = running.raft.metrics();
        let metrics = metrics.borrow();
        if let Err(fatal) = &metrics.running_state {
            return Err(ProposeError::Fatal(fatal.to_string()));
        }
        if status::leads(&metrics, running.pulse.age(), self.silence()) {
            return Ok(());
        }
        match self.current_leader(&metrics, running.pulse.age()) {
            Some(leader) => Err(ProposeError::NotLeader { leader: Some(leader) }),
            None => Err(ProposeError::Unavailable),
        }
    }

    /// Name of another node that leads and was heard from recently.
    pub(crate) fn current_leader(&self, metrics: &Metrics, age: Duration) -> Option<String> {
        let leader = status::leader_name(metrics)?;
        if leader == self.settings.name {
            return status::leads(metrics, age, self.silence()).then_some(leader);
        }
        // openraft names the last leader until the next election begins; one that has been silent for longer
        // than a follower waits is no leader to send anybody to.
        self.contacts.age(&leader).is_some_and(|age| age <= self.silence()).then_some(leader)
    }

    pub(crate) fn silence(&self) -> Duration {
        self.settings.timers.leader_silence()
    }
}
