//! The readers over sources of bytes: the events of the decoder, and three kinds of errors.

use std::io::{self, Read};

use dfly_rdb::{Config, ErrorKind, Event, ReadError, Reader};

use crate::driver::decode_whole;
use crate::inputs;

/// Gives `size` bytes at a time, and fails once at `fails_at`.
struct Trickle<'a> {
    rest: &'a [u8],
    size: usize,
    fails_at: Option<usize>,
}

impl Read for Trickle<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut size = self.size;
        if let Some(at) = &mut self.fails_at {
            if *at == 0 {
                self.fails_at = None;
                return Err(io::ErrorKind::WouldBlock.into());
            }
            size = size.min(*at);
            *at -= size.min(self.rest.len());
        }
        let (part, rest) = self.rest.split_at(size.min(self.rest.len()).min(out.len()));
        out[..part.len()].copy_from_slice(part);
        self.rest = rest;
        Ok(part.len())
    }
}

fn all<R: Read>(reader: &mut Reader<R>) -> Result<Vec<Event>, ReadError> {
    let mut events = Vec::new();
    while let Some(event) = reader.next_event()? {
        events.push(event);
    }
    Ok(events)
}

fn files() -> impl Iterator<Item = Vec<u8>> {
    inputs::folders(&inputs::snapshots()).into_iter().flat_map(|folder| inputs::files(&folder))
}

#[test]
fn a_reader_gives_the_events_of_the_decoder() {
    for file in files() {
        let (stated, behind) = decode_whole(&file, Config::default()).unwrap();
        for size in [11, 1460, usize::MAX] {
            let source = Trickle { rest: &file, size, fails_at: None };
            let mut reader = Reader::new(source, Config::default());
            assert!(all(&mut reader).unwrap() == stated);
            assert!(reader.next_event().unwrap().is_none(), "the end is the end");
            let (source, buffer) = reader.into_parts();
            assert_eq!([&buffer[..], source.rest].concat(), behind);
        }
    }
}

#[test]
fn a_cut_file_names_where_it_ends() {
    let mut file = files().next().unwrap();
    let behind = decode_whole(&file, Config::default()).unwrap().1.len();
    file.truncate(file.len() - behind);
    for cut in (0..file.len() - 8).step_by(997).chain([file.len() - 1]) {
        let mut reader = Reader::new(&file[..cut], Config::default());
        for _ in 0..2 {
            let Err(error) = all(&mut reader) else { panic!("no error at {cut}") };
            let ReadError::Truncated { offset, missing } = error else { panic!("{error}") };
            assert_eq!(offset, cut as u64);
            assert!(missing > 0 && missing <= file.len() - cut);
        }
    }
}

#[test]
fn a_failed_read_is_no_end_and_loses_nothing() {
    let file = files().next().unwrap();
    let stated = decode_whole(&file, Config::default()).unwrap().0;
    for at in [0, 5, 9, 100, file.len() / 2] {
        let mut reader =
            Reader::new(Trickle { rest: &file, size: 600, fails_at: Some(at) }, Config::default());
        let mut events = Vec::new();
        let mut failures = 0;
        loop {
            match reader.next_event() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(ReadError::Io { offset, source }) => {
                    assert_eq!((offset, source.kind()), (at as u64, io::ErrorKind::WouldBlock));
                    failures += 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(failures, 1);
        assert!(events == stated);
    }
}

#[test]
fn bytes_that_are_no_stream_are_an_error_of_the_decoder() {
    let mut reader = Reader::new(&b"{\"a\": 1}\n"[..], Config::default());
    for _ in 0..2 {
        let error = reader.next_event().unwrap_err();
        assert!(matches!(&error, ReadError::Decode(error) if error.kind == ErrorKind::Magic), "{error}");
    }
}

/// A length that nothing follows: what is kept is what came.
#[test]
fn a_hostile_length_reserves_nothing() {
    let hostile = b"REDIS0012\x00\x01k\x80\x3f\xff\xff\xffabc";
    let mut reader = Reader::new(&hostile[..], Config::default());
    let error = all(&mut reader).unwrap_err();
    assert_eq!(error.to_string(), "the stream is cut off at byte 20, 65533 or more bytes are missing");
    assert!(reader.into_parts().1.capacity() <= 128 << 10);
}

#[cfg(feature = "tokio")]
mod with_tokio {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use dfly_rdb::AsyncReader;
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf, duplex};

    use super::*;

    async fn check(file: Vec<u8>, size: usize) {
        let stated = decode_whole(&file, Config::default()).unwrap().0;
        let (mut write, read) = duplex(size);
        let sent = file.clone();
        let writer = tokio::spawn(async move { write.write_all(&sent).await });
        let mut reader = AsyncReader::new(read, Config::default());
        let mut events = Vec::new();
        while let Some(event) = reader.next_event().await.unwrap() {
            events.push(event);
        }
        assert!(events == stated);
        drop(reader.into_parts());
        // What stands behind the end may find nobody to read it.
        let _sent = writer.await.unwrap().is_ok();
    }

    #[tokio::test]
    async fn an_async_reader_gives_the_events_of_the_decoder() {
        for file in files() {
            for size in [7, 1460, 1 << 20] {
                check(file.clone(), size).await;
            }
        }
    }

    #[tokio::test]
    async fn a_cut_file_names_where_it_ends() {
        let file = files().next().unwrap();
        let mut reader = AsyncReader::new(&file[..1000], Config::default());
        let error = loop {
            if let Err(error) = reader.next_event().await {
                break error;
            }
        };
        assert!(matches!(error, ReadError::Truncated { offset: 1000, .. }), "{error}");
    }

    #[tokio::test]
    async fn a_failed_read_is_no_end() {
        let file = files().next().unwrap();
        let source = AsyncReadExt::chain(&file[..500], Failing);
        let mut reader = AsyncReader::new(source, Config::default());
        let error = loop {
            if let Err(error) = reader.next_event().await {
                break error;
            }
        };
        assert!(matches!(error, ReadError::Io { offset: 500, .. }), "{error}");
    }

    struct Failing;

    impl AsyncRead for Failing {
        fn poll_read(
            self: Pin<&mut Self>,
            _context: &mut Context<'_>,
            _out: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
        }
    }
}
