//! Compares batches of keys: reads both sides, decides, and reads more where a decision needs it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use dfly_translate::Selection;
use dfly_wire::{DbIndex, UnixMillis};
use redis_resp::Reply;

use crate::by_commands::score_of;
use crate::compare::{DueTimes, Terms, compare};
use crate::config::CheckConfig;
use crate::held::{Content, Held, Value, digest};
use crate::link::{Link, SideError, bytes_of};
use crate::mode::Mode;
use crate::observe::{AtLsn, Observer};
use crate::pieces::named::millis;
use crate::pieces::{self, Both, PieceRules};
use crate::policy::Policy;
use crate::requests::question;
use crate::throttle::Throttle;
use crate::verdict::{Different, Outline, Pair, Verdict, What};

/// Compares keys over a connection to each side.
#[derive(Debug)]
pub(crate) struct Comparer {
    config: Arc<CheckConfig>,
    policy: Arc<Policy>,
    selection: Arc<Selection>,
    /// The source.
    pub(crate) source: Observer,
    /// The target.
    pub(crate) target: Observer,
}

/// The verdict about a key, and what has to be known of how it came about.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    pub verdict: Verdict,
    /// Whether the target has the key.
    pub is_on_target: bool,
    /// Whether the source was asked again after its first answer.
    pub asked_again: bool,
}

impl Comparer {
    /// Connects when it is first used.
    pub(crate) fn new(
        config: &Arc<CheckConfig>,
        (policy, selection): (&Arc<Policy>, &Arc<Selection>),
        throttle: &Arc<Throttle>,
    ) -> Self {
        let engine = &config.engine;
        Self {
            config: Arc::clone(config),
            policy: Arc::clone(policy),
            selection: Arc::clone(selection),
            source: Observer::new(Link::to_source(engine, throttle), config.limits, host_now),
            target: Observer::new(Link::to_target(engine, throttle), config.limits, host_now),
        }
    }

    /// Finds out what both clocks show.
    ///
    /// # Errors
    /// A side stays away.
    pub(crate) async fn hear_clocks(&mut self) -> Result<(), SideError> {
        let (one, other) = tokio::join!(self.source.hear_clock(), self.target.hear_clock());
        one.and(other)
    }

    /// From now on fewer requests are sent to a single server: many small strings are read with one, and no key is asked for its
    /// expiry where the server counts none. What is read belongs to no position of the journal.
    pub(crate) fn save_requests(&mut self) {
        for side in [&mut self.source, &mut self.target] {
            if side.link.is_single_server() {
                side.use_expiry_count();
                side.read_together();
            }
        }
    }

    /// Compares keys that are in one database of each side.
    ///
    /// # Errors
    /// A side stays away.
    pub(crate) async fn compare(&mut self, pairs: &[Pair]) -> Result<Vec<Judged>, SideError> {
        let mode = self.config.mode;
        let (sources, targets) = (names_of_source(pairs), names_of_target(pairs));
        let (source, target) = tokio::join!(
            self.source.observe(sources.0, &sources.1, mode),
            self.target.observe(targets.0, &targets.1, mode)
        );
        self.judge(pairs, &source?, &target?).await
    }

    /// What the source holds under these keys.
    ///
    /// # Errors
    /// The source stays away.
    pub(crate) async fn observe_source(&mut self, pairs: &[Pair]) -> Result<Vec<Held>, SideError> {
        let (db, names) = names_of_source(pairs);
        self.source.observe(db, &names, self.config.mode).await
    }

    /// What the source holds under one key, whole, before a record that is known.
    ///
    /// # Errors
    /// The source stays away.
    pub(crate) async fn observe_source_at_lsn(&mut self, pair: &Pair) -> Result<AtLsn, SideError> {
        self.source.observe_at_lsn(pair.source.db, &pair.source.name, self.config.mode).await
    }

    /// What the target holds under one key, whole.
    ///
    /// # Errors
    /// The target stays away.
    pub(crate) async fn observe_target_whole(&mut self, pair: &Pair) -> Result<Held, SideError> {
        self.target.observe_whole(pair.target.db, &pair.target.name, self.config.mode).await
    }

