//! JSON that means one thing only: every object key at most once, at any depth (S38, RFC 8725 §2.6).
//!
//! Parsers disagree about which of two equal keys counts, and a token that two programs read differently is
//! a way around one of them. serde refuses a duplicate only where it fills a named field.

use std::collections::HashSet;
use std::fmt;

use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};

/// Parses `json`, refusing duplicate keys and anything behind the value.
pub(super) fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice::<UniqueKeys>(json)?;
    serde_json::from_slice(json)
}

/// Any JSON value without duplicate keys. Depth is bounded by serde_json (128).
struct UniqueKeys;

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Walk)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = UniqueKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate keys")
    }

    fn visit_unit<E: de::Error>(self) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<UniqueKeys, A::Error> {
        while seq.next_element::<UniqueKeys>()?.is_some() {}
        Ok(UniqueKeys)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UniqueKeys, A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if !seen.insert(key) {
                return Err(de::Error::custom("duplicate key"));
            }
            map.next_value::<UniqueKeys>()?;
        }
        Ok(UniqueKeys)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn duplicate_keys_are_refused_at_any_depth_however_they_are_spelt() {
        for json in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":{"a":1,"b":2,"a":3}}"#,
            r#"{"x":[1,{"a":1,"a":2}]}"#,
        ] {
            assert!(parse::<Value>(json.as_bytes()).unwrap_err().to_string().contains("duplicate"), "{json}");
        }
    }

    #[test]
    fn trailing_bytes_and_bottomless_nesting_are_refused() {
        assert!(parse::<Value>(b"{} {}").is_err());
        assert!(parse::<Value>("[".repeat(100_000).as_bytes()).is_err());
    }

    proptest! {
        /// S116
        #[test]
        fn any_bytes_are_parsed_or_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(parse::<Value>(&bytes).ok(), serde_json::from_slice::<Value>(&bytes).ok());
        }
    }

    #[test]
    fn equal_keys_in_different_objects_are_fine() {
        assert!(parse::<Value>(br#"{"a":{"a":1},"b":[{"a":null},{"a":-1.5}],"c":true}"#).is_ok());
    }
}
