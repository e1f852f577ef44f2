//! What time is it? The one place that reads the clock; the pure core gets time as an argument.

use jiff::Timestamp;

/// Now, to the nanosecond.
#[allow(clippy::disallowed_methods, reason = "this is the place the lint sends everybody to")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
