//! The text of INFO, by its fields. Pure.

use std::collections::BTreeMap;

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Info(BTreeMap<String, String>);

impl Info {
    /// Reads `name:value` lines.
    pub fn parse(text: &str) -> Self {
        let pair = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_owned(), value.trim().to_owned()))
        };
        Self(text.lines().filter(|line| !line.starts_with('#')).filter_map(pair).collect())
    }

    /// A field, if there is one.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A field that is a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// The fields whose names begin so.
    pub fn beginning<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .iter()
            .filter(move |(name, _)| name.starts_with(prefix))
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The databases with their keys and those of them that expire (`db0:keys=1,expires=0`).
    pub fn databases(&self) -> Vec<DatabaseInfo> {
        let database = |(name, value): (&str, &str)| {
            let count = |field: &str| {
                value.split(',').find_map(|part| part.strip_prefix(field)?.strip_prefix('=')?.parse().ok())
            };
            Some(DatabaseInfo {
                db: name.strip_prefix("db")?.parse().ok()?,
                keys: count("keys")?,
                expires: count("expires").unwrap_or(0),
            })
        };
        let mut all: Vec<DatabaseInfo> = self.beginning("db").filter_map(database).collect();
        all.sort_by_key(|database| database.db);
        all
    }

    /// Those who follow it (`slave0:ip=..,port=..`).
    pub fn replicas(&self) -> Vec<ReplicaInfo> {
        let replica = |(_, value): (&str, &str)| {
            let field =
                |field: &str| value.split(',').find_map(|part| part.strip_prefix(field)?.strip_prefix('='));
            Some(ReplicaInfo {
                host: field("ip")?.to_owned(),
                port: field("port")?.parse().ok()?,
                state: field("state").unwrap_or("unknown").to_owned(),
            })
        };
        let numbered = |(name, _): &(&str, &str)| {
            name.strip_prefix("slave").is_some_and(|rest| rest.parse::<u32>().is_ok())
        };
        self.beginning("slave").filter(numbered).filter_map(replica).collect()
    }
}

/// A database of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseInfo {
    /// Its number.
    pub db: u32,
    /// Keys in it.
    pub keys: u64,
    /// Keys in it that expire.
    pub expires: u64,
}

/// Somebody who follows a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaInfo {
    /// Where it is.
    pub host: String,
    /// The port that it announces; 0 for one that takes no clients.
    pub port: u16,
    /// How far it is.
    pub state: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_databases_and_replicas() {
        let info = Info::parse(
            "# Server\r\nredis_version:7.0.15\r\nconnected_slaves:1\r\nslave0:ip=10.0.0.3,port=6379,state=online,offset=1\r\n\
             slave_expires_tracked_keys:0\r\n# Keyspace\r\ndb0:keys=40,expires=3,avg_ttl=0\r\ndb12:keys=2\r\n",
        );
        assert_eq!((info.text("redis_version"), info.number("connected_slaves")), (Some("7.0.15"), Some(1)));
        let database = |db, keys, expires| DatabaseInfo { db, keys, expires };
        assert_eq!(info.databases(), [database(0, 40, 3), database(12, 2, 0)]);
        let replica = ReplicaInfo { host: "10.0.0.3".to_owned(), port: 6379, state: "online".to_owned() };
        assert_eq!(info.replicas(), [replica]);
    }
}
