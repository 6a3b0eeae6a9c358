//! Sends an item of each kind, and dies of a panic. Knows only `SENTRY_DSN`.

use std::error::Error;
use std::fmt;

use sentry::protocol::{Attachment, User};
use sentry::{ClientOptions, Level};

#[derive(Debug)]
struct NoPrice(std::num::ParseIntError);

impl fmt::Display for NoPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no price for plum")
    }
}

impl Error for NoPrice {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

fn load_price(text: &str) -> Result<u32, NoPrice> {
    text.parse().map_err(NoPrice)
}

fn restock() {
    let transaction = sentry::start_transaction(sentry::TransactionContext::new("restock", "task"));
    transaction.set_data("shelf", 4.into());
    let span = transaction.start_child("db", "select price from article");
    span.finish();
    transaction.finish();
}

fn ship(weight: u32) -> u32 {
    100_u32.checked_div(weight).expect("nothing weighs nothing")
}

fn main() {
    let options = ClientOptions::new()
        .release("shop@1.4.0")
        .environment("staging")
        .traces_sample_rate(1.0)
        .before_send(|event| (event.message.as_deref() != Some("nobody wants to know")).then_some(event));
    let _client = sentry::init(options);
    sentry::configure_scope(|scope| {
        scope.set_user(Some(User {
            id: Some("9".into()),
            email: Some("margaret@example.org".into()),
            ..User::default()
        }));
    });
    sentry::start_session();
    let file = Attachment { buffer: b"plum;3\n".to_vec(), filename: "basket.csv".into(), ..Attachment::default() };
    sentry::with_scope(
        |scope| {
            scope.set_tag("shelf", 4);
            scope.add_attachment(file);
        },
        || sentry::capture_error(&load_price("many").unwrap_err()),
    );
    sentry::capture_message("the warehouse is nearly full", Level::Warning);
    sentry::capture_message("nobody wants to know", Level::Info);
    restock();
    sentry::logger_warn!(shelf = 4, "only {} plums left", 2);
    sentry::metrics::counter("sold", 3).capture();
    ship(0);
}
