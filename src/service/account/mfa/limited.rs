//! Guesses at second factors, within the limits of their pools (spec §10, S61).

use futures::future::BoxFuture;

use super::refusal::{Judged, Refusal};
use crate::service::account::AccountService;
use crate::service::audit::Requester;
use crate::service::limits::{Account, Pool};

impl AccountService {
    /// Carries out a guess, by address and by account, as [`crate::service::limits::Limits::guess`] does.
    ///
    /// # Errors
    /// `too_many_requests`, before `work` has begun; else what `work` ends with.
    pub(in crate::service::account) async fn limited<T>(
        &self,
        pool: Pool,
        requester: &Requester,
        account: Account<'_>,
        work: BoxFuture<'_, Judged<T>>,
    ) -> Judged<T> {
        let mut kept = None;
        let work = async {
            work.await.map_err(|Refusal { error, why, told }| {
                kept = Some((why, told));
                error
            })
        };
        let guessed = self.0.limits.guess(pool, requester.ip, Some(account), work).await;
        guessed.map_err(|error| match kept {
            Some((why, told)) => Refusal { error, why, told },
            None => error.into(),
        })
    }
}
