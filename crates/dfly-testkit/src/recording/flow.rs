//! One recorded flow connection, divided by the session's phases.

use bytes::Bytes;

use super::commands::{Commands, is};
use super::tail::{self, Tail};
use super::{Connection, Direction, RecordingError};
use crate::journal_walk::{Mark, walk};

/// A recorded flow.
#[derive(Debug, Clone)]
pub struct FlowRecording {
    /// The connection's number.
    pub connection: usize,
    /// The flow id, which is the master's shard.
    pub flow: usize,
    /// The whole FLOW command, as the replica sent it.
    pub command: Vec<Bytes>,
    /// The LSN that the replica asked for, if any.
    pub lsn: Option<u64>,
    /// The raw reply to FLOW.
    pub reply: Bytes,
    /// Whether that reply was PARTIAL.
    pub partial: bool,
    /// The token that ends the snapshot (40 characters).
    pub token: String,
    /// Everything that the master sent after the reply.
    pub stream: Bytes,
    /// How many bytes of the stream came before the control connection's STARTSTABLE.
    pub first_len: usize,
    /// The end of FULLSYNC_END (or of the compressed blob that holds it) in the stream; 0 in a partial flow.
    pub fullsync_end: usize,
    /// Where the journal begins in the stream: after the token; 0 in a partial flow.
    pub token_end: usize,
    /// The LSN of the journal's first record.
    pub start_lsn: u64,
    /// Where the records that advance the LSN end in the stream.
    pub marks: Vec<Mark>,
    /// The LSN after the last record.
    pub final_lsn: u64,
    /// The values that the replica acknowledged, in order.
    pub acks: Vec<u64>,
}

/// When the phase of the session changed, in microseconds since the recording began.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Timing {
    pub(super) start_stable_us: Option<u64>,
}

impl FlowRecording {
    /// The journal stream: everything after the token.
    pub fn journal(&self) -> &[u8] {
        self.stream.get(self.token_end..).unwrap_or_default()
    }

    /// What the master sent before STARTSTABLE.
    pub fn first(&self) -> Bytes {
        self.stream.slice(..self.first_len)
    }

    /// What the master sent after STARTSTABLE.
    pub fn second(&self) -> Bytes {
        self.stream.slice(self.first_len..)
    }

    pub(super) fn read(
        k: usize,
        connection: &Connection,
        (commands, timing): (&Commands, &Timing),
    ) -> Result<Self, RecordingError> {
        let protocol = |what: &str| RecordingError::Protocol { connection: k, what: what.to_owned() };
        let ask = Ask::find(commands).ok_or_else(|| protocol("there is no valid DFLY FLOW"))?;
        let answer =
            Answer::find(&connection.s2c).ok_or_else(|| protocol("there is no valid reply to DFLY FLOW"))?;
        let stream = connection.s2c.slice(answer.end..);
        let first_len = before(connection, timing.start_stable_us).saturating_sub(answer.end);
        let tail = match (answer.partial, ask.lsn) {
            (true, Some(lsn)) => Tail { fullsync_end: 0, token_end: 0, journal_offset: lsn },
            (true, None) => return Err(protocol("the reply is PARTIAL, but the request names no LSN")),
            (false, _) => tail::find(&stream, &answer.token)
                .ok_or_else(|| protocol("the end of the snapshot is missing"))?,
        };
        let journal = stream.get(tail.token_end..).unwrap_or_default();
        let walked = walk(journal, tail.journal_offset)
            .map_err(|source| RecordingError::Journal { connection: k, source })?;
        let in_stream = |mark: &Mark| Mark { end: mark.end + tail.token_end, ..mark.clone() };
        Ok(Self {
            connection: k,
            flow: ask.flow,
            command: ask.command,
            lsn: ask.lsn,
            reply: connection.s2c.slice(answer.start..answer.end),
            partial: answer.partial,
            token: answer.token,
            first_len: first_len.min(stream.len()),
            fullsync_end: tail.fullsync_end,
            token_end: tail.token_end,
            start_lsn: tail.journal_offset,
            final_lsn: walked.final_lsn(tail.journal_offset),
            marks: walked.marks.iter().map(in_stream).collect(),
            acks: commands.iter().filter_map(|(_, c)| ack(c)).collect(),
            stream,
        })
    }
}

fn ack(command: &[Bytes]) -> Option<u64> {
    is(command, &["REPLCONF", "ACK"]).then(|| command.get(2).and_then(number)).flatten()
}

fn number(text: &Bytes) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// How many bytes the master had sent before the time `at_us`.
fn before(connection: &Connection, at_us: Option<u64>) -> usize {
    let to_replica = connection.chunks.iter().filter(|c| c.direction == Direction::ToReplica);
    let early = to_replica.filter(|c| at_us.is_none_or(|at_us| c.at_us < at_us));
    early.map(|c| c.offset + c.len).max().unwrap_or(0)
}

struct Ask {
    command: Vec<Bytes>,
    flow: usize,
    lsn: Option<u64>,
}

impl Ask {
    fn find(commands: &Commands) -> Option<Self> {
        let (_, command) = commands.iter().find(|(_, c)| is(c, &["DFLY", "FLOW"]))?;
        let flow = usize::try_from(number(command.get(4)?)?).ok()?;
        Some(Self { flow, lsn: command.get(5).and_then(number), command: command.clone() })
    }
}

struct Answer {
    start: usize,
    end: usize,
    partial: bool,
    token: String,
}

impl Answer {
    /// Finds the first array among the replies. `+OK` for AUTH may precede it.
    fn find(s2c: &[u8]) -> Option<Self> {
        let auth: &[u8] = b"+OK\r\n";
        let start = if s2c.starts_with(auth) { auth.len() } else { 0 };
        let rest = s2c.get(start..)?.strip_prefix(b"*2\r\n+")?;
        let kind_len = rest.windows(2).position(|w| w == b"\r\n")?;
        let (kind, rest) = rest.split_at_checked(kind_len)?;
        let token = rest.strip_prefix(b"\r\n+")?.get(..40)?;
        let end = start + 5 + kind_len + 3 + 40 + 2;
        let token = String::from_utf8(token.to_vec()).ok()?;
        Some(Self { start, end, partial: kind == b"PARTIAL", token })
    }
}
