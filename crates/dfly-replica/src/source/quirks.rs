//! What a release of the source is known to get wrong (`docs/source-quirks.md` in the repository). Pure.

use dfly_client::Release;
use dfly_translate::ZAddBeyond;

/// What the source makes of GT and LT of ZADD in large sets: dragonfly#8089, seen on v1.40.1 and mended by dragonfly#8091, which
/// v1.41 is the first to have. Releases before v1.40 were not tried.
pub(crate) fn zadd_beyond(release: &str) -> ZAddBeyond {
    match Release::from_info(release) {
        Some(Release { major: 1, minor: 40, .. }) => ZAddBeyond::Ignored,
        Some(Release { major: 1, minor: 41.., .. } | Release { major: 2.., .. }) => ZAddBeyond::Obeyed,
        Some(_) | None => ZAddBeyond::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_release() {
        for (release, expected) in [
            ("df-v1.40.1", ZAddBeyond::Ignored),
            ("df-v1.41.0", ZAddBeyond::Obeyed),
            ("df-v2.0.0", ZAddBeyond::Obeyed),
            ("df-v1.39.0", ZAddBeyond::Unknown),
            ("df-dev-0000000", ZAddBeyond::Unknown),
            ("", ZAddBeyond::Unknown),
        ] {
            assert_eq!(zadd_beyond(release), expected, "{release}");
        }
    }
}
