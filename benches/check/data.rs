//! What both sides hold.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use dfly_testkit::RedisClient;

use crate::bare::Order;

/// Elements of a collection.
const ELEMENTS: u32 = 50;

/// Commands that are sent at a time.
const PART: usize = 5000;

/// Keys of one kind.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Data {
    /// Strings of 32 bytes.
    Strings(u32),
    /// Lists, sets, hashes and sorted sets.
    Collections(u32),
}

impl Data {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Strings(_) => "strings",
            Self::Collections(_) => "collections",
        }
    }

    pub(crate) fn keys(self) -> u32 {
        match self {
            Self::Strings(keys) | Self::Collections(keys) => keys,
        }
    }

    /// The orders in which keys are read beside a comparison.
    pub(crate) fn orders(self) -> Vec<Order> {
        match self {
            Self::Strings(_) => vec![Order::Written, Order::Scattered],
            Self::Collections(_) => vec![Order::Scattered],
        }
    }

    /// The command that reads a whole value.
    pub(crate) fn read(self) -> &'static str {
        match self {
            Self::Strings(_) => "GET",
            Self::Collections(_) => "DUMP",
        }
    }

    pub(crate) fn key(self, nth: u32) -> String {
        format!("{}:{nth:09}", self.name())
    }

    fn command(self, nth: u32) -> Vec<String> {
        let key = self.key(nth);
        if let Self::Strings(_) = self {
            return vec!["SET".to_owned(), key, format!("{nth:032}")];
        }
        let members = (0..ELEMENTS).map(|element| format!("member:{:08x}", nth.wrapping_mul(97) ^ element));
        let (name, rest): (_, Vec<String>) = match nth % 4 {
            0 => ("RPUSH", members.collect()),
            1 => ("SADD", members.collect()),
            2 => ("HSET", members.flat_map(|member| [format!("value:{member}"), member]).collect()),
            _ => (
                "ZADD",
                members.zip(0..).flat_map(|(member, score): (_, u32)| [score.to_string(), member]).collect(),
            ),
        };
        [vec![name.to_owned(), key], rest].concat()
    }

    /// Writes all of them.
    pub(crate) fn load(self, server: SocketAddr) -> Result<()> {
        let (mut client, all) = (RedisClient::connect(server)?, (0..self.keys()).collect::<Vec<_>>());
        for part in all.chunks(PART) {
            let replies = client.pipeline(&part.iter().map(|nth| self.command(*nth)).collect::<Vec<_>>())?;
            ensure!(replies.iter().all(|reply| reply.error().is_none()), "{server} refuses a command");
        }
        Ok(())
    }
}
