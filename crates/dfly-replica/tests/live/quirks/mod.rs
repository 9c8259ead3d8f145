//! Every write command of a live master in its many forms, on the master and on Dragonfly's own replica: each form is
//! faithful, or one of the quirks of `docs/source-quirks.md`, and is what the table says.

mod form;
mod ours;
mod pair;
mod state;
mod table;
mod tape;

use std::collections::BTreeSet;

use dfly_testkit::RedisClient;

use self::form::Form;
use self::pair::Pair;
use self::table::{FAMILIES, LATER};
use self::tape::Recorded;
use crate::source::binary;

/// Long enough for what expires in a second, by a server that counts whole seconds.
const UNTIL_EXPIRED: &str = "BLPOP nobody 2.2";

#[test]
fn what_three_shards_journal() {
    let Some(binary) = binary("what_three_shards_journal") else { return };
    check(&mut Pair::start(&binary, 3), 3);
}

#[test]
fn what_one_shard_journals() {
    let Some(binary) = binary("what_one_shard_journals") else { return };
    check(&mut Pair::start(&binary, 1), 1);
}

fn check(pair: &mut Pair, shards: usize) {
    covers(&mut pair.client);
    let mut wrong = Vec::new();
    for form in FAMILIES.iter().copied().flatten() {
        pair.form = form.text;
        pair.run("FLUSHALL");
        form.setup().into_iter().for_each(|line| pair.run(line));
        pair.settle();
        form.action().into_iter().for_each(|line| pair.run(line));
        pair.join();
        let journal = pair.settle();
        let (master, replica) = pair.states();
        let differences = master.differences(&replica, &|_| form.drifts());
        let differences: Vec<String> = differences.into_iter().map(|(_, text)| text).collect();
        wrong.extend(verdict(form, shards, (&differences, &journal)));
    }
    wrong.extend(check_later(pair, shards));
    assert!(wrong.is_empty(), "{} with {shards} shards:\n{}", wrong.len(), wrong.join("\n"));
}

/// Forms that need time to pass: each has a database of its own, so that all wait together.
fn check_later(pair: &mut Pair, shards: usize) -> Vec<String> {
    pair.form = "those that need time";
    let within = |pair: &mut Pair, db: u32, lines: Vec<&str>| {
        pair.client.select(db).unwrap();
        lines.into_iter().for_each(|line| pair.run(line));
    };
    pair.run("FLUSHALL");
    (0..).zip(LATER).for_each(|(db, form)| within(pair, db, form.setup()));
    pair.settle();
    pair.run(UNTIL_EXPIRED);
    (0..).zip(LATER).for_each(|(db, form)| within(pair, db, form.action()));
    pair.run("SELECT 0");
    let journal = pair.settle();
    let (master, replica) = pair.states();
    let drifts = |db: u32| LATER[usize::try_from(db).unwrap()].drifts();
    let differences = master.differences(&replica, &drifts);
    let one = |(db, form): (u32, &Form)| {
        let found = differences.iter().filter(|(at, _)| *at == db).map(|(_, text)| text.clone());
        let journal: Vec<Recorded> = journal.iter().filter(|record| record.db == db).cloned().collect();
        verdict(form, shards, (&found.collect::<Vec<_>>(), &journal))
    };
    (0..).zip(LATER).filter_map(one).collect()
}

/// What is not as the table has it.
fn verdict(form: &Form, shards: usize, (found, journal): (&[String], &[Recorded])) -> Option<String> {
    let mut journal: Vec<&str> = journal.iter().map(|record| record.text.as_str()).collect();
    journal.sort_unstable();
    let says = |what: &str| Some(format!("{what}: {}\n    journal {journal:?}\n    {found:?}", form.text));
    match form.sign(shards) {
        None if found.is_empty() => None,
        None => says("not faithful"),
        Some(sign) if found.is_empty() => says(&format!("no longer {}", sign.name)),
        // The records in the table are those of three shards.
        Some(_) if shards == 1 => None,
        Some(sign) => (!as_expected(sign.journal, &journal)).then(|| says("another journal"))?,
    }
}

fn as_expected(expected: &str, journal: &[&str]) -> bool {
    let mut expected: Vec<&str> = expected.split(" ; ").filter(|record| !record.is_empty()).collect();
    expected.sort_unstable();
    let fits = |(expected, found): (&&str, &&str)| match expected.strip_suffix('*') {
        Some(head) => found.starts_with(head),
        None => expected == found,
    };
    expected.len() == journal.len() && expected.iter().zip(journal).all(fits)
}

/// Every write command of the server's own list has a form.
fn covers(client: &mut RedisClient) {
    let forms = FAMILIES.iter().copied().flatten().chain(LATER);
    let covered: BTreeSet<String> = forms.flat_map(Form::commands).collect();
    let listed = writes(client);
    assert!(listed.len() > 100, "{listed:?}");
    let missing: Vec<&String> = listed.difference(&covered).collect();
    assert!(missing.is_empty(), "no form for {missing:?}");
}

fn writes(client: &mut RedisClient) -> BTreeSet<String> {
    let reply = client.expect(&[b"COMMAND"]).unwrap();
    let name = |command: &dfly_testkit::Reply| {
        let fields = command.array().unwrap();
        let flags = fields[2].array().unwrap().iter().filter_map(dfly_testkit::Reply::text);
        flags.into_iter().any(|flag| flag == "write").then(|| fields[0].text().unwrap().to_uppercase())
    };
    reply.array().unwrap().iter().filter_map(name).collect()
}
