//! What does a reader ask for by URL? The API's filters, and the page of a list instead of a limit and an offset.

use std::fmt;

use crate::checks::model::Severity;
use crate::expose::view::query::{Parameter, Query, QueryError};

/// Rows of a list on a page of its own.
pub(crate) const ROWS_PER_PAGE: usize = 50;

/// What the URL asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// What is left out.
    pub(crate) filter: Query,
    /// The page of a list, from 1.
    pub(crate) page: Option<usize>,
}

/// The filters of every page: a reader who goes from one list to another keeps them.
const FILTERS: &[Parameter] = &[Parameter::Namespace, Parameter::Severity, Parameter::Code];

/// What the URL asks for makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AskedError {
    /// A filter.
    #[error(transparent)]
    Filter(#[from] QueryError),
    /// Two numbers of a page.
    #[error("the parameter page is given twice")]
    Twice,
    /// The number of a page.
    #[error("the parameter page is {0:?}: it is a whole number from 1 on")]
    Page(String),
    /// A page of a page without lists to go through.
    #[error("the parameter page is {0:?}: this page is whole, and its lists go on under Findings, Services, Subnets and so on")]
    Whole(String),
}

impl Asked {
    /// Reads the decoded parameters.
    pub(crate) fn read(parameters: &[(String, String)]) -> Result<Self, AskedError> {
        let (pages, filters): (Vec<_>, Vec<_>) = parameters.iter().partition(|(name, _)| name == "page");
        let filters = filters.into_iter().map(|(name, value)| (&**name, &**value));
        let filter = Query::read(filters, FILTERS)?;
        if pages.len() > 1 {
            return Err(AskedError::Twice);
        }
        let mut page = None;
        for (_, value) in pages.into_iter().filter(|(_, value)| !value.is_empty()) {
            match value.parse() {
                Ok(number) if number > 0 => page = Some(number),
                _ => return Err(AskedError::Page(value.chars().take(60).collect())),
            }
        }
        Ok(Self { filter, page })
    }

    /// Refuses a page number, for pages that have no list to go through.
    pub(crate) fn whole(self) -> Result<Self, AskedError> {
        match self.page {
            None | Some(1) => Ok(Self { page: None, ..self }),
            Some(page) => Err(AskedError::Whole(page.to_string())),
        }
    }

    /// Whether something is left out.
    pub(crate) fn filters(&self) -> bool {
        self.filter != Query::default()
    }

    /// As the end of a link to this page of a list.
    pub(crate) fn link(&self, page: usize) -> String {
        let mut parts = Vec::new();
        if let Some(namespace) = &self.filter.namespace {
            parts.push(format!("namespace={}", Segment(namespace)));
        }
        if let Some(severity) = self.filter.severity {
            parts.push(format!("severity={}", severity.as_str()));
        }
        if let Some(code) = self.filter.code {
            parts.push(format!("code={code}"));
        }
        if page > 1 {
            parts.push(format!("page={page}"));
        }
        if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
    }

    /// What is left out, in words; nothing where nothing is.
    pub(crate) fn said(&self) -> Option<String> {
        let severity = self.filter.severity.map(Severity::as_str);
        let said = [("namespace", self.filter.namespace.as_deref()), ("severity", severity), ("code", self.filter.code)];
        let said: Vec<_> = said.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value?))).collect();
        (!said.is_empty()).then(|| said.join(", "))
    }
}

/// A part of a list: what is shown of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// The page, from 1.
    pub(crate) page: usize,
    /// Pages there are, at least 1.
    pub(crate) pages: usize,
    /// The first row's place, from 0.
    start: usize,
    /// Rows in all.
    pub(crate) total: usize,
    /// Rows of a page.
    size: usize,
}

/// A page that a list does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("There is no page {page}: the list has {pages} pages.")]
pub(crate) struct NoSuchPage {
    page: usize,
    pages: usize,
}

impl Window {
    /// The first rows only, with the rest elsewhere.
    pub(crate) fn first(size: usize, total: usize) -> Self {
        Self { page: 1, pages: total.div_ceil(size).max(1), start: 0, total, size }
    }