    /// What the target holds under these keys.
    ///
    /// # Errors
    /// The target stays away.
    pub(crate) async fn observe_target(&mut self, pairs: &[Pair]) -> Result<Vec<Held>, SideError> {
        let (db, names) = names_of_target(pairs);
        self.target.observe(db, &names, self.config.mode).await
    }

    /// Decides about keys of which both sides were read.
    ///
    /// # Errors
    /// A side stays away.
    pub(crate) async fn judge(
        &mut self,
        pairs: &[Pair],
        source: &[Held],
        target: &[Held],
    ) -> Result<Vec<Judged>, SideError> {
        let mut judged = Vec::with_capacity(pairs.len());
        let (mut unsettled, terms) = (Vec::new(), self.terms());
        for (nth, (source, target)) in source.iter().zip(target).enumerate() {
            let (verdict, is_settled) = self.first_verdict(source, target, terms);
            if !is_settled {
                unsettled.push(nth);
            }
            let is_on_target = matches!(target, Held::Value(_));
            judged.push(Judged { verdict, is_on_target, asked_again: false });
        }
        for nth in unsettled {
            let sides = (pairs.get(nth), source.get(nth), target.get(nth), judged.get_mut(nth));
            if let (Some(pair), Some(source), Some(target), Some(judged)) = sides {
                (judged.verdict, judged.asked_again) =
                    self.settle(pair, source, target, judged.verdict.clone()).await?;
            }
        }
        Ok(judged)
    }

    /// What the first answers of both sides say, and whether that settles it.
    fn first_verdict(&self, source: &Held, target: &Held, terms: Terms<'_>) -> (Verdict, bool) {
        if self.is_unselected(source) {
            return (Verdict::Unselected, true);
        }
        let verdict = compare(source, target, None, terms);
        let (Held::Value(one), Held::Value(other)) = (source, target) else { return (verdict, true) };
        let is_settled = !is_large(one, other) && !are_elements_apart(one, &verdict);
        (verdict, is_settled)
    }

    /// Reads more of a value that both sides have. Returns the verdict, and whether the source was asked again.
    async fn settle(
        &mut self,
        pair: &Pair,
        source: &Held,
        target: &Held,
        first: Verdict,
    ) -> Result<(Verdict, bool), SideError> {
        let (Held::Value(one), Held::Value(other)) = (source, target) else { return Ok((first, false)) };
        let mut verdict = first;
        if are_elements_apart(one, &verdict) {
            if self.config.mode == Mode::Length {
                return Ok((self.confirmed(pair).await?, true));
            }
            if self.policy.notes_due_times() && other.content != Content::Large {
                let due = self.due_times(pair).await?;
                verdict = compare(source, target, Some(&due), self.terms());
            }
        }
        if is_large(one, other) {
            return Ok((self.in_pieces(pair, (one, other), verdict).await?, true));
        }
        Ok((verdict, false))
    }

    fn is_unselected(&self, source: &Held) -> bool {
        let Held::Value(value) = source else { return false };
        value.kind.known().is_some_and(|kind| !self.selection.takes_kind(kind))
    }

