//! Look at one's own sessions and end one of them (EP010, S81).

use super::AccountService;
use crate::domain::refresh_token::{FamilyId, RevocationReason, Session};
use crate::service::audit::{Action, Event, Outcome, Requester};
use crate::service::authenticate::person_of;
use crate::service::user_store::refused;
use crate::service::{Code, Principal, Result};

impl AccountService {
    /// At most `limit` live sessions of the account, by identifier, after `after`.
    ///
    /// # Errors
    /// `invalid_token`, `storage_unavailable`.
    pub async fn own_sessions(
        &self,
        principal: &Principal,
        after: Option<FamilyId>,
        limit: usize,
    ) -> Result<Vec<Session>> {
        let person = person_of(principal)?;
        let view = self.0.plane.view();
        let entry = view.tenant(&person.tenant).ok_or(Code::InvalidToken)?;
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let sessions = work.sessions().of_user(person.user, self.0.clock.now(), after, limit).await;
        let sessions = sessions.map_err(|error| refused(&error))?;
        work.commit().await.map_err(|error| refused(&error))?;
        Ok(sessions)
    }

    /// Ends one: its tokens are dead at once. It may be the caller's own.
    ///
    /// # Errors
    /// `session_not_found` for one that is over or somebody else's; `invalid_token`; `storage_unavailable`.
    pub async fn end_own_session(
        &self,
        requester: &Requester,
        principal: &Principal,
        session: FamilyId,
    ) -> Result<()> {
        let person = person_of(principal)?;
        let view = self.0.plane.view();
        let entry = view.tenant(&person.tenant).ok_or(Code::InvalidToken)?;
        let now = self.0.clock.now();
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let ended = work.sessions().end(person.user, session, now, RevocationReason::Revoked).await;
        if !ended.map_err(|error| refused(&error))? {
            return Err(Code::SessionNotFound.into());
        }
        let event = Event {
            requester,
            action: Action::EndSession,
            outcome: Outcome::Ok,
            tenant: &person.tenant,
            actor: Some(person.user),
            target: Some(session.0),
            client_id: principal.client_id.as_deref(),
        };
        self.0.stores.commit_told(work, &[event]).await
    }
}
