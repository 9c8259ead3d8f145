//! Data that a target cannot hold: it stops the command, or it is counted.

use std::collections::BTreeMap;

use dfly_rdb::{Entry, Event};
use dfly_translate::{Loss, Losses, Policy};
use dfly_wire::DbIndex;

use super::out::shown;
use crate::console::Console;
use crate::exit::Failure;
use crate::hints::LEAVES_OUT;

/// What has been left out so far.
pub(super) struct LeftOut<'a> {
    policy: Policy,
    console: &'a Console,
    losses: Losses,
}

impl<'a> LeftOut<'a> {
    pub(super) fn new(policy: Policy, console: &'a Console) -> Self {
        Self { policy, console, losses: Losses::default() }
    }

    /// Reports something of a key.
    pub(super) fn of_key(&mut self, loss: Loss, (db, key): (DbIndex, &[u8])) -> Result<(), Failure> {
        let what = match loss {
            Loss::MemberTtl => "the expiries of members",
            Loss::Sticky => "the sticky flag",
            Loss::MemcacheFlags => "the memcache flags",
            _ => "the value",
        };
        self.note(loss, || format!("{what} of key {} in database {db}", shown(key)))
    }

    /// Reports something that belongs to no key.
    pub(super) fn beside_keys(&mut self, loss: Loss, what: &str) -> Result<(), Failure> {
        self.note(loss, || what.to_owned())
    }

    /// Reports a library of functions, named by its first line.
    pub(super) fn function(&mut self, source: &[u8]) -> Result<(), Failure> {
        let name = source.split(|byte| *byte == b'\n').next().unwrap_or_default();
        self.note(Loss::Function, || format!("the function library {}", shown(name)))
    }

    fn note(&mut self, loss: Loss, what: impl Fn() -> String) -> Result<(), Failure> {
        if self.policy == Policy::Fail && loss.is_data() {
            return Err(Failure::Unsupported(format!(
                "the target cannot hold {} ({loss}); {LEAVES_OUT}",
                what()
            )));
        }
        let first = self.losses.iter().all(|(known, _)| known != loss);
        if self.policy == Policy::Warn && first {
            self.console.line(&format!(
                "warning: left out: {} ({loss}); others of this kind are only counted",
                what()
            ));
        }
        self.losses.count(loss);
        Ok(())
    }

    /// Adds what a translator has left out of `event`. The translator has already applied the policy.
    pub(super) fn translated(&mut self, losses: &Losses, event: &Event) -> Result<(), Failure> {
        for (loss, _once) in losses.iter() {
            match event {
                Event::Entry(Entry { header, .. }) | Event::Open { header, .. } => {
                    self.of_key(loss, (header.db, &header.key))?;
                }
                _ => self.beside_keys(loss, "expiries of members of a value above --hold")?,
            }
        }
        Ok(())
    }

    /// The count of each loss, by its name.
    pub(super) fn by_name(&self) -> BTreeMap<&'static str, u64> {
        self.losses.iter().map(|(loss, count)| (loss.name(), count)).collect()
    }

    /// Prints one line with everything that was left out, if anything was.
    pub(super) fn report(&self) {
        if !self.losses.is_empty() {
            self.console.line(&format!("left out: {}", self.losses));
        }
    }
}
