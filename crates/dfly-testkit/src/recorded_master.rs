//! Serves a recorded session over TCP, as the master served it.

use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::front::{
    FirstPart, FlowAsk, FlowGrant, Front, Identity, MasterOptions, Origin, PartialForm, Refusal, SecondPart,
    State,
};
use crate::journal_walk::Mark;
use crate::recording::{FlowRecording, Recording, SessionRecording};

/// A master that answers as the recorded one did. The client's n-th session gets the recording's n-th session, and each
/// flow carries the recorded bytes. The master records what the client acknowledges and where it violates the protocol.
///
/// It lives in the tokio runtime that started it and ends when it is dropped.
#[derive(Debug)]
pub struct RecordedMaster {
    front: Front<RecordedOrigin>,
    recording: Arc<Recording>,
    closer: JoinHandle<()>,
}

impl RecordedMaster {
    /// Starts to listen on a free port of 127.0.0.1. If several masters serve one recording, share it in an `Arc`.
    ///
    /// # Errors
    /// No port is available.
    pub async fn start(
        recording: impl Into<Arc<Recording>>,
        mut options: MasterOptions,
    ) -> std::io::Result<Self> {
        let recording = recording.into();
        if options.password.is_none() {
            options.password = recording.password().map(str::to_owned);
        }
        let repeat = options.repeat;
        let origin = RecordedOrigin { recording: Arc::clone(&recording), repeat, served: Vec::new() };
        let front = Front::start(origin, options).await?;
        let shared = Arc::clone(&front.shared);
        let closer = tokio::spawn(async move { shared.end_sessions().await });
        Ok(Self { front, recording, closer })
    }

    /// The recording that it serves.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// Waits until every byte of every recorded session has been sent, and each flow's last ACK has reached its final LSN.
    pub async fn finished(&self) {
        let recorded = self.recording.sessions.len();
        let all = |state: &mut State<RecordedOrigin>| {
            let served: Vec<usize> = state.origin.served.clone();
            let done = |wanted| (0..).zip(&served).any(|(k, s)| *s == wanted && Front::is_complete(state, k));
            (0..recorded).all(done).then_some(())
        };
        self.front.shared.until(all).await;
    }
}

observations!(RecordedMaster);

impl Drop for RecordedMaster {
    fn drop(&mut self) {
        self.closer.abort();
    }
}

/// Serves a recording's bytes.
pub(crate) struct RecordedOrigin {
    recording: Arc<Recording>,
    repeat: bool,
    /// The recorded session that each of the client's sessions gets.
    served: Vec<usize>,
}

impl RecordedOrigin {
    fn session(&self, session: usize) -> Option<&SessionRecording> {
        self.recording.sessions.get(*self.served.get(session)?)
    }

    fn flow_of(&self, session: usize, flow: usize) -> Option<&FlowRecording> {
        self.session(session)?.flows.get(flow)
    }
}

impl Origin for RecordedOrigin {
    fn identity(&self) -> Identity {
        let last = self.served.last().copied().unwrap_or(0);
        let session = self.recording.sessions.get(last);
        let repl_id = session.map(|session| session.repl_id.clone()).unwrap_or_default();
        Identity {
            lineage_id: session
                .and_then(|session| session.lineage_id.clone())
                .unwrap_or_else(|| repl_id.clone()),
            repl_id,
            version: session.map_or(0, |session| session.version),
            shards: session.map_or(0, |session| session.flows.len()),
            release: self.recording.meta.dragonfly_version.first().cloned().unwrap_or_default(),
            partial_form: PartialForm::StartStable,
        }
    }

    fn open(&mut self, session: usize, complete: bool) -> Result<(), Refusal> {
        let next = match self.served.last() {
            None => 0,
            Some(last) if self.repeat && !complete => *last,
            Some(last) => last + 1,
        };
        if next >= self.recording.sessions.len() {
            let violation = Some(format!("session {session} was not recorded"));
            return Err(Refusal { reply: "ERR no more sessions are recorded", violation });
        }
        self.served.push(next);
        Ok(())
    }

    fn flow(&mut self, ask: &FlowAsk) -> Result<FlowGrant, Refusal> {
        let Some(flow) = self.flow_of(ask.session, ask.flow) else {
            return Err(Refusal { reply: "ERR syncid not found", violation: None });
        };
        if flow.partial && ask.lsn != flow.lsn {
            let (at, asked, recorded) = (ask.flow, ask.lsn, flow.lsn);
            let violation = Some(format!(
                "flow {at} was recorded from LSN {recorded:?}, but the request names {asked:?}"
            ));
            return Err(Refusal { reply: "ERR only the recorded LSN can be served", violation });
        }
        Ok(FlowGrant { partial: flow.partial, token: flow.token.clone() })
    }

    fn first(&mut self, session: usize, flow: usize) -> Option<FirstPart> {
        let flow = self.flow_of(session, flow)?;
        Some(FirstPart { bytes: flow.first().to_vec(), fullsync_end: flow.fullsync_end })
    }

    fn second(&mut self, session: usize, flow: usize) -> Option<SecondPart> {
        self.flow_of(session, flow).map(second_part)
    }

    fn lsns(&self) -> Vec<u64> {
        let last = self.served.last().copied().unwrap_or(0);
        let flows =
            self.recording.sessions.get(last).map(|session| session.flows.as_slice()).unwrap_or_default();
        flows.iter().map(|flow| flow.final_lsn).collect()
    }

    /// The recording does not have values in the form in which a client reads them. It only says whether a key existed at
    /// the end.
    fn read(&self, db: u32, key: &[u8]) -> Result<Option<(Vec<u8>, i64)>, &'static str> {
        let there = self.recording.expected().iter().any(|row| row.db == db && row.key == key);
        if there { Err("ERR this master's values are not recorded") } else { Ok(None) }
    }

    fn ends_by_itself(&self, session: usize) -> bool {
        self.served.get(session).is_some_and(|served| served + 1 < self.recording.sessions.len())
    }
}

fn second_part(flow: &FlowRecording) -> SecondPart {
    // A partial flow has no first part, whatever the timestamps of the recording say.
    let base = if flow.partial { 0 } else { flow.first_len };
    SecondPart {
        bytes: flow.stream.get(base..).unwrap_or_default().to_vec(),
        token_end: flow.token_end.saturating_sub(base),
        start_lsn: flow.start_lsn,
        marks: flow.marks.iter().map(|mark| Mark { end: mark.end - base, ..*mark }).collect(),
    }
}
