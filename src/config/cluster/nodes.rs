//! The lists of nodes and their grammar (spec §3.1): `id=value` items, `,` and `;` between them.

use std::collections::BTreeMap;
use std::fmt;

use crate::config::setting::Raw;
use crate::config::value::net::{Host, HostPort};
use crate::config::value::url::BaseUrl;
use crate::config::value::{Invalid, quoted};

/// Most members that a list names; Raft itself wants three, five or seven.
const MAX_NODES: usize = 64;

/// The name that an operator gives a node: 1 to 253 visible ASCII characters without `,` `;` and `=`.
/// It stands in certificates as `DNS:{name}` and in the header `X-Leader`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(String);

impl NodeName {
    /// Parses `text`.
    pub fn parse(text: &str) -> Option<Self> {
        let printable = text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b',' | b';' | b'='));
        ((1..=253).contains(&text.len()) && printable).then(|| Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn node_id(raw: &Raw) -> Result<NodeName, Invalid> {
    name(raw.text()?)
}

fn name(text: &str) -> Result<NodeName, Invalid> {
    NodeName::parse(text).ok_or_else(|| {
        Invalid::new(
            format!("{} is not a node name", quoted(text)),
            "write 1 to 253 visible ASCII characters without ',' ';' '='",
        )
    })
}

pub(super) fn server_name(raw: &Raw) -> Result<Host, Invalid> {
    let text = raw.text()?;
    match Host::parse(text) {
        Some(host @ Host::Name(_)) => Ok(host),
        Some(Host::Ip(_)) | None => Err(Invalid::new(
            format!("{} is not a DNS name", quoted(text)),
            "write the DNS name that the certificates of all nodes carry",
        )),
    }
}

/// `id=host:port` items; ids and addresses occur once.
pub(super) fn nodes(raw: &Raw) -> Result<BTreeMap<NodeName, HostPort>, Invalid> {
    let nodes = pairs(raw, "id=host:port", |address| {
        HostPort::parse(address).ok_or_else(|| {
            Invalid::new(
                format!("{} is not an address", quoted(address)),
                "write id=host:port, for example n1=10.0.0.1:8201",
            )
        })
    })?;
    let mut seen = BTreeMap::new();
    for (id, address) in &nodes {
        if let Some(other) = seen.insert(address, id) {
            return Err(Invalid::new(
                format!("{other} and {id} have the same address {address}"),
                "give every node its own",
            ));
        }
    }
    Ok(nodes)
}

/// `id=http(s)://…` items.
pub(super) fn redirects(raw: &Raw) -> Result<BTreeMap<NodeName, BaseUrl>, Invalid> {
    pairs(raw, "id=https://host:port", BaseUrl::parse)
}

fn pairs<T>(
    raw: &Raw,
    form: &str,
    parse: impl Fn(&str) -> Result<T, Invalid>,
) -> Result<BTreeMap<NodeName, T>, Invalid> {
    let items = raw.items()?;
    if items.len() > MAX_NODES {
        return Err(Invalid::new(
            format!("names {} nodes", items.len()),
            format!("name at most {MAX_NODES}"),
        ));
    }
    let mut map = BTreeMap::new();
    for item in items {
        let Some((id, value)) = item.split_once('=') else {
            return Err(Invalid::new(
                "has an item without '='",
                format!("write {form}, separated by ',' or ';'"),
            ));
        };
        let id = name(id.trim())?;
        let value = parse(value.trim()).map_err(|invalid| Invalid {
            reason: format!("the item of {id}: {}", invalid.reason),
            remedy: invalid.remedy,
        })?;
        if map.insert(id.clone(), value).is_some() {
            return Err(Invalid::new(format!("names {id} twice"), "name every node once"));
        }
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<BTreeMap<NodeName, HostPort>, Invalid> {
        nodes(&Raw::Text(text.to_owned()))
    }

    /// Spec §3.1: all lists take `,` and `;`, also mixed, with spaces.
    #[test]
    fn separators_may_be_mixed_and_spaced() {
        let expected = read("n1=10.0.0.1:8201,n2=10.0.0.2:8201,n3=[fd00::3]:8201").unwrap();
        assert_eq!(expected.len(), 3);
        for text in [
            "n1=10.0.0.1:8201;n2=10.0.0.2:8201;n3=[fd00::3]:8201",
            " n1 = 10.0.0.1:8201 ; n2=10.0.0.2:8201 ,\tn3=[fd00::3]:8201 ;",
            ";,n3=[fd00::3]:8201,,n2=10.0.0.2:8201;\nn1=10.0.0.1:8201",
        ] {
            assert_eq!(read(text), Ok(expected.clone()), "{text}");
        }
    }

    #[test]
    fn bad_items_are_refused_with_the_item_named() {
        for (text, reason) in [
            ("n1", "has an item without '='"),
            ("=a:1", "\"\" is not a node name"),
            ("n1=a", "the item of n1: \"a\" is not an address"),
            ("n1=a:0", "the item of n1: \"a:0\" is not an address"),
            ("n1=a:70000", "the item of n1: \"a:70000\" is not an address"),
            ("n1=10.0.0.256:1", "the item of n1: \"10.0.0.256:1\" is not an address"),
            ("n1=::1:80", "the item of n1: \"::1:80\" is not an address"),
            ("n1=a:1,n1=b:1", "names n1 twice"),
            ("n1=a:1,n2=A:1", "n1 and n2 have the same address a:1"),
        ] {
            assert_eq!(read(text).unwrap_err().reason, reason, "{text}");
        }
        let many = (0..65).map(|n| format!("n{n}=h{n}:1")).collect::<Vec<_>>().join(",");
        assert_eq!(read(&many).unwrap_err().reason, "names 65 nodes");
    }

    #[test]
    fn a_login_in_a_redirect_is_refused_and_not_repeated() {
        let refused = redirects(&Raw::Text("n1=https://u:s3cret@h".into())).unwrap_err();
        assert_eq!(refused.reason, "the item of n1: contains a user name or password");
    }

    fn members() -> impl Strategy<Value = BTreeMap<String, (String, u16)>> {
        proptest::collection::btree_map(
            "[a-zA-Z0-9._~-]{1,12}",
            ("[a-z][a-z0-9]{0,8}(\\.[a-z][a-z0-9]{0,5})?", 1_u16..),
            0..8,
        )
    }

    proptest! {
        /// S116: what is written in any mix of separators and spaces is read back whole.
        #[test]
        fn any_mix_of_separators_reads_back(members in members(), glue in proptest::collection::vec("[,; \t]{0,3}[,;][,; ]{0,3}", 9)) {
            let distinct: std::collections::BTreeSet<_> = members.values().collect();
            prop_assume!(distinct.len() == members.len());
            let mut text = String::new();
            for ((id, (host, port)), glue) in members.iter().zip(&glue) {
                text.push_str(&format!("{id}={host}:{port}{glue}"));
            }
            let read: BTreeMap<String, (String, u16)> = read(&text)
                .unwrap()
                .into_iter()
                .map(|(id, address)| (id.to_string(), (address.host.to_string(), address.port)))
                .collect();
            prop_assert_eq!(read, members);
        }

        /// S116: any text is read or refused.
        #[test]
        fn any_text_is_read_or_refused(text in "[a-z0-9=,;:. \\[\\]\\PC]{0,60}") {
            if let Ok(nodes) = read(&text) {
                prop_assert!(nodes.len() <= text.matches('=').count());
            }
        }
    }
}
