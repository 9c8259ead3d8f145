//! The committed seeds: every target has some, they are small, and what must hold holds for each.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::TARGETS;

/// The whole corpus, in bytes.
const LARGEST: usize = 1 << 20;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn names(folder: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).collect()
}

#[test]
fn every_target_has_a_function_and_seeds() {
    let stated: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let files = names(&folder("fuzz_targets"));
    assert_eq!(files, stated.iter().map(|name| format!("{name}.rs")).collect());
    assert_eq!(names(&folder("corpus")), stated);
}

#[test]
fn what_must_hold_holds_for_every_seed() {
    let mut size = 0;
    for (target, check) in TARGETS {
        let seeds = names(&folder("corpus").join(target));
        assert!(seeds.len() >= 3, "{target} has {} seeds", seeds.len());
        for seed in seeds {
            let bytes = fs::read(folder("corpus").join(target).join(&seed)).unwrap();
            size += bytes.len();
            check(&bytes);
        }
    }
    assert!(size <= LARGEST, "{size} bytes");
}

/// Bytes changed and cut in every seed: a short run of what the fuzzer does, for every test run.
#[test]
fn what_must_hold_holds_for_damaged_seeds() {
    let mut state = 1_u64;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % limit.max(1)
    };
    for (target, check) in TARGETS {
        for seed in names(&folder("corpus").join(target)) {
            let bytes = fs::read(folder("corpus").join(target).join(&seed)).unwrap();
            for _ in 0..20 {
                let mut damaged = bytes.clone();
                for _ in 0..=below(3) {
                    if let Some(byte) = damaged.get_mut(below(bytes.len())) {
                        *byte = u8::try_from(below(256)).unwrap();
                    }
                }
                damaged.truncate(below(2 * bytes.len()));
                check(&damaged);
            }
        }
    }
}