    /// A page of a list.
    pub(crate) fn page(page: usize, total: usize) -> Result<Self, NoSuchPage> {
        let pages = total.div_ceil(ROWS_PER_PAGE).max(1);
        if page > pages {
            return Err(NoSuchPage { page, pages });
        }
        Ok(Self { page, pages, start: (page - 1) * ROWS_PER_PAGE, total, size: ROWS_PER_PAGE })
    }

    /// The rows that are shown.
    pub(crate) fn of<'a, T>(&self, rows: &'a [T]) -> &'a [T] {
        let rows = rows.get(self.start..).unwrap_or_default();
        &rows[..rows.len().min(self.size)]
    }

    /// How many rows it leaves out.
    pub(crate) fn left_out(&self) -> usize {
        self.total.saturating_sub(self.size)
    }

    /// The first and the last row's number, from 1.
    pub(crate) fn span(&self) -> (usize, usize) {
        (self.start + 1, (self.start + self.size).min(self.total))
    }
}

/// Text as a part of a URL's path or query: whatever could end that part is escaped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment<'a>(pub(crate) &'a str);

impl fmt::Display for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => write!(f, "{}", char::from(byte))?,
                // A segment of dots alone would be a step upwards.
                b'.' if self.0.bytes().any(|other| other != b'.') => f.write_str(".")?,
                _ => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[(&str, &str)]) -> Result<Asked, AskedError> {
        Asked::read(&text.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>())
    }

    #[test]
    fn filters_are_read_and_written_back_as_links() {
        let asked = read(&[("namespace", "pay"), ("severity", "warning"), ("code", "nlb102"), ("page", "3")]).unwrap();
        assert_eq!(asked.link(3), "?namespace=pay&severity=warning&code=NLB102&page=3");
        assert_eq!(asked.link(1), "?namespace=pay&severity=warning&code=NLB102");
        assert!(asked.filters());
        assert_eq!(asked.said().unwrap(), "namespace pay, severity warning, code NLB102");
        let empty = read(&[("namespace", ""), ("severity", ""), ("page", "")]).unwrap();
        assert_eq!((empty.link(1), empty.filters(), empty.said()), (String::new(), false, None));
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_name_and_value() {
        for (name, value) in [
            ("severity", "urgent"),
            ("severity", "Warning"),
            ("namespace", "Pay"),
            ("namespace", "<script>"),
            ("code", "NLB000"),
            ("page", "0"),
            ("page", "-1"),
            ("page", "two"),
            ("page", "99999999999999999999999"),
        ] {
            let told = read(&[(name, value)]).unwrap_err().to_string();
            assert!(told.contains(&format!("parameter {name} is {value:?}: ")), "{told}");
        }
        assert_eq!(read(&[("page", "1"), ("page", "2")]), Err(AskedError::Twice));
        assert!(read(&[("colour", "red")]).unwrap_err().to_string().contains("\"colour\""));
        assert!(read(&[("page", "2")]).unwrap().whole().unwrap_err().to_string().contains("page is \"2\""));
        assert_eq!(read(&[("page", "1")]).unwrap().whole().unwrap(), Asked::default());
    }

    #[test]
    fn a_list_is_cut_into_pages_that_miss_nothing_and_repeat_nothing() {
        let rows: Vec<usize> = (0..ROWS_PER_PAGE * 2 + 1).collect();
        let shown: Vec<usize> = (1..=3).flat_map(|page| Window::page(page, rows.len()).unwrap().of(&rows).to_vec()).collect();
        assert_eq!(shown, rows);
        assert_eq!(Window::page(3, rows.len()).unwrap().span(), (ROWS_PER_PAGE * 2 + 1, rows.len()));
        assert_eq!(Window::page(4, rows.len()).unwrap_err().to_string(), "There is no page 4: the list has 3 pages.");
        assert_eq!(Window::page(1, 0).unwrap().of::<usize>(&[]), &[] as &[usize]);
        assert_eq!((Window::first(10, 12).left_out(), Window::first(10, 5).left_out()), (2, 0));
    }

    #[test]
    fn no_text_leaves_its_segment() {
        for (text, segment) in
            [("a-b.c", "a-b.c"), ("..", "%2E%2E"), ("a/b?c#d", "a%2Fb%3Fc%23d"), ("\"><", "%22%3E%3C"), ("ä", "%C3%A4")]
        {
            assert_eq!(Segment(text).to_string(), segment);
        }
    }
}
