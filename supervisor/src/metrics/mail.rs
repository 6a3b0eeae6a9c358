//! What has become of the reports, counted by their files.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

/// Reports on their way, and those that have come to an end of it, by channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mail {
    /// Letters that wait or are tried again.
    pub waiting: BTreeMap<String, u64>,
    /// Letters of the reports that are kept, by channel and status (`delivered`, `failed`).
    pub settled: BTreeMap<(String, String), u64>,
}

#[derive(Deserialize)]
struct Settled {
    channel: String,
    status: String,
}

impl Mail {
    /// Looks into a data directory.
    pub fn look(data: &Path) -> Self {
        let mut mail = Self::default();
        // REPORT.CHANNEL.json
        for (name, _) in files(&data.join("spool/reports")) {
            let mut words = name.split('.').skip(1);
            if let (Some(channel), Some("json"), None) = (words.next(), words.next(), words.next()) {
                *mail.waiting.entry(channel.to_owned()).or_default() += 1;
            }
        }
        for (name, path) in files(&data.join("logs/reports")) {
            let settled = || serde_json::from_slice::<Settled>(&std::fs::read(&path).ok()?).ok();
            if name.ends_with(".delivery")
                && let Some(settled) = settled()
            {
                *mail.settled.entry((settled.channel, settled.status)).or_default() += 1;
            }
        }
        mail
    }
}

/// The visible files of a folder: names and paths.
fn files(folder: &Path) -> impl Iterator<Item = (String, std::path::PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())));
    named.filter(|(name, _)| !name.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_counted_by_channel_and_status() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(Mail::look(data.path()), Mail::default());
        for folder in ["spool/reports", "logs/reports"] {
            std::fs::create_dir_all(data.path().join(folder)).unwrap();
        }
        for name in ["restart-1.feishu.json", "restart-2.feishu.json", ".restart-3.feishu.json.tmp", "x.json"] {
            std::fs::write(data.path().join("spool/reports").join(name), "{}").unwrap();
        }
        let note = r#"{"channel":"webhook","status":"delivered","attempts":1}"#;
        std::fs::write(data.path().join("logs/reports/restart-1.webhook.delivery"), note).unwrap();
        let mail = Mail::look(data.path());
        assert_eq!(mail.waiting, BTreeMap::from([("feishu".to_owned(), 2)]));
        assert_eq!(mail.settled, BTreeMap::from([(("webhook".to_owned(), "delivered".to_owned()), 1)]));
    }
}
