//! A person with a browser: signs in, finds the issue, resolves it, in both languages and themes.

use std::fs;
use std::path::Path;

use bytes::Bytes;

use super::Instance;
use super::webdriver::Browser;
use crate::support::webhook::WebhookSink;

/// Numbers of an alert and of its first recipient.
struct OnCall {
    alert: i64,
    recipient: i64,
}

/// An alert that really tells somebody of what comes.
async fn tell(instance: &Instance, hooks: &WebhookSink) -> OnCall {
    let arguments = ["token", "create", "--user", "admin@localhost", "--scope", "project:write"];
    let client = instance.client().with_token(instance.run("glitchbox", &arguments).trim());
    // The second recipient is broken, and the page has to say so.
    let alert = serde_json::json!({ "name": "On call", "alertRecipients": [
        { "recipientType": "webhook", "url": hooks.url("/chat/on-call") },
        { "recipientType": "generic", "url": hooks.url("/500"), "secret": "not a real secret" },
    ] });
    let made = client.post_json("/api/0/projects/default/default/alerts/", &alert).await.expect(201).json();
    let number = |value: &serde_json::Value| value.as_i64().unwrap();
    OnCall { alert: number(&made["id"]), recipient: number(&made["alertRecipients"][0]["id"]) }
}

/// What tells the languages apart on the issue's page.
struct Words {
    language: &'static str,
    sign_in: &'static str,
    resolve: &'static str,
    resolved: &'static str,
    alert_saved: &'static str,
    test_delivered: &'static str,
}

const LANGUAGES: [Words; 2] = [
    Words {
        language: "en",
        sign_in: "Sign in",
        resolve: "Resolve",
        resolved: "Resolved",
        alert_saved: "Alert saved.",
        test_delivered: "was delivered.",
    },
    Words {
        language: "zh-CN",
        sign_in: "登录",
        resolve: "标为已解决",
        resolved: "已解决",
        alert_saved: "告警已保存。",
        test_delivered: "已送达",
    },
];

/// Wide as on a desk, narrow as in the hand.
const WIDTHS: [u32; 2] = [1280, 390];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_signs_in_opens_the_issue_and_resolves_it_in_both_languages() {
    let instance = tokio::task::spawn_blocking(Instance::started).await.unwrap();
    let password = fs::read_to_string(instance.data().join("secrets/admin-password")).unwrap();
    for (name, platform) in [("Web shop", "python"), ("Mobile app", "android"), ("Warehouse", "rust")] {
        instance.run("glitchbox", &["project", "create", name, "--org", "default", "--platform", platform]);
    }
    let hooks = WebhookSink::start().await;
    let on_call = tell(&instance, &hooks).await;
    send_corpus(&instance).await;
    hooks.wait_for("/chat/on-call", 4).await;
    hooks.wait_for("/500", 1).await;
    for words in LANGUAGES {
        let browser = Browser::start(words.language).await;
        visit(&browser, &instance, &password, &on_call, &words).await;
        browser.quit().await;
        // As new for the next language.
        instance.sql("update issue set status = 0, resolved_at = null");
    }
}

async fn visit(browser: &Browser, instance: &Instance, password: &str, on_call: &OnCall, words: &Words) {
    let site = format!("http://localhost:{}", instance.address().port());
    browser.set_screen(1280, "light").await;
    browser.open(&format!("{site}/")).await;
    assert_eq!(browser.text("button[type=submit]").await, words.sign_in);
    photograph(browser, "sign-in", words.language).await;
    browser.fill("input[name=email]", "admin@localhost").await;
    browser.fill("input[name=password]", password).await;
    browser.click("button[type=submit]").await;

    browser.arrive("/issues/").await;
    photograph(browser, "issues", words.language).await;
    browser.click("td.what a.title").await;
    browser.find("button[name=status][value=resolved]").await;
    let page = browser.text("body").await;
    // Type and value, a function, a line of the source, a breadcrumb, a tag.
    for shown in [
        "OverflowError",
        "product invoice could not be processed",
        "product_invoice_0",
        "request = self.backend(product_invoice_0)",
        "httplib",
        "shard-1",
    ] {
        assert!(page.contains(shown), "{shown:?} is not on the page:\n{page}");
    }
    photograph(browser, "issue", words.language).await;
    assert!(page.contains(words.resolve), "{page}");
    browser.click("button[name=status][value=resolved]").await;
    // What stands there now is the way back.
    browser.find("button[name=status][value=unresolved]").await;
    let page = browser.text("main").await;
    assert!(page.contains(words.resolved), "{page}");
    assert_eq!(instance.sql("select count(*) from issue where status = 1"), "1");

    make_an_alert(browser, &site, on_call, words).await;
    set_a_limit(browser, &site, words.language).await;
    for (name, path) in
        [("projects", "/projects/"), ("project", "/projects/default/default/"), ("settings", "/settings/")]
    {
        browser.open(&format!("{site}{path}")).await;
        photograph(browser, name, words.language).await;
    }
    let page_language = browser.run("return document.documentElement.lang").await;
    assert_eq!(page_language, words.language);
    let complaints: Vec<String> = browser.console().await;
    assert!(complaints.is_empty(), "the console says: {complaints:#?}");
}

