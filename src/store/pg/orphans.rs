//! Which clients have live token families or browser sessions, so that a job can find those whose client exists no more
//! (spec §13.12). Like `maintenance` it looks at all tenants of a database and at no person's data.

use uuid::Uuid;

use crate::store::database::Database;
use crate::store::error::Error;

/// A client with at least one session that is not revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveClient {
    /// The tenant's slug.
    pub tenant: String,
    /// The id of the client's document; nil for the browser sessions of a tenant that go through no client.
    pub client: Uuid,
}

// Jumps from one pair to the next in the index of live families, so that its cost is the number of clients and
// not the number of families.
macro_rules! live_clients {
    ($table:literal) => {
        concat!(
            "WITH RECURSIVE live AS ((SELECT tenant, client_uuid FROM ",
            $table,
            " WHERE revoked_at IS NULL AND (tenant, client_uuid) > ($1, $2) \
                ORDER BY tenant, client_uuid LIMIT 1) \
            UNION ALL \
            SELECT next.tenant, next.client_uuid FROM live CROSS JOIN LATERAL ( \
                SELECT f.tenant, f.client_uuid FROM ",
            $table,
            " f WHERE f.revoked_at IS NULL AND (f.tenant, f.client_uuid) > (live.tenant, live.client_uuid) \
                ORDER BY f.tenant, f.client_uuid LIMIT 1) next) \
            SELECT tenant, client_uuid FROM live LIMIT $3"
        )
    };
}

/// What may be live of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Live {
    /// Families of tokens.
    Families,
    /// Sessions of browsers.
    Browsers,
}

impl Live {
    const fn statement(self) -> &'static str {
        match self {
            Self::Families => live_clients!("token_families"),
            Self::Browsers => live_clients!("browser_sessions"),
        }
    }
}

impl Database {
    /// Clients of which something is live that come after `after`, by tenant and id; at most `limit`.
    pub async fn live_clients(
        &self,
        what: Live,
        after: Option<&LiveClient>,
        limit: i64,
    ) -> Result<Vec<LiveClient>, Error> {
        // No tenant is named by the empty text, so the first pair may have the nil UUID too.
        let (tenant, client) = after.map_or(("", Uuid::nil()), |pair| (pair.tenant.as_str(), pair.client));
        let query = sqlx::query_as(what.statement()).bind(tenant).bind(client).bind(limit);
        let rows: Vec<(String, Uuid)> =
            self.alone("orphans.live_clients", async |connection| query.fetch_all(connection).await).await?;
        Ok(rows.into_iter().map(|(tenant, client)| LiveClient { tenant, client }).collect())
    }
}
