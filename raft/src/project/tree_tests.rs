use hellojohn_control::{ClientId, Kid};
use proptest::prelude::*;

use super::*;

/// S105: the grammar keeps names that mean something to a file system away from paths.
#[test]
fn names_of_directories_and_hidden_files_are_no_identifiers() {
    for bad in [".", "..", ".hidden", "", "a/b", "a\0b", "../a", "%2f/", "/"] {
        assert!(Slug::parse(bad).is_err(), "{bad:?}");
        assert!(ClientId::parse(bad).is_err(), "{bad:?}");
        assert!(Kid::parse(bad).is_err(), "{bad:?}");
    }
    assert!(Slug::parse("_global").is_err(), "a tenant cannot take the directory of the global keys");
}

proptest! {
    #[test]
    fn every_client_has_one_plain_short_name_of_its_own(
        a in "[A-Za-z0-9][A-Za-z0-9._~-]{0,127}",
        b in "[A-Za-z0-9][A-Za-z0-9._~-]{0,127}",
    ) {
        let path = |id: &str| {
            let client = Client::new(uuid::Uuid::nil(), ClientId::parse(id).unwrap(), Default::default());
            Document::Client(Slug::parse("acme").unwrap(), Arc::new(client)).path()
        };
        let found = path(&a);
        prop_assert_eq!(found.components().count(), 4);
        prop_assert_eq!(found.parent().unwrap(), Path::new("tenants/acme/clients"));
        // With room for the dot and the suffix of a temporary file.
        prop_assert!(found.file_name().unwrap().len() <= 250);
        prop_assert_eq!(found == path(&b), a == b);
    }
}
