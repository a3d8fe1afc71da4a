//! Accounts by the beginning of an address or of a name, page by page (EP129).
//!
//! One question is several walks, one after the other, each along one index and in its order: by address, by family name, by
//! given name. So a page costs what it shows, however many accounts there are, and a cursor says in which walk the page before
//! ended and where.

use std::fmt;
use std::str::FromStr;

use sqlx::FromRow;
use unicode_normalization::UnicodeNormalization as _;
use uuid::Uuid;

use super::rows::UserRow;
use super::users::user_columns;
use crate::domain::email::Email;
use crate::domain::user::{User, UserId, UserStatus, name_key};
use crate::store::error::Error;
use crate::store::ports::UnitOfWork;

/// Which accounts are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserQuery {
    /// The beginning of the address, the family name or the given name, in any letter case; all accounts without. Two words
    /// are the beginnings of given and family name.
    pub text: Option<String>,
    /// Only accounts of this status.
    pub status: Option<UserStatus>,
}

/// An account that was found, and where the search goes on after it.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundUser {
    /// The account.
    pub user: User,
    /// Its place in the order of the answer.
    pub place: UserPlace,
}

/// A place in the order of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserPlace {
    /// Among those found by their address.
    Email(String),
    /// Among those found by their family name; a name may be that of many.
    FamilyName(String, UserId),
    /// Among those found by their given name.
    GivenName(String, UserId),
}

/// A text is no place in the order of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a place in the order of a search")]
pub struct InvalidPlace;

impl fmt::Display for UserPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Email(key) => write!(f, "email:{key}"),
            Self::FamilyName(key, id) => write!(f, "family:{id}:{key}"),
            Self::GivenName(key, id) => write!(f, "given:{id}:{key}"),
        }
    }
}

impl FromStr for UserPlace {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        let (walk, rest) = text.split_once(':').ok_or(InvalidPlace)?;
        let named = || {
            let (id, key) = rest.split_once(':').ok_or(InvalidPlace)?;
            Ok((key.to_owned(), id.parse().map_err(|_| InvalidPlace)?))
        };
        match walk {
            "email" => Ok(Self::Email(rest.to_owned())),
            "family" => named().map(|(key, id)| Self::FamilyName(key, id)),
            "given" => named().map(|(key, id)| Self::GivenName(key, id)),
            _ => Err(InvalidPlace),
        }
    }
}

const BY_EMAIL: &str = concat!(
    "SELECT email_key AS place, ",
    user_columns!(),
    " FROM users WHERE tenant = $1 AND email_key COLLATE \"C\" >= $2 AND email_key COLLATE \"C\" < $3 \
      AND email_key COLLATE \"C\" > $4 AND ($5::text IS NULL OR status = $5) \
      ORDER BY email_key COLLATE \"C\" LIMIT $6"
);

// Says what the index of accounts that are not active is for, so that it is used.
const NOT_ACTIVE_BY_EMAIL: &str = concat!(
    "SELECT email_key AS place, ",
    user_columns!(),
    " FROM users WHERE tenant = $1 AND email_key COLLATE \"C\" >= $2 AND email_key COLLATE \"C\" < $3 \
      AND email_key COLLATE \"C\" > $4 AND status = $5 AND status <> 'active' \
      ORDER BY email_key COLLATE \"C\" LIMIT $6"
);

macro_rules! family {
    () => {
        "COALESCE(family_key, lower(left(family_name, 64))) COLLATE \"C\""
    };
}

macro_rules! given {
    () => {
        "COALESCE(given_key, lower(left(given_name, 64))) COLLATE \"C\""
    };
}

