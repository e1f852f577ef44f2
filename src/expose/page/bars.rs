//! How is a number drawn beside its limit? As SVG of attributes only: the page's policy allows no style on elements.

use maud::{Markup, html};

/// The colour of a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// Soon no longer.
    Warning,
    /// No longer.
    Critical,
}

impl Tone {
    /// The class of the style sheet.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Width of the drawing; it is stretched to its place.
const WIDTH: f64 = 200.0;

/// A bar filled to a share of its width, with marks at others. Numbers are said in text beside it, so it is hidden from
/// those who are read to.
fn bar(filled: f64, tone: Tone, marks: &[f64]) -> Markup {
    let at = |share: f64| format!("{:.1}", share.clamp(0.0, 1.0) * WIDTH);
    html! {
        svg class="bar" viewBox="0 0 200 9" preserveAspectRatio="none" aria-hidden="true" focusable="false" {
            rect class="ground" width="200" height="9" {}
            rect class=(tone.class()) width=(at(filled)) height="9" {}
            @for mark in marks { rect class="mark" x=(at(*mark)) width="1.2" height="9" {} }
        }
    }
}

/// How much of a limit is used.
pub(crate) fn used(used: f64, limit: f64, tone: Tone) -> Markup {
    bar(if limit > 0.0 { used / limit } else { 1.0 }, tone, &[])
}

/// How many are free of how many there can be, with a line at what is needed. The scale doubles from step to step: on an even
/// one the line of 8 would lie on the edge of every subnet that is not tiny.
pub(crate) fn free(free: f64, total: f64, needed: f64, tone: Tone) -> Markup {
    let scale = (1.0 + total.max(needed)).log2();
    let at = |number: f64| (1.0 + number.max(0.0)).log2() / scale;
    bar(at(free), tone, &[at(needed)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_never_leaves_its_frame_and_has_no_style_of_its_own() {
        for drawn in [used(70.0, 60.0, Tone::Critical), used(1.0, 0.0, Tone::Good), free(-3.0, 0.0, 8.0, Tone::Good)] {
            let text = drawn.into_string();
            assert!(!text.contains("style") && !text.contains("NaN") && !text.contains("inf"), "{text}");
        }
        assert!(used(30.0, 60.0, Tone::Good).into_string().contains("width=\"100.0\""));
        assert!(used(70.0, 60.0, Tone::Good).into_string().contains("class=\"good\" width=\"200.0\""));
    }

    #[test]
    fn fewer_free_addresses_than_the_line_end_before_it() {
        let ends = |text: &str, class: &str, attribute: &str| -> f64 {
            let rest =
                text.split_once(&format!("class=\"{class}\"")).unwrap().1.split_once(&format!(" {attribute}=\"")).unwrap().1;
            rest.split('"').next().unwrap().parse().unwrap()
        };
        for (number, before) in [(0.0, true), (7.0, true), (9.0, false), (251.0, false)] {
            let text = free(number, 251.0, 8.0, Tone::Good).into_string();
            assert_eq!(ends(&text, "good", "width") < ends(&text, "mark", "x"), before, "{text}");
        }
    }
}