/// Makes an alert with three webhooks, looks at it in the list and removes it.
async fn make_an_alert(browser: &Browser, site: &str, on_call: &OnCall, words: &Words) {
    let alerts = "/projects/default/default/alerts/";
    browser.open(&format!("{site}{alerts}")).await;
    browser.click("a[href$='alerts/new/']").await;
    browser.fill("input[name=name]", "Night shift").await;
    browser.click("input[value=many]").await;
    browser.fill("input[name=url-0]", "https://hooks.slack.com/services/T0AB12CD3/B0EF45GH6/not-a-real-token").await;
    browser.click("button[value=add]").await;
    browser.find("input[name=url-1]").await;
    browser.click("select[name=kind-1] option[value=feishu]").await;
    browser.fill("input[name=url-1]", "open.feishu.cn/open-apis/bot/v2/hook/0000-1111").await;
    browser.fill("input[name=secret-1]", "not a real secret").await;
    browser.click(".ends button").await;
    // The address wants its https://.
    browser.find(".problem").await;
    let wrong = browser.text(".problem").await;
    assert!(wrong.contains("https://"), "{wrong}");
    photograph(browser, "alert-mistake", words.language).await;
    let complaints = browser.console().await;
    assert!(complaints.iter().all(|line| line.contains("422")), "besides the refused form: {complaints:#?}");
    browser.run("document.querySelector('input[name=url-1]').value = ''").await;
    browser.fill("input[name=url-1]", "https://open.feishu.cn/open-apis/bot/v2/hook/0000-1111-2222").await;
    browser.click(".ends button").await;
    browser.find(".note.good").await;
    assert_eq!(browser.text(".note.good").await, words.alert_saved);
    let list = browser.text("main").await;
    assert!(list.contains("Night shift") && list.contains("https://hooks.slack.com/…oken"), "{list}");
    // This one has a receiver that is there.
    browser.click(&format!("form[action$='alerts/{}/test/'] button", on_call.alert)).await;
    browser.arrive(&format!("alerts/?test={}", on_call.recipient)).await;
    let result = browser.text(".note[role=status]").await;
    assert!(result.contains(words.test_delivered), "{result}");
    let list = browser.text("main").await;
    assert!(list.contains("HTTP 500"), "{list}");
    photograph(browser, "alerts", words.language).await;
    browser.click(".alert + .alert + .alert .actions a").await;
    browser.find("input[name=url-1]").await;
    photograph(browser, "alert", words.language).await;
    browser.click(".btn.danger").await;
    browser.find(".note.good").await;
    let list = browser.text("main").await;
    assert!(!list.contains("Night shift"), "{list}");
}

/// Sets a limit, looks at it and switches it off.
async fn set_a_limit(browser: &Browser, site: &str, language: &str) {
    browser.open(&format!("{site}/projects/default/default/limits/")).await;
    browser.fill("input[name=count]", "1000").await;
    browser.click(".limit-form .btn.primary").await;
    browser.arrive("limits/?done=saved").await;
    let list = browser.text(".limits").await;
    assert!(list.contains("1,000"), "{list}");
    photograph(browser, "limits", language).await;
    browser.click(".limits .end button").await;
    browser.arrive("limits/?done=cleared").await;
}

/// The page in both themes and widths, into target/screenshots; nothing may stick out at the side.
pub(crate) async fn photograph(browser: &Browser, name: &str, language: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
    fs::create_dir_all(&folder).unwrap();
    for theme in ["light", "dark"] {
        for width in WIDTHS {
            browser.set_screen(width, theme).await;
            let inner = browser.run("return document.documentElement.scrollWidth").await;
            assert!(inner.as_u64().unwrap() <= u64::from(width), "{name} is {inner} wide on {width} ({language})");
            let picture = browser.picture(width < 600).await;
            fs::write(folder.join(format!("{name}-{language}-{theme}-{width}.webp")), picture).unwrap();
        }
    }
    browser.set_screen(1280, "light").await;
}

/// A few issues to look at: the bodies of the benchmark under other names.
async fn send_corpus(instance: &Instance) {
    let key = instance.public_key();
    let auth = format!("Sentry sentry_key={key}");
    let small = include_str!("../../../benches/corpus/event-3k.json");
    let large = include_str!("../../../benches/corpus/event-25k.json");
    let kinds = [
        ("ValueError", "no price for article 'plum'", "/basket/add/", small, 7),
        ("TimeoutError", "the warehouse did not answer within 5 s", "/api/stock/", small, 12),
        ("PermissionDenied", "clerks may not cancel a shipped order", "/orders/cancel/", small, 2),
        ("OverflowError", "product invoice could not be processed (case 0)", "/api/product/0/invoice", large, 3),
    ];
    let mut sent = 0;
    for (kind, value, transaction, body, times) in kinds {
        for _ in 0..times {
            let id = uuid::Uuid::new_v4().simple().to_string();
            let mut event: serde_json::Value = serde_json::from_str(body).unwrap();
            event["event_id"] = id.into();
            event["timestamp"] = chrono::Utc::now().to_rfc3339().into();
            event["user"]["id"] = (sent % 9).to_string().into();
            event["transaction"] = transaction.into();
            event["exception"]["values"][0]["type"] = kind.into();
            event["exception"]["values"][0]["value"] = value.into();
            let body = Bytes::from(event.to_string());
            instance.client().post("/api/1/store/", &[("x-sentry-auth", auth.as_str())], body).await.expect(200);
            sent += 1;
        }
        tokio::task::block_in_place(|| instance.wait_for_events(sent));
    }
}
