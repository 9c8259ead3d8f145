//! What real clusters said: Redis 7.0.15 and 8.6 and Valkey 9.1 with three primaries, of which the first has two ranges of
//! slots and a replica.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation must stop the test"
)]

use std::fs;
use std::path::Path;

use bytes::BytesMut;
use dfly_wire::Step;
use redis_resp::{Reply, ServerError};
use redis_slots::{Health, Host, SLOTS, Slot, Topology, TopologyError};

const SERVERS: [&str; 3] = ["redis-7.0", "redis-8.6", "valkey-9.1"];

/// States of the cluster in which it is whole.
const WHOLE: [&str; 6] = ["formed", "hostname-preferred", "unknown-endpoint", "ipv6", "tls", "failed"];

fn recorded(server: &str, name: &str) -> Vec<u8> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    fs::read(data.join(server).join(format!("{name}.resp"))).unwrap()
}

fn decode(bytes: &[u8]) -> Reply {
    let mut src = BytesMut::from(bytes);
    match Reply::decode(&mut src).unwrap() {
        Step::Ready(reply) if src.is_empty() => reply,
        other => panic!("{other:?}"),
    }
}

fn shards(server: &str, name: &str) -> Topology {
    Topology::from_shards(&decode(&recorded(server, &format!("{name}-shards")))).unwrap()
}

fn slots(server: &str, name: &str) -> Topology {
    Topology::from_slots(&decode(&recorded(server, &format!("{name}-slots"))), false).unwrap()
}

/// The last digit of the port of each of the four nodes, which were started in this order: what a test can name them by.
fn node_of(topology: &Topology, slot: u16) -> u16 {
    topology.owner(Slot(slot)).unwrap().primary.port.unwrap() % 100
}

#[test]
fn a_whole_cluster() {
    for server in SERVERS {
        for name in WHOLE {
            for topology in [shards(server, name), slots(server, name)] {
                assert_eq!(topology.first_uncovered(), None);
                assert_eq!(topology.shards().len(), 3, "{server} {name}");
                let owners =
                    [0, 5000, 5001, 10922, 10923, 15999, 16000, 16383].map(|slot| node_of(&topology, slot));
                assert_eq!(owners, [0, 0, 1, 1, 2, 2, 0, 0], "{server} {name}");
                let first = topology.owner(Slot(0)).unwrap();
                assert_eq!(first.slots, [0..=5000, 16000..=16383]);
                assert_eq!(first.replicas.len(), 1);
                assert_eq!(first.replicas[0].port.unwrap() % 100, 3);
                let table = topology.table().unwrap();
                for slot in 0..SLOTS {
                    let shard = &topology.shards()[usize::from(table.owner(Slot(slot)).unwrap())];
                    assert_eq!(Some(shard), topology.owner(Slot(slot)));
                }
            }
        }
    }
}

/// Both questions are answered alike, as far as both are.
#[test]
fn both_replies_agree() {
    for server in SERVERS {
        for name in WHOLE {
            let (by_shards, by_slots) = (shards(server, name), slots(server, name));
            for slot in [0, 5001, 10923] {
                let (a, b) = (by_shards.owner(Slot(slot)).unwrap(), by_slots.owner(Slot(slot)).unwrap());
                assert_eq!(a.slots, b.slots);
                for (a, b) in [(&a.primary, &b.primary)].into_iter().chain(a.replicas.iter().zip(&b.replicas))
                {
                    assert_eq!((&a.id, &a.host, a.port), (&b.id, &b.host, b.port), "{server} {name}");
                    assert_eq!(a.address("asked", false), b.address("asked", false));
                    assert_eq!(b.health, Health::Unstated);
                }
            }
        }
    }
}

fn address(topology: &Topology, slot: u16) -> Option<String> {
    let address = topology.owner(Slot(slot)).unwrap().primary.address("asked", false)?;
    Some(format!("{}:{}", address.host, address.port % 100))
}

/// P9: what is not announced is the host that was asked, never a guess.
#[test]
fn addresses() {
    for server in SERVERS {
        let text = |address: Option<&str>| address.map(str::to_owned);
        for (name, expected) in [
            ("formed", [Some("127.0.0.1:0"), Some("127.0.0.1:1"), Some("127.0.0.1:2")]),
            ("hostname-preferred", [Some("node0.example.com:0"), Some("node1.example.com:1"), None]),
            ("unknown-endpoint", [Some("asked:0"), Some("asked:1"), Some("asked:2")]),
            ("ipv6", [Some("127.0.0.1:0"), Some("127.0.0.1:1"), Some("::1:2")]),
        ] {
            for topology in [shards(server, name), slots(server, name)] {
                assert_eq!(
                    [0, 5001, 10923].map(|slot| address(&topology, slot)),
                    expected.map(text),
                    "{server} {name}"
                );
            }
        }
        let nameless = shards(server, "hostname-preferred").owner(Slot(10923)).unwrap().primary.clone();
        assert_eq!(
            (nameless.host, nameless.ip.as_deref(), nameless.hostname),
            (Host::Unknown, Some("127.0.0.1"), None)
        );
        let hidden = slots(server, "unknown-endpoint").owner(Slot(0)).unwrap().primary.clone();
        assert_eq!(
            (hidden.ip.as_deref(), hidden.hostname.as_deref()),
            (Some("127.0.0.1"), Some("node0.example.com"))
        );
    }
}

