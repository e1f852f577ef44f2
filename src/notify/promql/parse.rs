//! How is an expression read? A scanner and a parser by precedence.

use std::sync::Arc;

use super::{
    Aggregator, Comparison, Expression, Function, Grouping, Matcher, Matching, Operator, Pattern, Relabelling, Selector, Side,
};

/// Why an expression cannot be judged by a single picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseError {
    /// It looks at more than one moment.
    #[error("{0} looks at a range of time")]
    NeedsHistory(String),
    /// It is not of the language, or of a part of it that is not known here.
    #[error("{what} at character {at}")]
    Unknown {
        /// What was found.
        what: String,
        /// Where, counted in bytes.
        at: usize,
    },
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Name(String),
    Number(f64),
    Text(String),
    Symbol(&'static str),
    Duration,
    End,
}

/// Reads an expression.
pub(crate) fn parse(text: &str) -> Result<Expression, ParseError> {
    let mut parser = Parser { tokens: scan(text)?, next: 0 };
    let expression = parser.binary(0)?;
    match parser.peek() {
        Token::End => Ok(expression),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

/// Longest first.
const SYMBOLS: &[&str] = &[
    "==", "!=", "<=", ">=", "=~", "!~", "+", "-", "*", "/", "%", "^", "<", ">", "=", "(", ")", "{", "}", "[", "]", ",", ":", "@",
];

fn scan(text: &str) -> Result<Vec<(Token, usize)>, ParseError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if rest.starts_with('#') {
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
            continue;
        }
        let at = text.len() - rest.len();
        let Some(first) = rest.chars().next() else {
            tokens.push((Token::End, at));
            return Ok(tokens);
        };
        let (token, length) = if first.is_ascii_digit() || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) {
            number(rest, at)?
        } else if first.is_ascii_alphabetic() || first == '_' || first == ':' {
            let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
            (Token::Name(rest[..length].to_owned()), length)
        } else if let Some(quote) = Some(first).filter(|c| matches!(c, '"' | '\'' | '`')) {
            quoted(rest, quote, at)?
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            (Token::Symbol(symbol), symbol.len())
        } else {
            return Err(ParseError::Unknown { what: format!("unexpected {first:?}"), at });
        };
        tokens.push((token, at));
        rest = &rest[length..];
    }
}

fn number(rest: &str, at: usize) -> Result<(Token, usize), ParseError> {
    let mut length = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
    let after = &rest[length..];
    if after.starts_with(['e', 'E']) {
        let exponent = after[1..].trim_start_matches(['+', '-']);
        let digits = exponent.find(|c: char| !c.is_ascii_digit()).unwrap_or(exponent.len());
        length += after.len() - exponent.len() + digits;
    } else if after.starts_with(|c: char| c.is_ascii_alphabetic()) {
        let units = after.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(after.len());
        return Ok((Token::Duration, length + units));
    }
    let number = rest[..length].parse();
    let number = number.map_err(|_| ParseError::Unknown { what: format!("{:?} is no number", &rest[..length]), at })?;
    Ok((Token::Number(number), length))
}

fn quoted(rest: &str, quote: char, at: usize) -> Result<(Token, usize), ParseError> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((index, character)) = characters.next() {
        match character {
            _ if character == quote => return Ok((Token::Text(text), index + 1)),
            '\\' if quote != '`' => match characters.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((_, escaped)) => text.push(escaped),
                None => break,
            },
            _ => text.push(character),
        }
    }
    Err(ParseError::Unknown { what: "a text without an end".to_owned(), at })
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    next: usize,
}

/// Binding strength of a binary operator; larger binds tighter. All of these associate to the left.
fn operator(token: &Token) -> Option<(Operator, u8)> {
    let compare = |comparison| Some((Operator::Compare(comparison, false), 3));
    match token {
        Token::Name(name) => match name.to_ascii_lowercase().as_str() {
            "or" => Some((Operator::Or, 1)),
            "and" => Some((Operator::And, 2)),
            "unless" => Some((Operator::Unless, 2)),
            _ => None,
        },
        Token::Symbol(symbol) => match *symbol {
            "==" => compare(Comparison::Equal),
            "!=" => compare(Comparison::NotEqual),
            "<" => compare(Comparison::Less),
            "<=" => compare(Comparison::LessOrEqual),
            ">" => compare(Comparison::Greater),
            ">=" => compare(Comparison::GreaterOrEqual),
            "+" => Some((Operator::Add, 4)),
            "-" => Some((Operator::Subtract, 4)),
            "*" => Some((Operator::Multiply, 5)),
            "/" => Some((Operator::Divide, 5)),
            "%" => Some((Operator::Modulo, 5)),
            _ => None,
        },
        _ => None,
    }
}

fn aggregator(name: &str) -> Option<Aggregator> {
    Some(match name {
        "sum" => Aggregator::Sum,
        "min" => Aggregator::Min,
        "max" => Aggregator::Max,
        "count" => Aggregator::Count,
        "avg" => Aggregator::Average,
        "group" => Aggregator::Group,
        _ => return None,
    })
}

