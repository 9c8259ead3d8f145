//! Reads what one side holds under many keys, with few requests a key and bounded replies.
//!
//! A string and its expiry take two requests, which tell an absent key too; one where no key of the database expires. Many small
//! strings may be read with one request. What is no string is asked for its type and its size, and then for its payload. What is
//! too large for that is left to be compared in pieces.

mod expiries;
mod texts;
mod whole;

use std::time::Instant;

use bytes::Bytes;
use dfly_rdb::{UnixMillis, ValueKind};
use dfly_replica::Question;
use dfly_wire::DbIndex;
use redis_resp::Reply;

use crate::by_commands;
use crate::held::{Content, Elements, Held, Value};
use crate::link::{Link, SideError, bytes_of, number_of};
use crate::mode::Mode;
use crate::requests::{is_forbidden, is_unknown, length_command, question, refusal};
use crate::stride::Stride;
use crate::type_name::TypeName;
use crate::way::{ReadLimits, Reading, Way, parts};
use expiries::{Expiry, ExpiryCount};
use texts::Together;

pub(crate) use whole::AtLsn;

/// Reads keys of one side.
#[derive(Debug)]
pub(crate) struct Observer {
    /// The connection.
    pub(crate) link: Link,
    limits: ReadLimits,
    /// How far the side's clock is ahead of the host's, in milliseconds.
    ahead: i64,
    host: fn() -> UnixMillis,
    lacks_pexpiretime: bool,
    expiry_count: ExpiryCount,
    together: Together,
    stride: Stride,
    forbids_dump: bool,
    field_expiries: FieldExpiries,
}

/// How the side tells when a field or a member expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldExpiries {
    Unasked,
    /// HPEXPIRETIME, for fields of hashes.
    OfFields,
    /// FIELDTTL, for fields and members, one at a time and in seconds.
    OfEach,
    /// It has no such expiries.
    Lacking,
}

impl Observer {
    /// Reads by this connection. `host` is the time of this host.
    pub(crate) fn new(link: Link, limits: ReadLimits, host: fn() -> UnixMillis) -> Self {
        Self {
            link,
            limits,
            ahead: 0,
            host,
            lacks_pexpiretime: false,
            expiry_count: ExpiryCount::default(),
            together: Together::default(),
            stride: Stride::default(),
            forbids_dump: false,
            field_expiries: FieldExpiries::Unasked,
        }
    }

    /// Finds out how far the side's clock is ahead.
    ///
    /// # Errors
    /// The side stays away.
    pub(crate) async fn hear_clock(&mut self) -> Result<(), SideError> {
        self.ahead = self.link.ahead(self.host).await?;
        Ok(())
    }

    /// The side's time.
    pub(crate) fn now(&self) -> UnixMillis {
        UnixMillis((self.host)().0.saturating_add(self.ahead))
    }

    /// Reads what is held under these keys, as much as the mode needs.
    ///
    /// # Errors
    /// The side stays away. What is refused for a key is said of the key.
    pub(crate) async fn observe(
        &mut self,
        db: DbIndex,
        keys: &[Bytes],
        mode: Mode,
    ) -> Result<Vec<Held>, SideError> {
        if mode.reads_content() {
            self.with_content(db, keys).await
        } else {
            self.without_content(db, keys, mode).await
        }
    }

    async fn without_content(
        &mut self,
        db: DbIndex,
        keys: &[Bytes],
        mode: Mode,
    ) -> Result<Vec<Held>, SideError> {
        let found = self.with_expiry(db, keys, |key| question(&[b"TYPE"], key, &[])).await?;
        let mut held: Vec<Held> = found.into_iter().map(|(kind, expiry)| outlined(&kind, expiry)).collect();
        if mode == Mode::Length {
            self.add_lengths(db, keys, &mut held).await?;
        }
        Ok(held)
    }