// The first place is one bound for both columns of the index: of two bounds PostgreSQL 15 begins its walk at the one that it
// likes, and passes over all that lies between. What an earlier walk has shown is not shown again.
const BY_FAMILY_NAME: &str = concat!(
    "SELECT ",
    family!(),
    " AS place, ",
    user_columns!(),
    " FROM users WHERE tenant = $1 AND family_name IS NOT NULL AND (",
    family!(),
    ", id) >= ($2, $3) AND ",
    family!(),
    " < $4 AND ($5::text IS NULL OR status = $5) \
      AND NOT (email_key COLLATE \"C\" >= $7 AND email_key COLLATE \"C\" < $8) \
      AND ($9::text IS NULL OR (",
    given!(),
    " >= $9 AND ",
    given!(),
    " < $10)) ORDER BY ",
    family!(),
    ", id LIMIT $6"
);

const BY_GIVEN_NAME: &str = concat!(
    "SELECT ",
    given!(),
    " AS place, ",
    user_columns!(),
    " FROM users WHERE tenant = $1 AND given_name IS NOT NULL AND (",
    given!(),
    ", id) >= ($2, $3) AND ",
    given!(),
    " < $4 AND ($5::text IS NULL OR status = $5) \
      AND NOT (email_key COLLATE \"C\" >= $7 AND email_key COLLATE \"C\" < $8) \
      AND NOT COALESCE(",
    family!(),
    " >= $9 AND ",
    family!(),
    " < $4, false) ORDER BY ",
    given!(),
    ", id LIMIT $6"
);

/// The last code point there is: what begins with a text lies below the text with this one after it.
const LAST: char = '\u{10FFFF}';

/// The accounts of the unit of work's tenant, to be searched.
#[derive(Debug)]
pub struct UserSearch<'a>(pub(in crate::store) &'a mut UnitOfWork);

#[derive(FromRow)]
struct Row {
    place: String,
    #[sqlx(flatten)]
    user: UserRow,
}

/// One of the walks.
#[derive(Clone, Copy)]
enum Walk {
    Email,
    FamilyName,
    GivenName,
}

/// A query as the statements want it.
struct Bounds {
    /// Beginning of an address.
    email: String,
    /// Beginning of a name; of the family name where there are two words.
    name: String,
    /// Beginning of the given name, where there are two words.
    given: Option<String>,
}

impl Bounds {
    fn of(text: Option<&str>) -> Self {
        let text = text.unwrap_or_default().trim();
        // A whole address has its own ideas of a domain's letters.
        let email = Email::parse(text).map(|email| email.key().to_owned());
        let email = email.unwrap_or_else(|_| text.to_lowercase().nfc().collect());
        match text.split_once(char::is_whitespace) {
            Some((given, family)) => {
                Self { email, name: name_key(family.trim()), given: Some(name_key(given)) }
            }
            None => Self { email, name: name_key(text), given: None },
        }
    }
}

/// Where a walk by name begins: at the first of those whose name begins with `prefix`, or right after the account that the page
/// before ended with. A cursor of another question may lie before the prefix.
fn first_place<'a>(prefix: &'a str, after: Option<(&'a str, UserId)>) -> (&'a str, Uuid) {
    match after {
        Some((key, id)) if key >= prefix => (key, Uuid::from_u128(id.0.as_u128().saturating_add(1))),
        _ => (prefix, Uuid::nil()),
    }
}

