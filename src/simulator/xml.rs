//! How is an answer written as XML? Straight into one text: a large world has megabytes of it.

use std::fmt::{self, Display, Write};

/// A text of XML elements.
#[derive(Debug, Default)]
pub(crate) struct Xml {
    text: String,
}

impl Xml {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes) }
    }

    pub(crate) fn open(&mut self, tag: &str) {
        self.text.push('<');
        self.text.push_str(tag);
        self.text.push('>');
    }

    pub(crate) fn close(&mut self, tag: &str) {
        self.text.push_str("</");
        self.text.push_str(tag);
        self.text.push('>');
    }

    /// `<tag>value</tag>`.
    pub(crate) fn leaf(&mut self, tag: &str, value: impl Display) {
        self.open(tag);
        write!(Escaped(&mut self.text), "{value}").expect("writing to a text does not fail");
        self.close(tag);
    }

    /// The same if there is a value.
    pub(crate) fn leaf_if(&mut self, tag: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.leaf(tag, value);
        }
    }

    /// An element around what `inner` writes.
    pub(crate) fn within(&mut self, tag: &str, inner: impl FnOnce(&mut Self)) {
        self.open(tag);
        inner(self);
        self.close(tag);
    }

    /// A list: `<tag><member>…</member>…</tag>`.
    pub(crate) fn list<T>(
        &mut self,
        tag: &str,
        member: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.open(tag);
        for item in items {
            self.open(member);
            write(self, item);
            self.close(member);
        }
        self.close(tag);
    }

    /// Text that is markup already.
    pub(crate) fn raw(&mut self, markup: &str) {
        self.text.push_str(markup);
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(['&', '<', '>', '"']) {
            self.0.push_str(&rest[..at]);
            self.0.push_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                _ => "&quot;",
            });
            rest = &rest[at + 1..];
        }
        self.0.push_str(rest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_markup_is_not() {
        let mut xml = Xml::default();
        xml.list("a", "b", ["x<y", "\"&\""], |xml, text| xml.leaf("c", text));
        assert_eq!(xml.into_text(), "<a><b><c>x&lt;y</c></b><b><c>&quot;&amp;&quot;</c></b></a>");
    }
}
