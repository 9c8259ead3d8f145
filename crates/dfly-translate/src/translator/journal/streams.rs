//! Commands on groups and consumers of streams.

use crate::target::Ability;
use crate::translator::journal::Received;
use crate::translator::{Effect, Output, Translator};

impl Translator {
    /// `XCLAIM key group consumer min-idle id.. [options]` and XAUTOCLAIM. The source creates the consumer even if nothing
    /// is claimed. Without TIME, the delivery time is now. The source treats the number after IDLE as an absolute time.
    pub(super) fn xclaim(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Effect {
        let words = r.words();
        let is = |word: &&[u8], name: &[u8]| word.eq_ignore_ascii_case(name);
        let timed = words.iter().skip(6).any(|word| is(word, b"TIME"));
        // XREADGROUP is journaled as XCLAIM with TIME. It journals the consumer in a record of its own.
        if !timed {
            self.push(r, &[b"XGROUP", b"CREATECONSUMER", r.arg(1), r.arg(2), r.arg(3)], 2..3, out);
        }
        if timed || r.args().name() == b"XAUTOCLAIM" {
            return self.verbatim(r, out);
        }
        let idle = words.iter().skip(6).any(|word| is(word, b"IDLE"));
        let mut claim: Vec<&[u8]> =
            words.iter().map(|word| if is(word, b"IDLE") { &b"TIME"[..] } else { word }).collect();
        let now = out.now.0.to_string();
        if !idle {
            claim.extend([&b"TIME"[..], now.as_bytes()]);
        }
        self.push(r, &claim, 1..2, out)
    }

    /// XGROUP. The source ignores the counter in CREATE.
    pub(super) fn xgroup(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Effect {
        if !r.arg(1).eq_ignore_ascii_case(b"CREATE") {
            return self.stream_counters(r, out);
        }
        let words = without_counters(r, 5);
        self.push(r, &words, 2..3, out)
    }

    /// Redis before 7.0 counts neither the entries that a group has read, nor those that a stream ever had.
    pub(super) fn stream_counters(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Effect {
        if self.target.has(Ability::StreamCounters) {
            return self.verbatim(r, out);
        }
        // `XGROUP SUBCOMMAND key group id` and `XSETID key id` come before any option.
        let (fixed, key) = if r.args().name() == b"XGROUP" { (5, 2) } else { (3, 1) };
        self.push(r, &without_counters(r, fixed), key..key + 1, out)
    }
}

/// The record's words, without those options after the first `fixed` words that set a counter.
fn without_counters<'a>(r: &Received<'a>, fixed: usize) -> Vec<&'a [u8]> {
    let mut words = Vec::with_capacity(r.args().len());
    let mut rest = r.args().iter();
    words.extend(rest.by_ref().take(fixed));
    while let Some(word) = rest.next() {
        let counter = [&b"ENTRIESREAD"[..], b"ENTRIESADDED", b"MAXDELETEDID"];
        if counter.iter().any(|name| word.eq_ignore_ascii_case(name)) {
            rest.next();
        } else {
            words.push(word);
        }
    }
    words
}
