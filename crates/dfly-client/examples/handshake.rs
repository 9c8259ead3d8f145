//! The whole handshake against the replies of a Dragonfly v1.40 with two shards, without a socket: prints each request
//! and its reply.

#![expect(clippy::print_stdout, reason = "an example prints what it finds")]

use std::error::Error;

use dfly_client::{
    FlowId, FlowRequest, Handshake, Identity, Plan, Progress, Reply, Request, Resume, Session,
};

const REPLICATION_ID: &str = "e7b99accbb75053ea7194ce0101b66ff5d0e7923";

fn main() -> Result<(), Box<dyn Error>> {
    let session = control_connection()?;
    let resume = Resume::Nothing;
    let mut starts = Vec::new();
    for flow in (0..session.flows).map(FlowId) {
        // Each flow has a connection of its own.
        let flow = FlowRequest { session: &session, flow, resume: &resume };
        starts.push(flow.on_reply(&ask(&flow.request()))?);
    }
    match session.plan(&starts)? {
        Plan::Full(plan) => {
            // From here on, every flow must be read: its snapshot arrives.
            let synced = ask(&plan.sync_request());
            let stable = plan.on_sync_reply(&synced)?;
            // To be sent when the snapshots of all flows are complete.
            stable.on_reply(&ask(&stable.request()))?;
        }
        Plan::Partial(_) => println!("the flows continue from their positions"),
    }
    Ok(())
}

fn control_connection() -> Result<Session, Box<dyn Error>> {
    let identity = Identity { login: None, announce_port: 0, replica_id: "f".repeat(40) };
    let mut handshake = Handshake::new(identity);
    loop {
        let reply = ask(&handshake.request());
        match handshake.on_reply(reply)? {
            Progress::Continue(next) => handshake = next,
            Progress::Done(session) => return Ok(session),
        }
    }
}

/// Stands in for a connection to the master.
fn ask(request: &Request) -> Reply {
    let words: Vec<_> = request.iter().map(|word| String::from_utf8_lossy(word)).collect();
    let line = words.join(" ");
    let reply = reply(&line);
    println!("{line}\n  -> {reply:?}");
    reply
}

fn reply(line: &str) -> Reply {
    let simple = |text: &str| Reply::Simple(text.into());
    match line {
        "PING" => simple("PONG"),
        "REPLCONF capa dragonfly" => {
            Reply::Array(vec![simple(REPLICATION_ID), simple("SYNC1"), Reply::Integer(2), Reply::Integer(5)])
        }
        flow if flow.starts_with("DFLY FLOW") => Reply::Array(vec![simple("FULL"), simple(&"c".repeat(40))]),
        _ => simple("OK"),
    }
}
