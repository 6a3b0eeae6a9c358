use super::*;
use crate::channels::{Language, On};

fn read(variables: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Settings::from_env(variables, &Overrides::default())
}

fn app_variable<'a>(settings: &'a Settings, name: &str) -> Option<&'a str> {
    settings.app_env.iter().find(|(known, _)| known == name)?.1.to_str()
}

#[test]
fn nothing_set_gives_the_defaults() {
    let settings = read(&[("PORT", ""), ("LOG_FORMAT", " "), ("EXPOSE_DB_PORT", "")]).unwrap();
    assert_eq!(settings.port, 8000);
    assert!(settings.data_dir.is_absolute());
    assert!(settings.data_dir.ends_with("data"));
    assert!(settings.bundled_postgres && settings.bundled_redis);
    assert!(!settings.log_json && !settings.expose_db && !settings.expose_redis);
    assert!(!settings.secret_key_given);
}

#[test]
fn every_error_is_reported_and_names_its_variable() {
    let errors = read(&[
        ("PORT", "0"),
        ("LOG_FORMAT", "xml"),
        ("EXPOSE_DB_PORT", "maybe"),
        ("EXPOSE_REDIS_PORT", "2"),
        ("DISABLE_REDIS", "true"),
        ("TZ", "Mars/Olympus"),
        ("DB_PASSWORD", "a\nb"),
        ("SECRET_KEY_FILE", "/nowhere/at/all"),
    ])
    .unwrap_err();
    let mut named: Vec<&str> = errors.iter().filter_map(|error| Some(error.split_once(':')?.0)).collect();
    named.sort_unstable();
    let mut wanted = vec![
        "DB_PASSWORD",
        "DISABLE_REDIS",
        "EXPOSE_DB_PORT",
        "EXPOSE_REDIS_PORT",
        "LOG_FORMAT",
        "PORT",
        "SECRET_KEY_FILE",
        "TZ",
    ];
    wanted.sort_unstable();
    assert_eq!(named, wanted);
    assert!(!errors.concat().contains("a\nb"), "a secret shows in an error");
}

#[test]
fn a_port_must_fit() {
    for bad in ["65536", "-1", "80a", "8000.0"] {
        assert_eq!(read(&[("PORT", bad)]).unwrap_err().len(), 1, "{bad}");
    }
    assert_eq!(read(&[("PORT", " 65535 ")]).unwrap().port, 65535);
}

#[test]
fn the_command_line_wins_over_a_malformed_variable() {
    let overrides = Overrides { data_dir: Some("/data".into()), port: Some(8000) };
    let variables = [("PORT", "nonsense"), ("DATA_DIR", "/elsewhere")];
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let settings = Settings::from_env(variables, &overrides).unwrap();
    assert_eq!((settings.port, settings.data_dir), (8000, PathBuf::from("/data")));
}

#[test]
fn an_address_switches_the_bundled_server_off() {
    let settings =
        read(&[("DATABASE_URL", "postgres://h/d"), ("REDIS_URL", "redis://h"), ("DISABLE_REDIS", "1")]).unwrap();
    assert!(!settings.bundled_postgres && !settings.bundled_redis);
    assert_eq!(app_variable(&settings, "DATABASE_URL"), Some("postgres://h/d"));
}

#[test]
fn the_application_gets_the_environment_without_what_is_ours() {
    let settings = read(&[
        ("GLITCHTIP_DOMAIN", "https://errors.example.com"),
        ("SOMETHING_NEW", "1"),
        ("EMPTY", ""),
        ("PORT", "9000"),
        ("DATA_DIR", "/x"),
        ("DB_PASSWORD", "a long password"),
        ("LISTEN_FDS", "3"),
    ])
    .unwrap();
    assert_eq!(app_variable(&settings, "GLITCHTIP_DOMAIN"), Some("https://errors.example.com"));
    assert_eq!(app_variable(&settings, "SOMETHING_NEW"), Some("1"));
    for absent in ["EMPTY", "PORT", "DATA_DIR", "DB_PASSWORD", "LISTEN_FDS"] {
        assert_eq!(app_variable(&settings, absent), None, "{absent}");
    }
    assert_eq!(settings.db_password.unwrap().expose(), "a long password");
}

