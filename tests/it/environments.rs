//! Does it work where people run it? Partitions, proxies, endpoints of every kind, identities, and clusters that are not like the others.

mod clusters;
mod identity;
mod partitions;
mod proxy;
