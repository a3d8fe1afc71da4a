//! Guesses at second factors, within the limits of their pools (spec §10, S61).

use futures::future::BoxFuture;
use hellojohn_control::Slug;

use super::refusal::{Judged, Refusal};
use crate::domain::user::UserId;
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
        (tenant, user): (&Slug, UserId),
        work: BoxFuture<'_, Judged<T>>,
    ) -> Judged<T> {
        let mut why = None;
        let told = async {
            work.await.map_err(|refusal| {
                why = Some(refusal.why);
                refusal.error
            })
        };
        let account = Some(Account::User(tenant, user));
        let guessed = self.0.limits.guess(pool, requester.ip, account, told).await;
        guessed.map_err(|error| match why {
            Some(why) => Refusal { error, why },
            None => error.into(),
        })
    }
}
