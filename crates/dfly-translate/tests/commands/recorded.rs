//! The facts about the commands for values of recorded snapshots, whole and in pieces.

use bytes::BytesMut;
use dfly_rdb::{Config, Decoder, Event};
use dfly_testkit::Recording;
use dfly_translate::{Form, Output, Policy, Rules, Selection, Target, TranslateError, Translator};
use dfly_wire::Step;
use redis_resp::CommandBatch;

use crate::facts;
use crate::journal::{NOW, redis, with_modules};

/// All snapshots of the recordings, as events. Larger values come in pieces of `piece` bytes.
fn snapshots(piece: usize) -> Vec<Vec<Event>> {
    let mut config = Config::default();
    config.limits.piece = piece;
    let names = Recording::bundled_names().unwrap();
    let recordings = names.iter().map(|name| Recording::bundled(name).unwrap());
    let sessions = recordings.flat_map(|recording| recording.sessions);
    let flows = sessions.flat_map(|session| session.flows).filter(|flow| !flow.partial);
    flows.map(|flow| events(&flow.stream, config)).collect()
}

fn events(stream: &[u8], config: Config) -> Vec<Event> {
    let (mut decoder, mut src) = (Decoder::new(config), BytesMut::from(stream));
    let mut events = Vec::new();
    while !decoder.is_finished()
        && let Step::Ready(event) = decoder.decode(&mut src).unwrap()
    {
        events.push(event);
    }
    events
}

fn write(translator: &mut Translator, event: &Event, out: &mut Output<'_>) -> Result<(), TranslateError> {
    match event {
        Event::Entry(entry) => translator.entry(entry, out),
        Event::Open { id, header, type_id } => translator.open((*id, *type_id), header, out),
        Event::Piece { id, piece } => translator.piece(*id, piece, out),
        Event::Close { id } => translator.close(*id, out),
        _ => return Ok(()),
    }
    .map(drop)
}

/// Checks each command for the values, and returns how many there are.
fn checked(target: Target, form: Form, snapshots: &[Vec<Event>]) -> usize {
    let mut count = 0;
    for events in snapshots {
        let dbs = (1..16).map(|db| format!("{db}=skip")).collect::<Vec<_>>().join(",");
        let dbs = if target.is_cluster() { dbs.parse().unwrap() } else { Default::default() };
        let rules =
            Rules { selection: Selection { dbs, ..Selection::default() }, ..Rules::from(Policy::Skip) };
        let mut translator = Translator::new(target, rules).with_form(form);
        let mut commands = CommandBatch::default();
        for event in events {
            write(&mut translator, event, &mut Output { commands: &mut commands, now: NOW }).unwrap();
        }
        facts::check(&commands, target.is_cluster());
        count += commands.len();
    }
    count
}

#[test]
fn values_of_every_type() {
    for (piece, least) in [(1 << 20, 300), (16, 1000)] {
        let snapshots = snapshots(piece);
        for form in [Form::Cheapest, Form::Restore, Form::Commands] {
            for target in [redis(6, 2), redis(7, 4), with_modules(redis(7, 4)), redis(7, 0).in_cluster()] {
                let count = checked(target, form, &snapshots);
                assert!(count > least, "only {count} commands for {form:?} in pieces of {piece}");
            }
        }
    }
}
