//! SET, and sorted sets whose scores the master has rounded.

use crate::error::TranslateError;
use crate::facts::CommandFacts;
use crate::policy::{Loss, Policy};
use crate::quirks::ZAddBeyond;
use crate::refetch::Reason;
use crate::script;
use crate::target::Ability;
use crate::translator::first_halves::{Half, has_six_digits};
use crate::translator::journal::Received;
use crate::translator::{Effect, Output, Translator};

/// The size of a dense HyperLogLog, in bytes.
const HYLL_LEN: usize = 12304;

impl Translator {
    pub(super) fn set(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Result<Effect, TranslateError> {
        if r.args().len() == 3 {
            return Ok(self.plain_set(r, out));
        }
        if r.args().len() == 4 && r.arg(3) == b"KEEPTTL" && self.may_have_left_out_documents() {
            return Ok(self.keep_expiry(r, out));
        }
        let mut words: Vec<&[u8]> = Vec::with_capacity(r.args().len());
        words.extend(r.args().iter().take(3));
        let (mut effect, mut options) = (Effect::Written, r.args().iter().skip(3));
        while let Some(option) = options.next() {
            match option {
                b"KEEPTTL" => words.push(option),
                b"PXAT" => words.extend([Some(option), options.next()].into_iter().flatten()),
                b"STICK" => effect = self.lose(Loss::Sticky, &r.place())?,
                b"_MCFLAGS" => {
                    options.next();
                    effect = self.lose(Loss::MemcacheFlags, &r.place())?;
                }
                _ => return self.again_or_lose(Reason::Form, Loss::Form, r),
            }
        }
        self.push(r, &words, 1..2, out);
        Ok(effect)
    }

    /// `SET key value KEEPTTL`, where the expiry may be that of a value that was left out.
    fn keep_expiry(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Effect {
        let words = [&b"EVAL"[..], script::SET_KEEPTTL.text.as_bytes(), b"1", r.arg(1), r.arg(2)];
        self.push(r, &words, 3..4, out)
    }

    fn may_have_left_out_documents(&self) -> bool {
        let goes_on = self.rules.policies.of_loss(Loss::Json) != Policy::Fail;
        goes_on && self.follows_possible_signs() && !self.target.has(Ability::Json)
    }

    /// SET without options. PFMERGE and BITOP arrive in this form, although the source keeps the key's expiry. BITOP always has
    /// a transaction, but for scripts.
    fn plain_set(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Effect {
        self.select(r.db(), out.commands);
        let facts = CommandFacts::data(r.db()).idempotent().plain_set(self.marks_plain_sets());
        out.commands.start(3).arg(b"SET").key(r.arg(1)).arg(r.arg(2)).finish_with(facts.tag());
        if self.rules.refetches && r.arg(2).len() == HYLL_LEN && r.arg(2).starts_with(b"HYLL") {
            return self.read_all_again(Reason::HyperLogLog, r);
        }
        if r.origin.txid.0 != 0 && self.follows_possible_signs() {
            return self.read_all_again(Reason::KeptExpiry, r);
        }
        Effect::Written
    }

    /// ZADD, with three meanings: the second half of a command that stores a sorted set, with scores of six significant digits
    /// (protocol section 3.9), which is carried out, so that the key exists, and refetched; one with GT or LT, which the
    /// source may have ignored; and itself.
    pub(super) fn zadd(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Effect {
        if self.rules.refetches && self.is_stored_set(r) {
            self.verbatim(r, out);
            return self.read_all_again(Reason::Digits, r);
        }
        let is_beyond = |word: &[u8]| matches!(word.to_ascii_uppercase().as_slice(), b"GT" | b"LT");
        let options = r.args().iter().skip(2).take(LONGEST_ZADD_OPTIONS);
        let has_beyond = r.args().len() > 4 && options.take_while(|word| is_option(word)).any(is_beyond);
        if !has_beyond || !self.rules.refetches || self.zadd_beyond == ZAddBeyond::Obeyed {
            return self.verbatim(r, out);
        }
        let ignored: &[u8] = if self.zadd_beyond == ZAddBeyond::Ignored { b"1" } else { b"0" };
        let head = [&b"EVAL"[..], script::ZADD_BEYOND.as_bytes(), b"1", r.arg(1), ignored];
        let words: Vec<&[u8]> = head.into_iter().chain(r.args().iter().skip(2)).collect();
        self.push(r, &words, 3..4, out)
    }

    /// Whether the record is the second half of a command that stores a sorted set. In scripts, both halves have transaction 0,
    /// as those of two plain commands have.
    fn is_stored_set(&self, r: &Received<'_>) -> bool {
        self.first_halves.may_end_with(Half::Deletes, r.origin)
            && (r.origin.txid.0 != 0 || self.follows_possible_signs())
            && r.args().iter().skip(2).step_by(2).all(has_six_digits)
    }
}

/// How many options a ZADD has at the most.
const LONGEST_ZADD_OPTIONS: usize = 5;

fn is_option(word: &[u8]) -> bool {
    word.first().is_some_and(u8::is_ascii_alphabetic) && !matches!(word, b"inf" | b"nan")
}