    fn terms(&self) -> Terms<'_> {
        Terms {
            source_now: self.source.now(),
            target_now: self.target.now(),
            tolerance_ms: self.tolerance_ms(),
            policy: &self.policy,
        }
    }

    fn tolerance_ms(&self) -> i64 {
        i64::try_from(self.config.expiry_tolerance.as_millis()).unwrap_or(i64::MAX)
    }

    /// When members or fields are due, as the tool has noted it beside the target's key.
    async fn due_times(&mut self, pair: &Pair) -> Result<DueTimes, SideError> {
        let noted = Bytes::from(self.config.engine.rules.names.expiry(&pair.target.name));
        let asked = question(&[b"ZRANGE"], &noted, &[b"0", b"-1", b"WITHSCORES"]);
        let replies = self.target.link.ask(pair.target.db, &[asked]).await?;
        let Some(Reply::Array(words)) = replies.first() else { return Ok(BTreeMap::new()) };
        let due = |[name, at]: &[Reply; 2]| Some((digest(&bytes_of(name)?), millis(score_of(at)?)?));
        Ok(words.as_chunks::<2>().0.iter().filter_map(due).collect())
    }

    /// The lengths of sets and hashes count elements that have expired and were not removed yet: if they differ, the values
    /// are compared, but only what this mode tells of them is reported.
    async fn confirmed(&mut self, pair: &Pair) -> Result<Verdict, SideError> {
        let ((db, source), (target_db, target)) =
            (names_of_source(std::slice::from_ref(pair)), names_of_target(std::slice::from_ref(pair)));
        let (one, other) = tokio::join!(
            self.source.observe(db, &source, Mode::Full),
            self.target.observe(target_db, &target, Mode::Full)
        );
        let (one, other) = (one?, other?);
        let (Some(one), Some(other)) = (one.first(), other.first()) else {
            return Ok(Verdict::NotCompared("it was not told again".to_owned()));
        };
        let due = self.due_times(pair).await?;
        let mut verdict = compare(one, other, Some(&due), self.terms());
        if let (Held::Value(left), Held::Value(right)) = (one, other)
            && is_large(left, right)
        {
            verdict = self.in_pieces(pair, (left, right), verdict).await?;
        }
        Ok(match verdict {
            Verdict::Different(mut different) => {
                different.what.retain(|what| !is_of_elements(*what) || *what == What::Length);
                if different.what.is_empty() { Verdict::Equal } else { Verdict::Different(different) }
            }
            verdict => verdict,
        })
    }

    /// Compares a large value, and adds what differs to what is known already.
    async fn in_pieces(
        &mut self,
        pair: &Pair,
        (one, other): (&Value, &Value),
        verdict: Verdict,
    ) -> Result<Verdict, SideError> {
        let mut known = match verdict {
            Verdict::Equal => Vec::new(),
            Verdict::Different(different) if !different.what.contains(&What::Type) => different.what,
            decided => return Ok(decided),
        };
        let rules = PieceRules {
            piece: self.config.piece,
            sample_above: (self.config.mode == Mode::Smart).then_some(self.config.big_key_threshold),
            tolerance_ms: self.tolerance_ms(),
            names: &self.config.engine.rules.names,
        };
        let mut both = Both { source: &mut self.source, target: &mut self.target, pair, rules };
        let found = match pieces::compare(&one.kind, &mut both).await? {
            Ok(found) => found,
            Err(reason) => return Ok(Verdict::NotCompared(reason)),
        };
        known.extend(found.what);
        if known.is_empty() {
            return Ok(Verdict::Equal);
        }
        if let Some(verdict) = self.policy.verdict(&one.kind, &known) {
            return Ok(verdict);
        }
        let with = |value: &Value, length| Outline { length: Some(length), ..value.outline() };
        let (source, target) = (with(one, found.lengths.0), with(other, found.lengths.1));
        let print = (print_of(&source, &known), print_of(&target, &known));
        Ok(Verdict::Different(Different { what: known, source, target, print }))
    }
}

/// A large value counts as unchanged while its outline and what differs are.
fn print_of(outline: &Outline, what: &[What]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(format!("{outline} {what:?}").as_bytes())
}

/// Whether elements differ that may have expired.
fn are_elements_apart(value: &Value, verdict: &Verdict) -> bool {
    let Verdict::Different(different) = verdict else { return false };
    value.has_named() && different.what.iter().any(|what| is_of_elements(*what))
}

fn is_of_elements(what: What) -> bool {
    matches!(what, What::Length | What::Elements { .. } | What::FieldExpiries { .. })
}

fn is_large(one: &Value, other: &Value) -> bool {
    one.kind == other.kind && (one.content == Content::Large || other.content == Content::Large)
}

fn names_of_source(pairs: &[Pair]) -> (DbIndex, Vec<Bytes>) {
    let db = pairs.first().map_or(DbIndex(0), |pair| pair.source.db);
    (db, pairs.iter().map(|pair| pair.source.name.clone()).collect())
}

fn names_of_target(pairs: &[Pair]) -> (DbIndex, Vec<Bytes>) {
    let db = pairs.first().map_or(DbIndex(0), |pair| pair.target.db);
    (db, pairs.iter().map(|pair| pair.target.name.clone()).collect())
}

/// The time of this host.
pub(crate) fn host_now() -> UnixMillis {
    dfly_replica::Clock::system().host()
}
