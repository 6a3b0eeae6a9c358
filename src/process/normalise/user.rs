//! Users, and whose address stands for them.

use std::net::IpAddr;

use serde_json::Value;

use super::databag::DATA;
use super::field::{Errors, Path};
use super::request::remote_addr;
use crate::protocol::Event;
use crate::protocol::event::{Geo, User};

/// Stands for "the address you see".
const AUTO: &str = "{{auto}}";
/// Where the program runs on the user's own machine, so that the connection's address is the user's.
const CLIENT_PLATFORMS: [&str; 3] = ["javascript", "cocoa", "objc"];

/// True where the connection's address is the user's.
pub(in crate::process) fn is_on_client(platform: &str) -> bool {
    CLIENT_PLATFORMS.contains(&platform)
}

/// A user, and whether the client asked for the connection's address.
pub(super) fn user(errors: &mut Errors, at: &Path<'_>, value: Value) -> (Option<User>, bool) {
    let mut user = User::default();
    let mut wants_auto = false;
    for (key, value) in errors.object(at, value).unwrap_or_default() {
        if value.is_null() {
            continue;
        }
        let at = at.key(&key);
        match key.as_str() {
            "id" => user.id = errors.word(&at, value, 128),
            "email" => user.email = errors.word(&at, value, 75),
            "username" => user.username = errors.word(&at, value, 128),
            "name" => user.name = errors.word(&at, value, 128),
            "ip_address" if value == AUTO => wants_auto = true,
            "ip_address" => user.ip_address = address(errors, &at, value),
            "geo" => user.geo = geo(errors, &at, value),
            "segment" => user.segment = errors.word(&at, value, 128),
            "data" => user.data.extend(errors.object(&at, value).unwrap_or_default()),
            _ => {
                user.data.insert(key, value);
            }
        }
    }
    user.data = DATA.map(errors, &at.key("data"), user.data);
    ((user != User::default()).then_some(user), wants_auto)
}

fn address(errors: &mut Errors, at: &Path<'_>, value: Value) -> Option<IpAddr> {
    let address = value.as_str().and_then(|text| text.trim().parse().ok());
    if address.is_none() && value.as_str() != Some("") {
        errors.invalid(at, value, "an IP address");
    }
    address
}

fn geo(errors: &mut Errors, at: &Path<'_>, value: Value) -> Option<Geo> {
    let mut geo = Geo::default();
    for (key, value) in errors.object(at, value)? {
        let at = at.key(&key);
        match key.as_str() {
            "country_code" => geo.country_code = errors.word(&at, value, 64),
            "city" => geo.city = errors.word(&at, value, 128),
            "region" => geo.region = errors.word(&at, value, 128),
            "subdivision" => geo.subdivision = errors.word(&at, value, 128),
            _ => {}
        }
    }
    (geo != Geo::default()).then_some(geo)
}

