//! A page as mail: text and HTML, to each reader by itself.

use std::time::Duration;

use glitchbox_notify::smtp::{self, Security, Server};
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use reqwest::Url;
use tokio::time::timeout;

use super::html;
use super::page::Page;
use super::send::{Parcel, Refused, causes};
use crate::channels::Receiver;
use crate::task::Place;

/// A mail server gets this long for each answer, and for a whole mail.
const STEP: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_secs(20);

type Smtp = AsyncSmtpTransport<Tokio1Executor>;

/// Sends it to every reader who has not had it. One who is refused does not keep it from the others.
///
/// # Errors
/// Why it could not be sent, or why some reader did not get it.
pub(super) async fn send(place: &Place, receiver: &Receiver, page: &Page, parcel: &mut Parcel) -> Result<(), Refused> {
    let settings = place.channels.mail.as_ref().ok_or_else(|| Refused::for_good("there is no mail server"))?;
    let host = place.public_url.parse::<Url>().ok().and_then(|url| url.host_str().map(str::to_owned));
    let host = host.unwrap_or_else(|| "localhost".to_owned());
    let smtp = match smtp::parse(settings.url.expose()) {
        Some(smtp::Transport::Smtp(server)) => connect(&server, &host).map_err(Refused::this_one)?,
        Some(smtp::Transport::Log) => {
            write_down(receiver, page);
            return Ok(());
        }
        Some(smtp::Transport::Nowhere) | None => return Err(Refused::for_good("EMAIL_URL names no mail server")),
    };
    let mut failed = None;
    for reader in receiver.address.expose().lines() {
        if parcel.reached.iter().any(|reached| reached == reader) {
            continue;
        }
        let mail = build(page, &settings.from, reader, &parcel.id, &host).map_err(Refused::for_good)?;
        match submit(&smtp, mail).await {
            Ok(()) => parcel.reached.push(reader.to_owned()),
            Err(refused) => {
                failed.get_or_insert(Refused { error: format!("{reader}: {}", refused.error), ..refused });
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

fn connect(server: &Server, own_host: &str) -> Result<Smtp, String> {
    let parameters =
        || TlsParameters::new(server.host.clone()).map_err(|error| format!("TLS cannot be set up: {}", causes(&error)));
    let tls = match server.security {
        Security::None => Tls::None,
        Security::StartTls => Tls::Required(parameters()?),
        Security::Tls => Tls::Wrapper(parameters()?),
    };
    let mut builder = Smtp::builder_dangerous(server.host.clone())
        .port(server.port)
        .tls(tls)
        .hello_name(ClientId::Domain(own_host.to_owned()))
        .timeout(Some(STEP));
    if let Some(it) = &server.credentials {
        builder = builder.credentials(Credentials::new(it.user.clone(), it.password.clone()));
    }
    Ok(builder.build())
}

async fn submit(smtp: &Smtp, mail: Message) -> Result<(), Refused> {
    match timeout(LIMIT, smtp.send(mail)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(refused(&error)),
        Err(_) => Err(Refused::away(format!("the mail server took more than {} s", LIMIT.as_secs()))),
    }
}

/// 4xx is for later; 5xx is what the server thinks of this mail, its reader or our password.
fn refused(error: &Error) -> Refused {
    let words = format!("the mail server: {}", causes(error));
    if error.is_permanent() { Refused::this_one(words) } else { Refused::away(words) }
}

/// Makes the mail. The id is the same at each attempt, so that a mail program can tell a repetition.
fn build(page: &Page, from: &str, to: &str, id: &str, host: &str) -> Result<Message, String> {
    let from: Mailbox = from.parse().map_err(|error| format!("DEFAULT_FROM_EMAIL: {error}"))?;
    let to: Address = to.parse().map_err(|error| format!("not an e-mail address: {error}"))?;
    let is_name = host.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '.' | '-'));
    let domain = if is_name && !host.is_empty() { host } else { "glitchbox.invalid" };
    let mark = page.mark;
    // A header is one line.
    let subject = format!("{mark} {} ({host})", page.title).replace(char::is_control, " ");
    let parts = MultiPart::alternative()
        .singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(plain(page)))
        .singlepart(SinglePart::builder().header(ContentType::TEXT_HTML).body(html::document(page)));
    Message::builder()
        .from(from)
        .to(Mailbox::new(None, to))
        .subject(subject)
        .date_now()
        .message_id(Some(format!("<{id}@{domain}>")))
        .header(AutoSubmitted)
        .multipart(parts)
        .map_err(|error| format!("the mail cannot be made: {error}"))
}

fn plain(page: &Page) -> String {
    let link = page.link.as_ref().map_or_else(String::new, |link| format!("\n\n{link}"));
    format!("{} {}\n\n{}{link}\n", page.mark, page.title, page.plain())
}

/// `consolemail://`: the mail's text goes to the log.
fn write_down(receiver: &Receiver, page: &Page) {
    eprintln!("mail to {}:", receiver.address.expose().replace('\n', ", "));
    for line in plain(page).lines().filter(|line| !line.trim().is_empty()) {
        eprintln!("mail: | {line}");
    }
}

/// `Auto-Submitted: auto-generated`: no holiday replies, please.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}
