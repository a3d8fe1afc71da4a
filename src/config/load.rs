//! From texts to the typed configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::cluster::ClusterSettings;
use super::error::{Error, ErrorKind, Errors, Warning};
use super::intake::Intake;
use super::resolve::{Flag, Resolved, Source};
use super::setting::Shown;
use super::{
    Admin, Argon2, Audit, Auth, Cache, Cluster, ControlPlane, Email, Flags, Http, Jwt, Keys, OAuth,
    Observability, Password, Rate, Register, Server, Smtp, Storage, dotenv, table, yaml,
};

/// A file that was read, by the name the operator knows it under.
#[derive(Clone)]
pub struct TextFile {
    path: PathBuf,
    text: String,
}

impl TextFile {
    /// `path` stands in messages; it is not opened.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }
}

/// The text can hold secrets.
impl fmt::Debug for TextFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TextFile({})", self.path.display())
    }
}

/// Everything a configuration is made from.
#[derive(Clone, Default)]
pub struct Inputs {
    /// The process environment, from [`super::env::process`].
    pub env: BTreeMap<String, String>,
    /// A dotenv file; the environment wins over it.
    pub dotenv: Option<TextFile>,
    /// A YAML file; both of the above win over it.
    pub yaml: Option<TextFile>,
    /// The command line; it wins over all.
    pub flags: Vec<Flag>,
}

impl Inputs {
    /// The variables of the dotenv file and of the environment, which wins; for names that are no settings of
    /// a node, such as those of the command line.
    pub fn variables(&self) -> Result<BTreeMap<String, String>, Errors> {
        let mut variables = BTreeMap::new();
        if let Some(file) = &self.dotenv {
            let (found, wrong) = dotenv::read(&file.path, &file.text);
            if let Some(errors) = Errors::from_list(wrong) {
                return Err(errors);
            }
            variables = found;
        }
        variables.extend(self.env.iter().map(|(name, value)| (name.clone(), value.clone())));
        Ok(variables)
    }
}

/// The environment can hold secrets.
impl fmt::Debug for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inputs")
            .field("env", &format_args!("{} variables", self.env.len()))
            .field("dotenv", &self.dotenv)
            .field("yaml", &self.yaml)
            .field("flags", &self.flags)
            .finish()
    }
}

/// The configuration of a node. Secrets in it are redacted in `Debug`.
#[derive(Debug, Clone)]
pub struct Config {
    /// Public listener.
    pub server: Server,
    /// Issuer and lifetimes of tokens.
    pub jwt: Jwt,
    /// Master keys.
    pub keys: Keys,
    /// Global database.
    pub storage: Storage,
    /// Catalogue and files.
    pub control_plane: ControlPlane,
    /// Membership and replication.
    pub cluster: Cluster,
    /// Administrators.
    pub admin: Admin,
    /// Self-registration.
    pub register: Register,
    /// Logins.
    pub auth: Auth,
    /// OAuth and OpenID Connect.
    pub oauth: OAuth,
    /// Mails to people.
    pub email: Email,
    /// Mail server of tenants that have none of their own.
    pub smtp: Smtp,
    /// Password policy.
    pub password: Password,
    /// Password hashing.
    pub argon2: Argon2,
    /// Where counters live.
    pub cache: Cache,
    /// Rate limits.
    pub rate: Rate,
    /// Limits of listeners.
    pub http: Http,
    /// Security events in the database.
    pub audit: Audit,
    /// Logs and metrics.
    pub observability: Observability,
    /// Switches.
    pub flags: Flags,
}

/// A valid configuration and where it came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The typed configuration.
    pub config: Config,
    /// Every setting with its redacted value and its source, in the order of the documentation.
    pub sources: Vec<Shown>,
    /// What the operator should know.
    pub warnings: Vec<Warning>,
}

/// Builds the configuration from `inputs`, or reports everything that is wrong with them.
pub fn load(inputs: &Inputs) -> Result<Loaded, Errors> {
    let (mut resolved, mut errors) = layers(inputs);
    errors.append(&mut resolved.errors);
    let mut intake = Intake::new(&resolved);
    let config = read(&mut intake);
    let (mut found, mut warned) = intake.finish();
    errors.append(&mut found);
    if let Some(errors) = Errors::from_list(errors) {
        return Err(errors);
    }
    let Some(config) = config else {
        // Only a default outside its own setting's grammar leads here; a test reads every default.
        return Err(Errors::from(Error {
            kind: ErrorKind::Invalid,
            source: Some(Source::Default),
            key: None,
            env: None,
            reason: "a built-in default is invalid".to_owned(),
            remedy: "report this as a fault of the program".to_owned(),
        }));
    };
    let sources = shown(&resolved);
    let mut warnings = resolved.warnings;
    warnings.append(&mut warned);
    Ok(Loaded { config, sources, warnings })
}

