//! `cargo bench`: see `src/lib.rs`.

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// The host's, and so that of all arms but Node.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    weft_bench::main()
}