/// Fills in the user's address as the SDK's setting says.
pub(super) fn infer_address(event: &mut Event, wants_auto: bool, client_ip: Option<IpAddr>) {
    let setting =
        event.sdk.as_ref().and_then(|sdk| sdk.settings.as_ref()).and_then(|settings| settings.infer_ip.as_deref());
    let (is_legacy, is_auto) = (setting.is_none(), setting == Some("auto"));

    let mut remote = None;
    if let Some(env) = event.request.as_mut().map(|request| &mut request.env)
        && let Some(text) = remote_addr(env)
    {
        if text == AUTO {
            match client_ip.filter(|_| is_legacy || is_auto) {
                Some(address) => *text = address.to_string(),
                None => {
                    env.remove("REMOTE_ADDR");
                }
            }
        } else {
            remote = text.trim().parse::<IpAddr>().ok();
        }
    }

    if event.user.as_ref().is_some_and(|user| user.ip_address.is_some()) {
        return;
    }
    let inferred = if is_auto {
        remote.or(client_ip)
    } else if is_legacy && wants_auto {
        client_ip
    } else if is_legacy {
        remote.or_else(|| client_ip.filter(|_| is_on_client(&event.platform)))
    } else {
        None
    };
    if inferred.is_some() {
        event.user.get_or_insert_default().ip_address = inferred;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Option<User> {
        user(&mut Errors::default(), &Path::Root, value).0
    }

    #[test]
    fn ids_are_text_and_unknown_keys_become_data() {
        let user =
            read(json!({"id": 42, "email": "a@b", "plan": "pro", "data": {"x": 1}, "ip_address": "::1"})).unwrap();
        assert_eq!(user.id.as_deref(), Some("42"));
        assert_eq!(Value::Object(user.data.clone()), json!({"plan": "pro", "x": 1}));
        assert_eq!(user.ip_address, Some("::1".parse().unwrap()));
        assert_eq!(user.tag().as_deref(), Some("id:42"));
        for (value, tag) in [
            (json!({"username": "u", "email": "e"}), Some("username:u")),
            (json!({"email": "e", "ip_address": "127.0.0.1"}), Some("email:e")),
            (json!({"ip_address": "127.0.0.1"}), Some("ip:127.0.0.1")),
            (json!({"name": "n"}), None),
        ] {
            assert_eq!(read(value).unwrap().tag().as_deref(), tag);
        }
    }

    #[test]
    fn what_is_no_user_is_nothing() {
        for value in [json!(null), json!({}), json!([]), json!([1]), json!("me"), json!({"ip_address": "nowhere"})] {
            assert_eq!(read(value.clone()), None, "{value}");
        }
        let mut errors = Errors::default();
        user(&mut errors, &Path::Root.key("user"), json!({"ip_address": "nowhere"}));
        assert_eq!(errors.list[0].name.as_deref(), Some("user.ip_address"));
    }

    #[test]
    fn addresses_are_inferred_as_the_sdk_wishes() {
        let auto = json!({"ip_address": AUTO});
        let env = json!({"env": {"REMOTE_ADDR": "10.0.0.1"}});
        let explicit = json!({"ip_address": "192.0.2.1"});
        let none = Value::Null;
        for (setting, platform, user, request, wanted) in [
            (json!("auto"), "python", &none, &none, Some("203.0.113.9")),
            (json!("auto"), "javascript", &auto, &none, Some("203.0.113.9")),
            (json!("auto"), "python", &none, &env, Some("10.0.0.1")),
            (json!("auto"), "python", &explicit, &env, Some("192.0.2.1")),
            (json!("never"), "javascript", &auto, &env, None),
            (json!("never"), "javascript", &explicit, &none, Some("192.0.2.1")),
            (json!("future"), "javascript", &auto, &none, None),
            (json!(null), "python", &auto, &env, Some("203.0.113.9")),
            (json!(null), "python", &none, &env, Some("10.0.0.1")),
            (json!(null), "python", &none, &none, None),
            (json!(null), "javascript", &none, &none, Some("203.0.113.9")),
        ] {
            let payload = json!({"platform": platform, "user": user, "request": request, "sdk": {"settings": {"infer_ip": setting}}});
            let event = crate::process::tests::event(&payload);
            let address = event.user.and_then(|user| user.ip_address).map(|address| address.to_string());
            assert_eq!(address.as_deref(), wanted, "{payload}");
        }
    }

    #[test]
    fn auto_in_the_environment_is_replaced_or_removed() {
        for (setting, wanted) in [(json!(null), Some("203.0.113.9")), (json!("never"), None)] {
            let payload = json!({"platform": "php", "request": {"url": "/", "env": {"REMOTE_ADDR": AUTO}}, "sdk": {"settings": {"infer_ip": setting}}});
            let event = crate::process::tests::event(&payload);
            let env = event.request.unwrap().env;
            assert_eq!(env.get("REMOTE_ADDR").and_then(Value::as_str), wanted);
        }
    }
}
