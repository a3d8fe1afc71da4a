//! How a command reaches the HTTP API: the address, the credentials, and where these may go.

use std::sync::Arc;

use clap::Args;
use hellojohn_control::{ClientId, Slug};

use super::api::{AllowedHosts, Api, Login, Patience};
use super::failure::{Exit, Failure};
use super::session::{Session, Variables};
use crate::config::value::Invalid;
use crate::config::value::net::ListenAddr;
use crate::config::value::url::{BaseUrl, HostPattern, parse_host_patterns};
use crate::crypto::secret::SecretString;

/// Where the API is when nobody says so.
const DEFAULT_URL: &str = "http://localhost:8080";
const URL: &str = "HELLOJOHN_ADMIN_URL";
const BEARER: &str = "HELLOJOHN_BEARER";
const EMAIL: &str = "HELLOJOHN_EMAIL";
const PASSWORD: &str = "HELLOJOHN_PASSWORD";
pub(in crate::cli) const CODE: &str = "HELLOJOHN_MFA_CODE";
const TENANT: &str = "HELLOJOHN_TENANT_ID";
const CLIENT: &str = "HELLOJOHN_CLIENT_ID";
const HOSTS: &str = "LEADER_REDIRECT_ALLOWED_HOSTS";

/// The address of a node.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub struct Address {
    /// Address of a node or of the load balancer [env: HELLOJOHN_ADMIN_URL] [default: SERVER_ADDR of these
    /// settings, else http://localhost:8080]
    #[arg(long, value_name = "URL", value_parser = url)]
    pub url: Option<BaseUrl>,
}

/// The address of a node, and credentials for it.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// The address.
    #[command(flatten)]
    pub address: Address,
    /// Access token; better in the variable, because others see a command line [env: HELLOJOHN_BEARER]
    ///
    /// Without a token the command logs in with HELLOJOHN_EMAIL, HELLOJOHN_PASSWORD, HELLOJOHN_TENANT_ID (local)
    /// and HELLOJOHN_CLIENT_ID (local-web); where the account has a second factor also with HELLOJOHN_MFA_CODE, a code
    /// of its app or a recovery code.
    #[arg(long, value_name = "TOKEN", value_parser = secret)]
    pub bearer: Option<SecretString>,
    /// Host that the credentials may follow the leader to, beside that of --url; repeatable
    /// [env: LEADER_REDIRECT_ALLOWED_HOSTS]
    #[arg(long = "allow-host", value_name = "HOST[:PORT]", value_parser = host, value_delimiter = ',')]
    pub allow_hosts: Vec<HostPattern>,
}

impl Address {
    /// The address in force.
    ///
    /// # Errors
    /// When the variable holds none.
    pub fn resolve(&self, variables: &Variables) -> Result<BaseUrl, Failure> {
        if let Some(url) = &self.url {
            return Ok(url.clone());
        }
        match variables.get(URL) {
            Some(text) => url(text).map_err(|reason| Failure::usage(format!("{URL} {reason}"))),
            None => {
                let own = own_address(variables);
                url(own.as_deref().unwrap_or(DEFAULT_URL))
                    .map_err(|reason| Failure::usage(format!("SERVER_ADDR {reason}")))
            }
        }
    }

    /// A client without credentials.
    ///
    /// # Errors
    /// When the address is none.
    pub fn open(&self, session: &Session<'_>) -> Result<Api, Failure> {
        open(self.resolve(&session.variables()?)?, Vec::new(), session)
    }
}

impl Connection {
    /// A client with credentials: the token, else a login.
    ///
    /// # Errors
    /// When there are no credentials, or they are refused.
    pub async fn authorised(&self, session: &Session<'_>) -> Result<Api, Failure> {
        let variables = session.variables()?;
        let api = self.anonymous(session, &variables)?;
        let token = match self.token(&variables) {
            Some(token) => token,
            None => {
                let login = login(&variables)?;
                api.log_in(&login).await.map_err(|error| {
                    Failure::from(error).while_doing(format!("cannot log in as {}", login.email))
                })?
            }
        };
        Ok(api.with_bearer(&token)?)
    }

    /// The token that was given, by option or variable.
    pub fn token(&self, variables: &Variables) -> Option<SecretString> {
        self.bearer.clone().or_else(|| variables.get(BEARER).map(SecretString::from))
    }

    /// A client without credentials that knows where they may go.
    ///
    /// # Errors
    /// When the address or a host is none.
    pub fn anonymous(&self, session: &Session<'_>, variables: &Variables) -> Result<Api, Failure> {
        let mut hosts = self.allow_hosts.clone();
        if let Some(text) = variables.get(HOSTS) {
            let listed = parse_host_patterns(text)
                .map_err(|invalid| Failure::usage(format!("{HOSTS} {}", told(&invalid))))?;
            hosts.extend(listed);
        }
        open(self.address.resolve(variables)?, hosts, session)
    }
}

/// Where the node listens whose settings these are: the command runs beside it. With TLS the name in the
/// certificate would have to be guessed.
fn own_address(variables: &Variables) -> Option<String> {
    let listens = ListenAddr::parse(variables.get("SERVER_ADDR")?)?;
    let plain = variables.get("SERVER_TLS_CERT_FILE").is_none() && listens.port != 0;
    plain.then(|| format!("http://{}", listens.local_authority()))
}

fn open(base: BaseUrl, hosts: Vec<HostPattern>, session: &Session<'_>) -> Result<Api, Failure> {
    let hosts = AllowedHosts::new(base.clone(), hosts);
    Ok(Api::new(base, hosts, Patience::default(), Arc::clone(&session.rng))?)
}