    /// Asks for the lengths of the values.
    async fn add_lengths(&mut self, db: DbIndex, keys: &[Bytes], held: &mut [Held]) -> Result<(), SideError> {
        let mut asked: Vec<(&mut Held, Question)> = Vec::new();
        for (key, held) in keys.iter().zip(held) {
            if let Held::Value(value) = &*held
                && let Some(name) = length_command(&value.kind)
            {
                asked.push((held, question(&[name], key, &[])));
            }
        }
        let questions: Vec<Question> = asked.iter().map(|(_, question)| question.clone()).collect();
        let replies = self.link.ask(db, &questions).await?;
        for ((held, _), reply) in asked.into_iter().zip(replies) {
            match (number_of(&reply), reply) {
                (Some(length), _) => {
                    if let Held::Value(value) = held {
                        value.length = Some(length.unsigned_abs());
                    }
                }
                (None, reply) => *held = Held::Unreadable(refusal(&reply, "its length")),
            }
        }
        Ok(())
    }

    async fn with_content(&mut self, db: DbIndex, keys: &[Bytes]) -> Result<Vec<Held>, SideError> {
        let found = match self.texts_together(db, keys).await {
            Some(texts) => self.add_expiries(db, keys, texts).await?,
            None => self.texts_alone(db, keys).await?,
        };
        self.together.note(db, &found);
        let mut held = Vec::with_capacity(keys.len());
        let mut others = Vec::new();
        for (nth, (text, expiry)) in found.into_iter().enumerate() {
            held.push(match (text, expiry) {
                (_, Err(reason)) => Held::Unreadable(reason),
                (_, Ok(Expiry::NoKey)) => Held::Absent,
                (Reply::Bulk(text), Ok(Expiry::At(at))) if text.len() <= self.limits.text => {
                    string(at, Content::Text(text))
                }
                (Reply::Bulk(_), Ok(Expiry::At(at))) => string(at, Content::Large),
                (_, Ok(Expiry::At(expires_at))) => {
                    others.push((nth, Reading { expires_at, ..Reading::default() }));
                    Held::Absent
                }
            });
        }
        if !others.is_empty() {
            self.add_others(db, keys, (others, &mut held)).await?;
        }
        Ok(held)
    }

    /// Reads what is no string, or may not be read as one.
    async fn add_others(
        &mut self,
        db: DbIndex,
        keys: &[Bytes],
        (mut others, held): (Vec<(usize, Reading)>, &mut [Held]),
    ) -> Result<(), SideError> {
        let key = |nth: &usize| keys.get(*nth).cloned().unwrap_or_default();
        self.add_kinds(db, &key, &mut others).await?;
        for part in parts(&others, self.limits) {
            let wanted = others.get(part).unwrap_or_default();
            self.add_values(db, &key, (wanted, held)).await?;
        }
        Ok(())
    }

    /// Asks for the types of values, and for their sizes.
    async fn add_kinds(
        &mut self,
        db: DbIndex,
        key: &impl Fn(&usize) -> Bytes,
        others: &mut [(usize, Reading)],
    ) -> Result<(), SideError> {
        let questions = others.iter().flat_map(|(nth, _)| {
            [question(&[b"TYPE"], &key(nth), &[]), question(&[b"MEMORY", b"USAGE"], &key(nth), &[])]
        });
        let replies = self.link.ask(db, &questions.collect::<Vec<_>>()).await?;
        for ((_, reading), replies) in others.iter_mut().zip(replies.as_chunks::<2>().0) {
            reading.kind = bytes_of(&replies[0]).map(|kind| String::from_utf8_lossy(&kind).into_owned());
            reading.refusal = reading.kind.is_none().then(|| refusal(&replies[0], "its type"));
            reading.size = number_of(&replies[1]).map(i64::unsigned_abs);
        }
        self.add_sizes(db, key, others).await
    }

    /// A side that does not tell how much memory a value takes is asked how many elements it has.
    async fn add_sizes(
        &mut self,
        db: DbIndex,
        key: &impl Fn(&usize) -> Bytes,
        others: &mut [(usize, Reading)],
    ) -> Result<(), SideError> {
        let mut unsized_ = Vec::new();
        for (nth, reading) in others.iter_mut().filter(|(_, reading)| reading.size.is_none()) {
            if let Some(name) = reading.kind.as_deref().and_then(|kind| length_command(&TypeName::of(kind))) {
                unsized_.push((question(&[name], &key(nth), &[]), reading));
            }
        }
        if unsized_.is_empty() {
            return Ok(());
        }
        let questions: Vec<Question> = unsized_.iter().map(|(question, _)| question.clone()).collect();
        let replies = self.link.ask(db, &questions).await?;
        for ((_, reading), reply) in unsized_.into_iter().zip(replies) {
            let is_string = reading.kind.as_deref() == Some("string");
            let each = if is_string { 1 } else { ELEMENT };
            reading.size = number_of(&reply).map(|length| length.unsigned_abs().saturating_mul(each));
        }
        Ok(())
    }

