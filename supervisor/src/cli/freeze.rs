//! `supervisor freeze` and `supervisor thaw`.

use clap::Args;
use serde_json::json;

use super::Place;
use super::output::{print, print_json};
use crate::control::{Client, Failure, Freeze};

/// Longest freeze with an end: a year.
const LONGEST_S: u32 = 366 * 86_400;

/// What a freeze may be told.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    pub place: Place,
    /// For how long, such as 90s, 30m, 2h or 1d [default: until `supervisor thaw`]
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    pub within: Option<u32>,
    /// Why, for those who read the reports
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// The answer as JSON
    #[arg(long)]
    pub json: bool,
}

pub(super) async fn freeze(arguments: Arguments) -> Result<u8, Failure> {
    let wish = Freeze { for_s: arguments.within, reason: arguments.reason };
    say(arguments.json, &Client::connect(&arguments.place.path()).await?.freeze(&wish).await?);
    Ok(0)
}

pub(super) async fn thaw(place: Place, json: bool) -> Result<u8, Failure> {
    say(json, &Client::connect(&place.path()).await?.thaw().await?);
    Ok(0)
}

/// Reads a time such as `2h`, as seconds.
fn seconds(text: &str) -> Result<u32, String> {
    let wrong = || "must be a time such as 90s, 30m, 2h or 1d, at most a year".to_owned();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end).ok_or_else(wrong)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let seconds = number.parse::<u32>().ok().and_then(|number| number.checked_mul(unit));
    seconds.filter(|seconds| (1..=LONGEST_S).contains(seconds)).ok_or_else(wrong)
}

fn say(json: bool, message: &str) {
    if json {
        print_json(&json!({ "ok": true, "message": message }));
    } else {
        print(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_an_end() {
        assert_eq!(
            ["90s", "30m", "2h", "1d", "366d"].map(|text| seconds(text).unwrap()),
            [90, 1_800, 7_200, 86_400, LONGEST_S]
        );
        for text in ["", "2", "h", "0s", "2 h", "-1h", "367d", "99999999999s", "2w", "2hh"] {
            assert!(seconds(text).unwrap_err().contains("such as 90s"), "{text}");
        }
    }
}
