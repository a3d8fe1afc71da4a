//! The seed file: its form, and everything that can be checked before anything is made.

use std::collections::BTreeSet;

use hellojohn_control::documents::{ClientPatch, Scope};
use hellojohn_control::{ClientId, Slug};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::cli::failure::Failure;
use crate::config::yaml;
use crate::crypto::secret::SecretString;
use crate::domain::email::Email;
use crate::domain::user::UserId;
use crate::http::json;
use crate::service::Payload;
use crate::service::control::TenantInput;

/// Most tenants, and most clients, scopes or users of one of them.
const MAX_ITEMS: usize = 10_000;

/// What is to be there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedFile {
    /// Tenants with what is in them.
    pub tenants: Vec<SeedTenant>,
}

/// A tenant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedTenant {
    /// Identifier.
    pub slug: Slug,
    /// Name for people.
    #[serde(default)]
    pub name: Option<String>,
    /// Settings, as the API takes them.
    #[serde(default)]
    pub settings: Option<Map<String, Value>>,
    /// Scopes beside the standard ones.
    #[serde(default)]
    pub scopes: Vec<Scope>,
    /// Clients.
    #[serde(default)]
    pub clients: Vec<SeedClient>,
    /// People.
    #[serde(default)]
    pub users: Vec<SeedUser>,
}

/// Settings may hold secrets.
impl std::fmt::Debug for SeedTenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SeedTenant").field("slug", &self.slug).finish_non_exhaustive()
    }
}

/// A client: its id, and the rest of the document as the API takes it.
#[derive(Debug, Deserialize)]
pub struct SeedClient {
    /// Identifier within the tenant.
    pub client_id: ClientId,
    /// The other members; [`parse`] has checked them.
    #[serde(flatten)]
    pub document: Map<String, Value>,
}

/// A person.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedUser {
    /// Identifier; a new one unless given.
    #[serde(default, alias = "sub")]
    pub id: Option<UserId>,
    /// Address.
    pub email: Email,
    /// Password; without one nobody logs in with a password, but see `sys_admin`.
    #[serde(default)]
    pub password: Option<SecretString>,
    /// OpenID Connect Core §5.1.
    #[serde(default)]
    pub given_name: Option<String>,
    /// OpenID Connect Core §5.1.
    #[serde(default)]
    pub family_name: Option<String>,
    /// Whether the address was verified elsewhere.
    #[serde(default)]
    pub email_verified: bool,
    /// An administrator of the installation, who gets a password in any case.
    #[serde(default)]
    pub sys_admin: bool,
}

impl SeedTenant {
    /// The body of the PUT that makes the tenant.
    pub fn body(&self) -> Value {
        let mut body = Map::new();
        if let Some(name) = &self.name {
            body.insert("name".to_owned(), json!(name));
        }
        if let Some(settings) = &self.settings {
            body.insert("settings".to_owned(), Value::Object(settings.clone()));
        }
        Value::Object(body)
    }

    /// The DSN of the tenant's own user database, where the settings have one.
    pub fn dsn(&self) -> Option<&str> {
        let settings = self.settings.as_ref()?;
        let store = settings.get("userStore").or_else(|| settings.get("user_store"))?;
        store.get("dsn")?.as_str()
    }
}

/// Reads a seed file; `name` is what it is called in errors.
///
/// # Errors
/// When it is not YAML of this form, or something in it is not acceptable to the API.
pub fn parse(name: &str, text: &str) -> Result<SeedFile, Failure> {
    let file: SeedFile = yaml::from_str(text).map_err(|error| {
        Failure::usage(format!("{name} is not a seed file"))
            .because(error.to_string())
            .remedy("configs/seed.example.yaml shows every key")
    })?;
    let problems = problems(&file);
    if problems.is_empty() {
        return Ok(file);
    }
    let mut failure = Failure::usage(format!("{name} cannot be seeded; nothing was changed"));
    failure.particulars = problems;
    Err(failure.remedy("correct the file; configs/seed.example.yaml shows every key"))
}

fn problems(file: &SeedFile) -> Vec<String> {
    let mut problems = Vec::new();
    let mut slugs = BTreeSet::new();
    too_many(&mut problems, "tenants", file.tenants.len());
    for tenant in &file.tenants {
        let at = format!("tenant {}", tenant.slug);
        if !slugs.insert(&tenant.slug) {
            problems.push(format!("{at}: stands there twice"));
        }
        too_many(&mut problems, &format!("{at}: scopes"), tenant.scopes.len());
        too_many(&mut problems, &format!("{at}: clients"), tenant.clients.len());
        too_many(&mut problems, &format!("{at}: users"), tenant.users.len());
        acceptable::<TenantInput>(&mut problems, &at, tenant.body());
        let mut clients = BTreeSet::new();
        for client in &tenant.clients {
            let at = format!("{at}, client {}", client.client_id);
            if !clients.insert(&client.client_id) {
                problems.push(format!("{at}: stands there twice"));
            }
            acceptable::<ClientPatch>(&mut problems, &at, Value::Object(client.document.clone()));
        }
        let (mut addresses, mut ids) = (BTreeSet::new(), BTreeSet::new());
        for user in &tenant.users {
            let at = format!("{at}, user {}", user.email.as_str());
            if !addresses.insert(user.email.key()) {
                problems.push(format!("{at}: stands there twice"));
            }
            if user.id.is_some_and(|id| id.0.is_nil() || id.0.is_max()) {
                problems.push(format!("{at}: sub (or id) must not be the nil or the max UUID"));
            }
            if user.id.is_some_and(|id| !ids.insert(id)) {
                problems.push(format!("{at}: has the id of another user"));
            }
        }
    }
    problems
}

