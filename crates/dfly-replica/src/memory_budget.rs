//! How the limit of memory is shared out among flows, and what each of them may hold. Pure.

use std::time::Duration;

use dfly_journal::first_words;
use dfly_rdb::{BlobError, KeyExcerpt};
use dfly_translate::lookup;
use dfly_wire::{FaultKind, Limits, packed};

use crate::config::EngineConfig;
use crate::error::FlowError;

/// What one expiry takes that is kept in mind, in bytes.
const EXPIRY: usize = 10;

/// No share is less, in bytes: below that every item would be a batch of its own.
const LEAST: usize = 64 << 10;

/// No batch is filled to less than this, in bytes.
const LEAST_BATCH: usize = 16 << 10;

/// One part in so many of the limit is for the largest value that is held whole.
const WHOLE_SHARE: usize = 4;

const MIB: u64 = 1 << 20;

/// The opcode of journal records inside a snapshot (protocol section 4.1).
const JOURNAL_BLOB: u8 = 210;

impl EngineConfig {
    /// The same settings for a session with this many flows, whose target answers after `round_trip`, with sizes that keep all of
    /// them within [`EngineConfig::memory_limit`].
    ///
    /// What a flow reads ahead takes up to three times its size while it moves to a larger buffer, what the window holds is held
    /// once, a batch that is written or gathers and its transaction are held at a time, a frame of the relay log up to three times,
    /// and what is kept for it twice. Together that is a third of the flow's share; a sixteenth is for expiries of keys. An eighth of
    /// the whole is for refetched values. A fourth is the largest value that is held whole: once as it arrives, once as the
    /// command that is written.
    pub(crate) fn for_flows(&self, flows: u16, round_trip: Duration) -> Self {
        let share = self.memory_limit / usize::from(flows.max(1));
        let part = |most: usize, divisor: usize| most.min((share / divisor).max(LEAST));
        let mut config = self.clone();
        config.read_ahead = part(self.read_ahead, 64);
        config.window.bytes = part(self.window.bytes, 64);
        config.window = config.window.for_round_trip(round_trip, part(usize::MAX, 32));
        config.relay_frame = part(self.relay_frame, 64);
        config.batch = self.batch.min((share / 256).max(LEAST_BATCH));
        config.gathered = part(self.gathered, 40);
        config.recent = part(2 * config.window.bytes, 32);
        config.parked = part(self.parked, 64);
        config.expiries = self.expiries.min(share / 16 / EXPIRY);
        config.refetch_memory = self.refetch_memory.min(self.memory_limit / 8);
        config.limits.piece = part(self.limits.piece, 128);
        config.limits.string = self.limits.string.min(self.memory_limit / WHOLE_SHARE);
        config.limits.blob = self.limits.blob.min(self.memory_limit / WHOLE_SHARE);
        config
    }
}

/// The error of a snapshot's decoder, of which `unread` has arrived. For a size over a limit, it names the key and the limit of
/// memory that would do.
pub(crate) fn of_snapshot(error: dfly_rdb::Error, unread: &[u8]) -> FlowError {
    let (limit, found) = match error.kind {
        dfly_rdb::ErrorKind::Malformed(FaultKind::OverLimit { found, limit }) => (limit, Some(found)),
        dfly_rdb::ErrorKind::Blob(BlobError::OverLimit { limit })
        | dfly_rdb::ErrorKind::OpenBytes { limit } => (limit as u64, None),
        _ => return error.into(),
    };
    let key = match (&error.key, error.opcode) {
        (None, Some(JOURNAL_BLOB)) if error.in_blob.is_none() => key_in_blob(unread),
        (key, _) => key.as_ref().map(ToString::to_string),
    };
    FlowError::TooLarge { limit, key, memory_limit: found.and_then(limit_for), error: Box::new(error) }
}

/// The same for a journal.
pub(crate) fn of_journal(error: dfly_journal::Error, unread: &[u8]) -> FlowError {
    match error.kind {
        dfly_journal::ErrorKind::Malformed(FaultKind::OverLimit { found, limit }) => FlowError::TooLarge {
            limit,
            key: key_of(&first_words(unread)),
            memory_limit: limit_for(found),
            error: Box::new(error),
        },
        _ => error.into(),
    }
}

/// The limit of memory under which `held` bytes can be held whole, in bytes and a whole number of MiB.
fn limit_for(held: u64) -> Option<u64> {
    let is_possible = held <= Limits::default().string as u64;
    is_possible.then(|| held.saturating_mul(WHOLE_SHARE as u64).div_ceil(MIB) * MIB)
}

/// The key of the first record in a journal blob: behind the opcode stand the number of records and the size of all.
fn key_in_blob(unread: &[u8]) -> Option<String> {
    let (rest, _records) = packed::uint(unread.get(1..)?).ok()?;
    let (records, _size) = packed::uint(rest).ok()?;
    key_of(&first_words(records))
}

