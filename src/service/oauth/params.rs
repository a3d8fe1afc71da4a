//! Parameters of a request, from a query or a form: each at most once (RFC 6749 §3.1, S05), an empty one like none.

use crate::crypto::secret::SecretString;

/// Most parameters of a request.
const MAX_PARAMS: usize = 64;
/// Longest value, in bytes.
const MAX_VALUE: usize = 8 * 1024;
/// The one that may come several times (RFC 8707 §2).
pub(super) const RESOURCE: &str = "resource";

/// The parameters of a request. Their values are not shown by `Debug`: secrets are among them.
#[derive(Debug, Clone, Default)]
pub struct Params(Vec<(String, SecretString)>);

/// Why parameters are not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    /// One comes twice.
    #[error("the parameter {0} is sent more than once")]
    Repeated(String),
    /// There are too many.
    #[error("more than {MAX_PARAMS} parameters are sent")]
    TooMany,
    /// One is too long.
    #[error("the parameter {0} is longer than {MAX_VALUE} bytes")]
    TooLong(String),
}

impl Params {
    /// Takes the parameters as they were sent.
    ///
    /// # Errors
    /// See [`ParamsError`].
    pub fn new(pairs: impl IntoIterator<Item = (String, SecretString)>) -> Result<Self, ParamsError> {
        let mut params: Vec<(String, SecretString)> = Vec::new();
        for (name, value) in pairs {
            if params.len() == MAX_PARAMS {
                return Err(ParamsError::TooMany);
            }
            // The name goes into an answer.
            let shown = || name.chars().take(64).collect();
            if value.expose().len() > MAX_VALUE {
                return Err(ParamsError::TooLong(shown()));
            }
            if name != RESOURCE && params.iter().any(|(known, _)| *known == name) {
                return Err(ParamsError::Repeated(shown()));
            }
            params.push((name, value));
        }
        Ok(Self(params))
    }

    /// The value; none where it is empty (RFC 6749 §3.1).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.secret(name).map(SecretString::expose)
    }

    /// As [`Self::get`], for what must not be copied around.
    pub fn secret(&self, name: &str) -> Option<&SecretString> {
        let found = self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        found.filter(|value| !value.expose().is_empty())
    }

    /// Every value of the parameter that may be repeated.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        let resources = self.0.iter().filter(|(name, _)| name == RESOURCE).map(|(_, value)| value.expose());
        resources.filter(|value| !value.is_empty())
    }

    /// All of them, in the order in which they were sent.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.expose()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Result<Params, ParamsError> {
        Params::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), SecretString::from(*value))))
    }

    /// S05, RFC 8707 §2
    #[test]
    fn only_resource_may_be_repeated() {
        let repeated = params(&[("scope", "a"), ("state", "b"), ("scope", "a")]);
        assert_eq!(repeated.unwrap_err(), ParamsError::Repeated("scope".to_owned()));
        let two =
            params(&[("resource", "https://a.example"), ("resource", ""), ("resource", "https://b.example")]);
        assert_eq!(two.unwrap().resources().collect::<Vec<_>>(), ["https://a.example", "https://b.example"]);
    }

    #[test]
    fn an_empty_parameter_is_none() {
        let params = params(&[("nonce", ""), ("state", "x")]).unwrap();
        assert_eq!((params.get("nonce"), params.get("state"), params.get("scope")), (None, Some("x"), None));
    }

    #[test]
    fn number_and_length_are_bounded() {
        let names: Vec<String> = (0..=MAX_PARAMS).map(|index| format!("p{index}")).collect();
        let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
        assert_eq!(params(&many).unwrap_err(), ParamsError::TooMany);
        assert!(params(&many[1..]).is_ok());
        let long = "x".repeat(MAX_VALUE + 1);
        assert_eq!(params(&[("state", &long)]).unwrap_err(), ParamsError::TooLong("state".to_owned()));
        assert!(params(&[("state", &long[1..])]).is_ok());
    }

    /// S111
    #[test]
    fn values_are_not_printed() {
        assert!(!format!("{:?}", params(&[("client_secret", "hjs_secret")]).unwrap()).contains("hjs_"));
    }
}
