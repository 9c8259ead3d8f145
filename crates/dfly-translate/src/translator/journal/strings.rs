//! SET, and sorted sets whose scores the master has rounded.

use crate::error::TranslateError;
use crate::policy::Loss;
use crate::refetch::Reason;
use crate::translator::journal::Received;
use crate::translator::{Effect, Output, Translator};

/// The size of a dense HyperLogLog, in bytes.
const HYLL_LEN: usize = 12304;

impl Translator {
    pub(super) fn set(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Result<Effect, TranslateError> {
        if r.args().len() == 3 {
            return Ok(self.plain_set(r, out));
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

    /// SET without options. PFMERGE arrives in this form, although the source keeps the key's expiry.
    fn plain_set(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Effect {
        self.verbatim(r, out);
        if self.rules.refetches && r.arg(2).len() == HYLL_LEN && r.arg(2).starts_with(b"HYLL") {
            for key in r.origin_keys() {
                self.read_again(Reason::HyperLogLog, (r.origin.db, key));
            }
            return Effect::Refetch;
        }
        Effect::Written
    }

    /// A command that stores a sorted set arrives as DEL and ZADD of one transaction, with scores of six significant digits
    /// (protocol section 3.9). It is carried out, so that the key exists, and the key is refetched.
    pub(super) fn zadd(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Effect {
        let txid = r.origin.txid;
        let stored =
            txid.0 != 0 && self.last_del.take().is_some_and(|(del, key)| del == txid && key == r.arg(1));
        self.verbatim(r, out);
        if stored && self.rules.refetches {
            for key in r.origin_keys() {
                self.read_again(Reason::Digits, (r.origin.db, key));
            }
            return Effect::Refetch;
        }
        Effect::Written
    }
}
