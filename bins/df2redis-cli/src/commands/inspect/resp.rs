//! `inspect resp`: writes commands that rebuild the data.

use dfly_rdb::Event;
use dfly_translate::{Effect, Form, Loss, Output, Policies, Rules, Target, TranslateError, Translator};
use dfly_wire::UnixMillis;
use redis_resp::CommandBatch;

use super::Session;
use super::flags::{Format, RespFlags};
use super::losses::LeftOut;
use super::out::{Out, read_all};
use super::select::Select;
use super::time;
use crate::exit::{Failure, with_hint};
use crate::hints::of_translation;

pub(super) fn run(flags: &RespFlags, session: &Session<'_>) -> Result<(), Failure> {
    let (mut select, mut out) = (Select::new(&flags.select)?, Out::new());
    let form = if flags.restore { Form::Restore } else { Form::Commands };
    // Nothing runs afterwards that could remove members when they are due.
    let policies = Policies::of(flags.on_unsupported).with(Loss::MemberTtl, flags.on_unsupported);
    let rules = Rules { policies, ..Rules::default() };
    let mut translator = Translator::new(Target::plain(flags.target_version), rules).with_form(form);
    let mut left_out = LeftOut::new(flags.on_unsupported, session.console);
    let (mut commands, now) = (CommandBatch::default(), UnixMillis(time::now()));
    let read = read_all(&flags.files, session, true, |event, _| {
        if !select.takes(&event) {
            return Ok(());
        }
        beside_keys(&event, &mut left_out)?;
        if let Event::Function(source) = &event {
            let written = translator.function(source, &mut Output { commands: &mut commands, now });
            return if written { write(&mut commands, session, &mut out) } else { left_out.function(source) };
        }
        translate(&mut translator, &event, &mut Output { commands: &mut commands, now }).map_err(failure)?;
        left_out.translated(&translator.take_losses(), &event)?;
        write(&mut commands, session, &mut out)
    });
    left_out.report();
    // The output before a failure consists of whole commands, and it is already on its way.
    let written = out.finish();
    read.map(|_parts| ()).and(written)
}

fn translate(
    translator: &mut Translator,
    event: &Event,
    out: &mut Output<'_>,
) -> Result<Effect, TranslateError> {
    match event {
        Event::Entry(entry) => translator.entry(entry, out),
        Event::Open { id, header, type_id } => translator.open((*id, *type_id), header, out),
        Event::Piece { id, piece } => translator.piece(*id, piece, out),
        Event::Close { id } => translator.close(*id, out),
        _ => Ok(Effect::Nothing),
    }
}

/// Reports data outside the keys that a Redis without modules cannot hold.
pub(super) fn beside_keys(event: &Event, left_out: &mut LeftOut<'_>) -> Result<(), Failure> {
    match event {
        Event::Aux { key, value } if key == "search-index" || key == "search-synonyms" => {
            let name = value.split(|byte| *byte == b' ').next().unwrap_or_default();
            left_out.beside_keys(Loss::Search, &format!("the search index {}", super::out::shown(name)))
        }
        Event::ModuleAux(aux) => left_out.beside_keys(
            Loss::Module,
            &format!("the data that the module of {} keeps outside the keys", aux.module),
        ),
        _ => Ok(()),
    }
}

fn failure(error: TranslateError) -> Failure {
    match error {
        error @ TranslateError::Unsupported { .. } => {
            Failure::Unsupported(with_hint(&error, of_translation(&error)))
        }
        error => Failure::Other(error.into()),
    }
}

fn write(commands: &mut CommandBatch, session: &Session<'_>, out: &mut Out) -> Result<(), Failure> {
    match session.format {
        Format::Text => {
            let taken = commands.take();
            out.bytes(taken.wire())?;
            if let Some(spare) = taken.into_spare() {
                commands.recycle(spare);
            }
            Ok(())
        }
        Format::Json => {
            for command in commands.iter() {
                let words: Vec<String> = command.arguments().map(|word| session.form.text(word)).collect();
                out.json(&words)?;
            }
            commands.truncate(0);
            Ok(())
        }
    }
}
