//! Are the shipped rules right? promtool runs them, amtool reads the routes, and every name in them is one that the program has.

mod published;
mod tools;
