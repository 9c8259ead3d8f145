//! Decodes a DUMP payload, given in hexadecimal: `dump_payload 000568656c6c6f...`. Without an argument, a sorted set.
//! Then it makes the payload that an older server accepts.

#![expect(clippy::print_stdout, reason = "an example prints what it finds")]

use std::error::Error;

use dfly_rdb::payload::{Plan, TargetFormat, parse_dump, write_dump};
use dfly_rdb::{RawValue, TypeId};

fn main() -> Result<(), Box<dyn Error>> {
    let payload = match std::env::args().nth(1) {
        Some(text) => bytes(&text)?,
        None => sample()?,
    };
    let value = parse_dump(payload.into())?;
    println!("{} in the encoding {}", value.kind(), value.type_id().encoding_name());
    for element in value.elements() {
        println!("  {:?}", element?);
    }
    for server in ["redis-6.2", "redis-8.6", "valkey-9.1"] {
        let target: TargetFormat = server.parse()?;
        let mut out = Vec::new();
        match write_dump(&value, &target, &mut out)? {
            Plan::Verbatim => println!("{target}: RESTORE of the same value, {} bytes", out.len()),
            Plan::Reencode => println!("{target}: RESTORE in another encoding, {} bytes", out.len()),
            Plan::Commands => println!("{target}: no payload, write it with commands"),
        }
    }
    Ok(())
}

/// What Redis 7.0 and later answer to DUMP of `ZADD ages 36 ada 41 alan`.
fn sample() -> Result<Vec<u8>, Box<dyn Error>> {
    let listpack = b"\x16\x16\0\0\0\x04\0\x83ada\x04\x24\x01\x84alan\x05\x29\x01\xff";
    let value = RawValue::new(TypeId::SortedSetListpack, listpack.to_vec().into());
    let mut payload = Vec::new();
    write_dump(&value, &"redis-7.0".parse()?, &mut payload)?;
    Ok(payload)
}

fn bytes(text: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let digit = |c: char| c.to_digit(16).ok_or("the payload is not hexadecimal");
    let digits = text.chars().map(digit).collect::<Result<Vec<_>, _>>()?;
    let pair = |pair: &[u32]| match *pair {
        [high, low] => Ok(u8::try_from(high << 4 | low)?),
        _ => Err("the payload has an odd number of digits".into()),
    };
    digits.chunks(2).map(pair).collect()
}
