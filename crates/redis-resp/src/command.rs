//! Outgoing commands, encoded straight into a reused buffer, with the keys and the tag of each.

mod encoded;
mod marks;
mod merge;
mod parse;

use std::ops::Range;

use bytes::{BufMut, BytesMut};

pub use encoded::{EncodedCommand, EncodedCommands, SpareBatch};
pub use merge::MergeRule;
pub use parse::{arguments, commands};

use encoded::{kept, make_room};
use marks::Marks;

/// Commands in the order they are sent, encoded as RESP arrays.
///
/// For each command, the batch records where it ends, which of its arguments are keys, and a tag that only the caller
/// interprets. So none of this has to be parsed from the encoded bytes later.
#[derive(Debug, Default, Clone)]
pub struct CommandBatch {
    bytes: BytesMut,
    marks: Marks,
    default_tag: u64,
    spare: Option<SpareBatch>,
    /// Allocations for [`Self::merge`].
    scratch: Scratch,
}

/// Allocations of a batch that [`CommandBatch::merge`] has replaced.
#[derive(Debug, Default, Clone)]
struct Scratch {
    bytes: BytesMut,
    marks: Marks,
}

impl CommandBatch {
    /// Starts a command of `arguments` arguments, including its name. Exactly that many must be written to the writer.
    pub fn start(&mut self, arguments: usize) -> CommandWriter<'_> {
        let start = self.bytes.len();
        header(&mut self.bytes, b'*', arguments);
        CommandWriter { batch: self, start, missing: arguments }
    }

    /// Adds one whole command without keys. It gets the default tag.
    pub fn push(&mut self, arguments: &[&[u8]]) {
        self.push_keyed(arguments, 0..0, self.default_tag);
    }

    /// Adds one whole command without keys, from its arguments one by one. It gets the default tag.
    pub fn push_words<'a>(&mut self, arguments: impl ExactSizeIterator<Item = &'a [u8]>) {
        let mut writer = self.start(arguments.len());
        for argument in arguments {
            writer.arg(argument);
        }
        writer.finish();
    }

    /// Adds one whole command. The arguments at the positions `keys` are its keys; the name is argument 0.
    pub fn push_keyed(&mut self, arguments: &[&[u8]], keys: Range<usize>, tag: u64) {
        let mut writer = self.start(arguments.len());
        for (at, argument) in arguments.iter().enumerate() {
            if keys.contains(&at) {
                writer.key(argument)
            } else {
                writer.arg(argument)
            };
        }
        writer.finish_with(tag);
    }

    /// Adds a command that is already encoded, with its keys and its tag.
    pub fn push_encoded(&mut self, command: EncodedCommand<'_>) {
        self.bytes.put_slice(command.wire());
        self.marks.copy(command, self.bytes.len());
    }

    /// Moves all commands of `other` to the end of this batch.
    pub fn append(&mut self, other: &mut Self) {
        self.marks.append(&other.marks, self.bytes.len());
        make_room(&mut self.bytes, other.bytes.len());
        self.bytes.put_slice(&other.bytes);
        other.clear();
    }

    fn clear(&mut self) {
        self.bytes = kept(std::mem::take(&mut self.bytes));
        self.marks.clear();
    }

    /// Sets the tag for later commands that are added without one. Initially, it is 0.
    pub fn set_default_tag(&mut self, tag: u64) {
        self.default_tag = tag;
    }

    /// How many commands it holds.
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Whether it holds no command.
    pub fn is_empty(&self) -> bool {
        self.marks.len() == 0
    }

    /// Size of all commands on the wire, in bytes.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Command `index`.
    pub fn command(&self, index: usize) -> Option<EncodedCommand<'_>> {
        self.marks.command(index, &self.bytes, 0)
    }

    /// All commands in their order.
    pub fn iter(&self) -> impl Iterator<Item = EncodedCommand<'_>> {
        (0..self.len()).filter_map(|index| self.command(index))
    }

    /// Takes the commands and leaves the batch empty.
    pub fn take(&mut self) -> EncodedCommands {
        let (wire, marks) = self.spare.take().unwrap_or_default().fill(&mut self.bytes, &mut self.marks);
        EncodedCommands::new(wire, marks)
    }

    /// Returns the allocations of commands that [`Self::take`] handed out, so that later commands reuse them.
    pub fn recycle(&mut self, spare: SpareBatch) {
        self.spare.get_or_insert(spare);
    }

    /// Makes room for commands of so many bytes in all, so that the batch does not grow step by step.
    pub fn reserve(&mut self, bytes: usize) {
        let more = bytes.saturating_sub(self.bytes.len());
        make_room(&mut self.bytes, more);
    }

    /// Removes every command from index `len` on.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.bytes.truncate(self.marks.start(len));
            self.marks.truncate(len);
        }
    }
}

