//! The ways out: a mail server, and HTTP.

use std::time::Duration;

use glitchbox_notify::{Level, Verdict, is_service, without_address};
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use reqwest::header::RETRY_AFTER;
use reqwest::redirect;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::alert::content::Content;
use crate::alert::pace::Paces;
use crate::alert::{mail, webhook};
use crate::config::{Config, MailTransport, Secret, SmtpSecurity, SmtpServer};
use crate::store::alert::RecipientKind;

/// A mail server gets this long for a whole mail.
const MAIL_LIMIT: Duration = Duration::from_secs(20);

/// A mail server gets this long for each answer.
const MAIL_STEP: Duration = Duration::from_secs(10);

/// A webhook gets this long for everything.
const HTTP_LIMIT: Duration = Duration::from_secs(10);

/// So much of a webhook's answer is read, in bytes.
const ANSWER_LIMIT: usize = 16 * 1024;

/// Longest error that is kept, in characters.
const ERROR_LIMIT: usize = 300;

type Smtp = AsyncSmtpTransport<Tokio1Executor>;

/// The ways out. Nothing is set up before it is used: certificates take memory.
#[derive(Debug)]
pub struct Transport {
    mail: MailTransport,
    from: Mailbox,
    host: String,
    smtp: OnceCell<Smtp>,
    http: OnceCell<reqwest::Client>,
    /// How fast webhooks may be sent to; to keep to it is the caller's business.
    pub paces: Paces,
}

/// A message and where it goes.
#[derive(Debug)]
pub struct Parcel<'a> {
    /// In which way.
    pub kind: RecipientKind,
    /// An address or a URL.
    pub destination: &'a str,
    /// What to sign with.
    pub secret: Option<&'a Secret>,
    /// What it says.
    pub content: &'a Content,
    /// The same whenever it is sent again.
    pub id: &'a str,
    /// What an issue's mails share.
    pub thread: Option<String>,
    /// The page on which the reader, or somebody for them, says that this is not wanted.
    pub alerts_page: Option<String>,
    /// `PROJECT.ORGANIZATION`, for mail programs to filter by.
    pub list: String,
}

/// A message that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsent {
    /// Why, in one line without a secret.
    pub why: String,
    /// How long the receiver wants to be left alone.
    pub after: Option<Duration>,
    /// What is at fault.
    pub fault: Fault,
}

/// What is at fault when a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing that does not pass by itself, as far as anybody can tell.
    Passing,
    /// The message: others may be taken.
    Message,
    /// The address or the secret, until somebody changes it.
    Address,
}

impl From<String> for Unsent {
    fn from(why: String) -> Self {
        Self { why, after: None, fault: Fault::Passing }
    }
}

impl Transport {
    /// As the settings say.
    pub fn new(config: &Config) -> Self {
        Self {
            mail: config.mail.clone(),
            from: config.mail_from.clone(),
            host: config.public_url.host_str().unwrap_or("localhost").to_owned(),
            smtp: OnceCell::new(),
            http: OnceCell::new(),
            paces: Paces::default(),
        }
    }

    /// False: there is no way for mail.
    pub fn has_mail(&self) -> bool {
        self.mail != MailTransport::Nowhere
    }

