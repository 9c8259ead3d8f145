//! Walks through the keys of the source, page by page.

use std::sync::Arc;

use bytes::Bytes;
use dfly_wire::DbIndex;
use redis_resp::{Reply, ServerError};
use serde::{Deserialize, Serialize};

use crate::link::{Link, SideError, bytes_of};
use crate::plan::{Place, Plan};
use crate::verdict::Pair;

/// How many keys one SCAN looks at, roughly.
const COUNT: &[u8] = b"512";

/// Where a walk is: what follows is still to be read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The place of the database in the plan.
    db: u32,
    /// The cursor there, as the source gave it.
    cursor: String,
}

/// Keys that were found together.
#[derive(Debug)]
pub(crate) struct Page {
    /// Pages have numbers without gaps, from 0.
    pub number: u64,
    pub pairs: Vec<Pair>,
    pub unselected: u64,
    pub reserved: u64,
    pub unsampled: u64,
    /// Where the walk goes on behind it.
    pub behind: Position,
}

/// A walk through the source's keys.
#[derive(Debug)]
pub(crate) struct Walk {
    plan: Arc<Plan>,
    link: Link,
    at: Position,
    number: u64,
    /// What could not be walked through, in words.
    pub(crate) gaps: Vec<String>,
}

impl Walk {
    pub(crate) fn new(plan: &Arc<Plan>, link: Link, from: Position) -> Self {
        Self { plan: Arc::clone(plan), link, at: from, number: 0, gaps: Vec::new() }
    }

    /// The next page; `None` behind the last.
    ///
    /// # Errors
    /// The source stays away.
    pub(crate) async fn next(&mut self) -> Result<Option<Page>, SideError> {
        loop {
            let place = usize::try_from(self.at.db).unwrap_or(usize::MAX);
            let Some((db, _)) = self.plan.dbs.get(place).copied() else { return Ok(None) };
            match self.scan(db).await {
                Ok(Ok(keys)) => return Ok(Some(self.page(db, &keys))),
                Ok(Err(refused)) | Err(SideError::SourceRefuses { error: refused, .. }) => {
                    self.gaps.push(format!("the source's database {db} is not told: {refused}"));
                    self.at = Position { db: self.at.db + 1, cursor: String::new() };
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn scan(&mut self, db: DbIndex) -> Result<Result<Vec<Bytes>, ServerError>, SideError> {
        let cursor = if self.at.cursor.is_empty() { "0" } else { &self.at.cursor };
        let request: [&[u8]; 4] = [b"SCAN", cursor.as_bytes(), b"COUNT", COUNT];
        let strange = || SideError::Strange { side: "source", request: "SCAN" };
        let parts = match self.link.ask_one(db, &request).await? {
            Reply::Array(parts) => parts,
            Reply::Error(error) => return Ok(Err(error)),
            _ => return Err(strange()),
        };
        let [next, Reply::Array(keys)] = parts.as_slice() else { return Err(strange()) };
        let next = bytes_of(next).ok_or_else(strange)?;
        let next = String::from_utf8_lossy(&next).into_owned();
        self.at = match next.as_str() {
            "0" => Position { db: self.at.db + 1, cursor: String::new() },
            _ => Position { db: self.at.db, cursor: next },
        };
        Ok(Ok(keys.iter().filter_map(bytes_of).collect()))
    }

    fn page(&mut self, db: DbIndex, keys: &[Bytes]) -> Page {
        let (mut pairs, mut unselected, mut reserved, mut unsampled) =
            (Vec::with_capacity(keys.len()), 0, 0, 0);
        for name in keys {
            match self.plan.place(db, name) {
                Place::Compared(pair) => pairs.push(pair),
                Place::Unselected => unselected += 1,
                Place::Reserved => reserved += 1,
                Place::Unsampled => unsampled += 1,
            }
        }
        let number = self.number;
        self.number += 1;
        Page { number, pairs, unselected, reserved, unsampled, behind: self.at.clone() }
    }
}
