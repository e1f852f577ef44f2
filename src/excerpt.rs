//! How much of somebody else's text is repeated in a complaint? Enough to recognise it, on one line.

/// Characters of a key, a value or a line, which may be of any length.
const LONGEST: usize = 200;

/// The text, or its beginning with the sign that it goes on; a line break and other control characters become spaces.
pub(crate) fn excerpt(text: &str) -> String {
    cut(text, LONGEST)
}

/// The same for a sentence that repeats such a text, of so many characters.
pub(crate) fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => one_line(&text[..end]) + "…",
        None => one_line(text),
    }
}

fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_two_letters_and_a_short_one_is_whole() {
        assert_eq!(excerpt("eu-west-1"), "eu-west-1");
        assert_eq!(excerpt("a\r\n\u{1b}[31mb"), "a   [31mb");
        let whole = "ä".repeat(LONGEST);
        assert_eq!(excerpt(&whole), whole);
        assert_eq!(excerpt(&"ä".repeat(10_000)), format!("{whole}…"));
    }
}
