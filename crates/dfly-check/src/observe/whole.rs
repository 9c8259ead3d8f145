//! Reads one value whole and in one go; of the source so that the LSN is known before which it holds, however often it is
//! written to.

use bytes::Bytes;
use dfly_client::{EXACT_READ_TRIES, ExactRead, exact_read, exact_read_outcome};
use dfly_journal::Lsn;
use dfly_replica::Question;
use dfly_wire::{DbIndex, UnixMillis};
use redis_resp::Reply;

use super::Observer;
use super::expiries::{Expiry, expiry_of};
use crate::held::{Content, Held, Value};
use crate::link::{SideError, bytes_of, number_of};
use crate::mode::Mode;
use crate::requests::{length_command, question, refusal};
use crate::type_name::TypeName;
use crate::way::{LARGEST_WHOLE, Reading, Way};

/// What came of reading a value of the source.
#[derive(Debug)]
pub(crate) enum AtLsn {
    /// The source holds it before these records of its flows.
    Read(Held, Vec<Lsn>),
    /// It was written to each time.
    Changed,
    /// Values cannot be read so: the source forbids it, or the value is too large.
    Impossible,
}

/// How a value is read in one go: its expiry, its type, and what tells the rest.
#[derive(Debug)]
struct Request {
    way: Option<Way>,
    reading: Reading,
    questions: Vec<Question>,
}

impl Observer {
    /// Reads a value of the target whole.
    ///
    /// # Errors
    /// The side stays away.
    pub(crate) async fn observe_whole(
        &mut self,
        db: DbIndex,
        key: &Bytes,
        mode: Mode,
    ) -> Result<Held, SideError> {
        let request = self.request_whole(db, key, mode).await?;
        let replies = self.link.ask(db, &request.questions).await?;
        let changed = || Held::Unreadable("its type changes".to_owned());
        Ok(request.held(&replies, self.start()).unwrap_or_else(changed))
    }

    /// Reads a value of the source whole, before a record that is known.
    ///
    /// # Errors
    /// The side stays away.
    pub(crate) async fn observe_at_lsn(
        &mut self,
        db: DbIndex,
        key: &Bytes,
        mode: Mode,
    ) -> Result<AtLsn, SideError> {
        let request = self.request_whole(db, key, mode).await?;
        if matches!(request.way, Some(Way::Large | Way::Commands(_))) {
            return Ok(AtLsn::Impossible);
        }
        let inner = request.questions.iter().map(|question| question.0.clone()).collect();
        let questions: Vec<Question> = exact_read(key, inner).into_iter().map(Question).collect();
        for _ in 0..EXACT_READ_TRIES {
            match exact_read_outcome(self.link.ask(db, &questions).await?) {
                ExactRead::Read { lsns, replies } => {
                    let held = request.held(&replies, self.start());
                    return Ok(held.map_or(AtLsn::Changed, |held| AtLsn::Read(held, lsns)));
                }
                ExactRead::Changed => {}
                ExactRead::Refused(_) => {
                    self.link.hang_up();
                    return Ok(AtLsn::Impossible);
                }
            }
        }
        Ok(AtLsn::Changed)
    }

    async fn request_whole(&mut self, db: DbIndex, key: &Bytes, mode: Mode) -> Result<Request, SideError> {
        let mut readings = vec![(0, Reading::default())];
        self.add_kinds(db, &|_| key.clone(), &mut readings).await?;
        let reading = readings.pop().map(|(_, reading)| reading).unwrap_or_default();
        let expiry = Question(vec![Bytes::from_static(self.expiry_request()), key.clone()]);
        let mut questions = vec![expiry, question(&[b"TYPE"], key, &[])];
        let mut limits = self.limits;
        limits.value = LARGEST_WHOLE;
        let way = mode.reads_content().then(|| Way::of(&reading, limits, self.forbids_dump));
        match way {
            Some(way) => questions.extend(way.questions(key)),
            None if mode == Mode::Length => {
                let name = reading.kind.as_deref().and_then(|kind| length_command(&TypeName::of(kind)));
                questions.extend(name.map(|name| question(&[name], key, &[])));
            }
            None => {}
        }
        Ok(Request { way, reading, questions })
    }

    /// What times that the side tells count from.
    fn start(&self) -> UnixMillis {
        if self.lacks_pexpiretime { self.now() } else { UnixMillis(0) }
    }
}

impl Request {
    /// What the answers tell. `None`: the type is not the one that was asked for.
    fn held(&self, replies: &[Reply], start: UnixMillis) -> Option<Held> {
        let (Some(expiry), Some(kind)) = (replies.first(), replies.get(1)) else {
            return Some(Held::Unreadable("it was not told".to_owned()));
        };
        let expires_at = match expiry_of(expiry, start) {
            Err(reason) => return Some(Held::Unreadable(reason)),
            Ok(Expiry::NoKey) => return Some(Held::Absent),
            Ok(Expiry::At(expires_at)) => expires_at,
        };
        let Some(name) = bytes_of(kind).map(|kind| String::from_utf8_lossy(&kind).into_owned()) else {
            return Some(Held::Unreadable(refusal(kind, "its type")));
        };
        if Some(&name) != self.reading.kind.as_ref() {
            return None;
        }
        let rest = replies.get(2..).unwrap_or_default();
        if let Some(way) = self.way {
            return Some(way.held(&Reading { expires_at, ..self.reading.again() }, rest));
        }
        let length = rest.first().and_then(number_of).map(i64::unsigned_abs);
        let kind = TypeName::of(&name);
        Some(Held::Value(Value { kind, expires_at, length, content: Content::Unread }))
    }
}
