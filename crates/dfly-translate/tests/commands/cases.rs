//! Reads and runs `cases.txt`.

use std::collections::BTreeSet;

use dfly_journal::Command;
use dfly_testkit::RedisClient;
use dfly_translate::{Ability, Effect, Flush, Policy, Rules, Target, specs};
use dfly_wire::UnixMillis;

use crate::journal::{Flow, NOW, payload, record, redis, with_modules};
use crate::servers::{self, Server};

#[derive(Debug)]
enum Step {
    Given(Vec<Vec<u8>>),
    Record { txid: u64, after_ms: i64, words: Vec<Vec<u8>> },
    Sweep(i64),
    Effect(String),
    Asks(Vec<Vec<u8>>, String),
}

#[derive(Debug, Default)]
struct Case {
    line: usize,
    needs: Vec<Ability>,
    steps: Vec<Step>,
    /// All commands, if the case lists them.
    commands: Vec<String>,
}

fn cases() -> Vec<Case> {
    let mut cases = vec![Case::default()];
    for (at, line) in include_str!("cases.txt").lines().enumerate() {
        if line.is_empty() {
            cases.push(Case { line: at + 2, ..Case::default() });
        } else if !line.starts_with('#') {
            read(line, cases.last_mut().unwrap());
        }
    }
    cases.retain(|case| !case.steps.is_empty());
    cases
}

fn read(line: &str, case: &mut Case) {
    let (kind, rest) = line.split_once(' ').unwrap();
    match kind {
        "on" => case.needs = rest.split(' ').map(ability).collect(),
        "given" => case.steps.push(Step::Given(words(rest))),
        ">" => case.steps.push(read_record(rest)),
        "~" => case.steps.push(Step::Sweep(rest.parse().unwrap())),
        "!" => case.steps.push(Step::Effect(rest.to_owned())),
        "=" => case.commands.push(rest.to_owned()),
        "?" => {
            let (asked, reply) = rest.split_once(" => ").unwrap();
            case.steps.push(Step::Asks(words(asked), reply.to_owned()));
        }
        other => panic!("unknown step {other}"),
    }
}

fn read_record(rest: &str) -> Step {
    let (mut txid, mut after_ms, mut rest) = (0, 0, rest);
    while let Some((option, more)) = rest.split_once(' ') {
        match option.split_at(1) {
            ("+", seconds) => after_ms = seconds.parse::<i64>().unwrap() * 1000,
            ("t", id) if id.starts_with('x') => txid = id[1..].parse().unwrap(),
            _ => break,
        }
        rest = more;
    }
    Step::Record { txid, after_ms, words: words(rest) }
}

fn ability(name: &str) -> Ability {
    match name {
        "json" => Ability::Json,
        "bloom" => Ability::Bloom,
        "cuckoo" => Ability::Cuckoo,
        "count-min" => Ability::CountMin,
        "top-k" => Ability::TopK,
        "field-ttl" => Ability::FieldTtl,
        other => panic!("unknown ability {other}"),
    }
}

fn words(text: &str) -> Vec<Vec<u8>> {
    let word = |word: &str| match word {
        "PAYLOAD" => payload(),
        word => word.replace('_', " ").replace(" MCFLAGS", "_MCFLAGS").into_bytes(),
    };
    text.split(' ').map(word).collect()
}

fn shown(effect: Effect, flow: &mut Flow) -> String {
    match effect {
        Effect::Written => "written".into(),
        Effect::Nothing => "nothing".into(),
        Effect::Unselected => "unselected".into(),
        Effect::Lost(loss) => format!("lost:{loss}"),
        Effect::Refetch => format!("refetch:{}", flow.translator.take_refetches()[0].reason),
        Effect::FlushSlots => "flush-slots".into(),
        Effect::Flush(Flush::All) => "flush:all".into(),
        Effect::Flush(Flush::Db(db)) => format!("flush:{db}"),
    }
}

impl Case {
    /// A flow that leaves out what it cannot write, with refetches served.
    fn flow(&self, target: Target) -> Flow {
        Flow::new(target, Rules { refetches: true, ..Rules::from(Policy::Skip) })
    }

    fn fits(&self, target: Target) -> bool {
        let modules = Ability::OF_MODULES.iter().any(|(ability, _)| target.has(*ability));
        let field_ttl = target.has(Ability::FieldTtl);
        let plain = !modules && !field_ttl && target.format.version >= (7, 0);
        if self.needs.is_empty() { plain } else { self.needs.iter().all(|need| target.has(*need)) }
    }