impl UserSearch<'_> {
    /// At most `limit` accounts that fit the query, in the order of the search, after `after`.
    pub async fn page(
        &mut self,
        query: &UserQuery,
        after: Option<&UserPlace>,
        limit: usize,
    ) -> Result<Vec<FoundUser>, Error> {
        let bounds = Bounds::of(query.text.as_deref());
        // Everybody is found by the address, and two words are names only.
        let walks: &[Walk] = match (bounds.name.is_empty(), &bounds.given) {
            (true, _) => &[Walk::Email],
            (false, None) => &[Walk::Email, Walk::FamilyName, Walk::GivenName],
            (false, Some(_)) => &[Walk::FamilyName],
        };
        let mut found = Vec::new();
        for walk in walks {
            let from = match (walk, after) {
                (Walk::Email, Some(UserPlace::Email(key))) => Some((key.as_str(), UserId(Uuid::nil()))),
                (Walk::FamilyName, Some(UserPlace::FamilyName(key, id)))
                | (Walk::GivenName, Some(UserPlace::GivenName(key, id))) => Some((key.as_str(), *id)),
                // This walk was over before, or has not begun.
                (Walk::Email, Some(UserPlace::FamilyName(..) | UserPlace::GivenName(..)))
                | (Walk::FamilyName, Some(UserPlace::GivenName(..))) => continue,
                (Walk::Email | Walk::FamilyName | Walk::GivenName, _) => None,
            };
            let left = limit.saturating_sub(found.len());
            if left > 0 {
                found.extend(self.walk(*walk, &bounds, query.status, from, left).await?);
            }
        }
        Ok(found)
    }

    async fn walk(
        &mut self,
        walk: Walk,
        bounds: &Bounds,
        status: Option<UserStatus>,
        from: Option<(&str, UserId)>,
        limit: usize,
    ) -> Result<Vec<FoundUser>, Error> {
        let (name, statement) = match (walk, status) {
            (Walk::Email, None | Some(UserStatus::Active)) => ("user_search.by_email", BY_EMAIL),
            (Walk::Email, Some(UserStatus::Disabled | UserStatus::Locked)) => {
                ("user_search.not_active_by_email", NOT_ACTIVE_BY_EMAIL)
            }
            (Walk::FamilyName, _) => ("user_search.by_family_name", BY_FAMILY_NAME),
            (Walk::GivenName, _) => ("user_search.by_given_name", BY_GIVEN_NAME),
        };
        let (connection, tenant, call) = self.0.call(name)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let status = status.map(UserStatus::as_str);
        let upper = |prefix: &str| format!("{prefix}{LAST}");
        let query = sqlx::query_as::<_, Row>(statement).bind(tenant.as_str());
        let query = match walk {
            Walk::Email => {
                let after = from.map_or("", |(key, _)| key);
                query.bind(&bounds.email).bind(upper(&bounds.email)).bind(after).bind(status).bind(limit)
            }
            Walk::FamilyName | Walk::GivenName => {
                let (key, id) = first_place(&bounds.name, from);
                query
                    .bind(key)
                    .bind(id)
                    .bind(upper(&bounds.name))
                    .bind(status)
                    .bind(limit)
                    .bind(&bounds.email)
                    .bind(upper(&bounds.email))
            }
        };
        let query = match walk {
            Walk::FamilyName => query.bind(bounds.given.as_deref()).bind(bounds.given.as_deref().map(upper)),
            Walk::GivenName => query.bind(&bounds.name),
            Walk::Email => query,
        };
        let rows = call.run(query.fetch_all(connection)).await?;
        rows.into_iter()
            .map(|row| {
                let user = User::try_from(row.user)?;
                let place = match walk {
                    Walk::Email => UserPlace::Email(row.place),
                    Walk::FamilyName => UserPlace::FamilyName(row.place, user.id),
                    Walk::GivenName => UserPlace::GivenName(row.place, user.id),
                };
                Ok(FoundUser { user, place })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_by_name_begins_at_the_prefix_or_after_the_page_before() {
        let id = UserId(Uuid::from_u128(7));
        let next = Uuid::from_u128(8);
        assert_eq!(first_place("lee", None), ("lee", Uuid::nil()));
        assert_eq!(first_place("lee", Some(("leeds", id))), ("leeds", next));
        assert_eq!(first_place("lee", Some(("lee", id))), ("lee", next));
        assert_eq!(first_place("lee", Some(("abel", id))), ("lee", Uuid::nil()), "of another question");
    }

    #[test]
    fn a_place_comes_back_from_its_text() {
        let id = UserId(Uuid::from_u128(7));
        for place in [
            UserPlace::Email("a:b@example.com".to_owned()),
            UserPlace::FamilyName("o:neill".to_owned(), id),
            UserPlace::GivenName(String::new(), id),
        ] {
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for bad in ["", "email", "name:a", "family:x:lee", "family:lee"] {
            assert_eq!(bad.parse::<UserPlace>(), Err(InvalidPlace), "{bad}");
        }
    }
}
