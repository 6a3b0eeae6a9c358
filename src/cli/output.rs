//! How admin commands answer: a table or a sentence for people, JSON for programs.

use serde::Serialize;

/// `--json`, which every admin command takes.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Output {
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Rows that can be shown as a table.
pub(super) trait Row: Serialize {
    const COLUMNS: &'static [&'static str];

    /// One text for each column.
    fn cells(&self) -> Vec<String>;
}

impl Output {
    /// A list: a table, or an array with one object a line.
    pub(super) fn rows<R: Row>(self, rows: &[R]) -> anyhow::Result<()> {
        if !self.json {
            print!("{}", table(rows));
            return Ok(());
        }
        let objects: Vec<String> = rows.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        println!("[{}]", objects.join(",\n "));
        Ok(())
    }

    /// One thing: an object, or `text`.
    pub(super) fn one(self, value: &impl Serialize, text: &str) -> anyhow::Result<()> {
        if self.json {
            println!("{}", serde_json::to_string(value)?);
        } else {
            println!("{text}");
        }
        Ok(())
    }
}

/// Columns as wide as their widest cell, two spaces between them.
fn table<R: Row>(rows: &[R]) -> String {
    let mut lines: Vec<Vec<String>> = vec![R::COLUMNS.iter().map(|name| name.to_uppercase()).collect()];
    lines.extend(rows.iter().map(R::cells));
    let widths: Vec<usize> = (0..R::COLUMNS.len())
        .map(|column| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max())
        .map(Option::unwrap_or_default)
        .collect();
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// `yes` or `no`.
pub(super) fn yes_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Pair(&'static str, &'static str);

    impl Row for Pair {
        const COLUMNS: &'static [&'static str] = &["slug", "name"];

        fn cells(&self) -> Vec<String> {
            vec![self.0.to_owned(), self.1.to_owned()]
        }
    }

    #[test]
    fn columns_line_up() {
        let rows = [Pair("a", "Name"), Pair("longer", "")];
        assert_eq!(table(&rows), "SLUG    NAME\na       Name\nlonger\n");
        assert_eq!(table::<Pair>(&[]), "SLUG  NAME\n");
    }
}
