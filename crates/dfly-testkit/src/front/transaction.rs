//! `WATCH`, `MULTI` and `EXEC` of a connection, for clients that read in a transaction.

use bytes::Bytes;

use super::origin::Origin;
use super::state::{Outcome, State, Transaction, Watched};

impl<O: Origin> State<O> {
    /// Carries out what belongs to a transaction. `None`: the command is to be carried out by itself.
    pub(super) fn in_transaction(
        &mut self,
        connection: usize,
        name: &[u8],
        command: &[Bytes],
    ) -> Option<Outcome> {
        let log = self.connections.get_mut(connection)?;
        match (name, &mut log.transaction.queued) {
            (b"WATCH", None) => {
                let db = log.db;
                for key in command.iter().skip(1) {
                    let held = self.stored(db, key);
                    self.connections.get_mut(connection)?.transaction.watched.push(Watched {
                        db,
                        key: key.clone(),
                        held,
                    });
                }
                Some(Outcome::ok())
            }
            (b"MULTI", queued @ None) => {
                *queued = Some(Vec::new());
                Some(Outcome::ok())
            }
            (b"EXEC", Some(_)) => {
                let transaction = std::mem::take(&mut log.transaction);
                Some(self.exec(connection, transaction))
            }
            (_, Some(queued)) => {
                queued.push(command.to_vec());
                Some(Outcome::Reply(b"+QUEUED\r\n".to_vec()))
            }
            _ => None,
        }
    }

    fn exec(&mut self, connection: usize, transaction: Transaction) -> Outcome {
        let is_unchanged = |watched: &Watched| self.stored(watched.db, &watched.key) == watched.held;
        if !transaction.watched.iter().all(is_unchanged) {
            return Outcome::Reply(b"*-1\r\n".to_vec());
        }
        let queued = transaction.queued.unwrap_or_default();
        let mut reply = format!("*{}\r\n", queued.len()).into_bytes();
        for command in queued {
            match self.handle(connection, &command) {
                Outcome::Reply(bytes) => reply.extend(bytes),
                _ => {
                    return Outcome::error("EXECABORT only what is answered at once can be in a transaction");
                }
            }
        }
        Outcome::Reply(reply)
    }
}