    async fn add_values(
        &mut self,
        db: DbIndex,
        key: &impl Fn(&usize) -> Bytes,
        (others, held): (&[(usize, Reading)], &mut [Held]),
    ) -> Result<(), SideError> {
        let ways: Vec<Way> =
            others.iter().map(|(_, reading)| Way::of(reading, self.limits, self.forbids_dump)).collect();
        let mut questions = Vec::new();
        let mut places = Vec::new();
        for ((nth, _), way) in others.iter().zip(&ways) {
            let asked = way.questions(&key(nth));
            places.push(questions.len()..questions.len() + asked.len());
            questions.extend(asked);
        }
        let replies = self.ask_in_strides(db, &questions).await?;
        let mut again = Vec::new();
        for (((nth, reading), way), place) in others.iter().zip(&ways).zip(places) {
            let replies = replies.get(place).unwrap_or_default();
            let Some(slot) = held.get_mut(*nth) else { continue };
            *slot = way.held(reading, replies);
            if way == &Way::Dump && replies.first().is_some_and(is_forbidden) {
                self.forbids_dump = true;
                again.push(*nth);
            } else if let Way::Commands(ValueKind::Hash | ValueKind::Set) = way {
                self.add_field_expiries(db, &key(nth), (replies, slot)).await?;
            }
        }
        if !again.is_empty() {
            let wanted = others.iter().filter(|(nth, _)| again.contains(nth));
            let wanted: Vec<(usize, Reading)> =
                wanted.map(|(nth, reading)| (*nth, reading.again())).collect();
            return Box::pin(self.add_values(db, key, (&wanted, held))).await;
        }
        Ok(())
    }

    /// Asks for values in pipelines that leave the side time for its other clients.
    async fn ask_in_strides(&mut self, db: DbIndex, questions: &[Question]) -> Result<Vec<Reply>, SideError> {
        let (mut replies, mut rest) = (Vec::with_capacity(questions.len()), questions);
        while !rest.is_empty() {
            let (part, behind) = rest.split_at(self.stride.count().min(rest.len()));
            let began = Instant::now();
            replies.extend(self.link.ask(db, part).await?);
            self.stride.answered(part.len(), Instant::now().saturating_duration_since(began));
            rest = behind;
        }
        Ok(replies)
    }

    /// Asks when the fields or members of a value expire that was read by commands.
    async fn add_field_expiries(
        &mut self,
        db: DbIndex,
        key: &Bytes,
        (replies, held): (&[Reply], &mut Held),
    ) -> Result<(), SideError> {
        let Held::Value(Value { kind, content: Content::Elements(Elements::Named(named)), .. }) = held else {
            return Ok(());
        };
        let is_set = kind.is(ValueKind::Set);
        let step = if is_set { 1 } else { 2 };
        let words = replies.first().and_then(by_commands::array).unwrap_or_default();
        let names: Vec<Bytes> = words.iter().step_by(step).filter_map(bytes_of).collect();
        match self.expiries_of(db, key, (is_set, &names)).await? {
            Ok(expiries) => {
                for (name, at) in names.iter().zip(expiries) {
                    if let Some(named) = named.get_mut(&crate::held::digest(name)) {
                        named.expires_at = at;
                    }
                }
            }
            Err(reason) => *held = Held::Unreadable(reason),
        }
        Ok(())
    }

