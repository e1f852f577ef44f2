use proptest::prelude::*;

use super::*;

fn service(pairs: &[(&str, &str)]) -> StringMap {
    pairs.iter().map(|(key, value)| (format!("{PREFIX}{key}").into(), (*value).into())).collect()
}

#[test]
fn a_string_is_raw_1_2() {
    let map = service(&[(name::SCHEME, "internet-facing\n"), (name::SUBNETS, "")]);
    assert_eq!(Annotations(&map).text(name::SCHEME), Some("internet-facing\n"));
    assert_eq!(Annotations(&map).text(name::SUBNETS), Some(""), "present but empty is present");
    assert_eq!(Annotations(&map).text(name::TYPE), None);
}

#[test]
fn a_bool_is_one_of_gos_twelve_spellings_1_2() {
    for yes in ["1", "t", "T", "TRUE", "true", "True"] {
        assert_eq!(parse_bool(yes), Some(true), "{yes}");
    }
    for no in ["0", "f", "F", "FALSE", "false", "False"] {
        assert_eq!(parse_bool(no), Some(false), "{no}");
    }
    for bad in ["", " true", "true\n", "yes", "on", "tRue", "2"] {
        assert_eq!(parse_bool(bad), None, "{bad:?}");
    }
    let map = service(&[(name::INTERNAL, "yes")]);
    let error = Annotations(&map).boolean(name::INTERNAL).unwrap_err();
    assert_eq!((error.category(), error.key()), ("bool", name::INTERNAL));
    assert_eq!(error.to_string(), "annotation aws-load-balancer-internal is not a boolean: \"yes\"");
}

#[test]
fn an_integer_has_a_sign_and_no_blanks_1_2() {
    for (raw, value) in [("10", 10), ("+10", 10), ("-3", -3), ("007", 7), ("0", 0)] {
        assert_eq!(parse_integer(raw), Some(value), "{raw}");
    }
    for bad in ["", " 10", "10 ", "1_0", "10s", "0x10", "1.0", "99999999999"] {
        assert_eq!(parse_integer(bad), None, "{bad:?}");
    }
}

#[test]
fn a_list_is_trimmed_and_drops_what_is_empty_1_2() {
    assert_eq!(parse_list("a, ,b,"), ["a", "b"]);
    assert_eq!(parse_list(""), [""; 0]);
    assert_eq!(parse_list(" \n a\n"), ["a"]);
    assert_eq!(parse_list("\"a,b\""), ["\"a", "b\""], "no quoting");
}

