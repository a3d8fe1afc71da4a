//! The scope catalogue of a tenant (spec §2.1).

use serde::{Deserialize, Serialize};

use crate::validate::{FieldError, Findings};
use crate::{ScopeName, limits};

/// A scope that clients of the tenant may be given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Name, as in the `scope` parameter.
    pub name: ScopeName,
    /// What it allows, for people.
    #[serde(default)]
    pub description: String,
    /// Claims that it adds to ID tokens and userinfo.
    #[serde(default)]
    pub claims: Vec<String>,
}

/// All scopes of a tenant, in alphabetical order, as they stand in `tenants/{slug}/scopes.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeCatalogue {
    /// The scopes, by name.
    pub scopes: Vec<Scope>,
    /// Counter of changes, from 1; the ETag.
    pub revision: u64,
}

impl ScopeCatalogue {
    /// What a new tenant starts with: the scopes of OIDC Core §5.4 and §11 that hellojohn serves, and
    /// `profile:read` of our own profile route.
    pub fn standard() -> Self {
        let scope = |name: &str, description: &str, claims: &[&str]| {
            ScopeName::parse(name).ok().map(|name| Scope {
                name,
                description: description.to_owned(),
                claims: claims.iter().map(|&c| c.to_owned()).collect(),
            })
        };
        let scopes = [
            scope("email", "See your e-mail address", &["email", "email_verified"]),
            scope("offline_access", "Keep access while you are away", &[]),
            scope("openid", "Know who you are", &["sub"]),
            scope(
                "profile",
                "See your name and picture",
                &["name", "given_name", "family_name", "picture", "locale", "updated_at"],
            ),
            scope("profile:read", "Read your profile", &[]),
        ];
        Self { scopes: scopes.into_iter().flatten().collect(), revision: 1 }
    }

    /// Whether the catalogue has a scope of that name.
    pub fn contains(&self, name: &ScopeName) -> bool {
        self.scopes.binary_search_by(|scope| scope.name.cmp(name)).is_ok()
    }

    /// The catalogue with exactly these scopes, sorted; the revision is kept.
    pub fn replaced(&self, scopes: &[Scope]) -> Result<ScopeCatalogue, Vec<FieldError>> {
        check(scopes)?;
        let mut scopes = scopes.to_vec();
        scopes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(ScopeCatalogue { scopes, revision: self.revision })
    }

    /// The catalogue with these scopes added or changed; the others stay.
    pub fn merged(&self, scopes: &[Scope]) -> Result<ScopeCatalogue, Vec<FieldError>> {
        check(scopes)?;
        let kept = self.scopes.iter().filter(|old| !scopes.iter().any(|new| new.name == old.name));
        let all: Vec<Scope> = kept.chain(scopes).cloned().collect();
        self.replaced(&all)
    }
}

fn check(scopes: &[Scope]) -> Result<(), Vec<FieldError>> {
    let mut findings = Findings::default();
    if scopes.len() > limits::SCOPES_PER_TENANT {
        findings.add("scopes", "too_many", format!("must have at most {} items", limits::SCOPES_PER_TENANT));
        return findings.into_result();
    }
    let mut names: Vec<(&ScopeName, usize)> = scopes.iter().enumerate().map(|(i, s)| (&s.name, i)).collect();
    names.sort_unstable();
    for pair in names.windows(2) {
        if let [(first, _), (second, at)] = pair
            && first == second
        {
            findings.add(format!("scopes[{at}].name"), "duplicate", "appears twice");
        }
    }
    for (i, scope) in scopes.iter().enumerate() {
        findings.optional_text(&format!("scopes[{i}].description"), &scope.description);
        findings.list(&format!("scopes[{i}].claims"), &scope.claims);
        for (j, claim) in scope.claims.iter().enumerate() {
            findings.text(&format!("scopes[{i}].claims[{j}]"), claim);
        }
    }
    findings.into_result()
}
