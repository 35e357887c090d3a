//! The `weft` command.

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// Requests are taken in on one thread, fanned out on others and answered on a third: the allocator of the system takes locks for what
/// one thread frees for another, and was a fifth of a page's time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    weft::cli::main()
}