/// Writes the arguments of one command.
#[derive(Debug)]
pub struct CommandWriter<'a> {
    batch: &'a mut CommandBatch,
    /// Where the command starts in the batch.
    start: usize,
    missing: usize,
}

impl CommandWriter<'_> {
    /// Writes the next argument.
    pub fn arg(&mut self, argument: &[u8]) -> &mut Self {
        debug_assert!(self.missing > 0, "more arguments than were announced");
        self.missing = self.missing.saturating_sub(1);
        let out = &mut self.batch.bytes;
        header(out, b'$', argument.len());
        out.reserve(argument.len() + 2);
        out.put_slice(argument);
        out.put_slice(b"\r\n");
        self
    }

    /// Writes the next argument and marks it as a key of the command.
    pub fn key(&mut self, key: &[u8]) -> &mut Self {
        self.arg(key);
        let end = self.batch.bytes.len() - self.start - 2;
        self.batch.marks.key(end - key.len()..end);
        self
    }

    /// Writes an integer as the next argument.
    pub fn int(&mut self, value: i64) -> &mut Self {
        let mut digits = itoa::Buffer::new();
        self.arg(digits.format(value).as_bytes())
    }

    /// Ends the command with the batch's default tag. Until it ends, the command is not part of the batch.
    pub fn finish(&mut self) {
        self.finish_with(self.batch.default_tag);
    }

    /// Ends the command with this tag.
    pub fn finish_with(&mut self, tag: u64) {
        debug_assert_eq!(self.missing, 0, "fewer arguments than were announced");
        self.batch.marks.finish(self.batch.bytes.len(), tag);
    }
}

