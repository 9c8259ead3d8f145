//! Runs of commands that become one command, such as SETs that become an MSET.

use bytes::BufMut;

use super::encoded::{EncodedCommand, make_room};
use super::marks::Marks;
use super::{CommandBatch, Scratch, header};

/// Which commands become one. Each run of consecutive commands with the same tag that `is_part` holds for becomes one command
/// `name`, which has the arguments of all of them behind it, and their keys and tag.
#[derive(Debug, Clone, Copy)]
pub struct MergeRule<'a, F> {
    /// The name of the merged command.
    pub name: &'a [u8],
    /// How many commands become one at the most.
    pub most: usize,
    /// Whether commands with this tag may be merged.
    pub is_part: F,
}

impl<F: Fn(u64) -> bool> MergeRule<'_, F> {
    /// How many commands from index `at` on become one: 1 if none joins it.
    fn run_at(&self, at: usize, tag: impl Fn(usize) -> Option<u64>) -> usize {
        let Some(first) = tag(at).filter(|tag| (self.is_part)(*tag)) else { return 1 };
        (at..).take(self.most).take_while(|next| tag(*next) == Some(first)).count().max(1)
    }

    fn has_any(&self, marks: &Marks) -> bool {
        (0..marks.len()).any(|at| self.run_at(at, |at| marks.tag(at)) > 1)
    }
}

impl CommandBatch {
    /// Merges its commands.
    pub fn merge(&mut self, rule: &MergeRule<'_, impl Fn(u64) -> bool>) {
        if !rule.has_any(&self.marks) {
            return;
        }
        let Scratch { bytes, marks } = std::mem::take(&mut self.scratch);
        let mut merged = Self { bytes, marks, ..Self::default() };
        merged.push_all_merged(self, rule);
        std::mem::swap(&mut self.bytes, &mut merged.bytes);
        std::mem::swap(&mut self.marks, &mut merged.marks);
        merged.clear();
        self.scratch = Scratch { bytes: merged.bytes, marks: merged.marks };
    }

    /// Moves all commands of `other` to the end of this batch, merged, with one copy less.
    pub fn append_merged(&mut self, other: &mut Self, rule: &MergeRule<'_, impl Fn(u64) -> bool>) {
        if !rule.has_any(&other.marks) {
            return self.append(other);
        }
        self.push_all_merged(other, rule);
        other.clear();
    }

    fn push_all_merged(&mut self, other: &Self, rule: &MergeRule<'_, impl Fn(u64) -> bool>) {
        // A merged command is longer than the first one of its run at the most by digits, and much shorter than all of it.
        make_room(&mut self.bytes, other.bytes.len() + 64);
        self.push_merged(|at| other.command(at), rule);
    }

    /// Adds the commands that `command` returns for 0, 1 and so on until it returns `None`, merged. Returns how many commands
    /// were added.
    pub fn push_merged<'a>(
        &mut self,
        command: impl Fn(usize) -> Option<EncodedCommand<'a>>,
        rule: &MergeRule<'_, impl Fn(u64) -> bool>,
    ) -> usize {
        let (mut at, before) = (0, self.len());
        while let Some(first) = command(at) {
            let run = rule.run_at(at, |at| command(at).map(EncodedCommand::tag));
            match run {
                1 => self.push_encoded(first),
                _ => self.push_run(rule.name, first.tag(), || (at..at + run).filter_map(&command)),
            }
            at += run;
        }
        self.len() - before
    }

    fn push_run<'a, I>(&mut self, name: &[u8], tag: u64, commands: impl Fn() -> I)
    where
        I: Iterator<Item = EncodedCommand<'a>>,
    {
        let start = self.bytes.len();
        let arguments: usize = commands().map(|command| command.argument_count().saturating_sub(1)).sum();
        header(&mut self.bytes, b'*', arguments + 1);
        header(&mut self.bytes, b'$', name.len());
        self.bytes.put_slice(name);
        self.bytes.put_slice(b"\r\n");
        for command in commands() {
            let rest = command.behind_name();
            let moved = self.bytes.len() - start;
            self.marks.move_keys(command, command.wire().len() - rest.len(), moved);
            self.bytes.put_slice(rest);
        }
        self.marks.finish(self.bytes.len(), tag);
    }
}
