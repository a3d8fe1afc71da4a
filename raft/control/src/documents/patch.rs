//! A member of a merge patch (RFC 7396): absent keeps, `null` removes, a value replaces or merges.

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};

/// What a merge patch says about one member. Use with
/// `#[serde(default, skip_serializing_if = "Patch::is_keep")]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// The member is absent: leave what is there.
    #[default]
    Keep,
    /// The member is `null`: remove what is there, or go back to the default.
    Clear,
    /// The member has a value.
    Set(T),
}

impl<T> Patch<T> {
    /// Whether the patch leaves the member alone.
    pub fn is_keep(&self) -> bool {
        matches!(self, Patch::Keep)
    }

    /// The value that the patch sets, if it sets one.
    pub fn as_set(&self) -> Option<&T> {
        match self {
            Patch::Set(value) => Some(value),
            Patch::Keep | Patch::Clear => None,
        }
    }

    /// Applies to a member that may be missing.
    pub fn apply_option(self, target: &mut Option<T>) {
        match self {
            Patch::Keep => {}
            Patch::Clear => *target = None,
            Patch::Set(value) => *target = Some(value),
        }
    }

    /// Applies to a member that always has a value; `null` gives the default.
    pub fn apply_or_default(self, target: &mut T)
    where
        T: Default,
    {
        match self {
            Patch::Keep => {}
            Patch::Clear => *target = T::default(),
            Patch::Set(value) => *target = value,
        }
    }

    /// The same patch with its value mapped.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::Set(value) => Patch::Set(f(value)),
        }
    }

    /// The same patch with its value mapped by a function that may fail.
    pub fn try_map<U, E>(self, f: impl FnOnce(T) -> Result<U, E>) -> Result<Patch<U>, E> {
        Ok(match self {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::Set(value) => Patch::Set(f(value)?),
        })
    }
}

impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            // Written as null it would come back as `Clear` and mean another thing after the log.
            Patch::Keep => Err(ser::Error::custom("a member that is kept must be left out")),
            Patch::Clear => serializer.serialize_none(),
            Patch::Set(value) => value.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(deserializer)?.map_or(Patch::Clear, Patch::Set))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Doc {
        #[serde(default, skip_serializing_if = "Patch::is_keep")]
        member: Patch<u8>,
    }

    /// spec §13.10: absent, `null` and a value are three different things, before and after the log.
    #[test]
    fn absent_null_and_value_survive_the_log() {
        for (json, member) in
            [("{}", Patch::Keep), (r#"{"member":null}"#, Patch::Clear), (r#"{"member":3}"#, Patch::Set(3))]
        {
            let doc: Doc = serde_json::from_str(json).unwrap();
            assert_eq!(doc, Doc { member });
            assert_eq!(serde_json::to_string(&doc).unwrap(), json);
        }
    }

    #[test]
    fn a_kept_member_of_a_map_is_never_written_as_null() {
        let map = BTreeMap::from([("google", Patch::<u8>::Keep)]);
        assert!(serde_json::to_string(&map).is_err());
    }
}
