//! Stage 4, tell once: what the command line prints, and the file in which a picture is kept.

pub mod findings;
pub mod ignore;
pub mod plan;
pub mod redact;
pub mod sarif;
pub mod snapshot;
pub mod text;
pub mod verdict;
