//! Where the nodes of a cluster are reached, if the addresses that they announce cannot be used from here.

use std::collections::BTreeMap;

use redis_slots::Address;
use thiserror::Error;

/// The addresses under which nodes are reached, by the addresses that they announce. Others are used as announced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressMap {
    addresses: BTreeMap<Address, Address>,
    hosts: BTreeMap<String, String>,
}

/// Why a rule of an [`AddressMap`] cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AddressMapError {
    /// The rule does not have the documented form.
    #[error("\"{0}\" is not a pair of addresses; write host:port=host:port, or host=host for all ports")]
    Form(String),
    /// Another rule has the same announced address.
    #[error("\"{0}\" is announced in two rules; leave out one of them")]
    Twice(String),
}

impl AddressMap {
    /// Parses rules: `host:port=host:port`, or `host=host` for all ports that have no rule of their own. The announced
    /// address comes first. An IPv6 address is in brackets.
    ///
    /// # Errors
    /// [`AddressMapError`].
    pub fn parse<'a>(rules: impl IntoIterator<Item = &'a str>) -> Result<Self, AddressMapError> {
        let mut map = Self::default();
        rules.into_iter().try_for_each(|rule| map.add(rule))?;
        Ok(map)
    }

    fn add(&mut self, rule: &str) -> Result<(), AddressMapError> {
        let form = || AddressMapError::Form(rule.to_owned());
        let (announced, reached) = rule.split_once('=').ok_or_else(form)?;
        let before = match (place(announced).ok_or_else(form)?, place(reached).ok_or_else(form)?) {
            ((from, Some(from_port)), (to, Some(port))) => {
                let (from, to) = (Address { host: from, port: from_port }, Address { host: to, port });
                self.addresses.insert(from, to).is_some()
            }
            ((from, None), (to, None)) => self.hosts.insert(from, to).is_some(),
            _ => return Err(form()),
        };
        if before { Err(AddressMapError::Twice(announced.to_owned())) } else { Ok(()) }
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.hosts.is_empty()
    }

    /// The address under which the node is reached that announces `announced`.
    pub fn reached(&self, announced: &Address) -> Address {
        if let Some(address) = self.addresses.get(announced) {
            return address.clone();
        }
        let host = self.hosts.get(&announced.host).unwrap_or(&announced.host);
        Address { host: host.clone(), port: announced.port }
    }
}

/// `host` or `host:port`. The host loses its brackets.
fn place(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        Some(port) => Some(port.parse().ok().filter(|port| *port > 0)?),
        None => None,
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str, port: u16) -> Address {
        Address { host: host.to_owned(), port }
    }

    /// C18: a rule for one port goes before the rule for its host.
    #[test]
    fn where_a_node_is_reached() {
        let rules =
            ["10.0.0.1:7000=db.example:17000", "10.0.0.1=other.example", "[::1]:1=[::2]:2", "[fe80::1]=h"];
        let map = AddressMap::parse(rules).unwrap();
        for (announced, reached) in [
            (address("10.0.0.1", 7000), address("db.example", 17000)),
            (address("10.0.0.1", 7001), address("other.example", 7001)),
            (address("10.0.0.2", 7000), address("10.0.0.2", 7000)),
            (address("::1", 1), address("::2", 2)),
            (address("fe80::1", 9), address("h", 9)),
        ] {
            assert_eq!(map.reached(&announced), reached);
        }
    }

    /// C18: what is not a rule is named.
    #[test]
    fn rules_that_cannot_be_used() {
        for rule in
            ["", "a", "a=", "=b", "a:1=b", "a=b:1", "a:0=b:1", "a:x=b:1", "a:1=b:99999", "::1=::2", "[a=b"]
        {
            assert_eq!(AddressMap::parse([rule]), Err(AddressMapError::Form(rule.to_owned())));
        }
        let twice = AddressMap::parse(["a:1=b:1", "a:1=c:1"]).unwrap_err();
        assert_eq!(twice, AddressMapError::Twice("a:1".to_owned()));
    }
}