fn header(out: &mut BytesMut, kind: u8, count: usize) {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(count).as_bytes();
    out.reserve(digits.len() + 3);
    out.put_u8(kind);
    out.put_slice(digits);
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Words = Vec<Vec<u8>>;

    /// The words of a command, which of them are keys, and its tag.
    type Told = (Vec<(Vec<u8>, bool)>, u64);

    fn told() -> impl Strategy<Value = Vec<Told>> {
        let word = (prop::collection::vec(any::<u8>(), 0..40), any::<bool>());
        prop::collection::vec((prop::collection::vec(word, 0..6), any::<u64>()), 0..10)
    }

    fn write(batch: &mut CommandBatch, (words, tag): &Told) {
        let mut writer = batch.start(words.len());
        for (word, is_key) in words {
            if *is_key {
                writer.key(word)
            } else {
                writer.arg(word)
            };
        }
        writer.finish_with(*tag);
    }

    fn batch(commands: &[Told]) -> CommandBatch {
        let mut batch = CommandBatch::default();
        commands.iter().for_each(|command| write(&mut batch, command));
        batch
    }

    /// The arguments, keys and tag of a command, as the batch returns them.
    fn said(command: EncodedCommand<'_>) -> (Words, Words, u64) {
        let owned = |word: &[u8]| word.to_vec();
        (command.arguments().map(owned).collect(), command.keys().map(owned).collect(), command.tag())
    }

    fn expected((words, tag): &Told) -> (Words, Words, u64) {
        let all = words.iter().map(|(word, _)| word.clone()).collect();
        let keys = words.iter().filter(|(_, is_key)| *is_key).map(|(word, _)| word.clone()).collect();
        (all, keys, *tag)
    }

    #[test]
    fn commands_without_a_tag_get_the_default() {
        let mut batch = CommandBatch::default();
        batch.push(&[b"PING"]);
        batch.set_default_tag(7);
        batch.push(&[b"PING"]);
        batch.start(1).arg(b"PING").finish();
        batch.push_keyed(&[b"RENAME", b"a", b"b"], 1..3, 9);
        assert_eq!(batch.iter().map(EncodedCommand::tag).collect::<Vec<_>>(), [0, 7, 7, 9]);
        let keys: Vec<&[u8]> = batch.iter().flat_map(EncodedCommand::keys).collect();
        assert_eq!(keys, [b"a", b"b"]);
    }

    fn sets(batch: &mut CommandBatch, commands: &[(&str, &str, u64)]) {
        for (key, value, tag) in commands {
            batch.push_keyed(&[b"SET", key.as_bytes(), value.as_bytes()], 1..2, *tag);
        }
    }

    #[test]
    fn runs_become_one_command() {
        let mut batch = CommandBatch::default();
        let commands =
            [("a", "1", 7), ("bb", "", 7), ("c", "3", 7), ("d", "4", 9), ("e", "5", 8), ("f", "6", 8)];
        sets(&mut batch, &commands);
        batch.push_keyed(&[b"INCR", b"n"], 1..2, 1);
        sets(&mut batch, &[("g", "7", 7)]);
        let rule = MergeRule { name: b"MSET", most: 2, is_part: |tag| tag == 7 || tag == 8 };
        batch.merge(&rule);
        let told: Vec<(Words, Words, u64)> = batch.iter().map(said).collect();
        let words = |line: &str| line.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Words>();
        let expected = [
            ("MSET a 1 bb ", "a bb", 7),
            ("SET c 3", "c", 7),
            ("SET d 4", "d", 9),
            ("MSET e 5 f 6", "e f", 8),
            ("INCR n", "n", 1),
            ("SET g 7", "g", 7),
        ];
        assert_eq!(told, expected.map(|(line, keys, tag)| (words(line), words(keys), tag)));
        let mut framed = CommandBatch::default();
        framed.push(&[b"MULTI"]);
        let mut again = CommandBatch::default();
        sets(&mut again, &commands);
        framed.append_merged(&mut again, &rule);
        assert!(again.is_empty() && again.byte_len() == 0);
        assert_eq!(framed.iter().skip(1).map(said).collect::<Vec<_>>(), told[..4]);
        sets(&mut again, &commands);
        let places = [0, 3, 1, 4, 5];
        let pushed = framed.push_merged(|at| again.command(*places.get(at)?), &rule);
        let expected =
            [("SET a 1", "a", 7), ("SET d 4", "d", 9), ("SET bb ", "bb", 7), ("MSET e 5 f 6", "e f", 8)];
        assert_eq!(pushed, expected.len());
        let told: Vec<(Words, Words, u64)> = framed.iter().skip(5).map(said).collect();
        assert_eq!(told, expected.map(|(line, keys, tag)| (words(line), words(keys), tag)));
        let whole = batch.take();
        assert_eq!(commands_of(whole.wire()), 6);
    }

    fn commands_of(wire: &[u8]) -> usize {
        commands(wire).count()
    }

    #[test]
    fn a_batch_without_runs_stays_as_it_is() {
        let mut batch = CommandBatch::default();
        sets(&mut batch, &[("a", "1", 7), ("b", "2", 8), ("c", "3", 7)]);
        let before: Vec<(Words, Words, u64)> = batch.iter().map(said).collect();
        let rule = MergeRule { name: b"MSET", most: 64, is_part: |_| true };
        batch.merge(&rule);
        assert_eq!(batch.iter().map(said).collect::<Vec<_>>(), before);
        CommandBatch::default().merge(&rule);
    }

    #[test]
    fn appended_commands_keep_their_keys_and_tags() {
        let mut head = CommandBatch::default();
        head.push_keyed(&[b"A", b"k"], 1..2, 1);
        let mut body = CommandBatch::default();
        body.push_keyed(&[b"B", b"x", b"y"], 1..3, 2);
        body.push_keyed(&[b"C", b"z"], 1..2, 3);
        head.append(&mut body);
        assert!(body.is_empty() && body.byte_len() == 0);
        let keys: Vec<Vec<&[u8]>> = head.iter().map(|command| command.keys().collect()).collect();
        assert_eq!(keys, [vec![&b"k"[..]], vec![b"x", b"y"], vec![b"z"]]);
        assert_eq!(head.iter().map(EncodedCommand::tag).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(head.command(2).unwrap().wire(), b"*2\r\n$1\r\nC\r\n$1\r\nz\r\n");
    }

    #[test]
    fn truncation_removes_whole_commands() {
        let mut batch = CommandBatch::default();
        batch.push_keyed(&[b"A", b"k"], 1..2, 1);
        batch.push_keyed(&[b"B", b"1", b"2"], 1..3, 2);
        batch.truncate(5);
        assert_eq!(batch.len(), 2);
        batch.truncate(1);
        assert_eq!(batch.command(0).unwrap().wire(), b"*2\r\n$1\r\nA\r\n$1\r\nk\r\n");
        assert_eq!((batch.len(), batch.command(1)), (1, None));
        batch.push_keyed(&[b"C", b"x", b"y"], 2..3, 3);
        assert_eq!(batch.command(1).unwrap().keys().collect::<Vec<_>>(), [b"y"]);
        batch.truncate(0);
        assert_eq!((batch.len(), batch.byte_len()), (0, 0));
    }

    /// A batch that is taken repeatedly reuses the same allocations.
    #[test]
    fn allocations_are_used_again() {
        let mut batch = CommandBatch::default();
        let mut taken = || {
            for at in 0..100 {
                batch.push_keyed(&[b"DEL", b"k"], 1..2, at);
            }
            let commands = batch.take();
            let tag = commands.command(99).unwrap();
            assert_eq!((tag.tag(), commands.len()), (99, 100));
            let at = std::ptr::from_ref(tag.keys);
            batch.recycle(commands.into_spare().unwrap());
            at
        };
        // Two sets of allocations take turns: one is filled while the other one is in flight.
        let (first, second) = (taken(), taken());
        assert_eq!((taken(), taken()), (first, second));
    }

    /// The bytes too, but not those of a large value.
    #[test]
    fn memory_of_bytes_is_used_again() {
        let mut batch = CommandBatch::default();
        let mut taken = |bytes: usize| {
            batch.push(&[b"SET", b"k", &vec![b'v'; bytes]]);
            let commands = batch.take();
            let at = commands.wire().as_ptr();
            let spare = commands.into_spare().unwrap();
            let capacity = spare.capacity();
            batch.recycle(spare);
            (at, capacity)
        };
        let (first, second) = (taken(1000), taken(1000));
        assert_eq!([taken(1000), taken(1000)], [first, second]);
        assert_eq!(taken(1 << 20).1, 0);
    }

    #[test]
    fn what_is_still_used_elsewhere_is_no_spare() {
        let mut batch = CommandBatch::default();
        batch.push(&[b"A"]);
        let commands = batch.take();
        let part = commands.part(0, 1);
        assert!(commands.into_spare().is_none());
        assert!(part.into_spare().is_some());
    }

    proptest! {
        #[test]
        fn everything_reads_back(commands in told()) {
            let mut batch = batch(&commands);
            for (i, command) in commands.iter().enumerate() {
                prop_assert_eq!(said(batch.command(i).unwrap()), expected(command));
            }
            prop_assert!(batch.iter().map(said).eq(commands.iter().map(expected)));
            let taken = batch.take();
            prop_assert_eq!((batch.len(), batch.byte_len(), taken.len()), (0, 0, commands.len()));
            prop_assert!(taken.iter().map(said).eq(commands.iter().map(expected)));
        }

        #[test]
        fn parts_are_as_the_whole(commands in told(), place in 0usize..12, count in 0usize..12, inner in 0usize..4) {
            let taken = batch(&commands).take();
            let part = taken.part(place, count);
            let expected: Vec<_> = commands.iter().skip(place).take(count).map(expected).collect();
            prop_assert_eq!(part.iter().map(said).collect::<Vec<_>>(), &expected[..]);
            let wire: Vec<u8> = part.iter().flat_map(|command| command.wire()).copied().collect();
            prop_assert_eq!(part.wire(), &wire);
            let part = part.part(inner, usize::MAX);
            prop_assert!(part.iter().map(said).eq(expected.into_iter().skip(inner)));
        }

        #[test]
        fn truncated_batches_go_on(commands in told(), len in 0usize..12, more in told()) {
            let mut batch = batch(&commands);
            batch.truncate(len);
            more.iter().for_each(|command| write(&mut batch, command));
            let expected = commands.iter().take(len).chain(&more).map(expected);
            prop_assert!(batch.iter().map(said).eq(expected));
        }

        #[test]
        fn encoded_commands_are_copied_whole(commands in told(), before in told()) {
            let (from, mut to) = (batch(&commands), batch(&before));
            from.iter().for_each(|command| to.push_encoded(command));
            prop_assert!(to.iter().map(said).eq(before.iter().chain(&commands).map(expected)));
        }
    }
}