    /// Runs the case. If there is a server, the translated commands are sent to it.
    fn run(&self, target: Target, mut client: Option<&mut RedisClient>) {
        let (mut flow, mut sent, mut effects) = (self.flow(target), 0, Vec::<(String, bool)>::new());
        for step in &self.steps {
            match (step, client.as_deref_mut()) {
                (Step::Record { txid, after_ms, words }, _) => {
                    let effect =
                        flow.apply_at(&as_record(*txid, words), UnixMillis(NOW.0 + after_ms)).unwrap();
                    effects.push((shown(effect, &mut flow), false));
                }
                (Step::Effect(expected), _) => {
                    let (effect, told) = effects.last_mut().unwrap();
                    assert_eq!(effect, expected, "line {}", self.line);
                    *told = true;
                }
                (Step::Sweep(seconds), _) => {
                    let now = UnixMillis(NOW.0 + seconds * 1000);
                    flow.translator.sweep(now, &mut flow.batch);
                }
                (Step::Given(words), Some(client)) => {
                    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
                    client.expect(&words).unwrap();
                }
                (Step::Asks(words, reply), Some(client)) => {
                    sent = send(&flow, sent, client);
                    self.ask(words, reply, client);
                }
                (Step::Given(_) | Step::Asks(..), None) => {}
            }
        }
        for (effect, told) in effects {
            let quiet = told || effect == "written" || effect == "lost:sticky";
            assert!(quiet, "line {}: the effect is {effect}", self.line);
        }
        let (lists, lines) = (!self.commands.is_empty(), flow.lines());
        assert!(!lists || lines == self.commands, "line {}: {lines:#?}", self.line);
    }

    fn ask(&self, words: &[Vec<u8>], expected: &str, client: &mut RedisClient) {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let reply = servers::shown(&client.command(&words).unwrap());
        match expected.strip_prefix('>') {
            Some(least) => assert!(
                reply.parse::<i64>().unwrap() > least.parse::<i64>().unwrap(),
                "line {}: {reply}",
                self.line
            ),
            None => assert_eq!(reply, expected, "line {}: {}", self.line, crate::journal::shown(&words)),
        }
    }
}

fn as_record(txid: u64, words: &[Vec<u8>]) -> Command {
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    record(0, txid, &words)
}

/// Sends the commands from index `from` on; none may be refused. Returns the number of all commands.
fn send(flow: &Flow, from: usize, client: &mut RedisClient) -> usize {
    for index in from..flow.batch.len() {
        let words: Vec<&[u8]> = flow.batch.command(index).unwrap().arguments().collect();
        let reply = client.command(&words).unwrap();
        assert!(reply.error().is_none(), "{}: {reply:?}", crate::journal::shown(&words));
    }
    flow.batch.len()
}

#[test]
fn from_journal_bytes_to_commands() {
    for case in cases() {
        let plain = redis(7, 0);
        let rich = with_modules(redis(7, 4));
        case.run(if case.needs.is_empty() { plain } else { rich }, None);
    }
}

#[test]
fn to_what_a_real_server_holds() {
    let mut run = BTreeSet::new();
    for Server { server, target } in &servers::servers() {
        for case in cases().iter().filter(|case| case.fits(*target)) {
            let mut client = server.client().unwrap();
            client.expect(&[b"FLUSHALL"]).unwrap();
            case.run(*target, Some(&mut client));
            run.insert(case.line);
        }
    }
    let missed: Vec<usize> =
        cases().iter().filter(|case| !run.contains(&case.line)).map(|c| c.line).collect();
    let complete = missed.is_empty() || std::env::var_os("DF2REDIS_TARGETS").is_none();
    assert!(complete, "there is no server for the cases at lines {missed:?}");
    assert!(run.len() > 90, "only {} cases were run", run.len());
}

/// The table and the cases have the same commands.
#[test]
fn every_command_has_a_case() {
    let named = |case: &Case| {
        let names = case.steps.iter().filter_map(|step| match step {
            Step::Record { words, .. } => Some(String::from_utf8(words[0].clone()).unwrap()),
            _ => None,
        });
        names.collect::<Vec<_>>()
    };
    let cases: BTreeSet<String> = cases().iter().flat_map(named).collect();
    let table: BTreeSet<String> = specs().iter().map(|spec| spec.name.to_owned()).collect();
    assert_eq!(cases, table);
}