#[test]
fn what_docker_leaves_in_an_environment_file_is_understood() {
    let settings = read(&[
        ("DB_PASSWORD", "                  # Database password (generate for production)"),
        ("REDIS_PASSWORD", "\"a # b\""),
        ("EXPOSE_DB_PORT", "false          # Expose database port to host"),
        ("EXPOSE_REDIS_PORT", "'true'"),
        ("ALLOWED_HOSTS", "\"a.example.com,[::1]\""),
        ("SECRET_KEY", "   # Generate unique key for production"),
    ])
    .unwrap();
    assert!(settings.db_password.is_none() && !settings.secret_key_given);
    assert_eq!(settings.redis_password.as_ref().unwrap().expose(), "a # b");
    assert!(!settings.expose_db && settings.expose_redis);
    assert_eq!(app_variable(&settings, "ALLOWED_HOSTS"), Some("a.example.com,[::1]"));
    assert_eq!(app_variable(&settings, "SECRET_KEY"), None);
}

#[test]
fn a_secret_may_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "from the file\n").unwrap();
    let path = file.to_str().unwrap();
    let settings = read(&[("SECRET_KEY_FILE", path)]).unwrap();
    assert!(settings.secret_key_given);
    assert_eq!(app_variable(&settings, "SECRET_KEY"), Some("from the file"));
    assert_eq!(app_variable(&settings, "SECRET_KEY_FILE"), None);
    let settings = read(&[("SECRET_KEY", "direct"), ("SECRET_KEY_FILE", path)]).unwrap();
    assert_eq!(app_variable(&settings, "SECRET_KEY"), Some("direct"));
    std::fs::write(&file, "\n").unwrap();
    assert_eq!(read(&[("SECRET_KEY_FILE", path)]).unwrap_err().len(), 1);
}

#[test]
fn time_zones_are_names_or_posix_rules() {
    for good in ["Asia/Shanghai", "UTC", "CST-8", ":Europe/Athens"] {
        assert!(read(&[("TZ", good)]).is_ok(), "{good}");
    }
    for bad in ["../../etc/passwd", "/etc/localtime", "a b", "Mars", "Asia/Shangai", "CET-1CEST,M3.5.0,M10.5.0/3"] {
        let errors = read(&[("TZ", bad)]).unwrap_err();
        assert!(errors.len() == 1 && errors[0].starts_with(&format!("TZ: {bad:?} ")), "{errors:?}");
    }
}

#[test]
fn secrets_do_not_show() {
    let settings = read(&[("DB_PASSWORD", "hunter22hunter22")]).unwrap();
    assert!(!format!("{:?}", settings.db_password).contains("hunter"));
    assert_eq!(settings.secret_values.len(), 1);
}

#[test]
fn the_channels_of_reports_are_the_supervisors_alone() {
    let given = [
        ("FEISHU_GROUP_DEVOPS_ROBOT_WEBHOOK_URL", "https://open.feishu.cn/open-apis/bot/v2/hook/0f1e2d3c"),
        ("FEISHU_WEBHOOK_SECRET", "signing secret"),
        ("FEISHU_REPORT_ON", "failure"),
        ("RESTART_WEBHOOK_URL", "http://127.0.0.1:9/hook"),
        ("RESTART_WEBHOOK_SECRET", "another secret"),
        ("REPORT_LANGUAGE", "zh-CN"),
        ("REPORT_ON", "change"),
        ("REPORT_EMAIL_TO", " ops@example.com, dev@example.com,"),
        ("REPORT_EMAIL_LANGUAGE", "en"),
        ("EMAIL_URL", "smtp://me:pa55word@mail"),
        ("GLITCHTIP_DOMAIN", "https://errors.example.com/"),
        ("HTTPS_PROXY", "http://proxy:3128"),
    ];
    let settings = read(&given).unwrap();
    let channels = &settings.channels;
    let [feishu, webhook, email] =
        [Channel::Feishu, Channel::Webhook, Channel::Email].map(|it| channels.find(it).unwrap());
    assert_eq!((feishu.on, feishu.language), (On::Failure, Some(Language::Chinese)));
    assert_eq!(feishu.secret.as_ref().unwrap().expose(), "signing secret");
    assert_eq!((webhook.address.expose(), webhook.on), ("http://127.0.0.1:9/hook", On::Change));
    assert_eq!(channels.webhook_secret.as_ref().unwrap().expose(), "another secret");
    assert_eq!((email.address.expose(), email.language), ("ops@example.com\ndev@example.com", Some(Language::English)));
    assert_eq!(channels.mail.as_ref().unwrap().from, "glitchbox <glitchbox@errors.example.com>");
    assert_eq!(settings.public_url, "https://errors.example.com");
    assert_eq!(settings.secret_values.len(), 5);
    assert_eq!(settings.task_env, [("HTTPS_PROXY".into(), "http://proxy:3128".into())]);
    for (name, _) in given {
        let is_the_applications = name.starts_with("GLITCHTIP") || name.starts_with("HTTP") || name == "EMAIL_URL";
        assert_eq!(app_variable(&settings, name).is_some(), is_the_applications, "{name}");
    }
    let settings = read(&[("PORT", "9000")]).unwrap();
    assert_eq!(settings.public_url, "http://localhost:9000");
    assert!(settings.channels.receivers.is_empty());
}

