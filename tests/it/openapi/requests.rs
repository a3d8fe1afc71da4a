//! Requests made from the examples of the document.

use serde_json::json;

use super::description::{DESCRIBED, Operation};
use super::instances::Members;

/// The tenant that is changed at will; the people that ask have others.
pub(crate) const TENANT: &str = "spare";

/// What stands in the path for a parameter.
pub(crate) fn in_path(operation: &Operation<'_>) -> String {
    DESCRIBED.parameters(operation).iter().filter(|parameter| parameter["in"] == "path").fold(
        operation.path.to_owned(),
        |path, parameter| {
            let name = parameter["name"].as_str().unwrap();
            let example = parameter["example"].as_str().unwrap_or_else(|| panic!("{name} has no example"));
            path.replace(&format!("{{{name}}}"), if name == "slug" { TENANT } else { example })
        },
    )
}

/// The parameters outside the path that have examples: those that are required, or all.
pub(crate) fn examples<'a>(
    operation: &Operation<'a>,
    place: &str,
    members: Members,
) -> Vec<(&'a str, String)> {
    let parameters = DESCRIBED.parameters(operation);
    let wanted = parameters
        .iter()
        .filter(|p| p["in"] == *place && (members == Members::All || p["required"] == json!(true)));
    let told = wanted.filter_map(|parameter| {
        let example = parameter.get("example")?;
        Some((
            parameter["name"].as_str()?,
            example.as_str().map_or_else(|| example.to_string(), str::to_owned),
        ))
    });
    told.collect()
}

/// The path with its query.
pub(crate) fn target(operation: &Operation<'_>, members: Members) -> String {
    let query: Vec<String> =
        examples(operation, "query", members).iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{}?{}", in_path(operation), query.join("&"))
}