/// Redis 7.0 does not tell the TLS port of a node that has another.
#[test]
fn ports_with_tls() {
    for (server, port) in [("redis-7.0", None), ("redis-8.6", Some(7443)), ("valkey-9.1", Some(7443))] {
        let node = shards(server, "tls").owner(Slot(5001)).unwrap().primary.clone();
        assert_eq!((node.tls_port, node.port.unwrap() % 100), (port, 1), "{server}");
        assert_eq!(node.address("asked", true).map(|address| address.port), port);
        let over_tls = Topology::from_slots(&decode(&recorded(server, "tls-slots")), true).unwrap();
        let node = &over_tls.owner(Slot(5001)).unwrap().primary;
        assert_eq!((node.port, node.tls_port.unwrap() % 100), (None, 1));
    }
}

#[test]
fn a_failed_primary_and_its_successor() {
    for server in SERVERS {
        let topology = shards(server, "failed");
        let shard = topology.owner(Slot(0)).unwrap();
        assert_eq!(
            (shard.primary.health, shard.replicas[0].health),
            (Health::Failed, Health::Online),
            "{server}"
        );
        assert_eq!(topology.owner(Slot(5001)).unwrap().primary.health, Health::Online);
    }
    // Valkey keeps the one that failed in its shard, still as a primary; Redis 7.0 gives it a shard of its own.
    for (server, shard_count, left) in [("redis-7.0", 4, 0), ("valkey-9.1", 3, 1)] {
        for (topology, shard_count, left) in
            [(shards(server, "after-failover"), shard_count, left), (slots(server, "after-failover"), 3, 0)]
        {
            assert_eq!(topology.shards().len(), shard_count, "{server}");
            assert_eq!([0, 5001, 10923, 16383].map(|slot| node_of(&topology, slot)), [3, 1, 2, 3]);
            assert_eq!(topology.owner(Slot(0)).unwrap().replicas.len(), left);
        }
    }
}

#[test]
fn nodes_before_they_meet() {
    for server in SERVERS {
        for name in ["fresh", "one-node"] {
            let (by_shards, by_slots) = (shards(server, name), slots(server, name));
            let node = &by_shards.shards()[0].primary;
            assert_eq!((&node.host, &node.ip), (&Host::Asked, &None));
            let gap = if name == "fresh" { 0 } else { 5001 };
            for topology in [by_shards, by_slots] {
                assert_eq!(topology.first_uncovered(), Some(Slot(gap)));
                assert_eq!(topology.table(), Err(TopologyError::Uncovered(Slot(gap))));
            }
        }
        let topology = shards(server, "no-replica");
        assert_eq!(topology.shards().len(), 4);
        assert_eq!(topology.shards().iter().filter(|shard| shard.slots.is_empty()).count(), 1);
        assert_eq!(topology.first_uncovered(), None);
    }
}

/// A part of a reply is no reply, and no topology.
#[test]
fn every_truncation_is_incomplete() {
    for name in ["formed-shards", "formed-slots", "hostname-preferred-slots"] {
        let bytes = recorded("valkey-9.1", name);
        for cut in 0..bytes.len() {
            let step = Reply::decode(&mut BytesMut::from(&bytes[..cut])).unwrap();
            assert!(matches!(step, Step::Need(_)), "{name} cut at {cut}");
        }
    }
}

/// Every reply that is like `reply` but for one place, where something else stands or nothing.
fn variations(reply: &Reply) -> Vec<Reply> {
    let mut out = vec![
        Reply::Nil,
        Reply::Integer(-1),
        Reply::Integer(70_000),
        Reply::Simple("x".into()),
        Reply::Bulk(vec![0xff].into()),
        Reply::Array(Vec::new()),
    ];
    if let Reply::Array(items) = reply {
        for (i, item) in items.iter().enumerate() {
            let mut without = items.clone();
            without.remove(i);
            out.push(Reply::Array(without));
            for other in variations(item) {
                let mut changed = items.clone();
                changed[i] = other;
                out.push(Reply::Array(changed));
            }
        }
    }
    out
}

