//! Order of the services: each after all it depends on, cycles named.

/// A service as far as the order is concerned.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    /// Line of the service's table in the file.
    pub(super) line: usize,
    /// Names with the line they stand on.
    pub(super) after: Vec<(String, usize)>,
    /// Those of them it can go without, likewise.
    pub(super) without: Vec<(String, usize)>,
}

/// Returns the positions of `nodes` in dependency order (the file's order where there is a choice), or every fault
/// with its line.
pub(super) fn order(nodes: &[Node]) -> Result<Vec<usize>, Vec<(usize, String)>> {
    let mut errors = Vec::new();
    let mut edges: Vec<Vec<usize>> = Vec::new();
    for node in nodes {
        let mut before = Vec::new();
        for (name, line) in &node.after {
            if let Some(position) = nodes.iter().position(|other| other.name == *name) {
                before.push(position);
            } else {
                let hint = closest(name, nodes.iter().map(|other| other.name.as_str()))
                    .map_or_else(String::new, |near| format!(" (did you mean \"{near}\"?)"));
                errors.push((*line, format!("service.{}.after: there is no service \"{name}\"{hint}", node.name)));
            }
        }
        edges.push(before);
    }
    let mut order: Vec<usize> = Vec::new();
    loop {
        let next = edges
            .iter()
            .enumerate()
            .find(|(position, before)| !order.contains(position) && before.iter().all(|needed| order.contains(needed)));
        match next {
            Some((position, _)) => order.push(position),
            None => break,
        }
    }
    if order.len() < nodes.len() {
        let stuck = nodes.iter().enumerate().filter(|(position, _)| !order.contains(position));
        let names: Vec<&str> = stuck.clone().map(|(_, node)| node.name.as_str()).collect();
        let line = stuck.map(|(_, node)| node.line).min().unwrap_or(1);
        errors.push((line, format!("these services wait for one another in a circle: {}", names.join(", "))));
    }
    if errors.is_empty() { Ok(order) } else { Err(errors) }
}

/// The known name that needs the fewest edits to become `name`, if it is near enough to be a slip of the finger.
pub fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(edits, candidate)| *edits <= 1 + candidate.len() / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance, by rows.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (position, letter) in left.chars().enumerate() {
        let mut next = vec![position + 1];
        for (other, pair) in right.iter().zip(row.windows(2)) {
            let &[diagonal, above] = pair else { continue };
            let beside = next.last().copied().unwrap_or(0);
            next.push((diagonal + usize::from(letter != *other)).min(above + 1).min(beside + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let known = ["web", "worker", "postgres", "redis"];
        assert_eq!(closest("wrker", known.into_iter()), Some("worker"));
        assert_eq!(closest("postgresql", known.into_iter()), Some("postgres"));
        assert_eq!(closest("wed", known.into_iter()), Some("web"));
        assert_eq!(closest("nginx", known.into_iter()), None);
    }
}
