//! What the encoder writes, the decoder reads back, for every split.

use bytes::BytesMut;
use dfly_journal::{Decoder, Lsn, Record, TxId, encode};
use dfly_wire::{DbIndex, Step};
use proptest::prelude::*;

proptest! {
    #[test]
    fn reads_back(
        commands in prop::collection::vec((0u32..20, any::<u64>(), prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..6)), 1..20),
        piece in 1usize..50,
        first in 1u64..1 << 40,
    ) {
        let mut wire = Vec::new();
        for (i, (db, txid, args)) in commands.iter().enumerate() {
            encode::select(DbIndex(*db), &mut wire);
            encode::command(TxId(*txid), &args.iter().map(Vec::as_slice).collect::<Vec<_>>(), &mut wire);
            encode::marker(Lsn(first + i as u64), &mut wire);
        }
        let mut journal = Decoder::stream(Lsn(first));
        let mut src = BytesMut::new();
        let mut seen = Vec::new();
        for part in wire.chunks(piece) {
            src.extend_from_slice(part);
            while let Step::Ready(record) = journal.decode(&mut src).unwrap() {
                let Record::Command(command) = record else { panic!("{record:?}") };
                seen.push((command.db.0, command.txid.0, command.args.iter().map(<[u8]>::to_vec).collect::<Vec<_>>()));
            }
        }
        prop_assert_eq!(&seen, &commands);
        prop_assert_eq!(journal.next_lsn(), Some(Lsn(first + commands.len() as u64)));
    }

    #[test]
    fn garbage_never_panics(bytes: Vec<u8>) {
        let mut src = BytesMut::from(&bytes[..]);
        let mut journal = Decoder::stream(Lsn(1));
        while let Ok(Step::Ready(_)) = journal.decode(&mut src) {}
    }
}
