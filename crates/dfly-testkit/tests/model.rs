//! The model against a real Redis: the same operations must leave the same keyspace.

#![expect(clippy::unwrap_used, reason = "a failed expectation must stop the test")]

use dfly_testkit::{Model, Op, RedisClient, RedisOptions, RedisServer, keyspace};

/// Runs an operation on both; whether both accepted it.
fn run_on_both(model: &mut Model, client: &mut RedisClient, op: &Op) -> bool {
    client.select(op.db).unwrap();
    let args: Vec<&[u8]> = op.args.iter().map(|arg| &arg[..]).collect();
    let refused = client.command(&args).unwrap().error().map(str::to_owned);
    let applied = model.apply(op);
    assert_eq!(applied.is_err(), refused.is_some(), "{op:?}: {applied:?}, {refused:?}");
    refused.is_none()
}

const EVERY_COMMAND: &[&str] = &[
    "SET s 1",
    "SET s 2 PXAT 1893456000123",
    "SET s 3 KEEPTTL",
    "INCR s",
    "DECR s",
    "INCRBY s -40",
    "INCR new",
    "APPEND s abc",
    "INCR s",
    "APPEND fresh x",
    "MSET a 1 b 2 s 3",
    "PEXPIREAT a 1893456000456",
    "PEXPIREAT nobody 1893456000456",
    "SET a 9",
    "PEXPIREAT b 1893456000456",
    "PERSIST b",
    "PERSIST nobody",
    "INCRBY b 9223372036854775807",
    "SET w 007",
    "INCR w",
    "RPUSH l a b c",
    "LPUSH l x y z",
    "LSET l 1 Y",
    "LSET l -1 C",
    "LSET l 99 C",
    "LSET nobody 0 C",
    "LPOP l",
    "RPOP l 2",
    "LPOP l 99",
    "RPOP l",
    "RPUSH l 1",
    "INCR l",
    "RPUSH s 1",
    "HSET h f 1 g 2 f 3",
    "HINCRBY h f 4",
    "HINCRBY h n -4",
    "HSET h g x",
    "HINCRBY h g 1",
    "HDEL h f nobody",
    "HDEL h g n",
    "SADD t a b c a",
    "SADD t a",
    "SREM t a nobody",
    "SREM t b c",
    "ZADD z 1.5 a -inf b inf c",
    "ZINCRBY z 0.1 a",
    "ZINCRBY z -inf c",
    "ZADD z nan a",
    "ZREM z b nobody",
    "ZREM z a c",
    "XADD x 1-1 f v",
    "XADD x 5-0 f v g w",
    "XADD x 5-0 f v",
    "XADD x 6-1 f v",
    "XDEL x 6-1 9-9",
    "XDEL x 1-1",
    "RENAME s renamed",
    "RENAME nobody renamed",
    "RENAME x y",
    "SADD big 1 2 3",
    "DEL big nobody renamed",
    "UNLINK y",
];

#[test]
fn every_command_does_what_redis_does() {
    let server = RedisServer::start(RedisOptions::default()).unwrap();
    let (mut client, mut model) = (server.client().unwrap(), Model::default());
    for line in EVERY_COMMAND {
        run_on_both(&mut model, &mut client, &Op::line(line));
        assert_eq!(model.keyspace(), keyspace(&mut client).unwrap(), "{line}");
    }
    assert!(!model.is_empty());
}

/// A linear congruential generator (Knuth's MMIX constants): the same operations in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

fn any_op(numbers: &mut Numbers, serial: u64) -> Op {
    let key = numbers.below(12);
    let (other, n) = (numbers.below(12), numbers.below(6));
    let line = match numbers.below(26) {
        0 => format!("SET {key} {n}"),
        1 => format!("SET {key} {n} PXAT 1893456000{n}00"),
        2 => format!("SET {key} x{n} KEEPTTL"),
        3 => format!("DEL {key} {other}"),
        4 => format!("INCRBY {key} {n}"),
        5 => format!("APPEND {key} {n}"),
        6 => format!("LPUSH {key} {n} {other}"),
        7 => format!("RPUSH {key} {n}"),
        8 => format!("LPOP {key}"),
        9 => format!("RPOP {key} 2"),
        10 => format!("LSET {key} {n} v{n}"),
        11 => format!("HSET {key} f{n} {other}"),
        12 => format!("HDEL {key} f{n} f0"),
        13 => format!("HINCRBY {key} f{n} -7"),
        14 => format!("SADD {key} {n} m{other}"),
        15 => format!("SREM {key} {n}"),
        16 => format!("ZADD {key} {n}.25 m{other}"),
        17 => format!("ZINCRBY {key} 0.1 m{other}"),
        18 => format!("ZREM {key} m{other}"),
        19 => format!("XADD {key} {serial}-{n} f {other}"),
        20 => format!("XDEL {key} {}-{n}", serial.saturating_sub(30)),
        21 => format!("PEXPIREAT {key} 1893456000{n}00"),
        22 => format!("PERSIST {key}"),
        23 => format!("RENAME {key} {other}"),
        24 => format!("MSET {key} {n} {other} y"),
        _ if n == 0 && serial.is_multiple_of(40) => "FLUSHDB".to_owned(),
        _ if n == 1 && serial.is_multiple_of(80) => "FLUSHALL".to_owned(),
        _ => format!("UNLINK {key}"),
    };
    Op::line(&line).in_db(u32::try_from(numbers.below(3)).unwrap())
}

#[test]
fn any_sequence_does_what_redis_does() {
    let server = RedisServer::start(RedisOptions::default()).unwrap();
    let (mut client, mut model) = (server.client().unwrap(), Model::default());
    let (mut numbers, mut accepted) = (Numbers(7), 0);
    for serial in 1..=4000 {
        let op = any_op(&mut numbers, serial);
        accepted += usize::from(run_on_both(&mut model, &mut client, &op));
        if serial.is_multiple_of(100) {
            assert_eq!(model.keyspace(), keyspace(&mut client).unwrap(), "after operation {serial}");
        }
    }
    assert!((1500..4000).contains(&accepted), "{accepted} of 4000 were accepted, some were refused");
}

#[test]
fn what_the_model_does_not_know_is_refused_and_changes_nothing() {
    let mut model = Model::default();
    model.apply(&"SET k 1".into()).unwrap();
    for line in ["GETDEL k", "SET k 2 EX 5", "MSET k", "HSET k f", "XADD k * f v", "BLPOP k 0", "SET k"] {
        assert!(model.apply(&line.into()).is_err(), "{line}");
    }
    assert_eq!(model.keyspace().len(), 1);
}
