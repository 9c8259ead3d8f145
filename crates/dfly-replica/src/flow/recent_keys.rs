//! The keys that got a record last, while somebody wants to know: before a cutover they are compared.

use std::collections::{HashSet, VecDeque};

use crate::keys::{RecordKeys, SourceKey};

/// How many keys are remembered.
const MOST: usize = 2048;

/// The last keys of one flow.
#[derive(Debug, Default)]
pub(crate) struct RecentKeys {
    keys: HashSet<SourceKey>,
    order: VecDeque<SourceKey>,
}

impl RecentKeys {
    /// A record of these keys is applied.
    pub(crate) fn see(&mut self, record: &RecordKeys<'_>) {
        for key in record.all() {
            if self.keys.insert(key.clone()) {
                self.order.push_back(key.clone());
            }
            if self.order.len() > MOST
                && let Some(oldest) = self.order.pop_front()
            {
                self.keys.remove(&oldest);
            }
        }
    }

    /// Those that are remembered.
    pub(crate) fn all(&self) -> Vec<SourceKey> {
        self.order.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use dfly_journal::{Args, Command, TxId};
    use dfly_wire::DbIndex;

    use super::*;

    #[test]
    fn the_last_keys_once_each() {
        let mut recent = RecentKeys::default();
        for n in 0..5000 {
            let name = format!("k{}", n % 3000);
            let command = Command { db: DbIndex(0), txid: TxId(0), args: Args::of(&["SET", &name, "v"]) };
            recent.see(&RecordKeys::of(&command));
        }
        let all = recent.all();
        assert_eq!((all.len(), recent.keys.len()), (MOST, MOST));
        assert_eq!(all.last(), Some(&SourceKey::new(DbIndex(0), "k1999")));
    }
}
