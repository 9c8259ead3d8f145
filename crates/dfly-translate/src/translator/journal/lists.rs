//! Commands on lists whose records do not say all.

use super::Received;
use crate::quirks::Quirks;
use crate::refetch::Reason;
use crate::script;
use crate::translator::first_halves::Half;
use crate::translator::{Effect, Output, Translator};

impl Translator {
    /// LPUSH and RPUSH. A command that moves the only element of a list to the list itself arrives as a pop and a push. The
    /// source keeps the key's expiry.
    pub(super) fn push_elements(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Effect {
        self.verbatim(r, out);
        let is_second_half = r.args().len() == 3 && self.first_halves.may_end_with(Half::Pops, r.origin);
        if is_second_half && self.follows_possible_signs() {
            return self.read_all_again(Reason::KeptExpiry, r);
        }
        Effect::Written
    }

    /// LREM. In a list of several nodes the source may stop early, once it has removed the last element of a node.
    pub(super) fn lrem(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Effect {
        match r.arg(2) {
            b"1" | b"-1" => self.verbatim(r, out),
            _ if self.follows_possible_signs() => self.script(&script::LREM, r, out),
            _ => self.verbatim(r, out),
        }
    }

    /// Whether a value is refetched although it may be what the record says.
    pub(super) fn follows_possible_signs(&self) -> bool {
        self.rules.refetches && self.rules.quirks == Quirks::Faithful
    }

    /// Requests a refetch of the record's keys, beside what was written.
    pub(super) fn read_all_again(&mut self, reason: Reason, r: &Received<'_>) -> Effect {
        for key in r.origin_keys() {
            self.read_again(reason, key);
        }
        Effect::Refetch
    }
}
