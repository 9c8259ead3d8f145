//! One connection to its end.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::answers::Talk;
use super::{Log, Shared};
use crate::resp::{Command, take};

/// How much is read at a time, in bytes.
const ROOM: usize = 64 << 10;

pub(super) async fn accept(listener: TcpListener, node: usize, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                connections.spawn(serve(accepted.unwrap().0, node, Arc::clone(&shared)));
            }
            Some(ended) = connections.join_next() => ended.unwrap(),
        }
    }
}

async fn serve(socket: TcpStream, node: usize, shared: Arc<Shared>) {
    let connection = {
        let mut state = shared.lock();
        state.logs.push(Log {
            node,
            commands: Vec::new(),
            is_open: true,
            is_writer: false,
            closes_behind: None,
        });
        state.logs.len() - 1
    };
    // A connection that failed is a closed one.
    let _ended: std::io::Result<()> = run(socket, &shared, Talk::new(node, connection)).await;
    if let Some(log) = shared.lock().logs.get_mut(connection) {
        log.is_open = false;
    }
    shared.changed();
}

async fn run(mut socket: TcpStream, shared: &Shared, mut talk: Talk) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut orders = shared.orders.subscribe();
    let (mut buffer, mut waiting) = (BytesMut::with_capacity(ROOM), VecDeque::new());
    loop {
        orders.borrow_and_update();
        note(shared, &mut buffer, (talk.connection, &mut waiting));
        let Some(answers) = carry_out(shared, &mut talk, &mut waiting) else { return Ok(()) };
        socket.write_all(&answers).await?;
        buffer.reserve(ROOM);
        tokio::select! {
            read = socket.read_buf(&mut buffer) => if read? == 0 { return Ok(()) },
            _changed = orders.changed() => {}
        }
    }
}

/// Writes down what has come.
fn note(shared: &Shared, buffer: &mut BytesMut, (connection, waiting): (usize, &mut VecDeque<Command>)) {
    let mut has_any = false;
    while let Some(command) = take(buffer) {
        let mut state = shared.lock();
        let number = state.received;
        state.received += 1;
        state.log(connection).is_writer |= command[0] == "WATCH" || command[0] == "MULTI";
        state.log(connection).commands.push((number, command.clone()));
        waiting.push_back(command);
        has_any = true;
    }
    if has_any {
        shared.changed();
    }
}

/// Carries out what may be, and gives the answers; none: the connection is to be closed.
fn carry_out(shared: &Shared, talk: &mut Talk, waiting: &mut VecDeque<Command>) -> Option<Vec<u8>> {
    let mut state = shared.lock();
    if let Some(mut transactions) = state.log(talk.connection).closes_behind {
        while transactions > 0
            && let Some(command) = waiting.pop_front()
        {
            transactions -= usize::from(command[0] == "EXEC");
            talk.answer(&mut state, &command);
        }
        return None;
    }
    if state.is_held && state.log(talk.connection).is_writer {
        return Some(Vec::new());
    }
    Some(waiting.drain(..).flat_map(|command| talk.answer(&mut state, &command)).collect())
}
