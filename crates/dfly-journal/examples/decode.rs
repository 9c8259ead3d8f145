//! Decodes journal bytes that arrive in small parts, as they do from a socket.

#![expect(clippy::print_stdout, reason = "an example prints what it finds")]

use dfly_journal::bytes::BytesMut;
use dfly_journal::{Decoder, Error, Lsn, Record, Step};

/// SELECT 3; COMMAND `SET foo bar`; COMMAND `INCR n`; PING; LSN 67.
const JOURNAL: &[u8] = b"\x06\x03\
    \x0a\x05\x01\x03\x09\x03SET\x03foo\x03bar\
    \x0a\x06\x01\x02\x05\x04INCR\x01n\
    \x0d\
    \x0f\x40\x43";

fn main() -> Result<(), Error> {
    let mut decoder = Decoder::stream(Lsn(65));
    let mut buffer = BytesMut::new();
    for part in JOURNAL.chunks(5) {
        buffer.extend_from_slice(part);
        while let Step::Ready(record) = decoder.decode(&mut buffer)? {
            print_record(&record);
        }
    }
    println!("the next record is {}", decoder.next_lsn().unwrap_or_default());
    Ok(())
}

fn print_record(record: &Record) {
    match record {
        Record::Command(command) => println!("database {}: {:?}", command.db, command.args),
        Record::Ping => println!("the master asks for an acknowledgement"),
        Record::Exec(txid) => println!("end of transaction {}", txid.0),
    }
}
