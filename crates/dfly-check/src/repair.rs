//! Makes the target equal where a comparison has found differences, while nobody writes to the source: values are copied with
//! their expiries, and keys that only the target has are removed. Then everything is compared again.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use dfly_rdb::payload::parse_dump;
use dfly_rdb::{Entry, KeyHeader, RawValue, UnixMillis};
use dfly_replica::{Question, TargetConnection, connect_target};
use dfly_translate::{Effect, Output, Target, Translator};
use dfly_wire::DbIndex;
use redis_resp::{CommandBatch, Reply};

use crate::config::CheckConfig;
use crate::error::CheckError;
use crate::link::{Link, number_of};
use crate::requests::question;
use crate::store::{Finding, Store};
use crate::throttle::Throttle;
use crate::verdict::{Pair, What, shown_key};

/// How many findings are read at once.
const PAGE: usize = 256;

/// The largest value that is copied, in bytes that it takes on the source: it is held whole.
const LARGEST: u64 = 512 << 20;

/// What a repair has done, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Repaired {
    /// Keys whose values were copied.
    pub copied: u64,
    /// Keys that were removed, because the source does not have them.
    pub removed: u64,
    /// Keys that could not be repaired, each with why.
    pub failed: Vec<String>,
}

/// The most failures that are kept in words.
const MOST_FAILURES: usize = 1000;

/// A repair without a replication.
#[derive(Debug)]
pub struct Repair<'a> {
    store: &'a Store,
    source: Link,
    target: TargetConnection,
    at: DbIndex,
    translator: Translator,
    is_dry: bool,
    done: Repaired,
}

/// What is to be done about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remedy {
    Copy,
    Remove,
}

impl Remedy {
    fn of(finding: &Finding) -> Option<Self> {
        match finding {
            Finding::NotCompared { .. } => None,
            Finding::Different { different, .. } if different.what == [What::Extra] => Some(Self::Remove),
            Finding::Different { .. } => Some(Self::Copy),
        }
    }
}

impl<'a> Repair<'a> {
    /// A repair of what `store` holds. With `is_dry` nothing is changed.
    ///
    /// # Errors
    /// The target cannot be reached.
    pub async fn begin(config: &CheckConfig, store: &'a Store, is_dry: bool) -> Result<Self, CheckError> {
        let (target, abilities): (TargetConnection, Target) = connect_target(&config.engine).await?;
        let throttle = Throttle::new(config.requests_per_second, config.bytes_per_second, Instant::now());
        let source = Link::to_source(&config.engine, &Arc::new(throttle));
        let translator = Translator::new(abilities, Arc::clone(&config.engine.rules));
        Ok(Self { store, source, target, at: DbIndex(0), translator, is_dry, done: Repaired::default() })
    }

    /// Repairs every key that differs.
    ///
    /// # Errors
    /// A side stays away, or the file cannot be read.
    pub async fn run(mut self) -> Result<Repaired, CheckError> {
        let mut after: Option<Pair> = None;
        loop {
            let found = self.store.findings(after.as_ref(), PAGE)?;
            let Some((last, _)) = found.last() else { return Ok(self.done) };
            after = Some(last.clone());
            for (pair, finding) in &found {
                if let Some(remedy) = Remedy::of(finding) {
                    self.remedy(pair, remedy).await?;
                }
            }
        }
    }

    async fn remedy(&mut self, pair: &Pair, remedy: Remedy) -> Result<(), CheckError> {
        let done = match (self.is_dry, remedy) {
            (true, _) => Ok(remedy),
            (false, Remedy::Remove) => self.remove(pair).await?.map(|()| Remedy::Remove),
            (false, Remedy::Copy) => self.copy(pair).await?,
        };
        match done {
            Ok(Remedy::Copy) => self.done.copied += 1,
            Ok(Remedy::Remove) => self.done.removed += 1,
            Err(why) if self.done.failed.len() < MOST_FAILURES => {
                self.done.failed.push(format!("{}: {why}", shown_key(pair.source.db, &pair.source.name)));
            }
            Err(_) => {}
        }
        Ok(())
    }

