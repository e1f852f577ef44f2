//! What is an expression's value at one moment? Vectors of elements, joined and folded as Prometheus does it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Aggregator, Comparison, Expression, Function, Grouping, Matching, Operator, Relabelling, Selector, Side};

/// Labels in the order of their names; none is empty.
pub(crate) type Labels = BTreeMap<Arc<str>, Arc<str>>;

/// One element of a vector.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Element {
    /// Its labels, without the metric's name.
    pub(crate) labels: Labels,
    /// Its value.
    pub(crate) value: f64,
}

/// Where selectors find their elements.
pub(crate) trait Series {
    /// All elements of a metric that satisfy the selector; `None` where there is no such metric at all.
    fn select(&self, selector: &Selector) -> Option<Vec<Element>>;

    /// Seconds since 1970.
    fn time(&self) -> f64;
}

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EvaluationError {
    /// There is no such metric.
    #[error("there is no metric {0}")]
    NoMetric(Arc<str>),
    /// Elements do not match one to one, or one to many as said.
    #[error("several elements match on {0}")]
    Ambiguous(String),
    /// A number stands where a vector must, or the other way round.
    #[error("{0} needs {1}")]
    Type(&'static str, &'static str),
}

enum Value {
    Number(f64),
    Vector(Vec<Element>),
}

/// The elements for which an expression holds, with their values.
pub(crate) fn evaluate(expression: &Expression, series: &dyn Series) -> Result<Vec<Element>, EvaluationError> {
    match value(expression, series)? {
        Value::Vector(vector) => Ok(vector),
        Value::Number(number) => Ok(vec![Element { labels: Labels::new(), value: number }]),
    }
}

fn value(expression: &Expression, series: &dyn Series) -> Result<Value, EvaluationError> {
    Ok(match expression {
        Expression::Number(number) => Value::Number(*number),
        Expression::Select(selector) => {
            Value::Vector(series.select(selector).ok_or_else(|| EvaluationError::NoMetric(Arc::clone(&selector.name)))?)
        }
        Expression::Negate(of) => match value(of, series)? {
            Value::Number(number) => Value::Number(-number),
            Value::Vector(vector) => Value::Vector(each(vector, |value| -value)),
        },
        Expression::Binary { operator, matching, left, right } => {
            binary(*operator, matching, value(left, series)?, value(right, series)?)?
        }
        Expression::Aggregate { aggregator, grouping, of } => {
            Value::Vector(aggregate(*aggregator, grouping, vector(value(of, series)?, "an aggregation")?))
        }
        Expression::Relabel(relabelling) => {
            Value::Vector(unambiguous(relabel(relabelling, vector(value(&relabelling.of, series)?, "label_replace")?))?)
        }
        Expression::Call { function, arguments } => call(*function, arguments, series)?,
    })
}

fn vector(value: Value, who: &'static str) -> Result<Vec<Element>, EvaluationError> {
    match value {
        Value::Vector(vector) => Ok(vector),
        Value::Number(_) => Err(EvaluationError::Type(who, "a vector")),
    }
}

fn number(value: Value, who: &'static str) -> Result<f64, EvaluationError> {
    match value {
        Value::Number(number) => Ok(number),
        Value::Vector(_) => Err(EvaluationError::Type(who, "a number")),
    }
}

fn each(mut vector: Vec<Element>, change: impl Fn(f64) -> f64) -> Vec<Element> {
    vector.iter_mut().for_each(|element| element.value = change(element.value));
    vector
}

fn call(function: Function, arguments: &[Expression], series: &dyn Series) -> Result<Value, EvaluationError> {
    let argument = |index: usize| value(&arguments[index], series);
    let of_vector = |change: &dyn Fn(f64) -> f64| Ok(Value::Vector(each(vector(argument(0)?, "this function")?, change)));
    match function {
        Function::Time => Ok(Value::Number(series.time())),
        Function::Vector => Ok(Value::Vector(vec![Element { labels: Labels::new(), value: number(argument(0)?, "vector")? }])),
        Function::Scalar => match vector(argument(0)?, "scalar")?.as_slice() {
            [only] => Ok(Value::Number(only.value)),
            _ => Ok(Value::Number(f64::NAN)),
        },
        Function::Absent => absent(&arguments[0], series),
        Function::Absolute => of_vector(&f64::abs),
        Function::Ceil => of_vector(&f64::ceil),
        Function::Floor => of_vector(&f64::floor),
        Function::Round => of_vector(&|value| (value + 0.5).floor()),
        Function::ClampMin => {
            let least = number(argument(1)?, "clamp_min")?;
            of_vector(&|value| if value.is_nan() { value } else { value.max(least) })
        }
        Function::ClampMax => {
            let most = number(argument(1)?, "clamp_max")?;
            of_vector(&|value| if value.is_nan() { value } else { value.min(most) })
        }
    }
}