fn layers(inputs: &Inputs) -> (Resolved, Vec<Error>) {
    let mut resolved = Resolved::default();
    let mut errors = Vec::new();
    if let Some(file) = &inputs.yaml {
        let (values, mut wrong) = yaml::read(&file.path, &file.text);
        errors.append(&mut wrong);
        resolved.add_yaml(&file.path, values);
    }
    if let Some(file) = &inputs.dotenv {
        let (variables, mut wrong) = dotenv::read(&file.path, &file.text);
        errors.append(&mut wrong);
        resolved.warnings.extend(dotenv::secrets_with_dollar(&file.text).map(|setting| Warning {
            key: Some(setting.key),
            text: format!(
                "{} reads '$' as a variable and replaces it; put the value in single quotes",
                file.path.display()
            ),
        }));
        resolved.add_variables(&variables, |name| Source::Dotenv(file.path.clone(), name.to_owned()));
    }
    resolved.add_variables(&inputs.env, |name| Source::Env(name.to_owned()));
    resolved.add_flags(&inputs.flags);
    (resolved, errors)
}

/// Reads every section before giving up, so that all problems are found; then checks them alone and
/// together as far as they were readable.
fn read(intake: &mut Intake<'_>) -> Option<Config> {
    let server = Server::read(intake);
    let jwt = Jwt::read(intake);
    let keys = Keys::read(intake);
    let storage = Storage::read(intake);
    let control_plane = ControlPlane::read(intake);
    let cluster = ClusterSettings::read(intake);
    let admin = Admin::read(intake);
    let register = Register::read(intake);
    let auth = Auth::read(intake);
    let oauth = OAuth::read(intake);
    let mut email = Email::read(intake);
    let smtp = Smtp::read(intake);
    let password = Password::read(intake);
    let argon2 = Argon2::read(intake);
    let cache = Cache::read(intake);
    let rate = Rate::read(intake);
    let http = Http::read(intake);
    let audit = Audit::read(intake);
    let observability = Observability::read(intake);
    let flags = Flags::read(intake);

    let embedded = cluster.as_ref().is_some_and(|settings| settings.mode == super::cluster::Mode::Embedded);
    let cluster = cluster.and_then(|settings| Cluster::check(settings, intake));
    if let Some(server) = &server {
        server.validate(intake);
    }
    if let Some(jwt) = &jwt {
        jwt.validate(intake);
    }
    if let Some(keys) = &keys {
        keys.validate(intake);
    }
    if let Some(storage) = &storage {
        storage.validate(intake);
    }
    if let Some((control_plane, jwt)) = control_plane.as_ref().zip(jwt.as_ref()) {
        control_plane.validate(jwt.access_ttl, intake);
    }
    if let Some(admin) = &admin {
        admin.validate(embedded, intake);
    }
    if let Some((auth, server)) = auth.as_ref().zip(server.as_ref()) {
        auth.validate(&server.public_url, intake);
    }
    if let Some(oauth) = &oauth {
        oauth.validate(intake);
    }
    if let Some((register, smtp)) = register.as_ref().zip(smtp.as_ref()) {
        register.validate(smtp.host.is_some(), intake);
    }
    if let Some((email, jwt)) = email.as_mut().zip(jwt.as_ref()) {
        email.validate(&jwt.issuer, intake);
    }
    if let Some((smtp, storage)) = smtp.as_ref().zip(storage.as_ref()) {
        smtp.validate(storage.dsn.is_some(), intake);
    }
    if let Some(password) = &password {
        password.validate(intake);
    }
    if let Some(argon2) = &argon2 {
        argon2.validate(intake);
    }
    if let Some((cache, rate)) = cache.as_ref().zip(rate.as_ref()) {
        cache.validate(embedded, rate.enabled, intake);
    }
    if let Some((rate, server)) = rate.as_ref().zip(server.as_ref()) {
        rate.validate(server.lacks_trusted_proxy(), intake);
    }
    if let Some((http, cluster)) = http.as_ref().zip(cluster.as_ref()) {
        http.validate(cluster.write_timeout, intake);
    }
    if let Some((observability, server)) = observability.as_ref().zip(server.as_ref()) {
        observability.validate(&server.addr, intake);
    }
    if let Some(flags) = &flags {
        flags.validate(intake);
    }
    Some(Config {
        server: server?,
        jwt: jwt?,
        keys: keys?,
        storage: storage?,
        control_plane: control_plane?,
        cluster: cluster?,
        admin: admin?,
        register: register?,
        auth: auth?,
        oauth: oauth?,
        email: email?,
        smtp: smtp?,
        password: password?,
        argon2: argon2?,
        cache: cache?,
        rate: rate?,
        http: http?,
        audit: audit?,
        observability: observability?,
        flags: flags?,
    })
}

fn shown(resolved: &Resolved) -> Vec<Shown> {
    table::all()
        .map(|setting| Shown {
            setting,
            value: resolved.raw(setting).map(|raw| setting.redacted(&raw)),
            source: resolved.given(setting.key).map_or(Source::Default, |entry| entry.source.clone()),
        })
        .collect()
}