fn function(name: &str) -> Option<(Function, usize)> {
    Some(match name {
        "time" => (Function::Time, 0),
        "vector" => (Function::Vector, 1),
        "scalar" => (Function::Scalar, 1),
        "absent" => (Function::Absent, 1),
        "abs" => (Function::Absolute, 1),
        "ceil" => (Function::Ceil, 1),
        "floor" => (Function::Floor, 1),
        "round" => (Function::Round, 1),
        "clamp_min" => (Function::ClampMin, 2),
        "clamp_max" => (Function::ClampMax, 2),
        _ => return None,
    })
}

/// Functions that look at a range of time.
const OF_RANGES: &[&str] = &[
    "rate",
    "irate",
    "increase",
    "delta",
    "idelta",
    "deriv",
    "predict_linear",
    "changes",
    "resets",
    "absent_over_time",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "sum_over_time",
    "count_over_time",
    "quantile_over_time",
    "last_over_time",
    "present_over_time",
    "holt_winters",
];

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next].0
    }

    fn take(&mut self) -> Token {
        let token = self.tokens[self.next].0.clone();
        // The last one is the end, which is never passed.
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    fn takes(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(found) if *found == symbol);
        if found {
            self.take();
        }
        found
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Name(name) if name.eq_ignore_ascii_case(word));
        if found {
            self.take();
        }
        found
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), ParseError> {
        if self.takes(symbol) { Ok(()) } else { Err(self.unexpected(symbol)) }
    }

    fn unexpected(&self, expected: &str) -> ParseError {
        let (token, at) = &self.tokens[self.next];
        ParseError::Unknown { what: format!("{token:?} instead of {expected}"), at: *at }
    }

    fn binary(&mut self, least: u8) -> Result<Expression, ParseError> {
        let mut left = self.unary()?;
        while let Some((mut operator, strength)) = operator(self.peek()).filter(|(_, strength)| *strength > least) {
            self.take();
            if let Operator::Compare(comparison, _) = operator
                && self.takes_word("bool")
            {
                operator = Operator::Compare(comparison, true);
            }
            let matching = self.matching()?;
            let right = self.binary(strength)?;
            left = Expression::Binary { operator, matching, left: Box::new(left), right: Box::new(right) };
        }
        if matches!(self.peek(), Token::Symbol("^")) {
            return Err(self.unexpected("another operator"));
        }
        Ok(left)
    }

    fn matching(&mut self) -> Result<Matching, ParseError> {
        let mut matching = Matching::default();
        if self.takes_word("on") {
            matching.labels = Grouping::By(self.labels()?);
        } else if self.takes_word("ignoring") {
            matching.labels = Grouping::Without(self.labels()?);
        } else {
            return Ok(matching);
        }
        for (word, side) in [("group_left", Side::Left), ("group_right", Side::Right)] {
            if self.takes_word(word) {
                let labels = if matches!(self.peek(), Token::Symbol("(")) { self.labels()? } else { Vec::new() };
                matching.many = Some((side, labels));
            }
        }
        Ok(matching)
    }

    fn labels(&mut self) -> Result<Vec<Arc<str>>, ParseError> {
        self.expect("(")?;
        let mut labels = Vec::new();
        while !self.takes(")") {
            let Token::Name(name) = self.take() else { return Err(self.unexpected("a label's name")) };
            labels.push(name.into());
            if !self.takes(",") && !matches!(self.peek(), Token::Symbol(")")) {
                return Err(self.unexpected(", or )"));
            }
        }
        Ok(labels)
    }

    fn unary(&mut self) -> Result<Expression, ParseError> {
        if self.takes("-") {
            return Ok(Expression::Negate(Box::new(self.binary(4)?)));
        }
        let at = self.next;
        let expression = self.primary()?;
        let moves_in_time =
            matches!(self.peek(), Token::Symbol("[" | "@")) || matches!(self.peek(), Token::Name(n) if n == "offset");
        if moves_in_time {
            return Err(ParseError::NeedsHistory(format!("{:?}", self.tokens[at].0)));
        }
        Ok(expression)
    }

    fn primary(&mut self) -> Result<Expression, ParseError> {
        match self.take() {
            Token::Number(number) => Ok(Expression::Number(number)),
            Token::Symbol("(") => {
                let inner = self.binary(0)?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Name(name) => self.named(&name),
            _ => {
                self.next = self.next.saturating_sub(1);
                Err(self.unexpected("an expression"))
            }
        }
    }

    fn named(&mut self, name: &str) -> Result<Expression, ParseError> {
        let follows = |parser: &Self, symbol: &str| matches!(parser.peek(), Token::Symbol(found) if *found == symbol);
        let called = follows(self, "(");
        let grouped = matches!(self.peek(), Token::Name(word) if word == "by" || word == "without");
        if let Some(aggregator) = aggregator(name).filter(|_| called || grouped) {
            let before = self.grouping()?;
            self.expect("(")?;
            let of = Box::new(self.binary(0)?);
            self.expect(")")?;
            let grouping = before.or(self.grouping()?).unwrap_or(Grouping::By(Vec::new()));
            return Ok(Expression::Aggregate { aggregator, grouping, of });
        }
        if !called {
            return self.selector(name);
        }
        if OF_RANGES.contains(&name) {
            return Err(ParseError::NeedsHistory(name.to_owned()));
        }
        if name == "label_replace" {
            return self.relabelling();
        }
        let Some((function, count)) = function(name) else {
            return Err(self.unexpected(&format!("{name} to be a known function")));
        };
        let arguments = self.arguments()?;
        if arguments.len() != count {
            return Err(self.unexpected(&format!("{count} arguments of {name}")));
        }
        Ok(Expression::Call { function, arguments })
    }

    fn arguments(&mut self) -> Result<Vec<Expression>, ParseError> {
        self.expect("(")?;
        let mut arguments = Vec::new();
        while !self.takes(")") {
            arguments.push(self.binary(0)?);
            if !self.takes(",") && !matches!(self.peek(), Token::Symbol(")")) {
                return Err(self.unexpected(", or )"));
            }
        }
        Ok(arguments)
    }

    fn relabelling(&mut self) -> Result<Expression, ParseError> {
        self.expect("(")?;
        let of = self.binary(0)?;
        let mut text = || {
            self.expect(",")?;
            match self.take() {
                Token::Text(text) => Ok(text),
                _ => Err(self.unexpected("a text")),
            }
        };
        let (target, replacement, source, pattern) = (text()?, text()?, text()?, text()?);
        self.expect(")")?;
        let source: Arc<str> = source.into();
        let pattern = Matcher { label: Arc::clone(&source), positive: true, value: self.regex(&pattern)? };
        let relabelling = Relabelling { of, target: target.into(), replacement: replacement.into(), source, pattern };
        Ok(Expression::Relabel(Box::new(relabelling)))
    }

    fn grouping(&mut self) -> Result<Option<Grouping>, ParseError> {
        if self.takes_word("by") {
            return self.labels().map(|labels| Some(Grouping::By(labels)));
        }
        if self.takes_word("without") {
            return self.labels().map(|labels| Some(Grouping::Without(labels)));
        }
        Ok(None)
    }

    fn selector(&mut self, name: &str) -> Result<Expression, ParseError> {
        let mut matchers = Vec::new();
        if self.takes("{") {
            while !self.takes("}") {
                matchers.push(self.matcher()?);
                if !self.takes(",") && !matches!(self.peek(), Token::Symbol("}")) {
                    return Err(self.unexpected(", or }"));
                }
            }
        }
        Ok(Expression::Select(Selector { name: name.into(), matchers }))
    }

    fn matcher(&mut self) -> Result<Matcher, ParseError> {
        let Token::Name(label) = self.take() else { return Err(self.unexpected("a label's name")) };
        let Token::Symbol(relation @ ("=" | "!=" | "=~" | "!~")) = self.take() else {
            return Err(self.unexpected("one of =, !=, =~, !~"));
        };
        let Token::Text(text) = self.take() else { return Err(self.unexpected("a text")) };
        let value = if relation.ends_with('~') { self.regex(&text)? } else { Pattern::Text(text.into()) };
        Ok(Matcher { label: label.into(), positive: matches!(relation, "=" | "=~"), value })
    }

    fn regex(&self, text: &str) -> Result<Pattern, ParseError> {
        let regex = regex_lite::Regex::new(&format!("^(?s:{text})$"));
        regex.map(|regex| Pattern::Regex(Arc::new(regex))).map_err(|error| ParseError::Unknown {
            what: format!("{text:?} is no regular expression: {error}"),
            at: self.tokens[self.next].1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_bind_as_prometheus_binds_them() {
        for (short, explicit) in [
            ("a + b * c", "a + (b * c)"),
            ("a - b - c", "(a - b) - c"),
            ("a > 1 and b < 2 or c", "((a > 1) and (b < 2)) or c"),
            ("a unless b and c", "(a unless b) and c"),
            ("-a * b", "-(a * b)"),
            ("a == bool 1 + 1", "a == bool (1 + 1)"),
            ("sum by (x) (a)", "sum(a) by (x)"),
            ("a{b=\"c\",} # why", "a{b='c'}"),
        ] {
            assert_eq!(parse(short), parse(explicit), "{short}");
            assert!(parse(short).is_ok(), "{short}");
        }
    }

    #[test]
    fn what_looks_back_is_told_apart_from_what_is_wrong() {
        for text in
            ["rate(a[5m]) > 0", "a offset 1h", "a[1h]", "predict_linear(a[6h], 3600) < 0", "a and max_over_time(b[1h:]) > 1"]
        {
            assert!(matches!(parse(text), Err(ParseError::NeedsHistory(_))), "{text}: {:?}", parse(text));
        }
        for text in
            ["", "a +", "a)", "(a", "a{b}", "a{b=c}", "histogram_quantile(0.9, a)", "a ^ 2", "a{b=\"c}", "a{b=~\"(\"}", "$x"]
        {
            assert!(matches!(parse(text), Err(ParseError::Unknown { .. })), "{text}: {:?}", parse(text));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z0-9 (){}\\[\\],=~\"'!<>+*/.-]{0,40}") {
            let _ = parse(&text);
        }
    }
}
