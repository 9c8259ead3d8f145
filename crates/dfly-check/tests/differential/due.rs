//! Due times that the tool has noted on the target, of members and fields that do not expire on the source. The comparison does
//! not ask for them where the values are equal.

use dfly_testkit::{RedisClient, Reply};

/// A member or field that will be removed on the target alone.
#[derive(Debug)]
pub(super) struct Stale {
    pub key: String,
    pub line: String,
}

/// What is due on the target in one database, and not on the source.
pub(super) fn stale(source: &mut RedisClient, target: &mut RedisClient, db: u32) -> Vec<Stale> {
    let mut found = Vec::new();
    source.select(db).unwrap();
    target.select(db).unwrap();
    for registry in texts(target, &["KEYS", "df2redis:due:*"]) {
        // The length of the name of a set of due times, the name, and the key.
        for noted in texts(target, &["ZRANGE", &registry, "0", "-1"]) {
            let (length, rest) = noted.split_once(':').unwrap();
            let (name, key) = rest.split_at(length.parse().unwrap());
            for member in texts(target, &["ZRANGE", name, "0", "-1"]) {
                let left = source.command(&[b"FIELDTTL", key.as_bytes(), member.as_bytes()]).unwrap();
                if left == Reply::Int(-1) {
                    let line = format!("db {db} {key}: {member} is due on the target, and not on the source");
                    found.push(Stale { key: key.to_owned(), line });
                }
            }
        }
    }
    found
}

fn texts(client: &mut RedisClient, words: &[&str]) -> Vec<String> {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    let reply = client.expect(&words).unwrap();
    reply.array().unwrap().iter().filter_map(Reply::text).collect()
}
