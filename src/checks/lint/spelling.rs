//! Which known word did somebody mean? Edit distance, small inputs only.

/// The nearest of the known words, if it is near enough to be meant: one edit in eight characters, at most three; none in words
/// of less than six, where every word is near to some other. Case plays no role.
pub(super) fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_lowercase();
    let near = known.into_iter().filter_map(|word| {
        let allowed = (word.len() / 8).max(usize::from(word.len() >= 6)).min(3);
        let distance = distance(&text, &word.to_lowercase(), allowed)?;
        Some((distance, word))
    });
    near.min().map(|(_, word)| word)
}

/// Edits (insert, delete, replace, swap of neighbours) between two words, where they are at most so many.
pub(super) fn distance(one: &str, other: &str, most: usize) -> Option<usize> {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    if one.len().abs_diff(other.len()) > most {
        return None;
    }
    let mut rows: [Vec<usize>; 3] = [Vec::new(), Vec::new(), (0..=other.len()).collect()];
    for (i, a) in one.iter().enumerate() {
        rows.rotate_left(1);
        let [before, above, row] = &mut rows;
        row.clear();
        row.push(i + 1);
        for (j, b) in other.iter().enumerate() {
            let replaced = above[j] + usize::from(a != b);
            let mut best = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
    }
    rows[2].last().copied().filter(|distance| *distance <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insertions_deletions_swaps_and_case_are_near() {
        assert_eq!(distance("", "", 1), Some(0));
        assert_eq!(distance("scheme", "shceme", 1), Some(1), "a swap");
        assert_eq!(distance("scheme", "schem", 1), Some(1));
        assert_eq!(distance("scheme", "schemes", 1), Some(1));
        assert_eq!(distance("abc", "xyz", 2), None);
        assert_eq!(distance("über", "uber", 1), Some(1), "characters, not bytes");
        assert_eq!(nearest("AWS-loadbalancer-scheme", ["aws-load-balancer-scheme"]), Some("aws-load-balancer-scheme"));
        assert_eq!(nearest("internetfacing", ["internal", "internet-facing"]), Some("internet-facing"));
        assert_eq!(nearest("clb", ["nlb"]), None, "one edit, and something else");
        assert_eq!(nearest("NLB", ["nlb"]), Some("nlb"));
        assert_eq!(nearest("public", ["internal", "internet-facing"]), None);
    }
}
