//! What `hellojohn dev` tells when it is ready: addresses, the administrator, and lines to copy.

use serde_json::{Value, json};

use super::place::{Place, Secrets};

/// The administrator that the default seed makes.
pub(super) const EMAIL: &str = "admin@example.com";
const TENANT: &str = "local";
const CLIENT: &str = "local-web";

/// What there is to tell.
#[derive(Debug)]
pub(super) struct Guide<'a> {
    pub(super) url: &'a str,
    pub(super) place: &'a Place,
    pub(super) secrets: &'a Secrets,
}

impl Guide<'_> {
    /// For programs.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "url": self.url,
            "email": EMAIL,
            "password": self.secrets.password.expose(),
            "tenant_id": TENANT,
            "client_id": CLIENT,
            "data": self.place.root,
            "env_file": self.place.env,
        })
    }

    /// For people.
    pub(super) fn to_text(&self) -> String {
        let Self { url, place, secrets } = self;
        let (env, data, password) = (place.env.display(), place.root.display(), secrets.password.expose());
        format!(
            "\
hellojohn is ready at {url}     Ctrl-C stops it

  administrator  {EMAIL}
  password       {password}
  tenant         {TENANT}
  client         {CLIENT}
  data           {data}     remove it to start afresh
  variables      {env}

Things to try:

  # who is there, and with which keys
  curl -s {url}/.well-known/openid-configuration
  curl -s {url}/.well-known/jwks.json

  # log in
  curl -s {url}/v1/auth/login -d '{{\"tenant_id\":\"{TENANT}\",\"client_id\":\"{CLIENT}\",\"email\":\"{EMAIL}\",\"password\":\"{password}\"}}'

  # register somebody
  curl -s {url}/v1/auth/register -d '{{\"tenant_id\":\"{TENANT}\",\"client_id\":\"{CLIENT}\",\"email\":\"ann@example.com\",\"password\":\"correct horse battery staple\"}}'

  # administer
  hellojohn --env-file {env} whoami
  hellojohn --env-file {env} admin tenants put acme --name Acme
  TOKEN=$(hellojohn --env-file {env} admin mint-token)
  curl -s {url}/v1/admin/tenants -H \"Authorization: Bearer $TOKEN\"
"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_can_be_copied_as_they_are() {
        let place = Place {
            root: "/data/dev".into(),
            env: "/data/dev/env".into(),
            node: "/data/dev/node".into(),
            postgres: "/data/dev/postgres".into(),
        };
        let secrets = Secrets { signing: "s".into(), secretbox: "b".into(), password: "pw-Aa1".into() };
        let guide = Guide { url: "http://localhost:8080", place: &place, secrets: &secrets };
        insta::assert_snapshot!("dev_guide", guide.to_text());
        for line in guide.to_text().lines().filter(|line| line.contains(" -d ")) {
            let body = line.split('\'').nth(1).unwrap();
            serde_json::from_str::<Value>(body).unwrap();
        }
        assert_eq!(guide.to_json()["password"], "pw-Aa1");
    }
}
