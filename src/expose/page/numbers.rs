//! How is a number said? With the series it is the value of, so that it can be looked up, graphed and compared.

use std::fmt::Write as _;

use maud::{Markup, html};

/// The value of one series. `labels` may be fewer than the series has where these already name it.
pub(crate) fn measured(value: f64, family: &str, labels: &[(&str, &str)]) -> Markup {
    html! { data value=(value) data-series=(series(family, labels)) { (said(value)) } }
}

/// A sum over series. `of` says over which, in the same notation.
pub(crate) fn summed(value: u64, of: &str, labels: &[(&str, &str)]) -> Markup {
    html! { data value=(value) data-sum=(series(of, labels)) { (said(value as f64)) } }
}

/// A number as a person writes it: whole where it is whole, thousands apart.
pub(crate) fn said(value: f64) -> String {
    if value != value.trunc() {
        return format!("{value:.2}");
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = if value < 0.0 { "-".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && digits.len() > 4 {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A series as PromQL writes it, without the prefix that all have.
fn series(family: &str, labels: &[(&str, &str)]) -> String {
    let mut text = family.to_owned();
    if !labels.is_empty() {
        text.push('{');
        for (at, (name, value)) in labels.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(text, "{comma}{name}={value:?}").expect("writing to a String cannot fail");
        }
        text.push('}');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_whole_where_they_are_and_easy_to_read() {
        for (value, text) in [
            (0.0, "0"),
            (60.0, "60"),
            (1000.0, "1000"),
            (30_000.0, "30\u{202f}000"),
            (-12_345.0, "-12\u{202f}345"),
            (0.5, "0.50"),
        ] {
            assert_eq!(said(value), text);
        }
    }

    #[test]
    fn a_number_names_its_series() {
        let text = measured(5.0, "subnet_ip_addresses", &[("subnet_id", "subnet-\"1")]).into_string();
        assert_eq!(text, r#"<data value="5" data-series="subnet_ip_addresses{subnet_id=&quot;subnet-\&quot;1&quot;}">5</data>"#);
    }
}
