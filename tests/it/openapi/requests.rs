//! Requests made from the examples of the document.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::description::{DESCRIBED, Operation};
use super::instances::Members;

/// The tenant that is changed at will; the people that ask have others.
pub(crate) const TENANT: &str = "spare";

/// Which parameters a request has: those that are required or all that have an example, and one that is not its example.
#[derive(Debug, Clone)]
pub(crate) struct Parameters {
    pub(crate) members: Members,
    pub(crate) bent: Option<(String, String)>,
}

impl From<Members> for Parameters {
    fn from(members: Members) -> Self {
        Self { members, bent: None }
    }
}

impl Parameters {
    /// The parameters of `path`, `query` or `header`, with their values.
    pub(crate) fn of<'a>(&self, operation: &Operation<'a>, place: &str) -> Vec<(&'a str, String)> {
        let parameters = DESCRIBED.parameters(operation);
        let told = parameters.iter().filter(|parameter| parameter["in"] == *place).filter_map(|parameter| {
            let name = parameter["name"].as_str()?;
            if let Some((_, value)) = self.bent.as_ref().filter(|(bent, _)| bent == name) {
                return Some((name, value.clone()));
            }
            if self.members == Members::Required && parameter["required"] != json!(true) {
                return None;
            }
            let example =
                parameter.get("example").map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
            assert!(example.is_some() || place != "path", "{operation}: {name} has no example");
            Some((name, if name == "slug" { TENANT.to_owned() } else { example? }))
        });
        told.collect()
    }

    /// The path with its query.
    pub(crate) fn target(&self, operation: &Operation<'_>) -> String {
        let encoded = |value: &str| utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
        let path =
            self.of(operation, "path").iter().fold(operation.path.to_owned(), |path, (name, value)| {
                path.replace(&format!("{{{name}}}"), &encoded(value))
            });
        let query = self.of(operation, "query");
        let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        format!("{path}?{}", query.join("&"))
    }
}