/// 1 where there is nothing, with the labels that its selector demands by equality.
fn absent(of: &Expression, series: &dyn Series) -> Result<Value, EvaluationError> {
    if !vector(value(of, series)?, "absent")?.is_empty() {
        return Ok(Value::Vector(Vec::new()));
    }
    let mut labels = Labels::new();
    if let Expression::Select(selector) = of {
        for matcher in selector.matchers.iter().filter(|matcher| matcher.positive) {
            if let super::Pattern::Text(text) = &matcher.value
                && !text.is_empty()
            {
                labels.insert(Arc::clone(&matcher.label), Arc::from(&**text));
            }
        }
    }
    Ok(Value::Vector(vec![Element { labels, value: 1.0 }]))
}

fn relabel(how: &Relabelling, mut vector: Vec<Element>) -> Vec<Element> {
    let super::Pattern::Regex(regex) = &how.pattern.value else { return vector };
    for element in &mut vector {
        let source = element.labels.get(&how.source).map_or("", |value| &**value);
        let Some(captures) = regex.captures(source) else { continue };
        let mut replaced = String::new();
        captures.expand(&how.replacement, &mut replaced);
        if replaced.is_empty() {
            element.labels.remove(&how.target);
        } else {
            element.labels.insert(Arc::clone(&how.target), replaced.into());
        }
    }
    vector
}

/// Two elements with the same labels are an error, as they are for Prometheus: which of them is meant?
fn unambiguous(vector: Vec<Element>) -> Result<Vec<Element>, EvaluationError> {
    let mut seen = std::collections::BTreeSet::new();
    match vector.iter().find(|element| !seen.insert(&element.labels)) {
        Some(twice) => Err(EvaluationError::Ambiguous(format!("{:?}", twice.labels))),
        None => Ok(vector),
    }
}

impl Grouping {
    /// The labels that count.
    fn key(&self, labels: &Labels) -> Labels {
        let counts = |name: &Arc<str>| match self {
            Self::By(names) => names.contains(name),
            Self::Without(names) => !names.contains(name),
        };
        labels.iter().filter(|(name, _)| counts(name)).map(|(name, value)| (Arc::clone(name), Arc::clone(value))).collect()
    }
}

fn aggregate(aggregator: Aggregator, grouping: &Grouping, vector: Vec<Element>) -> Vec<Element> {
    let mut groups: BTreeMap<Labels, (f64, f64)> = BTreeMap::new();
    for element in vector {
        groups
            .entry(grouping.key(&element.labels))
            .and_modify(|(value, count)| {
                *count += 1.0;
                *value = match aggregator {
                    Aggregator::Sum | Aggregator::Average => *value + element.value,
                    Aggregator::Min => value.min(element.value),
                    Aggregator::Max => value.max(element.value),
                    Aggregator::Count | Aggregator::Group => *value,
                };
            })
            .or_insert((element.value, 1.0));
    }
    let folded = |(value, count): (f64, f64)| match aggregator {
        Aggregator::Sum | Aggregator::Min | Aggregator::Max => value,
        Aggregator::Average => value / count,
        Aggregator::Count => count,
        Aggregator::Group => 1.0,
    };
    groups.into_iter().map(|(labels, group)| Element { labels, value: folded(group) }).collect()
}

fn binary(operator: Operator, matching: &Matching, left: Value, right: Value) -> Result<Value, EvaluationError> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => numbers(operator, left, right).map(Value::Number),
        (Value::Vector(vector), Value::Number(number)) => {
            with_number(operator, vector, |value| (value, number), |value, _| value)
        }
        (Value::Number(number), Value::Vector(vector)) => {
            with_number(operator, vector, |value| (number, value), |_, value| value)
        }
        (Value::Vector(left), Value::Vector(right)) => vectors(operator, matching, left, right).map(Value::Vector),
    }
}

