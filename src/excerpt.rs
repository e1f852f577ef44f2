//! How much of somebody else's text is repeated in a complaint? Enough to recognise it.

/// Characters of a key, a value or a line, which may be of any length.
const LONGEST: usize = 200;

/// The text, or its beginning with the sign that it goes on.
pub(crate) fn excerpt(text: &str) -> String {
    cut(text, LONGEST)
}

/// The same for a sentence that repeats such a text, of so many characters.
pub(crate) fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_two_letters_and_a_short_one_is_whole() {
        assert_eq!(excerpt("eu-west-1"), "eu-west-1");
        let whole = "ä".repeat(LONGEST);
        assert_eq!(excerpt(&whole), whole);
        assert_eq!(excerpt(&"ä".repeat(10_000)), format!("{whole}…"));
    }
}
