//! The `hellojohn` binary.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A request makes some hundred small allocations, many of which another thread frees.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // One provider for all TLS of the process, before anything can ask for it. It is refused only when one is
    // there already, and nothing ran before this line.
    drop(rustls::crypto::ring::default_provider().install_default());
    hellojohn::cli::main()
}