fn numbers(operator: Operator, left: f64, right: f64) -> Result<f64, EvaluationError> {
    match operator {
        Operator::Compare(comparison, true) => Ok(f64::from(u8::from(comparison.holds(left, right)))),
        Operator::Compare(_, false) => Err(EvaluationError::Type("a comparison of two numbers", "bool")),
        _ => arithmetic(operator, left, right).ok_or(EvaluationError::Type("a set operator", "two vectors")),
    }
}

/// `kept`: a comparison without `bool` keeps the vector's own value, on whichever side it stands.
fn with_number(
    operator: Operator,
    vector: Vec<Element>,
    sides: impl Fn(f64) -> (f64, f64),
    kept: impl Fn(f64, f64) -> f64,
) -> Result<Value, EvaluationError> {
    let mut result = Vec::with_capacity(vector.len());
    for mut element in vector {
        let (left, right) = sides(element.value);
        if let Operator::Compare(comparison, is_bool) = operator {
            let holds = comparison.holds(left, right);
            if !is_bool && !holds {
                continue;
            }
            element.value = if is_bool { f64::from(u8::from(holds)) } else { kept(left, right) };
        } else {
            element.value = arithmetic(operator, left, right).ok_or(EvaluationError::Type("a set operator", "two vectors"))?;
        }
        result.push(element);
    }
    Ok(Value::Vector(result))
}

/// `None` for operators that are not arithmetic.
fn arithmetic(operator: Operator, left: f64, right: f64) -> Option<f64> {
    Some(match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        Operator::Modulo => left % right,
        Operator::Compare(..) | Operator::And | Operator::Or | Operator::Unless => return None,
    })
}

