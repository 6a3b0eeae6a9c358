//! Tables for people.

/// A table; `numbers` tells which columns stand to the right.
pub(super) fn columns<const N: usize>(rows: &[[String; N]], numbers: [bool; N]) -> String {
    lines(rows, numbers).iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

/// The lines of a table, all of one width.
pub(super) fn lines<const N: usize>(rows: &[[String; N]], numbers: [bool; N]) -> Vec<String> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; N]| {
        let cells =
            row.iter().zip(widths).zip(numbers).map(|((cell, width), number)| {
                if number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
        cells.collect::<Vec<_>>().join("  ")
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let row = |name: &str, pid: &str, health: &str| [name, pid, health].map(str::to_owned);
        let rows = [row("NAME", "PID", "HEALTH"), row("postgres", "4711", "ok"), row("web", "9", "")];
        assert_eq!(columns(&rows, [false, true, false]), "NAME       PID  HEALTH\npostgres  4711  ok\nweb          9");
    }
}