fn too_many(problems: &mut Vec<String>, what: &str, count: usize) {
    if count > MAX_ITEMS {
        problems.push(format!("{what}: {count} of them, and {MAX_ITEMS} are the most"));
    }
}

/// Notes what the API would refuse about the form of a document. Values are not repeated.
fn acceptable<T: serde::de::DeserializeOwned>(problems: &mut Vec<String>, at: &str, document: Value) {
    let Err(error) = json::from_value::<T>(document) else { return };
    match error.payload() {
        Payload::Fields(fields) => {
            problems.extend(fields.iter().map(|field| format!("{at}: {}: {}", field.field, field.message)));
        }
        Payload::None
        | Payload::CurrentRevision(_)
        | Payload::Leader(_)
        | Payload::RetryAfter(_)
        | Payload::RateLimited(_)
        | Payload::NoCredentials
        | Payload::RequiredScope(_) => problems.push(format!("{at}: {}", error.public_text())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::failure::Exit;

    fn refused(text: &str) -> String {
        let failure = parse("seed.yaml", text).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        failure.to_string()
    }

    #[test]
    fn the_example_is_the_default_seed() {
        let file = parse("example", super::super::EXAMPLE).unwrap();
        let [tenant] = file.tenants.as_slice() else { panic!("{file:?}") };
        assert_eq!(tenant.slug.as_str(), "local");
        assert_eq!(tenant.clients[0].client_id.as_str(), "local-web");
        assert_eq!(tenant.clients[0].document["providers"], json!(["password"]));
        assert!(tenant.users[0].sys_admin && tenant.users[0].password.is_none());
    }

    /// T45: `sub` is accepted for `id`.
    #[test]
    fn sub_is_another_name_of_id() {
        let id = "0198c0de-0000-7000-8000-000000000001";
        for name in ["sub", "id"] {
            let text = format!("tenants: [{{slug: a, users: [{{{name}: {id}, email: a@example.com}}]}}]");
            let file = parse("seed.yaml", &text).unwrap();
            assert_eq!(file.tenants[0].users[0].id.unwrap().to_string(), id);
        }
        for (sub, told) in [("ann", "invalid"), ("00000000-0000-0000-0000-000000000000", "nil")] {
            let text = format!("tenants: [{{slug: a, users: [{{sub: {sub}, email: a@example.com}}]}}]");
            assert!(refused(&text).to_lowercase().contains(told), "{sub}");
        }
        let both = format!("tenants: [{{slug: a, users: [{{sub: {id}, id: {id}, email: a@example.com}}]}}]");
        assert!(refused(&both).contains("duplicate field"));
    }

    #[test]
    fn unknown_keys_are_refused_by_name_at_every_depth() {
        for (text, expected) in [
            ("tenant: []", "unknown field `tenant`"),
            ("tenants: [{slug: a, plan: x}]", "unknown field `plan`"),
            ("tenants: [{slug: a, users: [{email: a@b.example, admin: true}]}]", "unknown field `admin`"),
            ("tenants: [{slug: a, clients: [{client_id: w, secret: x}]}]", "tenant a, client w: secret: "),
            ("tenants: [{slug: a, settings: {colour: x}}]", "tenant a: settings.colour: "),
            ("tenants: [{slug: a, scopes: [{name: s, claim: []}]}]", "unknown field `claim`"),
            ("tenants: [{slug: ../x}]", "slug must match"),
            ("tenants: [{slug: a, users: [{email: nobody}]}]", "exactly one @"),
        ] {
            let told = refused(text);
            assert!(told.contains(expected), "{text}: {told}");
        }
    }

    #[test]
    fn what_stands_twice_is_refused() {
        for (text, expected) in [
            ("tenants: [{slug: a}, {slug: a}]", "tenant a: stands there twice"),
            (
                "tenants: [{slug: a, clients: [{client_id: w}, {client_id: w}]}]",
                "client w: stands there twice",
            ),
            (
                "tenants: [{slug: a, users: [{email: a@b.example}, {email: A@B.example}]}]",
                "user A@B.example: stands there twice",
            ),
        ] {
            let told = refused(text);
            assert!(told.contains(expected), "{text}: {told}");
        }
    }

    /// S111
    #[test]
    fn a_password_stands_in_no_error_and_no_debug_form() {
        let told = refused("tenants: [{slug: a, users: [{email: a@b.example, password: 73162540}]}]");
        assert!(!told.contains("73162540"), "{told}");
        let text = "tenants: [{slug: a, settings: {userStore: {dsn: 'postgres://u:planted@h/d'}}, \
                    users: [{email: a@b.example, password: planted}]}]";
        let file = parse("seed.yaml", text).unwrap();
        assert_eq!(file.tenants[0].dsn(), Some("postgres://u:planted@h/d"));
        assert!(!format!("{file:?} {:?}", file.tenants[0].users).contains("planted"));
    }
}
