//! The pages in a browser: in both languages and themes, wide and narrow, by keyboard.

use glitchbox::protocol::Filter;

use super::{set, switch_on};
use crate::appliance::browser::photograph;
use crate::appliance::webdriver::Browser;
use crate::support::TestApp;
use crate::web::add_user;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_fit_in_both_languages_and_themes_wide_and_narrow() {
    let app = TestApp::start().await;
    add_user(&app, "admin@localhost", true).await;
    switch_on(&app, Filter::ErrorMessages, &["ChunkLoadError: Loading chunk *", "*ResizeObserver loop*"]).await;
    set(&app, app.project.id, |filters| {
        filters.switch(Filter::WebCrawlers, true).unwrap();
        filters.set_entries(Filter::LegacyBrowsers, ["ie", "safari_pre_6"]).unwrap();
    })
    .await;
    for (language, saved) in [("en", "saved"), ("zh-CN", "已保存")] {
        let browser = Browser::start(language).await;
        let site = format!("http://{}/projects/default/default", app.address());
        browser.open(&format!("{site}/filters/")).await;
        browser.fill("input[name=email]", "admin@localhost").await;
        browser.fill("input[name=password]", "correct horse battery").await;
        browser.click("button[type=submit]").await;
        browser.arrive("/filters/").await;
        photograph(&browser, "filters", language).await;
        for page in ["filters", "privacy"] {
            browser.open(&format!("{site}/{page}/")).await;
            if page == "privacy" {
                photograph(&browser, page, language).await;
            }
            browser.click(".rules-form .btn.primary").await;
            browser.arrive(&format!("{page}/?done=saved")).await;
            let note = browser.text(".note.good").await;
            assert!(note.contains(saved), "{note}");
        }
        let complaints = browser.console().await;
        assert!(complaints.is_empty(), "the console says: {complaints:#?}");
        browser.quit().await;
    }
    let rules = glitchbox::store::project_rules::find(&app.app.db, app.project.id).await.unwrap();
    assert!(rules.filters.web_crawlers && rules.filters.error_messages.len() == 2, "saved as they were: {rules:?}");
    assert_eq!(rules.privacy, glitchbox::protocol::PrivacySettings::default());
}