    /// When these fields of a hash, or members of a set, expire; why it is not told, in words.
    ///
    /// # Errors
    /// The side stays away.
    pub(crate) async fn expiries_of(
        &mut self,
        db: DbIndex,
        key: &Bytes,
        (is_set, names): (bool, &[Bytes]),
    ) -> Result<Result<Vec<Option<UnixMillis>>, String>, SideError> {
        if names.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        if self.field_expiries == FieldExpiries::Unasked {
            self.field_expiries = self.find_field_expiries(db, key).await?;
        }
        Ok(match self.field_expiries {
            FieldExpiries::OfFields if !is_set => {
                let count = names.len().to_string();
                let mut words = question(&[b"HPEXPIRETIME"], key, &[b"FIELDS", count.as_bytes()]);
                words.0.extend(names.iter().cloned());
                let replies = self.link.ask(db, &[words]).await?;
                let Some(Reply::Array(times)) = replies.first() else {
                    return Ok(Err("it does not tell when its fields expire".to_owned()));
                };
                let at = |reply: &Reply| number_of(reply).filter(|at| *at >= 0).map(UnixMillis);
                Ok(times.iter().map(at).collect())
            }
            FieldExpiries::OfEach => {
                let ask = |name: &Bytes| question(&[b"FIELDTTL"], key, &[name]);
                let questions: Vec<Question> = names.iter().map(ask).collect();
                let replies = self.link.ask(db, &questions).await?;
                if let Some(refused @ Reply::Error(_)) = replies.first() {
                    return Ok(Err(refusal(refused, "when its fields expire")));
                }
                let now = self.now();
                let at = |reply: &Reply| number_of(reply).filter(|left| *left >= 0);
                let at = |reply| at(reply).map(|left| UnixMillis(now.0.saturating_add(left * 1000)));
                Ok(replies.iter().map(at).collect())
            }
            FieldExpiries::OfFields | FieldExpiries::Lacking | FieldExpiries::Unasked => {
                Ok(vec![None; names.len()])
            }
        })
    }

    async fn find_field_expiries(&mut self, db: DbIndex, key: &Bytes) -> Result<FieldExpiries, SideError> {
        let of_each = question(&[b"FIELDTTL"], key, &[b"f"]);
        let of_fields = question(&[b"HPEXPIRETIME"], key, &[b"FIELDS", b"1", b"f"]);
        let replies = self.link.ask(db, &[of_each, of_fields]).await?;
        let knows = |nth: usize| replies.get(nth).is_some_and(|reply| !is_unknown(reply));
        Ok(match (knows(0), knows(1)) {
            (true, _) => FieldExpiries::OfEach,
            (false, true) => FieldExpiries::OfFields,
            (false, false) => FieldExpiries::Lacking,
        })
    }

    /// Whether elements of this type may have expiries of their own here.
    pub(crate) async fn has_field_expiries(
        &mut self,
        db: DbIndex,
        key: &Bytes,
        is_set: bool,
    ) -> Result<bool, SideError> {
        if self.field_expiries == FieldExpiries::Unasked {
            self.field_expiries = self.find_field_expiries(db, key).await?;
        }
        Ok(match self.field_expiries {
            FieldExpiries::OfEach => true,
            FieldExpiries::OfFields => !is_set,
            FieldExpiries::Lacking | FieldExpiries::Unasked => false,
        })
    }
}

/// How much memory an element is taken for where the side does not tell, in bytes.
const ELEMENT: u64 = 256;

fn string(expires_at: Option<UnixMillis>, content: Content) -> Held {
    let length = if let Content::Text(text) = &content { Some(text.len() as u64) } else { None };
    Held::Value(Value { kind: TypeName::Known(ValueKind::String), expires_at, length, content })
}

fn outlined(kind: &Reply, expiry: Result<Expiry, String>) -> Held {
    let name = bytes_of(kind).map(|kind| String::from_utf8_lossy(&kind).into_owned());
    match (name, expiry) {
        (_, Err(reason)) => Held::Unreadable(reason),
        (None, _) => Held::Unreadable(refusal(kind, "its type")),
        (_, Ok(Expiry::NoKey)) => Held::Absent,
        (Some(name), _) if name == "none" => Held::Absent,
        (Some(kind), Ok(Expiry::At(expires_at))) => {
            let kind = TypeName::of(&kind);
            Held::Value(Value { kind, expires_at, length: None, content: Content::Unread })
        }
    }
}
