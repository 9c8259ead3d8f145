//! Writers that make every family of records, each a bounded number of them.

use dfly_testkit::RedisServer;

/// A small generator, so that every run writes the same.
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// 2033, in milliseconds.
const FAR: &str = "1990000000000";

/// Fills the master with values of every type and of several sizes.
pub(crate) fn fill(server: &RedisServer, keys: usize) {
    let mut commands: Vec<Vec<String>> = Vec::new();
    let mut push = |line: String| commands.push(line.split(' ').map(str::to_owned).collect());
    for i in 0..keys {
        push(format!("SET bulk:{i} {}", "v".repeat(i % 300)));
        if i % 20 == 0 {
            push(format!("RPUSH blist:{i} {}", words(i % 90 + 1)));
            push(format!("HSET bhash:{i} {}", pairs(i % 60 + 1)));
            push(format!("SADD bset:{i} {}", words(i % 200 + 1)));
            push(format!("ZADD bzset:{i} {}", scores(i % 200 + 1)));
            push(format!("SET bttl:{i} v PXAT {FAR}"));
        }
    }
    push(format!("RPUSH big:list {}", words(40_000)));
    push(format!("HSET big:hash {}", pairs(20_000)));
    push(format!("SADD big:set {}", words(30_000)));
    push(format!("ZADD big:zset {}", scores(20_000)));
    for i in 1..3000 {
        push(format!("XADD big:stream {i}-1 f{} {i} same v", i % 7));
    }
    push("XGROUP CREATE big:stream g 500-1".to_owned());
    push("XREADGROUP GROUP g c COUNT 40 STREAMS big:stream >".to_owned());
    push("SELECT 3".to_owned());
    push("SET db3:key v".to_owned());
    send(server, &commands);
}

fn words(n: usize) -> String {
    (0..n).map(|i| format!("element:{i}")).collect::<Vec<_>>().join(" ")
}

fn pairs(n: usize) -> String {
    (0..n).map(|i| format!("field:{i} value:{i}")).collect::<Vec<_>>().join(" ")
}

fn scores(n: usize) -> String {
    (0..n).map(|i| format!("{}.{:03} member:{i}", i * 7919 % 10_007, i % 1000)).collect::<Vec<_>>().join(" ")
}

fn send(server: &RedisServer, commands: &[Vec<String>]) {
    let mut client = server.client().unwrap();
    for part in commands.chunks(500) {
        for (command, reply) in part.iter().zip(client.pipeline(part).unwrap()) {
            assert!(reply.error().is_none(), "{} {}: {reply:?}", command[0], command[1]);
        }
    }
}

/// Writes `rounds` batches over few keys, errors allowed (a wrong type is no record).
pub(crate) fn write(server: &RedisServer, seed: u64, rounds: usize) {
    let mut client = server.client().unwrap();
    let mut random = Random(seed);
    for round in 0..rounds {
        let batch: Vec<Vec<String>> = (0..20)
            .map(|_| command(&mut random, round).split(' ').map(str::to_owned).collect::<Vec<_>>())
            .collect();
        client.pipeline(&batch).unwrap();
    }
}

fn command(r: &mut Random, round: usize) -> String {
    let (k, n, m) = (r.below(40), r.below(1000), r.below(12));
    match r.below(41) {
        0 => format!("SET w:s{k} {n}"),
        1 => format!("INCR w:n{k}"),
        2 => format!("INCRBY w:n{k} {n}"),
        3 => format!("APPEND w:s{k} {n}"),
        4 => format!("SET w:s{k} {n} EX 90000"),
        5 => format!("PEXPIREAT w:s{k} {FAR}"),
        6 => format!("PERSIST w:s{k}"),
        7 => format!("DEL w:s{k} w:n{m} bulk:{n}"),
        8 => format!("LPUSH w:l{k} {n} {m}"),
        9 => format!("RPUSH w:l{k} {n}"),
        10 => format!("LPOP w:l{k}"),
        11 => format!("RPOP w:l{k} 2"),
        12 => format!("LSET w:l{k} 0 {n}"),
        13 => format!("LTRIM w:l{k} 0 50"),
        14 => format!("LINSERT w:l{k} BEFORE {m} {n}"),
        15 => format!("LMOVE w:l{k} w:l{m} LEFT RIGHT"),
        16 => format!("HSET w:h{k} f{m} {n}"),
        17 => format!("HINCRBY w:h{k} c{m} {n}"),
        18 => format!("HDEL w:h{k} f{m}"),
        19 => format!("HINCRBYFLOAT w:h{k} d{m} 0.{n}"),
        20 => format!("INCRBYFLOAT w:f{k} 0.{n}"),
        21 => format!("SADD w:t{k} {m} {n}"),
        22 => format!("SREM w:t{k} {m}"),
        23 => format!("SPOP w:t{k}"),
        24 => format!("SMOVE w:t{k} w:t{m} {n}"),
        25 => format!("SUNIONSTORE w:u{k} w:t{k} w:t{m}"),
        26 => format!("ZADD w:z{k} {n}.5 m{m}"),
        27 => format!("ZINCRBY w:z{k} 1.5 m{m}"),
        28 => format!("ZREM w:z{k} m{m}"),
        29 => format!("ZPOPMIN w:z{k}"),
        30 => format!("ZREMRANGEBYRANK w:z{k} 8 -1"),
        31 => format!("XADD w:x{k} * f {n}"),
        32 => format!("XTRIM w:x{k} MAXLEN 20"),
        33 => format!("MSET w:s{k} {n} w:s{m} {n} bulk:{n} {round}"),
        34 => format!("RENAME w:s{k} w:s{m}"),
        35 => format!("RENAME w:l{k} w:l{m}"),
        36 => format!("COPY w:h{k} w:h{m} REPLACE"),
        37 => format!("SETRANGE w:s{k} {m} xyz"),
        38 => format!("SETBIT w:b{k} {n} 1"),
        39 => format!("GETDEL w:s{k}"),
        _ => format!("RPUSH blist:{} {n}", r.below(50) * 20),
    }
}
