//! What a Dragonfly replica does in the same place: it takes over from its master under the same load.

use dfly_testkit::{RedisOptions, RedisServer};

use super::figures::Figures;
use super::writers::{Writers, lists};
use super::{cutovers, dragonfly, until};

/// What is written before.
const WRITES: u64 = 10_000;

/// A replica that follows `master`.
fn replica_of(master: &RedisServer, options: RedisOptions) -> RedisServer {
    let replica = RedisServer::start(options).unwrap();
    let (host, port) = (master.address().ip().to_string(), master.address().port().to_string());
    let mut client = replica.client().unwrap();
    client.expect(&[b"REPLICAOF", host.as_bytes(), port.as_bytes()]).unwrap();
    until("a replica", || {
        let info = replica.client().unwrap().expect(&[b"INFO", b"replication"]).unwrap().text().unwrap();
        info.contains("master_link_status:up") && info.contains("master_sync_in_progress:0")
    });
    replica
}

/// What cutovers are measured beside.
#[test]
fn a_replica_takes_over_in_the_same_place() {
    let Some(binary) = dragonfly() else { return };
    let options = || RedisOptions::dragonfly(binary.clone(), &["--proactor_threads=2"]);
    let (mut figures, mut rate) = (Figures::default(), 0);
    for nth in 0..cutovers() {
        let master = RedisServer::start(options()).unwrap();
        let replica = replica_of(&master, options());
        let writers = Writers::start(master.address());
        writers.have_written(WRITES);
        rate = writers.rate();
        replica.client().unwrap().expect(&[b"REPLTAKEOVER", b"10"]).unwrap();
        figures.add("", writers.stopped_for());
        writers.all_end();
        writers.nothing_is_lost(&lists(&mut replica.client().unwrap()), &format!("takeover {nth}"));
        drop(master);
        writers.join();
    }
    figures.print("Dragonfly, REPLTAKEOVER", rate);
}
