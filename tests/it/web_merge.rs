//! Merging issues in the list, and splitting a part off on the page of an issue.

use crate::api::seed::{Seed, store};
use crate::support::TestApp;
use crate::web::{add_user, sign_in, token};

#[tokio::test]
async fn ticked_issues_become_one_and_are_parted_again() {
    let test = TestApp::start().await;
    add_user(&test, "admin@localhost", true).await;
    store(&test, &[Seed::new(test.project.id, "A: apple", 3), Seed::new(test.project.id, "B: pear", 2)]).await;
    let client = sign_in(&test, "admin@localhost").await;
    let csrf = token(&client.get("/issues/").await.expect(200));

    let form = |issues: &[&'static str]| {
        let mut form = vec![("csrf", csrf.clone()), ("merge", "yes".to_owned()), ("back", "/issues/".to_owned())];
        form.extend(issues.iter().map(|issue| ("issue", (*issue).to_owned())));
        form
    };
    let send = async |path: &str, form: Vec<(&str, String)>| {
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        client.post_form(path, &form).await.expect(303).header("location").to_owned()
    };
    let alone = send("/issues/", form(&["1"])).await;
    assert_eq!(alone, "/issues/?unmerged=1");
    assert!(client.get(&alone).await.expect(200).text().contains("tick two issues or more"));
    let merged = send("/issues/", form(&["1", "2"])).await;
    assert_eq!(merged, "/issues/?merged=2");
    let list = client.get(&merged).await.expect(200).text();
    assert!(list.contains("2 issues are one now.") && !list.contains("/issues/2/"), "{list}");

    assert_eq!(client.get("/issues/2/").await.expect(303).header("location"), "/issues/1/");
    let page = client.get("/issues/1/").await.expect(200).text();
    assert!(page.contains("A: apple") && page.contains("B: pear"), "both parts are named");
    let hash = |of: &str| {
        let before = page.split(of).next().unwrap();
        let value = before.rsplit(r#"name="hash" value=""#).next().unwrap();
        value.split('"').next().unwrap().to_owned()
    };
    let part = vec![("csrf", csrf.clone()), ("hash", hash("A: apple <"))];
    assert_eq!(send("/issues/1/split/", part).await, "/issues/3/");
    let page = client.get("/issues/3/").await.expect(200).text();
    assert!(page.contains("apple") && !page.contains("pear") && !page.contains("id=\"parts\""), "{page}");
    // Nothing more to split off.
    let nothing = vec![("csrf", csrf.clone()), ("hash", hash("A: apple <"))];
    assert_eq!(send("/issues/3/split/", nothing).await, "/issues/3/#parts");
}