fn login(variables: &Variables) -> Result<Login, Failure> {
    let (Some(email), Some(password)) = (variables.get(EMAIL), variables.get(PASSWORD)) else {
        return Err(without_credentials(variables));
    };
    let tenant = variables.get(TENANT).unwrap_or("local");
    let client = variables.get(CLIENT).unwrap_or("local-web");
    Ok(Login {
        tenant: Slug::parse(tenant).map_err(|error| Failure::usage(format!("{TENANT}: {error}")))?,
        client: ClientId::parse(client).map_err(|error| Failure::usage(format!("{CLIENT}: {error}")))?,
        email: email.to_owned(),
        password: SecretString::from(password),
        code: variables.get(CODE).map(SecretString::from),
    })
}

/// Nothing is minted in silence, but who could do it is told how.
fn without_credentials(variables: &Variables) -> Failure {
    let failure = Failure::new(Exit::NotAuthorised, "this command needs credentials, and there are none")
        .because(format!("neither --bearer nor {BEARER} is given, nor {EMAIL} together with {PASSWORD}"));
    let on_a_node = variables.get("SIGNING_MASTER_KEY").is_some();
    failure.remedy(if on_a_node {
        format!(
            "this host holds SIGNING_MASTER_KEY, so an administrator's command can have a token of its own: export \
             {BEARER}=$(hellojohn admin mint-token), with the options that this command was given; to speak for a person: \
             export {EMAIL} and {PASSWORD}"
        )
    } else {
        format!(
            "export {EMAIL} and {PASSWORD}; or, for an administrator's command, on the host of a node: \
             export {BEARER}=$(hellojohn admin mint-token)"
        )
    })
}

/// A base URL; a slash at its end is forgiven.
fn url(text: &str) -> Result<BaseUrl, String> {
    BaseUrl::parse(text.strip_suffix('/').unwrap_or(text)).map_err(|invalid| told(&invalid))
}

fn host(text: &str) -> Result<HostPattern, String> {
    HostPattern::parse(text)
        .ok_or_else(|| "write host or host:port, for example node1.example.com:8443".to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "the form that the parser of the command line wants")]
fn secret(text: &str) -> Result<SecretString, String> {
    Ok(SecretString::from(text))
}

fn told(invalid: &Invalid) -> String {
    format!("{}; {}", invalid.reason, invalid.remedy)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        let map: BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Variables::from(map)
    }

    #[test]
    fn the_option_wins_over_the_variable_and_the_default() {
        let option = Address { url: Some(url("http://a.example/").unwrap()) };
        let set = variables(&[(URL, "http://b.example")]);
        assert_eq!(option.resolve(&set).unwrap().as_str(), "http://a.example");
        assert_eq!(Address::default().resolve(&set).unwrap().as_str(), "http://b.example");
        assert_eq!(Address::default().resolve(&variables(&[])).unwrap().as_str(), DEFAULT_URL);
        let wrong = Address::default().resolve(&variables(&[(URL, "b.example")])).unwrap_err();
        assert_eq!(wrong.exit, Exit::Usage);
        assert!(wrong.what.starts_with(URL), "{wrong}");
    }

    #[test]
    fn a_login_needs_both_halves_and_has_defaults_for_the_rest() {
        let found = login(&variables(&[(EMAIL, "a@example.com"), (PASSWORD, "pw")])).unwrap();
        assert_eq!((found.tenant.as_str(), found.client.as_str()), ("local", "local-web"));
        for half in [&[(EMAIL, "a@example.com")][..], &[(PASSWORD, "pw")], &[(EMAIL, "a"), (PASSWORD, " ")]] {
            assert_eq!(login(&variables(half)).unwrap_err().exit, Exit::NotAuthorised);
        }
        let wrong = [(EMAIL, "a"), (PASSWORD, "b"), (TENANT, "../x")];
        assert_eq!(login(&variables(&wrong)).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn without_an_address_a_command_asks_the_node_whose_settings_it_reads() {
        for (set, wanted) in [
            (&[][..], "http://localhost:8080"),
            (&[("SERVER_ADDR", ":8081")], "http://localhost:8081"),
            (&[("SERVER_ADDR", "0.0.0.0:8081")], "http://localhost:8081"),
            (&[("SERVER_ADDR", "[::]:8081")], "http://localhost:8081"),
            (&[("SERVER_ADDR", "127.0.0.1:8081")], "http://127.0.0.1:8081"),
            (&[("SERVER_ADDR", "[::1]:8081")], "http://[::1]:8081"),
            (&[("SERVER_ADDR", ":8081"), ("SERVER_TLS_CERT_FILE", "cert.pem")], "http://localhost:8080"),
            (&[("SERVER_ADDR", ":8081"), (URL, "https://id.example.com")], "https://id.example.com"),
        ] {
            let address = Address::default().resolve(&variables(set)).unwrap();
            assert_eq!(address.as_str(), wanted, "{set:?}");
        }
    }

    #[test]
    fn without_credentials_the_way_to_some_is_told() {
        let told = login(&variables(&[])).unwrap_err().remedy.unwrap();
        assert!(told.starts_with("export HELLOJOHN_EMAIL"), "{told}");
        let told = login(&variables(&[("SIGNING_MASTER_KEY", "k")])).unwrap_err().remedy.unwrap();
        assert!(told.contains("$(hellojohn admin mint-token)"), "{told}");
    }
}
