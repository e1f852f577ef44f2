//! The simulator as its clients see it: the real SDKs against the endpoints, and the world against itself.

mod clients;
mod faults;
mod kubernetes;
mod queries;
mod world;