    /// Removes a key of the target, and what is noted beside it.
    async fn remove(&mut self, pair: &Pair) -> Result<Result<(), String>, CheckError> {
        let noted = Bytes::from(self.translator.rules().names.expiry(&pair.target.name));
        let asked = [question(&[b"UNLINK"], &pair.target.name, &[]), question(&[b"UNLINK"], &noted, &[])];
        self.tell(pair.target.db, &asked).await
    }

    /// Copies a value. A key that the source does not have any more is removed.
    async fn copy(&mut self, pair: &Pair) -> Result<Result<Remedy, String>, CheckError> {
        let (value, expire_at) = match self.read(pair).await? {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(self.remove(pair).await?.map(|()| Remedy::Remove)),
            Err(why) => return Ok(Err(why)),
        };
        if let Err(why) = self.remove(pair).await? {
            return Ok(Err(why));
        }
        let header = KeyHeader {
            db: pair.source.db,
            key: pair.source.name.clone(),
            expire_at,
            ..KeyHeader::default()
        };
        let mut commands = CommandBatch::default();
        let now = crate::comparer::host_now();
        let mut out = Output { commands: &mut commands, now };
        let effect = match self.translator.entry(&Entry { header, value }, &mut out) {
            Ok(Effect::Lost(loss)) => return Ok(Err(format!("the target cannot hold it ({loss})"))),
            Ok(effect) => effect,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let owned = |word: &[u8]| Bytes::copy_from_slice(word);
        let questions: Vec<Question> = commands
            .iter()
            .map(|command| Question(command.arguments().map(owned).collect()))
            // The connection goes to the key's database itself.
            .filter(|question| question.0.first().is_none_or(|name| name != "SELECT"))
            .collect();
        match effect {
            Effect::Written => Ok(self.tell(pair.target.db, &questions).await?.map(|()| Remedy::Copy)),
            _ => Ok(Err("the settings leave it out".to_owned())),
        }
    }

    /// The source's value, and when it expires; `None` if it has none. Why it is not told, in words.
    async fn read(
        &mut self,
        pair: &Pair,
    ) -> Result<Result<Option<(RawValue, Option<UnixMillis>)>, String>, CheckError> {
        let (db, key) = (pair.source.db, &pair.source.name);
        let asked = [question(&[b"MEMORY", b"USAGE"], key, &[]), question(&[b"PEXPIRETIME"], key, &[])];
        let told = self.source.ask(db, &asked).await?;
        let size = told.first().and_then(number_of).map_or(0, i64::unsigned_abs);
        if size > LARGEST {
            return Ok(Err(format!("its value takes {} MiB, and is too large to be held whole", size >> 20)));
        }
        let Some(at) = told.get(1).and_then(number_of) else {
            return Ok(Err("the source does not tell its expiry".to_owned()));
        };
        let payload = self.source.ask(db, &[question(&[b"DUMP"], key, &[])]).await?;
        let value = match payload.into_iter().next() {
            Some(Reply::Nil) => return Ok(Ok(None)),
            Some(Reply::Bulk(payload)) => parse_dump(payload).map_err(|error| error.to_string()),
            Some(Reply::Error(error)) => Err(format!("the source refuses DUMP: {error}")),
            _ => Err("the source does not tell its value".to_owned()),
        };
        Ok(value.map(|value| Some((value, (at >= 0).then_some(UnixMillis(at))))))
    }

    /// Sends commands to the target; what it refuses, in words.
    async fn tell(&mut self, db: DbIndex, commands: &[Question]) -> Result<Result<(), String>, CheckError> {
        if self.at != db {
            self.target.select(db).await?;
            self.at = db;
        }
        let replies = self.target.ask_many(commands).await?;
        let refused = replies.into_iter().find_map(|reply| match reply {
            Reply::Error(error) => Some(error.line),
            _ => None,
        });
        Ok(refused.map_or(Ok(()), |line| Err(format!("the target refuses it: {line}"))))
    }
}
