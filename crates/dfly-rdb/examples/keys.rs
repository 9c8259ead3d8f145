//! Prints the keys of an RDB file or a Dragonfly `.dfs` file: `keys dump.rdb`. Without a file, those of a small one in
//! memory.

#![expect(clippy::print_stdout, reason = "an example prints what it finds")]

use std::error::Error;
use std::fs::File;
use std::io::Read;

use dfly_rdb::payload::TargetFormat;
use dfly_rdb::write::RdbWriter;
use dfly_rdb::{Config, Entry, Event, KeyHeader, RawValue, Reader, TypeId, UnixMillis};

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args_os().nth(1) {
        Some(path) => print_keys(File::open(path)?),
        None => print_keys(&sample()?[..]),
    }
}

fn print_keys(source: impl Read) -> Result<(), Box<dyn Error>> {
    let mut reader = Reader::new(source, Config::default());
    while let Some(event) = reader.next_event()? {
        match event {
            Event::Entry(entry) => print_entry(&entry)?,
            // A value larger than `Limits::piece` arrives in pieces.
            Event::Open { header, type_id, .. } => {
                println!("{}: {} (in pieces)", header.key.escape_ascii(), type_id.kind());
            }
            _ => {}
        }
    }
    Ok(())
}

fn print_entry(entry: &Entry) -> Result<(), Box<dyn Error>> {
    let Entry { header, value } = entry;
    let expiry = header.expire_at.map_or(String::new(), |at| format!(", expires at {at} ms"));
    println!("{}: {} in database {}{expiry}", header.key.escape_ascii(), value.kind(), header.db);
    for element in value.elements() {
        println!("  {:?}", element?);
    }
    Ok(())
}

/// A file of Redis 7.0 with a string and a hash.
fn sample() -> Result<Vec<u8>, Box<dyn Error>> {
    let mut writer = RdbWriter::new("redis-7.0".parse::<TargetFormat>()?);
    let mut file = Vec::new();
    writer.start(&mut file);
    let greeting = KeyHeader { key: "greeting".into(), ..KeyHeader::default() };
    writer.entry(&greeting, &RawValue::new(TypeId::String, "\x05hello".into()), &mut file)?;
    let expire_at = Some(UnixMillis::from_seconds(4_102_444_800));
    let user = KeyHeader { key: "user:1".into(), expire_at, ..KeyHeader::default() };
    writer.entry(&user, &RawValue::new(TypeId::Hash, "\x01\x04name\x03Ada".into()), &mut file)?;
    writer.finish(&mut file);
    Ok(file)
}
