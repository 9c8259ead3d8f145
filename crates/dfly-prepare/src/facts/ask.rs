//! A connection for questions: each has a deadline, and refusals are answers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dfly_replica::Clock;
use redis_resp::connection::{Connection, ConnectionError, Endpoint};
use redis_resp::{CommandBatch, Reply};

/// The longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(3);

/// The longest wait for replies.
const REPLY: Duration = Duration::from_secs(3);

/// How many round trips are measured.
const ROUND_TRIPS: u32 = 5;

/// A connection for questions.
#[derive(Debug)]
pub(super) struct Asker {
    connection: Connection,
}

/// An endpoint that nobody waits long for.
pub(super) fn hurried(endpoint: &Endpoint) -> Endpoint {
    waiting(endpoint, REPLY)
}

/// The same, but with replies that take longer.
fn waiting(endpoint: &Endpoint, reply: Duration) -> Endpoint {
    Endpoint {
        connect_timeout: endpoint.connect_timeout.min(CONNECT),
        reply_timeout: endpoint.reply_timeout.min(reply),
        ..endpoint.clone()
    }
}

impl Asker {
    /// Connects and logs in.
    pub(super) async fn open(endpoint: &Endpoint) -> Result<Self, String> {
        Self::waiting(endpoint, REPLY).await
    }

    /// The same, with replies that take up to `reply`.
    pub(super) async fn waiting(endpoint: &Endpoint, reply: Duration) -> Result<Self, String> {
        let endpoint = waiting(endpoint, reply);
        let mut connection = Connection::open(&endpoint).await.map_err(|error| error.to_string())?;
        if let Some(credentials) = &endpoint.credentials
            && let Reply::Error(error) =
                connection.log_in(credentials).await.map_err(|error| error.to_string())?
        {
            return Err(error.to_string());
        }
        Ok(Self { connection })
    }

    pub(super) async fn ask(&mut self, words: &[&str]) -> Result<Reply, ConnectionError> {
        self.connection.ask(words).await
    }

    /// Sends all requests at once.
    pub(super) async fn ask_all<A: AsRef<[u8]>>(
        &mut self,
        requests: &[Vec<A>],
    ) -> Result<Vec<Reply>, ConnectionError> {
        let mut batch = CommandBatch::default();
        for request in requests {
            batch.push(&request.iter().map(AsRef::as_ref).collect::<Vec<_>>());
        }
        self.ask_batch(&mut batch).await
    }

    /// Sends these commands at once.
    pub(super) async fn ask_batch(
        &mut self,
        batch: &mut CommandBatch,
    ) -> Result<Vec<Reply>, ConnectionError> {
        self.connection.ask_all(batch).await
    }

    /// The text of a reply; nothing if it is none.
    pub(super) async fn text(&mut self, words: &[&str]) -> Result<String, ConnectionError> {
        Ok(text_of(&self.ask(words).await?).unwrap_or_default())
    }

    /// The shortest round trip of a few.
    pub(super) async fn round_trip(&mut self, now: fn() -> Instant) -> Result<Duration, ConnectionError> {
        let mut shortest = Duration::MAX;
        for _ in 0..ROUND_TRIPS {
            let began = now();
            self.ask(&["PING"]).await?;
            shortest = shortest.min(now().duration_since(began));
        }
        Ok(shortest)
    }

    /// How far the server's clock is ahead of this host's, in milliseconds.
    pub(super) async fn clock_ahead(&mut self, clock: &Clock) -> Result<Option<i64>, ConnectionError> {
        let before = clock.host().0;
        let reply = self.ask(&["TIME"]).await?;
        let host = before.midpoint(clock.host().0);
        Ok(millis_of(&reply).map(|shown| shown - host))
    }

    /// Settings by their names. `None`: the user may not read them.
    pub(super) async fn settings(
        &mut self,
        names: &[&str],
    ) -> Result<Option<BTreeMap<String, String>>, ConnectionError> {
        let requests: Vec<Vec<&str>> = names.iter().map(|name| vec!["CONFIG", "GET", *name]).collect();
        let replies = self.ask_all(&requests).await?;
        if replies.iter().all(|reply| matches!(reply, Reply::Error(_))) {
            return Ok(None);
        }
        let mut found = BTreeMap::new();
        for reply in replies {
            let Reply::Array(pairs) = reply else { continue };
            for pair in pairs.chunks_exact(2) {
                if let [name, value] = pair
                    && let (Some(name), Some(value)) = (text_of(name), text_of(value))
                {
                    found.insert(name, value);
                }
            }
        }
        Ok(Some(found))
    }
}

/// The text of a reply, if it is one.
pub(super) fn text_of(reply: &Reply) -> Option<String> {
    match reply {
        Reply::Bulk(text) => Some(String::from_utf8_lossy(text).into_owned()),
        Reply::Simple(text) => Some(text.clone()),
        Reply::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The answer to TIME, in milliseconds since 1970.
fn millis_of(reply: &Reply) -> Option<i64> {
    let Reply::Array(parts) = reply else { return None };
    let [seconds, micros] = parts.as_slice() else { return None };
    let number = |part| text_of(part)?.parse::<i64>().ok();
    Some(number(seconds)? * 1000 + number(micros)? / 1000)
}