/// (raw, before 2.14.1, since 2.14.1); `None` is refused.
type Case = (&'static str, Option<&'static [(&'static str, &'static str)]>, Option<&'static [(&'static str, &'static str)]>);

const MAPS: &[Case] = &[
    ("", Some(&[]), Some(&[])),
    ("a=1", Some(&[("a", "1")]), Some(&[("a", "1")])),
    ("a=1,b=2", Some(&[("a", "1"), ("b", "2")]), Some(&[("a", "1"), ("b", "2")])),
    ("a=1, b=2", Some(&[("a", "1"), ("b", "2")]), Some(&[("a", "1"), ("b", "2")])),
    ("a=1,", Some(&[("a", "1")]), Some(&[("a", "1,")])),
    ("a=1, ", Some(&[("a", "1")]), Some(&[("a", "1,")])),
    ("a=1,b=2,", Some(&[("a", "1"), ("b", "2")]), Some(&[("a", "1"), ("b", "2,")])),
    ("a=1,,", Some(&[("a", "1")]), None),
    ("a=1,,b=2", Some(&[("a", "1"), ("b", "2")]), None),
    (",a=1", Some(&[("a", "1")]), None),
    ("a=1,b", None, None),
    ("a", None, None),
    ("=1", None, None),
    (" =1", None, None),
    ("a=", Some(&[("a", "")]), Some(&[("a", "")])),
    ("a=b=c", Some(&[("a", "b=c")]), Some(&[("a", "b=c")])),
    ("a=1,a=2", Some(&[("a", "2")]), Some(&[("a", "2")])),
    ("a = 1", Some(&[("a ", " 1")]), Some(&[("a", "1")])),
    (r"a=x\,y,b=2", None, Some(&[("a", "x,y"), ("b", "2")])),
    (r"a=x\,y=z", Some(&[("a", "x\\"), ("y", "z")]), Some(&[("a", "x,y=z")])),
    (r"a=\\", Some(&[("a", r"\\")]), Some(&[("a", r"\")])),
    (r"a=1\", Some(&[("a", r"1\")]), Some(&[("a", r"1\")])),
    ("  ", Some(&[]), None),
    ("a=1\n", Some(&[("a", "1")]), Some(&[("a", "1")])),
    ("schlüssel=wert,ключ=да", Some(&[("schlüssel", "wert"), ("ключ", "да")]), Some(&[("schlüssel", "wert"), ("ключ", "да")])),
];

#[test]
fn maps_are_read_as_the_version_reads_them_1_2_t8() {
    for (raw, plain, escaped) in MAPS {
        for (grammar, expected) in [(MapGrammar::Plain, plain), (MapGrammar::Escaped, escaped)] {
            let expected = expected.map(|pairs| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Pairs>());
            assert_eq!(parse_map(raw, grammar), expected, "{raw:?} {grammar:?}");
        }
    }
}

#[test]
fn names_are_unique_and_complete_1_1() {
    let mut all = name::ALL.to_vec();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 48);
}

proptest! {
    #[test]
    fn no_value_makes_a_reader_panic(raw in ".{0,40}") {
        parse_bool(&raw);
        parse_integer(&raw);
        parse_list(&raw);
        parse_map(&raw, MapGrammar::Plain);
        parse_map(&raw, MapGrammar::Escaped);
    }

    #[test]
    fn commas_equals_signs_and_backslashes_make_no_reader_panic(raw in "[a,=\\\\ ]{0,20}") {
        parse_map(&raw, MapGrammar::Plain);
        parse_map(&raw, MapGrammar::Escaped);
    }

    #[test]
    fn an_integer_comes_back(value in any::<i32>()) {
        prop_assert_eq!(parse_integer(&value.to_string()), Some(value));
    }

    #[test]
    fn a_list_comes_back(items in proptest::collection::vec("[a-z0-9-]{1,8}", 0..6)) {
        let raw = items.join(" , ");
        prop_assert_eq!(parse_list(&raw), items);
    }

    #[test]
    fn a_map_comes_back_when_it_is_escaped(
        map in proptest::collection::btree_map("[a-z][a-z.]{0,5}", "([!-~]([ -~]{0,6}[!-~])?)?", 0..5)
    ) {
        let escape = |text: &str| text.replace('\\', "\\\\").replace(',', "\\,");
        let raw = map.iter().map(|(key, value)| format!("{key}={}", escape(value))).collect::<Vec<_>>().join(",");
        prop_assert_eq!(parse_map(&raw, MapGrammar::Escaped), Some(map));
    }

    #[test]
    fn simple_maps_mean_the_same_in_both_grammars(
        map in proptest::collection::btree_map("[a-z][a-z.]{0,5}", "[a-z0-9./:-]{0,6}", 0..5)
    ) {
        let raw = map.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
        prop_assert_eq!(parse_map(&raw, MapGrammar::Plain), Some(map.clone()));
        prop_assert_eq!(parse_map(&raw, MapGrammar::Escaped), Some(map));
    }
}

#[test]
fn the_grammar_changed_with_2_14_1_1_2_t8() {
    use crate::checks::testing::controller;
    let of = |version: &str| MapGrammar::of(Settings::of(Some(&controller(version).build())));
    for (version, expected) in [
        ("2.2.0", MapGrammar::Plain),
        ("2.13.4", MapGrammar::Plain),
        ("2.14.0", MapGrammar::Plain),
        ("2.14.1", MapGrammar::Escaped),
        ("2.15.0", MapGrammar::Escaped),
        ("3.5.0", MapGrammar::Escaped),
    ] {
        assert_eq!(of(version), Some(expected), "{version}");
    }
    assert_eq!(of("latest"), None);
    assert_eq!(MapGrammar::of(Settings::of(None)), None);
}

#[test]
fn annotations_with_a_port_are_found_by_their_base_1_1() {
    let map = service(&[
        ("aws-load-balancer-listener-attributes.TCP-80", "a=1"),
        ("aws-load-balancer-listener-attributes", "b=1"),
        ("aws-load-balancer-listener-attributes-x.TCP-80", "c=1"),
    ]);
    let found: Vec<_> = Annotations(&map).with_suffix(name::LISTENER_ATTRIBUTES).collect();
    assert_eq!(found, [("aws-load-balancer-listener-attributes.TCP-80", "a=1")]);
    assert!(!Annotations(&map).any_with_suffix(name::ACTIONS));
}

/// The grammar as it is described, looking through the rest at every comma.
fn slow_split(raw: &str) -> Option<Vec<String>> {
    let characters: Vec<char> = raw.chars().collect();
    let (mut pairs, mut current, mut at) = (Vec::new(), String::new(), 0);
    while at < characters.len() {
        let rest: String = characters[at + 1..].iter().collect();
        match characters[at] {
            '\\' => {
                at += 1;
                current.push(*characters.get(at).unwrap_or(&'\\'));
            }
            ',' if rest.contains('=') => pairs.push(std::mem::take(&mut current)),
            ',' if rest.trim().is_empty() => current.push(','),
            ',' => return None,
            other => current.push(other),
        }
        at += 1;
    }
    if !current.is_empty() {
        pairs.push(current);
    }
    Some(pairs)
}

proptest! {
    #[test]
    fn untrusted_maps_are_split_as_the_grammar_says(raw in "[a,=\\\\ ä]{0,24}") {
        prop_assert_eq!(split_pairs(&raw), slow_split(&raw));
    }

    #[test]
    fn untrusted_lists_have_no_blank_or_empty_elements(raw in "([a, \n\t,\u{a0}]|ä){0,30}") {
        for element in parse_list(&raw) {
            prop_assert!(!element.is_empty() && element.trim() == element && !element.contains(','));
        }
    }
}

#[test]
fn an_untrusted_map_of_the_longest_annotation_is_read_in_time() {
    // Kubernetes takes 256 KiB of annotations.
    for raw in
        [",".repeat(250_000) + "a=b", "a=b".to_owned() + &",".repeat(250_000), "a=b,".repeat(60_000), "\\,=".repeat(80_000)]
    {
        crate::mutation::in_time("a map of 250 kB", move || {
            parse_map(&raw, MapGrammar::Escaped);
            parse_map(&raw, MapGrammar::Plain);
        });
    }
}
