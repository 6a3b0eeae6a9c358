//! The page in a browser: in both languages and themes, wide and narrow.

use chrono::{TimeDelta, Utc};
use glitchbox::ids::EventId;
use glitchbox::store::canary_run::{self, CanaryRun};
use glitchbox::store::outcome::Outcome;

use super::{count, reject};
use crate::api::seed::new_project;
use crate::appliance::browser::photograph;
use crate::appliance::webdriver::Browser;
use crate::support::TestApp;
use crate::web::add_user;

/// A month of three projects, with a bit of everything.
async fn lived_in() -> TestApp {
    let app = TestApp::start().await;
    add_user(&app, "admin@localhost", true).await;
    let projects = [
        app.project.id,
        new_project(&app, app.organization.id, "web-shop").await,
        new_project(&app, app.organization.id, "warehouse-of-the-northern-branch").await,
    ];
    let now = Utc::now();
    for hours in (0..720_i64).step_by(3).chain(1..24) {
        let at = now - TimeDelta::hours(hours);
        for (index, project) in projects.iter().enumerate() {
            let weight = i64::try_from(index).unwrap() + 1;
            let stored = (900 + 37 * (hours % 24) * (24 - hours % 24)) / weight;
            let filtered = stored / 9;
            count(&app, *project, at, ("error", Outcome::Accepted, ""), stored + filtered).await;
            count(&app, *project, at, ("error", Outcome::Stored, ""), stored).await;
            count(&app, *project, at, ("error", Outcome::Filtered, "duplicate"), filtered).await;
            if hours % 5 == 0 {
                count(&app, *project, at, ("session", Outcome::Accepted, ""), 400).await;
                count(&app, *project, at, ("session", Outcome::Filtered, "not_kept"), 400).await;
                count(&app, *project, at, ("error", Outcome::RateLimited, "project_quota"), 210 * weight).await;
                count(&app, *project, at, ("transaction", Outcome::Discarded, "sample_rate"), 9_000).await;
                count(&app, *project, at, ("error", Outcome::Discarded, "before_send"), 12).await;
            }
        }
    }
    for minutes in 0..7 {
        let at = now - TimeDelta::minutes(minutes * 47);
        count(&app, app.project.id, at, ("error", Outcome::Accepted, ""), 1).await;
        let detail = "expected value at line 1 column 4711: the text ends within a string that began long before";
        reject(&app, EventId::random(), at, "malformed", detail).await;
    }
    let sent_at = now - TimeDelta::seconds(40);
    let run = CanaryRun { id: uuid::Uuid::now_v7(), sent_at, stored_at: sent_at + TimeDelta::milliseconds(38) };
    canary_run::insert(&app.app.db, &[run]).await.unwrap();
    app
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_fits_in_both_languages_and_themes_wide_and_narrow() {
    let app = lived_in().await;
    for language in ["en", "zh-CN"] {
        let browser = Browser::start(language).await;
        browser.open(&format!("http://{}/usage/", app.address())).await;
        browser.fill("input[name=email]", "admin@localhost").await;
        browser.fill("input[name=password]", "correct horse battery").await;
        browser.click("button[type=submit]").await;
        browser.arrive("/usage/").await;
        photograph(&browser, "usage", language).await;
        browser.open(&format!("http://{}/usage/?period=7d", app.address())).await;
        photograph(&browser, "usage-week", language).await;
        let complaints = browser.console().await;
        assert!(complaints.is_empty(), "the console says: {complaints:#?}");
        browser.quit().await;
    }
}
