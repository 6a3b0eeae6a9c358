//! Alerts as they are set up.

use glitchbox::config::Secret;
use glitchbox::ids::{AlertId, ProjectId};
use glitchbox::store::StoreError;
use glitchbox::store::alert::{self, NewAlert, NewRecipient, RecipientKind};

use crate::store::new_project;
use crate::support::TestDatabase;

fn recipient(kind: RecipientKind, url: &str, secret: Option<&str>) -> NewRecipient {
    NewRecipient { kind, url: url.to_owned(), secret: secret.map(Secret::new) }
}

fn named(name: &str, recipients: Vec<NewRecipient>) -> NewAlert {
    NewAlert { name: name.to_owned(), is_enabled: true, timespan_minutes: None, quantity: None, recipients }
}

#[tokio::test]
async fn a_new_project_tells_its_members_of_new_issues() {
    let database = TestDatabase::new().await;
    let project = new_project(database.pool()).await;
    let alerts = alert::list(database.pool(), project).await.unwrap();
    assert_eq!(alerts.len(), 1);
    let first = &alerts[0];
    assert_eq!((first.name.as_str(), first.is_enabled, first.quantity), ("New issues", true, None));
    assert_eq!(
        first.recipients.iter().map(|to| (to.kind, to.url.as_str())).collect::<Vec<_>>(),
        [(RecipientKind::Email, "")]
    );
}

#[tokio::test]
async fn an_alert_is_made_changed_and_removed() {
    let database = TestDatabase::new().await;
    let pool = database.pool();
    let project = new_project(pool).await;
    let feishu = "https://open.feishu.cn/open-apis/bot/v2/hook/x";
    let new = NewAlert {
        timespan_minutes: Some(10),
        quantity: Some(100),
        ..named(
            "Busy",
            vec![
                recipient(RecipientKind::Feishu, feishu, Some("s3cret")),
                recipient(RecipientKind::Feishu, feishu, None),
                recipient(RecipientKind::Webhook, "https://hooks.example.com/1", None),
            ],
        )
    };
    let made = alert::insert(pool, project, &new).await.unwrap();
    assert_eq!(alert::find(pool, project, made.id).await.unwrap(), Some(made.clone()));
    assert_eq!((made.timespan_minutes, made.quantity, made.recipients.len()), (Some(10), Some(100), 2));
    assert!(!format!("{made:?}").contains("s3cret"));

    // What stays keeps its number and its secret.
    let new =
        named("Quiet", vec![recipient(RecipientKind::Email, "", None), recipient(RecipientKind::Feishu, feishu, None)]);
    let changed = alert::update(pool, project, made.id, &new).await.unwrap().unwrap();
    assert_eq!((changed.name.as_str(), changed.quantity), ("Quiet", None));
    assert_eq!(changed.recipients.len(), 2);
    assert_eq!(changed.recipients[0], made.recipients[0]);
    let new = named("Quiet", vec![recipient(RecipientKind::Feishu, feishu, Some(""))]);
    let changed = alert::update(pool, project, made.id, &new).await.unwrap().unwrap();
    assert_eq!(changed.recipients[0].secret, None);

    let elsewhere = ProjectId(project.0 + 1);
    assert_eq!(alert::find(pool, elsewhere, made.id).await.unwrap(), None);
    assert_eq!(alert::update(pool, elsewhere, made.id, &new).await.unwrap(), None);
    assert!(!alert::delete(pool, elsewhere, made.id).await.unwrap());
    assert!(alert::delete(pool, project, made.id).await.unwrap());
    assert!(!alert::delete(pool, project, made.id).await.unwrap());
    assert_eq!(alert::find(pool, project, AlertId(made.id.0)).await.unwrap(), None);
}

#[tokio::test]
async fn half_a_frequency_is_refused() {
    let database = TestDatabase::new().await;
    let project = new_project(database.pool()).await;
    for (timespan_minutes, quantity) in [(Some(10), None), (None, Some(10)), (Some(0), Some(1)), (Some(1), Some(-1))] {
        let new = NewAlert { timespan_minutes, quantity, ..named("Half", Vec::new()) };
        let refused = alert::insert(database.pool(), project, &new).await;
        assert!(matches!(refused, Err(StoreError::Data(_))), "{timespan_minutes:?} {quantity:?}");
    }
}

#[tokio::test]
async fn an_address_has_one_secret_in_all_alerts_of_a_project() {
    let database = TestDatabase::new().await;
    let pool = database.pool();
    let project = new_project(pool).await;
    let hook = |secret: Option<&str>| NewRecipient {
        kind: RecipientKind::Generic,
        url: "https://example.com/hook".to_owned(),
        secret: secret.map(Secret::new),
    };
    let first = alert::insert(pool, project, &named("First", vec![hook(Some("old"))])).await.unwrap().id;
    let second = alert::insert(pool, project, &named("Second", vec![hook(Some("new"))])).await.unwrap().id;
    let secret = async |id| alert::find(pool, project, id).await.unwrap().unwrap().recipients[0].secret.clone();
    assert_eq!(secret(first).await, Some(Secret::new("new")));
    alert::update(pool, project, second, &named("Second", vec![hook(None)])).await.unwrap();
    assert_eq!(secret(first).await, Some(Secret::new("new")));
    alert::update(pool, project, second, &named("Second", vec![hook(Some(""))])).await.unwrap();
    assert_eq!((secret(first).await, secret(second).await), (None, None));
}
