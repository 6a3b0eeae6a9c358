//! Table `instance`: facts about this instance that a command started by hand cannot know.

use sqlx::PgExecutor;

use super::Result;

/// The public address that the running instance was started with.
pub const PUBLIC_URL: &str = "public_url";

/// A fact by its name.
pub async fn find(db: impl PgExecutor<'_>, name: &str) -> Result<Option<String>> {
    Ok(sqlx::query_scalar("select value from instance where name = $1").bind(name).fetch_optional(db).await?)
}

/// Notes a fact.
pub async fn set(db: impl PgExecutor<'_>, name: &str, value: &str) -> Result<()> {
    sqlx::query(
        "insert into instance (name, value) values ($1, $2)
         on conflict (name) do update set value = excluded.value where instance.value <> excluded.value",
    )
    .bind(name)
    .bind(value)
    .execute(db)
    .await?;
    Ok(())
}
