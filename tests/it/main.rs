//! All integration tests: one binary, since linking the SDK is what costs.

mod architecture;
