//! Why a message did not arrive, in the reader's language: stored are our own sentences and what others said.

use super::super::text::Lang;

/// The stored reason as people read it. What others said stays as it is.
pub(super) fn why(lang: Lang, stored: &str) -> String {
    let after = |beginning: &str| stored.strip_prefix(beginning).map(str::to_owned);
    match stored {
        "the recipient was removed" => return lang.why_recipient_removed().to_owned(),
        "the issue is ignored" => return lang.why_issue_ignored().to_owned(),
        "EMAIL_URL is not set" => return lang.why_no_mail().to_owned(),
        _ => {}
    }
    after("the webhook answered ")
        .map(|status| lang.why_webhook_answered(status))
        .or_else(|| after("the webhook refused it: ").map(|reason| lang.why_webhook_refused(reason)))
        .or_else(|| after("the mail server: ").map(|reason| lang.why_mail_server(reason)))
        .or_else(|| after("the mail server took more than ").map(|limit| lang.why_mail_server_slow(limit)))
        .unwrap_or_else(|| stored.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_words_are_translated_and_those_of_others_stay() {
        for (stored, chinese) in [
            ("the recipient was removed", "通知对象已被移除"),
            ("the webhook answered 500 Internal Server Error", "Webhook 返回 500 Internal Server Error"),
            ("the webhook refused it: code 19021: sign match fail", "Webhook 拒绝接收：code 19021: sign match fail"),
            ("the mail server took more than 20 s", "邮件服务器超过 20 s 未响应"),
            ("error sending request", "error sending request"),
        ] {
            assert_eq!(why(Lang::English, stored), stored);
            assert_eq!(why(Lang::Chinese, stored), chinese);
        }
    }
}
