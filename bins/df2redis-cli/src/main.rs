//! The command line of df2redis.

fn main() -> std::process::ExitCode {
    df2redis_cli::main()
}
