//! As much of a WebDriver client as the tests need: chromedriver speaks JSON over HTTP.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::instance::free_port;
use crate::support::Client;
use crate::support::keeper::{Kept, is_root, new_dir};

/// The key under which WebDriver hides an element's id.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A headless Chromium with a profile of its own.
pub(crate) struct Browser {
    client: Client,
    session: String,
    _driver: Kept,
}

impl Browser {
    /// Starts one whose user prefers `language` (`en`, `zh-CN`).
    pub(crate) async fn start(language: &str) -> Self {
        let dir = new_dir("gbt-browser-");
        let profile = format!("--user-data-dir={}", dir.join("profile").display());
        let port = free_port();
        let listen = format!("--port={port}");
        let driver = tokio::task::spawn_blocking(move || {
            let driver = Kept::spawn(dir, "TERM", &["chromedriver", &listen]);
            driver.wait_until("chromedriver", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
            driver
        });
        let driver = driver.await.unwrap();
        let client = Client::new(SocketAddr::from(([127, 0, 0, 1], port)));
        let mut arguments = vec!["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", &profile];
        if is_root() {
            // Chromium's sandbox wants an ordinary user.
            arguments.push("--no-sandbox");
        }
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": arguments, "prefs": { "intl.accept_languages": language } },
        }}});
        let reply = client.post_json("/session", &capabilities).await.expect(200).json();
        let session = reply["value"]["sessionId"].as_str().unwrap().to_owned();
        Self { client, session, _driver: driver }
    }

    async fn post(&self, command: &str, body: &Value) -> Value {
        let reply = self.client.post_json(&format!("/session/{}/{command}", self.session), body).await;
        reply.expect(200).json()["value"].take()
    }

    async fn get(&self, command: &str) -> Value {
        let reply = self.client.get(&format!("/session/{}/{command}", self.session)).await;
        reply.expect(200).json()["value"].take()
    }

    /// Loads a page.
    pub(crate) async fn open(&self, url: &str) {
        self.post("url", &json!({ "url": url })).await;
    }

    /// The address of the page shown.
    pub(crate) async fn url(&self) -> String {
        self.get("url").await.as_str().unwrap().to_owned()
    }

    /// The first element a CSS selector finds, waited for up to ten seconds.
    pub(crate) async fn find(&self, css: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let found = self.post("elements", &json!({ "using": "css selector", "value": css })).await;
            if let Some(id) = found[0][ELEMENT].as_str() {
                return id.to_owned();
            }
            assert!(Instant::now() < deadline, "no {css} on {}:\n{}", self.url().await, self.text("body").await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits up to ten seconds for the page whose address ends like this.
    pub(crate) async fn arrive(&self, address_end: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.url().await.ends_with(address_end) {
            assert!(Instant::now() < deadline, "on {} in place of {address_end}", self.url().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Clicks on it.
    pub(crate) async fn click(&self, css: &str) {
        let element = self.find(css).await;
        self.post(&format!("element/{element}/click"), &json!({})).await;
    }

    /// Types into it.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        let element = self.find(css).await;
        self.post(&format!("element/{element}/value"), &json!({ "text": text })).await;
    }

    /// The text a reader sees in it.
    pub(crate) async fn text(&self, css: &str) -> String {
        let found = self.post("elements", &json!({ "using": "css selector", "value": css })).await;
        let Some(id) = found[0][ELEMENT].as_str() else { return String::new() };
        self.get(&format!("element/{id}/text")).await.as_str().unwrap_or_default().to_owned()
    }

    /// The result of a script's `return`.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({ "script": script, "args": [] })).await
    }

    /// What the console has received since the last call.
    pub(crate) async fn console(&self) -> Vec<String> {
        let entries = self.post("se/log", &json!({ "type": "browser" })).await;
        entries.as_array().unwrap().iter().map(|entry| format!("{}: {}", entry["level"], entry["message"])).collect()
    }

    /// A command of the DevTools protocol.
    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("goog/cdp/execute", &json!({ "cmd": command, "params": parameters })).await
    }

    /// Shows pages as on a screen of this width, in the light or the dark theme.
    pub(crate) async fn set_screen(&self, width: u32, theme: &str) {
        let height = if width < 600 { 844 } else { 800 };
        let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", screen).await;
        let features = json!([{ "name": "prefers-color-scheme", "value": theme }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// The page as a WebP picture: all of it, or what fits the screen.
    pub(crate) async fn picture(&self, whole: bool) -> Vec<u8> {
        let mut parameters = json!({ "format": "webp", "quality": 70, "captureBeyondViewport": whole });
        if whole {
            let metrics = self.devtools("Page.getLayoutMetrics", json!({})).await;
            let (width, height) = (&metrics["cssContentSize"]["width"], &metrics["cssContentSize"]["height"]);
            parameters["clip"] = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
        }
        let picture = self.devtools("Page.captureScreenshot", parameters).await;
        BASE64_STANDARD.decode(picture["data"].as_str().unwrap()).unwrap()
    }

    /// Ends the browser.
    pub(crate) async fn quit(self) {
        let path = format!("/session/{}", self.session);
        self.client.send("DELETE", &path, &[], bytes::Bytes::new()).await.expect(200);
    }
}
