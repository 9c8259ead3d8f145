//! The nodes by which a cluster can be reached: those that the user has named, and those that the cluster itself has named.

use std::time::Duration;

use redis_resp::connection::Endpoint;
use redis_slots::Address;

use crate::cluster::options::ClusterOptions;

/// The longest wait for a node, to connect and for a reply, if another one can be asked instead.
const PATIENCE: Duration = Duration::from_secs(3);

/// A node that may tell the topology.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Where it is.
    pub endpoint: Endpoint,
    /// The address that the cluster announces for it; `None` for a node that the user has named.
    pub announced: Option<Address>,
}

impl Candidate {
    /// The host that stands for the node's own in its reply.
    pub(super) fn asked(&self) -> &str {
        self.announced.as_ref().map_or(&self.endpoint.host, |announced| &announced.host)
    }
}

impl ClusterOptions {
    /// The nodes that may be asked for the topology: the one that has told it last, then those that the user has named, then
    /// those that the cluster has named.
    pub fn candidates(&self) -> Vec<Candidate> {
        let named = [&self.endpoint].into_iter().chain(&self.others).cloned();
        let named = named.map(|endpoint| Candidate { endpoint, announced: None });
        let told = self.known.announced().into_iter().map(|announced| {
            let reached = self.addresses.reached(&announced);
            let endpoint = self.endpoint.at(reached.host, reached.port);
            Candidate { endpoint, announced: Some(announced) }
        });
        let mut all: Vec<Candidate> = Vec::new();
        for candidate in named.chain(told) {
            if all.iter().all(|other| place(&other.endpoint) != place(&candidate.endpoint)) {
                all.push(candidate);
            }
        }
        all.sort_by_key(|candidate| !self.known.is_last(&candidate.endpoint));
        if all.len() > 1 {
            all.iter_mut().for_each(|candidate| hurry(&mut candidate.endpoint));
        }
        all
    }
}

fn place(endpoint: &Endpoint) -> (&str, u16) {
    (&endpoint.host, endpoint.port)
}

fn hurry(endpoint: &mut Endpoint) {
    endpoint.connect_timeout = endpoint.connect_timeout.min(PATIENCE);
    endpoint.reply_timeout = endpoint.reply_timeout.min(PATIENCE);
}

#[cfg(test)]
mod tests {
    use redis_resp::Reply;
    use redis_resp::connection::Peer;
    use redis_slots::Topology;

    use super::*;
    use crate::cluster::{AddressMap, KnownNodes, Pauses};

    fn options() -> ClusterOptions {
        ClusterOptions {
            endpoint: Endpoint::new(Peer::Target, "a", 1),
            others: vec![Endpoint::new(Peer::Target, "b", 1)],
            known: KnownNodes::default(),
            addresses: AddressMap::parse(["c=z"]).unwrap(),
            name: String::new(),
            reserved_prefix: String::new(),
            field: String::new(),
            claim: None,
            memo: None,
            split: None,
            pauses: Pauses::default(),
            jitter: Duration::ZERO,
            patience: Duration::ZERO,
            look_every: Duration::ZERO,
        }
    }

    fn topology(nodes: &[(&str, &str)]) -> Topology {
        let text = |text: &str| Reply::Bulk(text.as_bytes().to_vec().into());
        let node = |(host, id): &(&str, &str)| Reply::Array(vec![text(host), Reply::Integer(1), text(id)]);
        let range = [Reply::Integer(0), Reply::Integer(16383)].into_iter().chain(nodes.iter().map(node));
        Topology::from_slots(&Reply::Array(vec![Reply::Array(range.collect())]), false).unwrap()
    }

    fn places(options: &ClusterOptions) -> Vec<String> {
        options.candidates().iter().map(|candidate| candidate.endpoint.to_string()).collect()
    }

    /// C26: the nodes that the user has named, then those that the cluster names, replicas too; and first the last that answered.
    #[test]
    fn who_is_asked() {
        let options = options();
        assert_eq!(places(&options), ["a:1", "b:1"]);
        options.known.learn(&topology(&[("a", "1"), ("c", "2"), ("d", "3")]), "a", false);
        let copy = options.clone();
        assert_eq!(places(&copy), ["a:1", "b:1", "z:1", "d:1"]);
        let last = copy.candidates().pop().unwrap();
        options.known.answered(&last.endpoint);
        assert_eq!(places(&copy), ["d:1", "a:1", "b:1", "z:1"]);
        options.known.learn(&topology(&[("d", "3")]), "a", false);
        assert_eq!(places(&copy), ["d:1", "a:1", "b:1"]);
    }

    /// A node whose address was taken over by another cluster is none of this one's.
    #[test]
    fn another_cluster() {
        let known = KnownNodes::default();
        known.learn(&topology(&[("a", "1"), ("c", "2")]), "a", false);
        assert!(known.are_of(&topology(&[("e", "9"), ("f", "2")])));
        assert!(!known.are_of(&topology(&[("a", "8"), ("c", "9")])));
    }
}