    /// Sends one message.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn send(&self, parcel: &Parcel<'_>) -> Result<(), Unsent> {
        let sent = match parcel.kind {
            RecipientKind::Email => self.send_mail(parcel).await.map_err(Unsent::from),
            _ => self.post(parcel).await,
        };
        sent.map_err(|unsent| {
            let tame = |letter: char| if letter.is_control() { ' ' } else { letter };
            // The address may be a secret itself, and what answers may repeat it.
            let why = match parcel.kind {
                RecipientKind::Email => unsent.why,
                _ => without_address(&unsent.why, parcel.destination),
            };
            Unsent { why: why.chars().map(tame).take(ERROR_LIMIT).collect(), ..unsent }
        })
    }

    async fn send_mail(&self, parcel: &Parcel<'_>) -> Result<(), String> {
        let envelope = mail::Envelope {
            from: &self.from,
            to: parcel.destination,
            host: &self.host,
            id: parcel.id,
            thread: parcel.thread.clone(),
            alerts_page: parcel.alerts_page.clone(),
            list: parcel.list.clone(),
        };
        match &self.mail {
            MailTransport::Smtp(server) => {
                let mail = mail::build(parcel.content, &envelope)?;
                let smtp = self.smtp.get_or_try_init(async || connect(server, &self.host)).await?;
                submit(smtp, mail).await
            }
            MailTransport::Log => {
                log_mail(parcel.destination, parcel.content);
                Ok(())
            }
            MailTransport::Nowhere => Err("EMAIL_URL is not set".to_owned()),
        }
    }

    async fn post(&self, parcel: &Parcel<'_>) -> Result<(), Unsent> {
        let now = chrono::Utc::now().timestamp_millis();
        let secret = parcel.secret.map(Secret::expose);
        let request = webhook::request(parcel.kind, parcel.destination, parcel.content, secret, parcel.id, now)
            .map_err(|why| Unsent { why, after: None, fault: Fault::Address })?;
        let client = self.http.get_or_try_init(async || client()).await?;
        let mut post = client.post(request.url).body(request.body);
        for (name, value) in request.headers {
            post = post.header(name, value);
        }
        // The address may be a secret itself.
        let mut response = post.send().await.map_err(|error| describe(error.without_url()))?;
        let status = response.status().as_u16();
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut answer = Vec::new();
        while answer.len() < ANSWER_LIMIT {
            match response.chunk().await.map_err(|error| describe(error.without_url()))? {
                Some(chunk) => answer.extend_from_slice(&chunk),
                None => break,
            }
        }
        let kind = webhook::kind_of(parcel.kind, parcel.destination);
        let verdict = glitchbox_notify::verdict(kind, response.url().as_str(), status, after.as_deref(), &answer);
        // Whoever may set up an alert must not read by it what a program answers that only this machine reaches.
        let verdict = if is_service(response.url().as_str()) { verdict } else { verdict.without_words(status) };
        match verdict {
            Verdict::Taken => Ok(()),
            Verdict::Later { why, after } => {
                Err(Unsent { why: format!("the webhook answered {why}"), after, fault: Fault::Passing })
            }
            Verdict::Refused { why, is_message } => {
                let fault = if is_message { Fault::Message } else { Fault::Address };
                Err(Unsent { why: format!("the webhook refused it: {why}"), after: None, fault })
            }
        }
    }
}

fn client() -> Result<reqwest::Client, String> {
    // Another part of the process may have done it already.
    let _already = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .timeout(HTTP_LIMIT)
        .pool_max_idle_per_host(0)
        .user_agent(concat!("glitchbox/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| format!("HTTP cannot be set up: {}", describe(error)))
}

fn connect(server: &SmtpServer, own_host: &str) -> Result<Smtp, String> {
    let parameters = || {
        TlsParameters::new(server.host.clone()).map_err(|error| format!("TLS cannot be set up: {}", describe(error)))
    };
    let tls = match server.security {
        SmtpSecurity::None => Tls::None,
        SmtpSecurity::StartTls => Tls::Required(parameters()?),
        SmtpSecurity::Tls => Tls::Wrapper(parameters()?),
    };
    let mut builder = Smtp::builder_dangerous(server.host.clone())
        .port(server.port)
        .tls(tls)
        .hello_name(ClientId::Domain(own_host.to_owned()))
        .timeout(Some(MAIL_STEP));
    if let Some((user, password)) = &server.credentials {
        builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
    }
    Ok(builder.build())
}

async fn submit(smtp: &Smtp, mail: Message) -> Result<(), String> {
    match timeout(MAIL_LIMIT, smtp.send(mail)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("the mail server: {}", describe(error))),
        Err(_) => Err(format!("the mail server took more than {} s", MAIL_LIMIT.as_secs())),
    }
}

/// A mail for the log, a line each: only its text.
fn log_mail(to: &str, content: &Content) {
    let level = match content.level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Success | Level::Info => "info",
    };
    tracing::info!(mail.to = to, mail.level = level, "mail: [{}] {}", content.project, content.title);
    for line in mail::text(content).lines().filter(|line| !line.trim().is_empty()) {
        tracing::info!("mail: | {line}");
    }
}

/// An error with what caused it.
fn describe(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}
