//! A part of the keys, chosen by the digests of their names, and what it says about all of them.

use std::str::FromStr;

use dfly_replica::TargetKey;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A share of the keys. The same keys are chosen on both sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// The share, above 0 and up to 1.
    pub share: f64,
    /// Which keys are chosen: another seed chooses others.
    pub seed: u64,
}

/// Half of the digests there are.
const HALF: f64 = 9_223_372_036_854_775_808.0;

impl Sample {
    /// Whether the key belongs to it.
    pub fn takes(&self, key: &TargetKey) -> bool {
        let digest = xxh3_64_with_seed(&key.name, self.seed ^ u64::from(key.db.0));
        // 53 bits are enough for any share that can be written.
        let [high, low] = [digest >> 32, digest & 0xffff_ffff].map(|half| u32::try_from(half).unwrap_or(0));
        (f64::from(high) * 4_294_967_296.0 + f64::from(low)) / (2.0 * HALF) < self.share
    }
}

impl FromStr for Sample {
    type Err = String;

    /// `1%`, `0.5%` or `0.01`. The seed is 0.
    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = match text.strip_suffix('%') {
            Some(number) => (number, 100.0),
            None => (text, 1.0),
        };
        let share = number.trim().parse::<f64>().map(|number| number / unit);
        match share {
            Ok(share) if share > 0.0 && share <= 1.0 => Ok(Self { share, seed: 0 }),
            _ => Err(format!("\"{text}\" is not a share of the keys; write 1% or 0.01")),
        }
    }
}

/// How many of all keys differ at the most, with a confidence of 95 %, if `differ` of `compared` do that were chosen by chance.
pub fn at_most(differ: u64, compared: u64, all: u64) -> u64 {
    if compared == 0 {
        return all;
    }
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if chance_of_at_most(differ, compared, middle) > 0.05 { low = middle } else { high = middle }
    }
    let bound = (high * float(all)).ceil();
    // The text of a whole number has no fraction.
    format!("{bound:.0}").parse::<u64>().unwrap_or(all).clamp(differ.min(all), all)
}

/// The chance that at most `differ` of `compared` keys are found to differ if each does with this chance: the binomial
/// distribution.
fn chance_of_at_most(differ: u64, compared: u64, chance: f64) -> f64 {
    if chance <= 0.0 || differ >= compared {
        return 1.0;
    }
    if chance >= 1.0 {
        return 0.0;
    }
    let count = float(compared);
    // The logarithm of the first term, so that small chances of many keys do not vanish.
    let mut term = count * (-chance).ln_1p();
    let (step, mut sum) = ((chance / (1.0 - chance)).ln(), term.exp());
    for nth in 1..=differ {
        let nth = float(nth);
        term += ((count - nth + 1.0) / nth).ln() + step;
        sum += term.exp();
    }
    sum.min(1.0)
}

/// Exact up to 2^52, and the closest number beyond.
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use dfly_wire::DbIndex;

    use super::*;

    #[test]
    fn shares() {
        assert_eq!("1%".parse::<Sample>().unwrap().share, 0.01);
        assert_eq!("0.5".parse::<Sample>().unwrap().share, 0.5);
        for text in ["", "0", "0%", "101%", "x%", "-1"] {
            assert!(text.parse::<Sample>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_of_the_keys_is_taken() {
        for (share, expected) in [(0.01, 1_000), (0.5, 50_000), (1.0, 100_000)] {
            let sample = Sample { share, seed: 7 };
            let key = |nth: u32| TargetKey::new(DbIndex(0), format!("key:{nth}"));
            let taken = (0..100_000).filter(|nth| sample.takes(&key(*nth))).count();
            assert!(taken.abs_diff(expected) <= expected / 10, "{share}: {taken}");
        }
    }

    /// The rule of three: of 3,000 keys none differs, so with 95 % confidence fewer than 1 in 1,000 does.
    #[test]
    fn bounds() {
        let none = at_most(0, 3_000, 1_000_000);
        assert!((990..=1_000).contains(&none), "{none}");
        // Clopper and Pearson, one-sided: 10 of 1,000 give 1.69 %.
        let some = at_most(10, 1_000, 1_000_000);
        assert!((16_500..=17_200).contains(&some), "{some}");
        assert_eq!((at_most(0, 0, 50), at_most(5, 5, 50)), (50, 50));
    }
}
