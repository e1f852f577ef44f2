//! Does the status page tell the truth, to everybody, and safely? As text, and in a real browser.

mod accessible;
mod browser;
mod html;
mod large;
mod numbers;
mod safe;
mod stage;
mod truth;
mod urls;
