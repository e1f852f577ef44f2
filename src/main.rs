//! eks-nlb-exporter.

fn main() {}
