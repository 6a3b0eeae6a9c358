//! What the black-box tests stand on: real PostgreSQL and Redis servers that live exactly as long
//! as the test process, a fresh database for each test, the application on a free port.

pub(crate) mod app;
pub(crate) mod client;
pub(crate) mod database;
pub(crate) mod keeper;
pub(crate) mod mail;
pub(crate) mod mutate;
pub(crate) mod preload;
pub(crate) mod redis;
pub(crate) mod webhook;

pub(crate) use app::TestApp;
pub(crate) use client::{Client, Reply};
pub(crate) use database::TestDatabase;
pub(crate) use keeper::is_root;
pub(crate) use mail::MailSink;
pub(crate) use redis::TestRedis;
pub(crate) use webhook::WebhookSink;
