//! Does anything that others wrote make the program fall, lie, or use more than its share? Real inputs, damaged in their bytes and
//! in their structure. Readers that are not public have the same tests beside them, in modules and tests of this name.

#[path = "../../src/mutation.rs"]
#[allow(dead_code, reason = "shared with the unit tests, and each side uses its part")]
mod mutation;

mod answers;
mod files;
mod pictures;
mod requests;