#[test]
fn every_channel_can_be_set_up_from_files_and_by_its_own_word() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("value");
    for channel in Channel::ALL {
        let variables = channel.variables();
        let value = if channel == Channel::Email {
            "ops@example.com"
        } else {
            "https://api.example.com/bot1:x/sendMessage?chat_id=1"
        };
        let by_file = format!("{}_FILE", variables.address);
        std::fs::write(&file, value).unwrap();
        let address = if channel == Channel::Email {
            (variables.address, value)
        } else {
            (by_file.as_str(), file.to_str().unwrap())
        };
        let settings = read(&[address, (variables.on, "change"), ("EMAIL_URL", "smtp://mail")]).unwrap();
        let [receiver] = &settings.channels.receivers[..] else { panic!("{channel:?}") };
        assert_eq!((receiver.channel, receiver.address.expose(), receiver.on), (channel, value, On::Change));
        for name in [Some(variables.on), variables.language].into_iter().flatten() {
            let errors = read(&[(name, "sometimes")]).unwrap_err();
            assert!(
                errors.len() == 1 && errors[0].starts_with(&format!("{name}: \"sometimes\" is not one of: ")),
                "{errors:?}"
            );
        }
        assert_eq!(Channel::named(channel.name()), Some(channel));
    }
    let settings = read(&[("RESTART_WEBHOOK_URL", "http://h/x")]).unwrap();
    assert_eq!(settings.channels.receivers[0].on, On::Always);
}

#[test]
fn mail_needs_readers_with_addresses_a_server_and_a_sender() {
    let errors = |variables: &[(&str, &str)]| read(variables).unwrap_err().join("\n");
    let to = ("REPORT_EMAIL_TO", "ops@example.com");
    assert_eq!(errors(&[to]), "REPORT_EMAIL_TO: needs a mail server: set EMAIL_URL too");
    assert!(errors(&[to, ("EMAIL_URL", "dummymail://")]).starts_with("REPORT_EMAIL_TO: needs a mail server"));
    let wrong = errors(&[to, ("EMAIL_URL", "http://me:pa55word@mail")]);
    assert!(wrong.starts_with("EMAIL_URL: ") && !wrong.contains("pa55word"), "{wrong}");
    let server = ("EMAIL_URL", "smtp://mail");
    assert!(
        errors(&[("REPORT_EMAIL_TO", "ops"), server]).starts_with("REPORT_EMAIL_TO: \"ops\" is not an e-mail address")
    );
    assert!(errors(&[to, server, ("DEFAULT_FROM_EMAIL", "errors")]).starts_with("DEFAULT_FROM_EMAIL: \"errors\""));
    let settings = read(&[to, server, ("DEFAULT_FROM_EMAIL", "Errors <e@example.com>")]).unwrap();
    assert_eq!(settings.channels.mail.unwrap().from, "Errors <e@example.com>");
    // Nobody reads mail of ours: the application's settings are its own business.
    assert!(read(&[("EMAIL_URL", "http://mail"), ("DEFAULT_FROM_EMAIL", "errors")]).is_ok());
}

#[test]
fn a_malformed_receiver_is_named_but_not_shown() {
    for bad in [
        "open.feishu.cn/hook/token0123",
        "ftp://h/token0123",
        "https:///token0123",
        "https://h/token 0123",
        "https://h:99999/token0123",
    ] {
        let errors = read(&[("RESTART_WEBHOOK_URL", bad), ("REPORT_LANGUAGE", "fr")]).unwrap_err();
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(errors[1].starts_with("RESTART_WEBHOOK_URL: ") && !errors.concat().contains("token"), "{errors:?}");
    }
}
