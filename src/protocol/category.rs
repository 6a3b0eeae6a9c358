//! What items are counted and limited as. A category is not an item type: several types share one.

use std::fmt;

macro_rules! categories {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A data category, by the names that rate limits and client reports use.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Category {
            $($(#[$doc])* $variant,)*
        }

        impl Category {
            /// Every category there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The protocol's name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

categories! {
    /// What has no category of its own, and types we have never heard of.
    Default = "default",
    /// Events, and crash reports that become one.
    Error = "error",
    /// Transactions.
    Transaction = "transaction",
    /// Reports of browsers: content security policy and its relatives.
    Security = "security",
    /// Files sent along.
    Attachment = "attachment",
    /// Sessions, single and aggregated.
    Session = "session",
    /// Profiles of transactions.
    Profile = "profile",
    /// Pieces of continuous profiles.
    ProfileChunk = "profile_chunk",
    /// Pieces of continuous profiles of user interfaces.
    ProfileChunkUi = "profile_chunk_ui",
    /// Session replays.
    Replay = "replay",
    /// Check-ins of monitors.
    Monitor = "monitor",
    /// What users wrote.
    Feedback = "feedback",
    /// Spans sent by themselves.
    Span = "span",
    /// Logs.
    LogItem = "log_item",
    /// Metrics of traces.
    TraceMetric = "trace_metric",
    /// Metrics of old.
    MetricBucket = "metric_bucket",
    /// What SDKs say of themselves: never limited.
    Internal = "internal",
}

impl Category {
    /// The category that an item of this type counts as.
    pub fn of_item_type(item_type: &str) -> Self {
        match item_type {
            "event" | "unreal_report" => Self::Error,
            "transaction" => Self::Transaction,
            "security" | "raw_security" => Self::Security,
            "attachment" | "attachment_part" => Self::Attachment,
            "session" | "sessions" => Self::Session,
            "profile" => Self::Profile,
            "profile_chunk" => Self::ProfileChunk,
            "profile_chunk_ui" => Self::ProfileChunkUi,
            "replay_event" | "replay_recording" | "replay_video" => Self::Replay,
            "check_in" => Self::Monitor,
            "feedback" | "user_report" => Self::Feedback,
            "span" | "otel_span" | "otel_traces_data" => Self::Span,
            "log" => Self::LogItem,
            "trace_metric" => Self::TraceMetric,
            "statsd" | "metric_buckets" | "metric_meta" => Self::MetricBucket,
            "client_report" => Self::Internal,
            _ => Self::Default,
        }
    }

    /// The category of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|category| category.as_str() == name)
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_category() {
        for category in Category::ALL {
            assert_eq!(Category::from_name(category.as_str()), Some(*category));
        }
        assert_eq!(Category::from_name("event"), None);
    }

    #[test]
    fn every_type_has_a_category() {
        for (item_type, category) in [
            ("event", Category::Error),
            ("log", Category::LogItem),
            ("user_report", Category::Feedback),
            ("client_report", Category::Internal),
            ("from_the_future", Category::Default),
        ] {
            assert_eq!(Category::of_item_type(item_type), category, "{item_type}");
        }
    }
}
