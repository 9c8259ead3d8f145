//! TtlIndex as one value in the target, written with a flow's last transaction, so that a session which goes on from there
//! need not look at every key. It is of use at that very position alone.
//!
//! Little-endian: a version, the position's transaction, the time before which nothing was forgotten, the length of a span; then
//! three lists, each with its length: digests by span, digests that are near with their span, digests that were carried.

use std::collections::HashMap;

use dfly_wire::UnixMillis;

use super::{KeyDigest, Keys, Known, TtlIndex, TtlLimits};

/// Version 2: digests are XXH3. Those of version 1 depended on the compiler.
const VERSION: u8 = 2;

/// The largest value that is written, in bytes. Above it the next session looks at the target.
const MOST: usize = 16 << 20;

impl TtlIndex {
    /// What a session needs that goes on behind `transaction`, whose first record was received at `since` or later. `None` if
    /// it is not known what the target holds, or is too much.
    pub(crate) fn store(&self, transaction: u64, since: UnixMillis) -> Option<Vec<u8>> {
        let since = self.since.map_or(since, |kept| UnixMillis(kept.0.min(since.0)));
        let size = 4 * self.held + 16 * (self.ahead.len() + self.near.len()) + 4 * self.carried.len();
        if self.known != Known::All || size > MOST {
            return None;
        }
        let mut out = vec![VERSION];
        out.extend(transaction.to_le_bytes());
        out.extend(since.0.to_le_bytes());
        out.extend(self.span.to_le_bytes());
        out.extend((self.ahead.len() as u64).to_le_bytes());
        for (span, keys) in &self.ahead {
            out.extend(span.to_le_bytes());
            write_keys(keys, &mut out);
        }
        out.extend((self.near.len() as u64).to_le_bytes());
        for (key, span) in &self.near {
            out.extend(key.0.to_le_bytes());
            out.extend(span.to_le_bytes());
        }
        write_keys(&self.carried, &mut out);
        Some(out)
    }

    /// What a session before has stored behind `transaction`; `None` if this is another one, or is damaged.
    pub(crate) fn restore(bytes: &[u8], transaction: u64, limits: TtlLimits) -> Option<Self> {
        let mut input = Input(bytes);
        let mut index = Self::new(limits);
        let fits = input.take::<1>()? == [VERSION] && u64::from_le_bytes(input.take()?) == transaction;
        let since = UnixMillis(i64::from_le_bytes(input.take()?));
        if !fits || i64::from_le_bytes(input.take()?) != index.span {
            return None;
        }
        for _ in 0..u64::from_le_bytes(input.take()?) {
            let span = i64::from_le_bytes(input.take()?);
            let keys = input.keys()?;
            index.held += keys.len();
            index.ahead.insert(span, keys);
        }
        let mut near = HashMap::default();
        for _ in 0..u64::from_le_bytes(input.take()?) {
            near.insert(KeyDigest(u32::from_le_bytes(input.take()?)), i64::from_le_bytes(input.take()?));
        }
        (index.near, index.carried) = (near, input.keys()?);
        index.since = Some(since);
        (input.0.is_empty() && index.held + index.carried.len() <= limits.most).then_some(index)
    }
}

fn write_keys(keys: &Keys, out: &mut Vec<u8>) {
    out.extend((keys.len() as u64).to_le_bytes());
    keys.iter().for_each(|key| out.extend(key.0.to_le_bytes()));
}

/// What is not read yet.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn keys(&mut self) -> Option<Keys> {
        let count = u64::from_le_bytes(self.take()?);
        (0..count).map(|_| Some(KeyDigest(u32::from_le_bytes(self.take()?)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dfly_journal::Lsn;
    use dfly_wire::DbIndex;

    use super::*;

    const SPAN: Duration = Duration::from_secs(60);
    const LIMITS: TtlLimits = TtlLimits { most: 100, span: SPAN };

    fn mark(name: &str) -> KeyDigest {
        KeyDigest::of(DbIndex(0), name.as_bytes())
    }

    fn stored() -> Vec<u8> {
        let mut index = TtlIndex::new(LIMITS);
        index.turn(UnixMillis(0), UnixMillis(1));
        for (key, minute) in [("near", 0), ("a", 5), ("b", 5), ("c", 90)] {
            index.learn(mark(key), UnixMillis(minute * 60_000));
        }
        index.carry(mark("carried"));
        index.store(7, UnixMillis(50)).unwrap()
    }

    #[test]
    fn the_same_behind_the_same_transaction_alone() {
        let bytes = stored();
        let mut index = TtlIndex::restore(&bytes, 7, LIMITS).unwrap();
        assert_eq!(
            TtlIndex::restore(&index.store(8, UnixMillis(60)).unwrap(), 8, LIMITS).unwrap().since,
            Some(UnixMillis(50))
        );
        // A day later the source's records of that time come, and then what it writes now.
        let day = 86_400_000;
        index.turn(UnixMillis(day), UnixMillis(day + 1));
        assert!(["near", "a", "b", "c", "carried"].iter().all(|key| index.is_at_risk(mark(key))));
        assert!(!index.is_at_risk(mark("other")));
        index.complete(Lsn(100));
        index.reach(Lsn(100));
        index.turn(UnixMillis(day + 60_000), UnixMillis(day + 60_001));
        assert!(!["near", "a", "b", "c"].iter().any(|key| index.is_at_risk(mark(key))));
        assert!(TtlIndex::restore(&bytes, 8, LIMITS).is_none());
        assert!(
            TtlIndex::restore(&bytes, 7, TtlLimits { most: 100, span: 2 * SPAN }).is_none()
                && TtlIndex::restore(&bytes, 7, TtlLimits { most: 3, span: SPAN }).is_none()
        );
    }

    #[test]
    fn damage_is_nothing() {
        let bytes = stored();
        assert!(
            (0..bytes.len()).all(|len| TtlIndex::restore(bytes.get(..len).unwrap(), 7, LIMITS).is_none())
        );
        assert!(TtlIndex::restore(&[&bytes[..], &[0]].concat(), 7, LIMITS).is_none());
        let mut huge = bytes;
        huge.get_mut(25..33).unwrap().fill(0xff);
        assert!(TtlIndex::restore(&huge, 7, LIMITS).is_none());
    }

    #[test]
    fn what_is_not_known_is_not_stored() {
        assert!(TtlIndex::unknown(LIMITS).store(1, UnixMillis(0)).is_none());
        let mut full = TtlIndex::new(TtlLimits { most: 0, span: SPAN });
        full.learn(mark("a"), UnixMillis(0));
        assert!(full.store(1, UnixMillis(0)).is_none());
    }
}
