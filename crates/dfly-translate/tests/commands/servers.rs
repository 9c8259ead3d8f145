//! Real servers for the tests.

use std::path::PathBuf;

use dfly_rdb::Family;
use dfly_rdb::payload::TargetFormat;
use dfly_testkit::{RedisClient, RedisOptions, RedisServer, Reply};
use dfly_translate::{Ability, Target};

pub(crate) struct Server {
    pub server: RedisServer,
    pub target: Target,
}

impl Server {
    pub(crate) fn client(&self) -> RedisClient {
        let mut client = self.server.client().unwrap();
        client.expect(&[b"FLUSHALL"]).unwrap();
        client
    }
}

/// The `redis-server` in `PATH`, and every server in the folder that `DF2REDIS_TARGETS` names.
pub(crate) fn servers() -> Vec<Server> {
    let folder = std::env::var_os("DF2REDIS_TARGETS");
    let mut programs: Vec<PathBuf> = folder
        .into_iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    programs.sort();
    std::iter::once(PathBuf::from("redis-server")).chain(programs).map(start).collect()
}

fn start(program: PathBuf) -> Server {
    let options = RedisOptions { program: program.into(), ..RedisOptions::default() };
    let server = RedisServer::start(options).unwrap();
    let target = measure(&mut server.client().unwrap());
    Server { server, target }
}

/// What the server can do, according to its own replies.
fn measure(client: &mut RedisClient) -> Target {
    let info = client.expect(&[b"INFO", b"server"]).unwrap().text().unwrap();
    let field = |name| info.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    let (family, version) = match field("valkey_version:") {
        Some(version) => (Family::Valkey, version),
        None => (Family::Redis, field("redis_version:").unwrap()),
    };
    let mut parts = version.split('.').map(|part| part.parse().unwrap());
    let plain =
        Target::plain(TargetFormat { family, version: (parts.next().unwrap(), parts.next().unwrap()) });
    let knows = |(ability, command): &(Ability, &str), client: &mut RedisClient| {
        let reply = client.expect(&[b"COMMAND", b"INFO", command.as_bytes()]).unwrap();
        reply.array().is_some_and(|found| found[0] != Reply::Nil).then_some(*ability)
    };
    let modules: Vec<Ability> = Ability::OF_MODULES.iter().filter_map(|each| knows(each, client)).collect();
    modules.into_iter().fold(plain, Target::with)
}

/// A reply as `cases.txt` writes it.
pub(crate) fn shown(reply: &Reply) -> String {
    match reply {
        Reply::Simple(text) => text.clone(),
        Reply::Error(text) => text.clone(),
        Reply::Int(number) => number.to_string(),
        Reply::Bulk(bytes) => format!("\"{}\"", bytes.escape_ascii()),
        Reply::Nil => "nil".to_owned(),
        Reply::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
    }
}