/// P9: a topology that was not understood is an error, or slots without an owner; never other owners.
#[test]
fn nothing_is_understood_wrongly() {
    type Parse = fn(&Reply) -> Result<Topology, TopologyError>;
    let parsers: [(&str, Parse); 2] = [
        ("formed-shards", Topology::from_shards),
        ("formed-slots", |reply| Topology::from_slots(reply, false)),
    ];
    for (name, parse) in parsers {
        let reply = decode(&recorded("valkey-9.1", name));
        let right = parse(&reply).unwrap();
        let (mut refused, mut partial, mut same) = (0, 0, 0);
        for changed in variations(&reply) {
            let Ok(topology) = parse(&changed) else {
                refused += 1;
                continue;
            };
            let port =
                |topology: &Topology, slot| topology.owner(Slot(slot)).and_then(|shard| shard.primary.port);
            for slot in [0, 5001, 10923, 16383] {
                let found = port(&topology, slot);
                assert!(found.is_none() || found == port(&right, slot), "{changed:?}");
            }
            match topology.table() {
                Ok(_) => same += 1,
                Err(_uncovered) => partial += 1,
            }
        }
        assert!(refused > 50 && partial > 3 && same > 10, "{name}: {refused}, {partial}, {same}");
    }
}

/// One shard as CLUSTER SHARDS tells it, with the roles and healths of its nodes.
fn shard(slots: &[u16], nodes: &[(&str, &str)]) -> String {
    let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
    let mut out = format!("*4\r\n{}*{}\r\n", bulk("slots"), slots.len());
    slots.iter().for_each(|slot| out += &format!(":{slot}\r\n"));
    out += &format!("{}*{}\r\n", bulk("nodes"), nodes.len());
    for (i, (role, health)) in nodes.iter().enumerate() {
        out += &format!("*10\r\n{}{}", bulk("id"), bulk(&format!("node{i}")));
        out += &format!("{}:7000\r\n{}{}", bulk("port"), bulk("endpoint"), bulk("127.0.0.1"));
        out += &format!("{}{}{}{}", bulk("role"), bulk(role), bulk("health"), bulk(health));
    }
    out
}

fn refusal(shards: &[String]) -> String {
    let reply = decode(format!("*{}\r\n{}", shards.len(), shards.concat()).as_bytes());
    Topology::from_shards(&reply).map_or_else(|error| error.to_string(), |found| format!("{found:?}"))
}

#[test]
fn what_no_cluster_is() {
    let primary = ("master", "online");
    for (shards, text) in [
        (
            vec![shard(&[0, 9], &[primary]), shard(&[9, 20], &[primary])],
            "slots 9 to 20 overlap with another range",
        ),
        (vec![shard(&[9, 0], &[primary])], "9 to 0 is not a range of slots"),
        (vec![shard(&[0, 16384], &[primary])], "0 to 16384 is not a range of slots"),
        (vec![shard(&[0], &[primary])], "entry 0 of the topology has no last slot of a range"),
        (vec![shard(&[], &[primary]), shard(&[0, 9], &[])], "shard 1 of the topology has 0 primaries"),
        (vec![shard(&[0, 9], &[("replica", "online")])], "shard 0 of the topology has 0 primaries"),
        (vec![shard(&[0, 9], &[primary, primary])], "shard 0 of the topology has 2 primaries"),
        (
            vec![shard(&[0, 9], &[("master", "fail"), ("master", "fail")])],
            "shard 0 of the topology has 2 primaries",
        ),
        (
            vec![shard(&[0, 9], &[("sentinel", "online")])],
            "entry 0 of the topology has no known role of a node",
        ),
        (
            vec![shard(&[0, 9], &[("master", "fine")])],
            "entry 0 of the topology has no known health of a node",
        ),
    ] {
        assert!(refusal(&shards).ends_with(text), "{} is not {text}", refusal(&shards));
    }
    let off = Reply::Error(ServerError::parse(b"ERR This instance has cluster support disabled"));
    for error in [Topology::from_shards(&off), Topology::from_slots(&off, false)] {
        let text = error.unwrap_err().to_string();
        assert!(text.ends_with("ERR This instance has cluster support disabled"), "{text}");
    }
}

/// Redis 6.2 and Dragonfly tell nothing but host, port and id; one id with two ports is two nodes.
#[test]
fn short_nodes_and_contradictions() {
    let node = |port: u16| format!("*3\r\n$9\r\n127.0.0.1\r\n:{port}\r\n$2\r\nid\r\n");
    let reply = |second: u16| {
        let (first, second) = (node(7000), node(second));
        decode(format!("*2\r\n*3\r\n:0\r\n:99\r\n{first}*3\r\n:100\r\n:16383\r\n{second}").as_bytes())
    };
    let topology = Topology::from_slots(&reply(7000), false).unwrap();
    assert_eq!(topology.shards().len(), 1);
    assert_eq!(topology.shards()[0].slots, [0..=99, 100..=16383]);
    let error = Topology::from_slots(&reply(7001), false).unwrap_err();
    assert_eq!(error, TopologyError::Contradiction("id".into()));
}