impl Comparison {
    #[expect(clippy::float_cmp, reason = "as Prometheus compares")]
    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

fn vectors(
    operator: Operator,
    matching: &Matching,
    left: Vec<Element>,
    right: Vec<Element>,
) -> Result<Vec<Element>, EvaluationError> {
    let key = |element: &Element| matching.labels.key(&element.labels);
    if matches!(operator, Operator::And | Operator::Or | Operator::Unless) {
        let keep = |elements: Vec<Element>, others: &[Element], wanted: bool| {
            let keys: std::collections::BTreeSet<Labels> = others.iter().map(key).collect();
            elements.into_iter().filter(|element| keys.contains(&key(element)) == wanted).collect::<Vec<_>>()
        };
        return Ok(match operator {
            Operator::And => keep(left, &right, true),
            Operator::Unless => keep(left, &right, false),
            _ => {
                let added = keep(right, &left, false);
                left.into_iter().chain(added).collect()
            }
        });
    }
    if left.is_empty() || right.is_empty() {
        // As Prometheus: with nothing to match, what is ambiguous does not matter.
        return Ok(Vec::new());
    }
    let many_on_the_right = matches!(matching.many, Some((Side::Right, _)));
    let (many, one) = if many_on_the_right { (right, left) } else { (left, right) };
    let mut by_key: BTreeMap<Labels, Element> = BTreeMap::new();
    for element in one {
        let key = key(&element);
        if by_key.insert(key.clone(), element).is_some() {
            return Err(EvaluationError::Ambiguous(format!("{key:?}")));
        }
    }
    let mut result = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for element in many {
        let key = key(&element);
        let Some(other) = by_key.get(&key) else { continue };
        let (left, right) = if many_on_the_right { (other.value, element.value) } else { (element.value, other.value) };
        let value = match operator {
            Operator::Compare(comparison, is_bool) => match (comparison.holds(left, right), is_bool) {
                (false, false) => continue,
                (true, false) => left,
                (holds, true) => f64::from(u8::from(holds)),
            },
            _ => arithmetic(operator, left, right).expect("set operators were answered above"),
        };
        let labels = match &matching.many {
            None => {
                if !seen.insert(key.clone()) {
                    return Err(EvaluationError::Ambiguous(format!("{key:?}")));
                }
                key
            }
            Some((_, taken)) => {
                let mut labels = element.labels;
                for name in taken {
                    match other.labels.get(name) {
                        Some(value) => drop(labels.insert(Arc::clone(name), Arc::clone(value))),
                        None => drop(labels.remove(name)),
                    }
                }
                labels
            }
        };
        result.push(Element { labels, value });
    }
    unambiguous(result)
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    /// Elements as `name{label=value,…} number`, one a line.
    struct Fixed(&'static str);

    fn labels(text: &str) -> Labels {
        text.split(',').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect()
    }

    impl Series for Fixed {
        fn select(&self, selector: &Selector) -> Option<Vec<Element>> {
            let mut found = Vec::new();
            for line in self.0.lines().map(str::trim).filter(|line| line.starts_with(&*selector.name)) {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let (name, rest) = series.split_once('{').unwrap_or((series, ""));
                let labels = labels(rest.trim_end_matches('}'));
                if name == &*selector.name && selector.matches(|label| labels.get(label).map_or("", |value| &**value)) {
                    found.push(Element { labels, value: value.parse().unwrap() });
                }
            }
            (!found.is_empty() || selector.name.starts_with("empty")).then_some(found)
        }

        fn time(&self) -> f64 {
            1000.0
        }
    }

    const WORLD: Fixed = Fixed(
        "used{quota=a,cluster=x} 8
         used{quota=b,cluster=x} 3
         limit{quota=a} 10
         limit{quota=b} 10
         info{cluster=x,region=eu} 1
         seen 940",
    );

    fn of(text: &str) -> Vec<String> {
        let mut said: Vec<_> = evaluate(&parse(text).unwrap(), &WORLD)
            .unwrap_or_else(|error| panic!("{text}: {error}"))
            .into_iter()
            .map(|Element { labels, value }| {
                let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
                format!("{{{}}} {value}", labels.join(","))
            })
            .collect();
        said.sort();
        said
    }

    #[test]
    fn expressions_have_prometheus_values() {
        for (text, expected) in [
            ("limit - on (quota) used", &["{quota=a} 2", "{quota=b} 7"][..]),
            ("limit - on (quota) group_right used < 3", &["{cluster=x,quota=a} 2"]),
            ("used / on (quota) group_left limit > 0.5", &["{cluster=x,quota=a} 0.8"]),
            ("used * on (cluster) group_left (region) info > 5", &["{cluster=x,quota=a,region=eu} 8"]),
            ("used and on (quota) limit{quota=\"b\"}", &["{cluster=x,quota=b} 3"]),
            ("used unless on (quota) limit{quota=~\"b|c\"}", &["{cluster=x,quota=a} 8"]),
            ("used{quota=\"a\"} or limit", &["{cluster=x,quota=a} 8", "{quota=a} 10", "{quota=b} 10"]),
            ("limit{quota!~\"a.*\"} or on (quota) used", &["{cluster=x,quota=a} 8", "{quota=b} 10"]),
            ("max(used)", &["{} 8"]),
            ("sum without (quota) (used)", &["{cluster=x} 11"]),
            ("count by (cluster) (used > 1)", &["{cluster=x} 2"]),
            ("avg(used)", &["{} 5.5"]),
            ("time() - seen > 30", &["{} 60"]),
            ("10 < limit * 2", &["{quota=a} 20", "{quota=b} 20"]),
            ("used > bool 5", &["{cluster=x,quota=a} 1", "{cluster=x,quota=b} 0"]),
            ("absent(empty{a=\"b\",c=~\"d\"})", &["{a=b} 1"]),
            ("absent(used)", &[]),
            ("clamp_max(clamp_min(used, 4), 7)", &["{cluster=x,quota=a} 7", "{cluster=x,quota=b} 4"]),
            ("scalar(max(limit)) - 1 + vector(2)", &["{} 11"]),
            ("-used{quota=\"a\"} + 1", &["{cluster=x,quota=a} -7"]),
            ("label_replace(info, \"r\", \"$1-1\", \"region\", \"(e)u\")", &["{cluster=x,r=e-1,region=eu} 1"]),
            ("label_replace(info, \"r\", \"$1\", \"region\", \"(us)\")", &["{cluster=x,region=eu} 1"]),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn what_has_no_value_is_an_error() {
        for text in ["limit - on () used", "used - on (cluster) limit", "nothing > 1", "1 > 2", "1 and 2", "max(1)", "used and 1"]
        {
            assert!(evaluate(&parse(text).unwrap(), &WORLD).is_err(), "{text}");
        }
    }
}
