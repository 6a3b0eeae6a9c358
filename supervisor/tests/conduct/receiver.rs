//! Receivers of reports on this machine, which may be in a bad mood: by HTTP and by SMTP.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One request, or one mail.
#[derive(Debug, Clone)]
pub(super) struct Received {
    /// The first line and the headers; of mail the envelope, a line each.
    pub(super) head: String,
    pub(super) body: String,
}

impl Received {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|it| it.1)
    }
}

/// A server that keeps what it is given.
#[derive(Debug, Clone)]
pub(super) struct Receiver {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
    moods: Arc<Mutex<VecDeque<String>>>,
}

impl Receiver {
    /// It answers with these in turn, and then takes everything. `hang` is no answer at all; others begin with a status.
    pub(super) fn http(moods: &[&str]) -> Self {
        Self::start(moods, http)
    }

    /// The same for mail; the moods are answers to `RCPT TO`.
    pub(super) fn smtp(moods: &[&str]) -> Self {
        Self::start(moods, smtp)
    }

    fn start(moods: &[&str], talk: fn(&TcpStream, &Receiver) -> std::io::Result<()>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            port: listener.local_addr().unwrap().port(),
            received: Arc::default(),
            moods: Arc::new(Mutex::new(moods.iter().map(|&mood| mood.to_owned()).collect())),
        };
        let shared = receiver.clone();
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let shared = shared.clone();
                std::thread::spawn(move || drop(talk(&stream, &shared)));
            }
        });
        receiver
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn all(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    fn mood(&self) -> Option<String> {
        self.moods.lock().unwrap().pop_front()
    }

    fn keep(&self, head: String, body: String) {
        self.received.lock().unwrap().push(Received { head, body });
    }
}

fn http(mut stream: &TcpStream, receiver: &Receiver) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut head, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line)? > 2 {
        head.push_str(&line);
        line.clear();
    }
    let request = Received { head, body: String::new() };
    let length = request.header("content-length").and_then(|length| length.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    receiver.keep(request.head, String::from_utf8(body).unwrap());
    let mood = receiver.mood().unwrap_or_else(|| "200 OK\r\n\r\n{\"code\":0,\"errcode\":0,\"ok\":true}".to_owned());
    if mood == "hang" {
        std::thread::sleep(Duration::from_mins(1));
        return Ok(());
    }
    let mood = mood.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    stream.write_all(format!("HTTP/1.1 {mood}").as_bytes())
}

fn smtp(mut stream: &TcpStream, receiver: &Receiver) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut say = |text: &str| stream.write_all(format!("{text}\r\n").as_bytes());
    say("220 sink")?;
    let mut envelope = String::new();
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let command = line.trim_end().to_owned();
        line.clear();
        let verb = command.get(..4).unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => say("250 sink")?,
            "RCPT" => {
                let mood = receiver.mood().unwrap_or_else(|| "250 fine".to_owned());
                if mood.starts_with("250") {
                    envelope.push_str(&command);
                    envelope.push('\n');
                }
                say(&mood)?;
            }
            "DATA" => {
                say("354 go on")?;
                let mut body = String::new();
                while !body.ends_with("\r\n.\r\n") && reader.read_line(&mut body)? > 0 {}
                receiver.keep(std::mem::take(&mut envelope), body);
                say("250 kept")?;
            }
            "MAIL" => {
                envelope = format!("{command}\n");
                say("250 fine")?;
            }
            "QUIT" => return say("221 bye"),
            _ => say("250 fine")?,
        }
    }
    Ok(())
}
