//! How is text that others wrote shown to a person? Nothing in it may steer a terminal or break a table.

use comfy_table::{ContentArrangement, Table, presets};

/// Text without control characters: on one line, and no command to a terminal.
pub fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// Text for a cell of a Markdown table.
pub fn markdown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in plain(text).chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '#' | '@' | '~' => {
                safe.push('\\');
                safe.push(letter);
            }
            _ => safe.push(letter),
        }
    }
    safe
}

/// A table for a terminal. `width` in columns; `None`: nobody reads it on a screen, so each row is one line.
pub fn table(width: Option<u16>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    match width {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_steers_no_terminal_and_breaks_no_table() {
        assert_eq!(plain("a\u{1b}[31mb\r\nc"), "a [31mb  c");
        assert_eq!(markdown("a|b <i>@all</i> `x`"), "a\\|b &lt;i>\\@all&lt;/i> \\`x\\`");
    }
}
