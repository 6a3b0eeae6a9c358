//! What comes from a program on somebody's own machine.

use std::net::IpAddr;

use url::{Host, Url};

/// What tells where something came from.
#[derive(Default)]
pub(super) struct Origin<'a> {
    /// The user's address.
    pub(super) ip: Option<IpAddr>,
    /// The page, or the address that was asked for.
    pub(super) url: Option<&'a str>,
    /// What a proxy says of who asked.
    pub(super) forwarded_for: Option<&'a str>,
    /// Hosts that were asked for, with or without ports; they count where there is no whole address.
    pub(super) hosts: [Option<&'a str>; 2],
}

impl Origin<'_> {
    /// True if it is this machine, as seen from there.
    pub(super) fn is_local(&self) -> bool {
        let forwarded = self.forwarded_for.and_then(|text| text.trim().parse::<IpAddr>().ok());
        if [self.ip, forwarded].into_iter().flatten().any(|ip| ip.to_canonical().is_loopback()) {
            return true;
        }
        match self.url.and_then(|url| Url::parse(url).ok()) {
            Some(url) if url.scheme() == "file" => true,
            Some(url) => url.host().is_some_and(|host| is_local(&host)),
            None => self.hosts.into_iter().flatten().any(is_local_name),
        }
    }
}

fn is_local_name(host: &str) -> bool {
    Url::parse(&format!("http://{}/", host.trim())).is_ok_and(|url| url.host().is_some_and(|host| is_local(&host)))
}

fn is_local(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => IpAddr::V6(*ip).to_canonical().is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_the_own_machine_are_known_by_their_address() {
        for (url, wanted) in [
            ("http://localhost:3000/cart", true),
            ("https://LOCALHOST/", true),
            ("http://shop.localhost/", true),
            ("http://127.0.0.1:8080/", true),
            ("http://127.8.9.1/", true),
            ("http://[::1]:5173/", true),
            ("file:///home/me/index.html", true),
            ("https://localhost.example.com/", false),
            ("https://notlocalhost/", false),
            ("http://10.0.0.1/", false),
            ("https://shop.example/?next=http://localhost/", false),
            ("/cart", false),
            ("", false),
        ] {
            assert_eq!(Origin { url: Some(url), ..Origin::default() }.is_local(), wanted, "{url}");
        }
    }

    #[test]
    fn addresses_and_hosts_count_too() {
        for (ip, wanted) in
            [("127.0.0.1", true), ("::1", true), ("::ffff:127.0.0.1", true), ("203.0.113.9", false), ("::", false)]
        {
            let ip = Some(ip.parse().unwrap());
            assert_eq!(Origin { ip, ..Origin::default() }.is_local(), wanted, "{ip:?}");
        }
        let forwarded = |text| Origin { forwarded_for: Some(text), ..Origin::default() }.is_local();
        assert!(forwarded("127.0.0.1") && !forwarded("203.0.113.9, 127.0.0.1") && !forwarded("nonsense"));
        let asked = |host| Origin { hosts: [Some(host), None], ..Origin::default() }.is_local();
        assert!(asked("localhost:8000") && asked("127.0.0.1") && !asked("localhost.example") && !asked("a b"));
        let url = Some("https://shop.example/");
        assert!(!Origin { url, hosts: [Some("localhost"), None], ..Origin::default() }.is_local(), "behind a proxy");
    }
}
