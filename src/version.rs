//! What is this program, and what was it built from?

/// The crate's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit; `BUILD_REVISION` at build time wins over the checkout's.
pub const REVISION: &str = env!("BUILD_REVISION");
/// The compiler.
pub const RUSTC: &str = env!("BUILD_RUSTC");
/// All of it in one line.
pub const LONG: &str = concat!(env!("CARGO_PKG_VERSION"), " (revision ", env!("BUILD_REVISION"), ", ", env!("BUILD_RUSTC"), ")");
