//! Commands that ask the running supervisor.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Target;
use super::output::{print, print_json};
use crate::control::{Client, Failure};
use crate::notify;

/// How long a health check waits.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn act(target: Target, verb: &str) -> Result<u8, Failure> {
    let message = Client::connect(&target.place.path()).await?.act(&target.service, verb).await?;
    if target.json {
        print_json(&json!({ "ok": true, "message": message }));
    } else {
        print(&message);
    }
    Ok(0)
}

pub(super) async fn metrics(data_dir: PathBuf) -> Result<u8, Failure> {
    print(Client::connect(&data_dir).await?.metrics().await?.trim_end());
    Ok(0)
}

/// A relaxed health check asks at once in the first minute, and then this much later.
const SETTLED_AFTER_S: u64 = 60;
const REST: Duration = Duration::from_secs(30);

pub(super) async fn healthcheck(data_dir: PathBuf, relaxed: bool, json: bool) -> Result<u8, Failure> {
    let status = Client::connect(&data_dir).await?.status().await?;
    if relaxed
        && status.services.iter().any(|service| service.name == "web" && service.uptime_s >= Some(SETTLED_AFTER_S))
    {
        tokio::time::sleep(REST).await;
    }
    let port = status.port;
    let silent = |_| Err(Failure(format!("Port {port} does not answer within {} s.", PATIENCE.as_secs())));
    let answer = timeout(PATIENCE, ask_health(port)).await.unwrap_or_else(silent)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let code = head.split(' ').nth(1).unwrap_or("");
    if code != "200" {
        return Err(Failure(format!("Not healthy: {code} {}", body.trim_end())));
    }
    // Web serves; what else is missing is worth a line and no alarm.
    let missing = status.services.iter().filter(|service| !service.is_well());
    let missing: Vec<String> =
        missing.map(|service| format!("{}: {} ({})", service.name, service.state, service.health)).collect();
    if json {
        print_json(&json!({ "ok": true, "answer": body.trim_end(), "not_well": missing }));
    } else {
        print(body.trim_end());
        for line in &missing {
            print(line);
        }
    }
    Ok(0)
}

async fn ask_health(port: u16) -> Result<String, Failure> {
    let unreachable = |error: std::io::Error| Failure(format!("Port {port} cannot be reached: {error}."));
    let mut stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.map_err(unreachable)?;
    let request = format!("GET /_health/ HTTP/1.1\r\nhost: localhost:{port}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(unreachable)?;
    let mut answer = Vec::new();
    stream.take(64 * 1024).read_to_end(&mut answer).await.map_err(unreachable)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

pub(super) fn notify(message: &str) -> Result<u8, Failure> {
    let sent = notify::send(std::env::var_os("NOTIFY_SOCKET"), message);
    sent.map(|()| 0).map_err(|error| Failure(format!("The supervisor cannot be told: {error}.")))
}
