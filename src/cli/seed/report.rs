//! What a seeding did, and the secrets that are shown once.

use serde_json::{Value, json};

use crate::cli::terminal::{pairs, table};
use crate::crypto::secret::SecretString;

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    /// It is new.
    Created,
    /// It was there and was not touched.
    Kept,
}

impl Made {
    fn as_str(self) -> &'static str {
        match self {
            Made::Created => "created",
            Made::Kept => "kept",
        }
    }
}

/// What a seeding did. `Debug` shows no secret.
#[derive(Debug, Default)]
pub struct Report {
    items: Vec<(&'static str, String, Made)>,
    /// Passwords that were generated, by address.
    pub passwords: Vec<(String, SecretString)>,
    /// Secrets of clients that are new, by `tenant/client`.
    pub client_secrets: Vec<(String, SecretString)>,
    /// What the operator should know.
    pub notes: Vec<String>,
}

impl Report {
    /// Notes what became of an item.
    pub(super) fn add(&mut self, kind: &'static str, name: &str, made: Made) {
        self.items.push((kind, name.to_owned(), made));
    }

    /// Whether something is new.
    pub fn changed(&self) -> bool {
        self.items.iter().any(|(_, _, made)| *made == Made::Created)
    }

    /// For programs; with the secrets, which are shown nowhere else.
    pub fn to_json(&self) -> Value {
        let items: Vec<Value> = self
            .items
            .iter()
            .map(|(kind, name, made)| json!({ "kind": kind, "name": name, "result": made.as_str() }))
            .collect();
        let secrets = |secrets: &[(String, SecretString)], name: &str, value: &str| -> Vec<Value> {
            secrets.iter().map(|(of, secret)| json!({ name: of, value: secret.expose() })).collect()
        };
        json!({
            "items": items,
            "generated_passwords": secrets(&self.passwords, "email", "password"),
            "client_secrets": secrets(&self.client_secrets, "client", "secret"),
            "notes": self.notes,
        })
    }

    /// For people; with the secrets, which are shown nowhere else.
    pub fn to_text(&self) -> String {
        let rows: Vec<Vec<String>> = self
            .items
            .iter()
            .map(|(kind, name, made)| vec![(*kind).to_owned(), name.clone(), made.as_str().to_owned()])
            .collect();
        let mut text = table(&["KIND", "NAME", "RESULT"], &rows, "nothing to seed");
        let shown = |title: &str, secrets: &[(String, SecretString)]| {
            let lines: Vec<(&str, String)> =
                secrets.iter().map(|(of, secret)| (of.as_str(), secret.expose().to_owned())).collect();
            if lines.is_empty() { String::new() } else { format!("\n{title}\n{}", pairs(&lines)) }
        };
        text.push_str(&shown("Generated passwords, shown this once:", &self.passwords));
        text.push_str(&shown("Secrets of new clients, shown this once:", &self.client_secrets));
        for note in &self.notes {
            text.push_str(&format!("\nnote: {note}\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_tell_results_and_secrets_and_debug_tells_no_secret() {
        let mut report = Report::default();
        report.add("tenant", "local", Made::Kept);
        assert!(!report.changed());
        report.add("user", "local/admin@example.com", Made::Created);
        report.passwords.push(("admin@example.com".into(), "planted".into()));
        assert!(report.changed());
        insta::assert_snapshot!(report.to_text(), @r"
        KIND    NAME                     RESULT
        tenant  local                    kept
        user    local/admin@example.com  created

        Generated passwords, shown this once:
        admin@example.com  planted
        ");
        assert_eq!(report.to_json()["generated_passwords"][0]["password"], "planted");
        assert!(!format!("{report:?}").contains("planted"));
    }
}
