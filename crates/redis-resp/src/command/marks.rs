//! Where encoded commands and their keys are in the bytes, and the commands' tags.

use std::ops::Range;

use super::EncodedCommand;

/// Where a key is in its command, in bytes from the command's start. 32 bits are enough, because no server accepts a
/// command of 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyRange {
    start: u32,
    end: u32,
}

impl KeyRange {
    pub(super) fn of(self, command: &[u8]) -> Option<&[u8]> {
        command.get(usize::try_from(self.start).ok()?..usize::try_from(self.end).ok()?)
    }
}

#[derive(Debug, Clone, Copy)]
struct CommandMark {
    /// Where the command ends in the bytes.
    end: usize,
    /// Where its keys end in [`Marks::keys`].
    keys_end: usize,
    tag: u64,
}

/// The marks of consecutive commands. Each command begins where the one before it ends.
#[derive(Debug, Default, Clone)]
pub(super) struct Marks {
    commands: Vec<CommandMark>,
    keys: Vec<KeyRange>,
}

impl Marks {
    pub(super) fn len(&self) -> usize {
        self.commands.len()
    }

    /// Marks a key of the command that is being written.
    pub(super) fn key(&mut self, range: Range<usize>) {
        let (start, end) = (u32::try_from(range.start), u32::try_from(range.end));
        debug_assert!(end.is_ok(), "a command is larger than 4 GiB");
        if let (Ok(start), Ok(end)) = (start, end) {
            self.keys.push(KeyRange { start, end });
        }
    }

    /// Ends the command that is being written at `end`.
    pub(super) fn finish(&mut self, end: usize, tag: u64) {
        self.commands.push(CommandMark { end, keys_end: self.keys.len(), tag });
    }

    /// Adds the marks of `command`, whose bytes have been copied and end at `end`.
    pub(super) fn copy(&mut self, command: EncodedCommand<'_>, end: usize) {
        self.keys.extend_from_slice(command.keys);
        self.finish(end, command.tag());
    }

    /// Adds the keys of `command` to the command that is being written. What followed the first `from` bytes of it follows the
    /// first `to` bytes of that one.
    pub(super) fn move_keys(&mut self, command: EncodedCommand<'_>, from: usize, to: usize) {
        for key in command.keys {
            let moved = |at: u32| usize::try_from(at).ok()?.checked_sub(from)?.checked_add(to);
            if let (Some(start), Some(end)) = (moved(key.start), moved(key.end)) {
                self.key(start..end);
            }
        }
    }

    /// The tag of command `index`.
    pub(super) fn tag(&self, index: usize) -> Option<u64> {
        self.commands.get(index).map(|mark| mark.tag)
    }

    /// Adds the marks of `other`, whose commands follow the first `base` bytes.
    pub(super) fn append(&mut self, other: &Self, base: usize) {
        let keys = self.keys.len();
        let moved = |mark: &CommandMark| CommandMark {
            end: base + mark.end,
            keys_end: keys + mark.keys_end,
            ..*mark
        };
        self.commands.extend(other.commands.iter().map(moved));
        self.keys.extend_from_slice(&other.keys);
    }

    /// Where command `index` starts or, if there is no such command, where the last one ends.
    pub(super) fn start(&self, index: usize) -> usize {
        self.before(index).map_or(0, |mark| mark.end)
    }

    /// Command `index` in `bytes`. The first of these is byte `base` of the bytes that the marks describe.
    pub(super) fn command<'a>(
        &'a self,
        index: usize,
        bytes: &'a [u8],
        base: usize,
    ) -> Option<EncodedCommand<'a>> {
        let mark = self.commands.get(index)?;
        let (start, keys_start) = self.before(index).map_or((0, 0), |before| (before.end, before.keys_end));
        let wire = bytes.get(start.checked_sub(base)?..mark.end.checked_sub(base)?)?;
        Some(EncodedCommand { wire, keys: self.keys.get(keys_start..mark.keys_end)?, tag: mark.tag })
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.keys.truncate(self.before(len).map_or(0, |mark| mark.keys_end));
        self.commands.truncate(len);
    }

    pub(super) fn clear(&mut self) {
        self.commands.clear();
        self.keys.clear();
    }

    /// The mark before `index`, or the last mark if `index` is past the end.
    fn before(&self, index: usize) -> Option<&CommandMark> {
        self.commands.get(index.min(self.commands.len()).checked_sub(1)?)
    }
}
