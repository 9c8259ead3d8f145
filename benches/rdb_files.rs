//! Writes the streams of the benches as files of Redis 7.0, for other programs: `rdb_files FOLDER`.

use std::io;
use std::path::PathBuf;

use df2redis_benches::streams;

fn main() -> io::Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or(io::ErrorKind::InvalidInput)?);
    let strings = streams::entries(0, |key, out| streams::string(&streams::text(key, 100), out));
    for (name, items) in [
        ("strings", strings),
        ("listpack-hashes", streams::listpack_hashes()),
        ("plain-hashes", streams::plain_hashes()),
        ("intsets", streams::intsets()),
        ("quicklists", streams::quicklists()),
        ("big-set", streams::big_set()),
    ] {
        std::fs::write(folder.join(name).with_extension("rdb"), streams::file(&items))?;
    }
    Ok(())
}
