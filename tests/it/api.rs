//! Is the JSON API true, whole and as it is described? Pictures of many worlds, healthy and broken, served and read over HTTP.

mod audit;
mod cost;
mod described;
mod documented;
mod numbers;
mod refusals;
mod stage;
