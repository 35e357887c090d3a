//! `cargo bench`: see `src/lib.rs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    weft_bench::main()
}
