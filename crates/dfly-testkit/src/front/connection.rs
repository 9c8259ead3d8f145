//! One TCP connection. It receives commands, and may then become a flow.

use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::Shared;
use super::command::parse_command;
use super::origin::Origin;
use super::state::{Ended, Outcome, Phase, State};

/// Which flow a connection became. Another connection may have replaced it since.
#[derive(Debug, Clone, Copy)]
struct FlowAt {
    session: usize,
    flow: usize,
    connection: usize,
}

impl FlowAt {
    fn pair(self) -> (usize, usize) {
        (self.session, self.flow)
    }
}

/// Serves one connection to its end.
pub(super) async fn serve<O: Origin>(socket: TcpStream, shared: Arc<Shared<O>>) {
    let connection = shared.lock().connect();
    // A connection that failed counts as closed.
    let _ended: std::io::Result<()> = run(socket, &shared, connection).await;
    shared.lock().disconnected(connection);
    shared.changed();
}

async fn run<O: Origin>(socket: TcpStream, shared: &Shared<O>, connection: usize) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let (mut read, mut write) = socket.into_split();
    let mut buffer = BytesMut::new();
    loop {
        let command = match parse_command(&mut buffer) {
            Ok(command) => command,
            Err(what) => {
                shared.lock().violation(what);
                return Ok(());
            }
        };
        let Some(command) = command else {
            tokio::select! {
                n = read.read_buf(&mut buffer) => if n? == 0 { return Ok(()) },
                () = shared.until(|state| state.closed_controls().contains(&connection).then_some(())) => {
                    return close(&mut write, &mut read).await;
                }
            }
            continue;
        };
        let outcome = shared.lock().handle(connection, &command);
        shared.changed();
        match outcome {
            Outcome::Reply(bytes) => write.write_all(&bytes).await?,
            Outcome::Silent => {}
            Outcome::Crash => return Ok(()),
            Outcome::StartStable { session } => {
                let reply = start_stable(shared, session).await;
                write.write_all(reply).await?;
            }
            Outcome::Flow { reply, session, flow } => {
                write.write_all(&reply).await?;
                let at = FlowAt { session, flow, connection };
                return run_flow(shared, (read, write, buffer), at).await;
            }
        }
    }
}

/// Shuts down the sending side and reads until the client closes. An unread byte would turn the close into a reset, which
/// could discard bytes that the client has not read yet.
async fn close(write: &mut OwnedWriteHalf, read: &mut OwnedReadHalf) -> std::io::Result<()> {
    write.shutdown().await?;
    let mut sink = [0; 1024];
    while read.read(&mut sink).await? > 0 {}
    Ok(())
}

async fn start_stable<O: Origin>(shared: &Shared<O>, session: usize) -> &'static [u8] {
    const GONE: &[u8] = b"-ERR syncid not found\r\n";
    if !shared.until(|state| settled(state.first_parts_sent(session))).await {
        return GONE;
    }
    shared.lock().go_stable(session);
    shared.changed();
    match shared.until(|state| settled(state.tokens_sent(session))).await {
        true => b"+OK\r\n",
        false => GONE,
    }
}

/// `Some(true)` if it is done, `Some(false)` if it never will be, `None` if it is not done yet.
fn settled(done: Option<bool>) -> Option<bool> {
    match done {
        Some(false) => None,
        Some(true) => Some(true),
        None => Some(false),
    }
}

async fn run_flow<O: Origin>(
    shared: &Shared<O>,
    (mut read, mut write, mut buffer): (OwnedReadHalf, OwnedWriteHalf, BytesMut),
    at: FlowAt,
) -> std::io::Result<()> {
    let (inject, mut injected) = tokio::sync::mpsc::channel(16);
    let reader = async {
        loop {
            match parse_command(&mut buffer) {
                Ok(Some(command)) => {
                    let inserted = shared.lock().on_flow(at.pair(), &command);
                    shared.changed();
                    if let Some(bytes) = inserted
                        && inject.send(bytes).await.is_err()
                    {
                        return Ok(());
                    }
                }
                Ok(None) if read.read_buf(&mut buffer).await? == 0 => return Ok(()),
                Ok(None) => {}
                Err(what) => {
                    shared.lock().violation(what);
                    return Ok(());
                }
            }
        }
    };
    let writer = async {
        loop {
            tokio::select! {
                biased;
                Some(bytes) = injected.recv() => write.write_all(&bytes).await?,
                step = shared.until(|state| next(state, at)) => match step {
                    Step::Write(piece) => write_piece(shared, &mut write, (piece, at)).await?,
                    Step::Close => {
                        // A cut has just ended the session, so its other connections must be woken.
                        shared.changed();
                        return write.shutdown().await;
                    }
                },
            }
        }
    };
    tokio::select! {
        ended = reader => ended,
        Err(failed) = writer => Err(failed),
    }
}

enum Step {
    Write(Vec<u8>),
    Close,
}

/// What a flow's writer does next. `None` if it waits.
fn next<O: Origin>(state: &mut State<O>, at: FlowAt) -> Option<Step> {
    if state.sessions.get(at.session)?.ended.is_some() {
        return Some(Step::Close);
    }
    let cut = state.options.cut.filter(|cut| (cut.session, cut.flow) == at.pair()).map(|cut| cut.offset);
    let limit = limit(state, at)?;
    let flow = state.flow_mut(at.session, at.flow).filter(|flow| flow.connection == at.connection)?;
    if cut.is_some_and(|offset| flow.stream.written >= offset && limit >= offset) {
        state.end(at.session, Ended::ByMaster);
        return Some(Step::Close);
    }
    flow.stream.take(limit.min(cut.unwrap_or(usize::MAX))).map(Step::Write)
}

/// How many bytes of the stream may be sent in the session's phase. `None` before SYNC.
fn limit<O: Origin>(state: &State<O>, at: FlowAt) -> Option<usize> {
    let held = state.options.hold.filter(|hold| (hold.session, hold.flow) == at.pair() && !state.released);
    let flow = state.flow(at.session, at.flow)?;
    let stream = &flow.stream;
    match state.sessions.get(at.session)?.phase {
        Phase::Preparation => None,
        Phase::FullSync => Some(stream.first_len.saturating_sub(held.map_or(0, |hold| hold.bytes))),
        Phase::Stable if state.options.paced => Some(stream.paced_end(flow.acks.last().copied())),
        Phase::Stable => Some(usize::MAX),
    }
}

async fn write_piece<O: Origin>(
    shared: &Shared<O>,
    write: &mut OwnedWriteHalf,
    (piece, at): (Vec<u8>, FlowAt),
) -> std::io::Result<()> {
    let size = shared.lock().options.split.unwrap_or(piece.len()).max(1);
    for part in piece.chunks(size) {
        write.write_all(part).await?;
        write.flush().await?;
    }
    if let Some(flow) = shared.lock().flow_mut(at.session, at.flow) {
        flow.stream.written += piece.len();
    }
    shared.changed();
    Ok(())
}
