//! Groups connections into sessions: a control connection, then its flows.

use bytes::Bytes;

use super::commands::{Commands, commands_of, is};
use super::flow::{FlowRecording, Timing};
use super::{Connection, Direction, RecordingError};

/// One replication session of the recording.
#[derive(Debug, Clone)]
pub struct SessionRecording {
    /// The control connection's number.
    pub control: usize,
    /// The master's replication id (40 hexadecimal characters).
    pub repl_id: String,
    /// The session's own id, such as `SYNC1`.
    pub sync_id: String,
    /// The master's version number on the wire (protocol section 1.3).
    pub version: u32,
    /// The replication id of the root master, if the master reports it.
    pub lineage_id: Option<String>,
    /// The flows, by flow id.
    pub flows: Vec<FlowRecording>,
}

impl SessionRecording {
    /// Whether the master answered PARTIAL on every flow.
    pub fn is_partial(&self) -> bool {
        self.flows.iter().all(|flow| flow.partial)
    }
}

pub(super) fn group(connections: &[Connection]) -> Result<Vec<SessionRecording>, RecordingError> {
    let mut sessions: Vec<SessionRecording> = Vec::new();
    let mut timing = Timing::default();
    for (k, connection) in connections.iter().enumerate() {
        let protocol = |what: &str| RecordingError::Protocol { connection: k, what: what.to_owned() };
        let commands = commands_of(&connection.c2s).map_err(|what| protocol(&what))?;
        match commands.iter().find(|(_, c)| is(c, &["DFLY", "FLOW"])) {
            None => {
                timing = Timing { start_stable_us: start_stable_us(connection, &commands) };
                sessions.push(
                    control(k, &connection.s2c)
                        .ok_or_else(|| protocol("there is no reply to capa dragonfly"))?,
                );
            }
            Some(_) => {
                let flow = FlowRecording::read(k, connection, (&commands, &timing))?;
                let session = sessions
                    .last_mut()
                    .ok_or_else(|| protocol("the flow comes before any control connection"))?;
                session.flows.push(flow);
            }
        }
    }
    sessions.iter_mut().for_each(|session| session.flows.sort_by_key(|flow| flow.flow));
    Ok(sessions)
}

fn start_stable_us(connection: &Connection, commands: &Commands) -> Option<u64> {
    let (offset, _) = commands.iter().find(|(_, c)| is(c, &["DFLY", "STARTSTABLE"]))?;
    let mut chunks = connection.chunks.iter().filter(|c| c.direction == Direction::ToMaster);
    chunks.find(|c| (c.offset..c.offset + c.len).contains(offset)).map(|c| c.at_us)
}

/// The session that the only multi-element reply of a control connection describes.
fn control(k: usize, s2c: &Bytes) -> Option<SessionRecording> {
    let text = std::str::from_utf8(s2c).ok()?;
    let mut lines = text.split("\r\n").skip_while(|line| !line.starts_with('*'));
    let count: usize = lines.next()?.strip_prefix('*')?.parse().ok()?;
    let mut fields = lines.take(count).map(|line| line.get(1..).unwrap_or_default().to_owned());
    let (repl_id, sync_id) = (fields.next()?, fields.next()?);
    let _flow_count: usize = fields.next()?.parse().ok()?;
    let version = fields.next()?.parse().ok()?;
    Some(SessionRecording {
        control: k,
        repl_id,
        sync_id,
        version,
        lineage_id: fields.next(),
        flows: Vec::new(),
    })
}