fn key_of(words: &[&[u8]]) -> Option<String> {
    let spec = lookup(words.first()?);
    let at = spec.map_or(Some(1), |spec| spec.keys.first())?;
    words.get(at).map(|key| KeyExcerpt::new(key).to_string())
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use dfly_journal::{Decoder, Lsn};
    use dfly_wire::Step;
    use redis_resp::connection::{Endpoint, Peer};

    use super::*;

    fn config(memory_limit: usize) -> EngineConfig {
        let endpoint = |peer| Endpoint::new(peer, "h", 1);
        EngineConfig { memory_limit, ..EngineConfig::new(endpoint(Peer::Source), endpoint(Peer::Target)) }
    }

    /// Whatever the number of flows, what they hold at the same time is within the limit.
    #[test]
    fn flows_together_stay_within_the_limit() {
        let sizes = [(256usize << 20, 1u16), (256 << 20, 8), (256 << 20, 64), (64 << 20, 4), (1 << 30, 2)];
        let far = |flows| [(flows, Duration::ZERO), (flows, Duration::from_secs(1))];
        for (limit, (flows, round_trip)) in
            sizes.into_iter().flat_map(|(limit, flows)| far(flows).map(|far| (limit, far)))
        {
            let config = config(limit).for_flows(flows, round_trip);
            let flow = 3 * config.read_ahead
                + config.window.bytes
                + 2 * config.batch
                + 2 * config.gathered
                + 3 * config.relay_frame
                + 2 * config.recent
                + config.parked
                + EXPIRY * config.expiries
                + config.limits.piece;
            let all = usize::from(flows) * flow + config.refetch_memory + 2 * config.limits.string;
            assert!(all <= limit, "{flows} flows take {all} of {limit}");
        }
    }

    /// C36: a record that is too large is named by its key and by the limit that would do, which then does.
    #[test]
    fn records_that_are_too_large() {
        let size = (8 << 20) + 1;
        let mut wire = BytesMut::from(&b"\x0a\x00\x01\x03"[..]);
        packed::write_uint(size, &mut wire);
        wire.extend_from_slice(b"\x03SET\x03big");
        let tight = config(32 << 20).for_flows(2, Duration::ZERO);
        let decode = |limits: Limits| {
            let mut wire = wire.clone();
            let decoded = Decoder::stream(Lsn(1)).with_limits(limits).decode(&mut wire);
            decoded.map_err(|error| of_journal(error, &wire))
        };
        let error = decode(tight.limits).unwrap_err();
        let FlowError::TooLarge { key, memory_limit, limit, .. } = &error else { panic!("{error}") };
        assert_eq!((key.as_deref(), *memory_limit, *limit), (Some("\"big\""), Some(33 << 20), 8 << 20));
        assert!(
            error.to_string().contains("of key \"big\"") && error.to_string().contains("34603008"),
            "{error}"
        );
        assert!(decode(config(33 << 20).for_flows(2, Duration::ZERO).limits).is_ok());
        let blob = [&[JOURNAL_BLOB, 1, 0x80, 0, 0x80, 0, 9][..], &wire].concat();
        assert_eq!(key_in_blob(&blob).as_deref(), Some("\"big\""));
        assert_eq!(limit_for((1 << 30) + 1), None, "no limit would do");
    }

    /// C36: so is an element of the snapshot.
    #[test]
    fn elements_that_are_too_large() {
        let mut wire = BytesMut::from(&b"REDIS0009\xfe\x00\x01\x04list\x01"[..]);
        packed::write_uint(9 << 20, &mut wire);
        let limits = config(32 << 20).for_flows(2, Duration::ZERO).limits;
        let mut decoder = dfly_rdb::Decoder::new(dfly_rdb::Config { limits, ..Default::default() });
        let error = loop {
            match decoder.decode(&mut wire) {
                Ok(Step::Ready(_)) => {}
                Ok(Step::Need(n)) => panic!("{n} bytes are missing"),
                Err(error) => break of_snapshot(error, &wire),
            }
        };
        let FlowError::TooLarge { key, memory_limit, .. } = &error else { panic!("{error}") };
        assert_eq!((key.as_deref(), *memory_limit), (Some("\"list\""), Some(36 << 20)));
    }

    #[test]
    fn smaller_settings_stay() {
        let mut small = config(1 << 30);
        (small.read_ahead, small.limits.piece, small.window.bytes) = (1000, 100, 10);
        let config = small.for_flows(1, Duration::ZERO);
        assert_eq!((config.read_ahead, config.limits.piece, config.window.bytes), (1000, 100, 10));
        let far = small.for_flows(1, Duration::from_millis(50));
        assert_eq!(far.window.bytes, 10_000_010, "as much as is on its way");
    }
}
