//! What a writer does when its connection works again: what the server has carried out is settled, the rest is sent again.

use std::collections::BTreeSet;
use std::io;
use std::time::Instant;

use dfly_translate::{CommandFacts, CommandKind};
use redis_resp::EncodedCommand;
use redis_resp::connection::Connection;
use redis_sink::SinkError;
use tracing::info;

use super::reconnect::{Found, Incarnation, Regained};
use super::writer::{Link, Sent, StandaloneWriter};
use crate::checkpoint::Position;
use crate::error::{Error, FlowError};
use crate::keys::TargetKey;
use crate::target::writer::TargetEvent;

impl StandaloneWriter {
    /// The connection works again: what the server has carried out is settled, the rest sent again (P4).
    pub(super) fn on_regained(&mut self, outcome: Result<Regained, Error>, now: Instant) {
        let Regained { connection, found } = match outcome {
            Ok(regained) => regained,
            Err(error) => {
                self.link = Link::Up(now);
                self.events.push_back(TargetEvent::Failed(FlowError::Target(Box::new(error))));
                return;
            }
        };
        self.link = Link::Up(now);
        match found {
            Found::Position(Some(position)) if self.is_known(position) => {
                self.breaks.on_position(position);
                let is_done = |sent: &Sent| sent.position().is_some_and(|at| at <= position);
                let unheard = unheard_keys(self.pipeline.unheard(is_done));
                if !unheard.is_empty() {
                    self.events.push_back(TargetEvent::Reordered(unheard));
                }
                self.pipeline.resume(connection, is_done);
                self.events.push_back(TargetEvent::Resumed);
            }
            Found::Snapshot(incarnation) => self.resume_snapshot(connection, incarnation),
            Found::Position(_) | Found::Unknown => {
                self.events.push_back(TargetEvent::Lost(FlowError::TargetForgot));
            }
        }
    }

    /// Whether the server can have come to this position. Another flow may have carried out the flush that this one waits at.
    fn is_known(&self, position: Position) -> bool {
        self.durable == Some(position)
            || self.awaited == Some(position)
            || self.pipeline.tags().any(|sent| sent.position() == Some(position))
    }

    /// Commands of the snapshot that were not answered are sent again, for they replace what is there. With one among them
    /// that does not, it is not known whether it was carried out, and the synchronisation has to begin anew.
    fn resume_snapshot(&mut self, connection: Connection, incarnation: Incarnation) {
        let repeats = |command: EncodedCommand<'_>| {
            let facts = CommandFacts::of(command);
            facts.idempotent || facts.kind == CommandKind::Control
        };
        if let Some(other) = self.pipeline.in_flight().find(|command| !repeats(*command)) {
            let reason = format!("the connection broke, and {} cannot be sent twice", other.name());
            let broken = SinkError::Broken(io::Error::other(reason));
            self.events.push_back(TargetEvent::Lost(broken.into()));
            return;
        }
        info!(
            flow = self.flow.0,
            "the target is back; what it has not answered of the snapshot is sent again"
        );
        self.pipeline.resume(connection, |_| false);
        self.incarnation = Some(incarnation);
        self.events.push_back(TargetEvent::Resumed);
    }
}

/// The keys of commands that were carried out, or refused, which nobody has heard.
fn unheard_keys<'a>(commands: impl Iterator<Item = EncodedCommand<'a>>) -> Vec<TargetKey> {
    commands.flat_map(TargetKey::of_command).collect::<BTreeSet<_>>().into_iter().collect()
}
