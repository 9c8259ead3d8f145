//! Prints the slot and the route of a command: `route MSET a 1 b 2`. Without arguments, of a few commands.

#![expect(clippy::print_stdout, reason = "an example prints what it finds")]

use redis_slots::{KeySpec, Route, Slot, SlotOwners};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if !args.is_empty() {
        return print_route(&args);
    }
    for line in ["SET user:1 Ada", "DEL {user:1}.a {user:1}.b", "MSET a 1 b 2", "FLUSHALL"] {
        print_route(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
    }
}

fn print_route(args: &[String]) {
    println!("{}", args.join(" "));
    let spec = key_spec(args.first().map_or("", String::as_str));
    for key in spec.keys(args) {
        println!("  key {}: slot {}", key.escape_ascii(), Slot::of(key).0);
    }
    match spec.route(args) {
        Route::Anywhere => println!("  no key: any node"),
        Route::Slot(slot) => println!("  {}", owners().owner(slot).unwrap_or(&"nobody owns the slot")),
        Route::CrossSlot => println!("  keys of several slots: no node accepts it"),
    }
}

/// The positions of keys, as `COMMAND INFO` of a server gives them, for a few commands.
fn key_spec(name: &str) -> KeySpec {
    match name.to_ascii_uppercase().as_str() {
        "FLUSHALL" | "PING" => KeySpec::NONE,
        "DEL" | "UNLINK" | "EXISTS" | "MGET" => KeySpec::ALL,
        "MSET" => KeySpec::range(1, -1, 2),
        "RENAME" => KeySpec::FIRST_TWO,
        "LMPOP" | "ZMPOP" => KeySpec::counted(1),
        _ => KeySpec::FIRST,
    }
}

/// A cluster of two primaries.
fn owners() -> SlotOwners<&'static str> {
    [(0..=8191, "10.0.0.1:7001"), (8192..=16383, "10.0.0.2:7001")].into_iter().collect()
}
