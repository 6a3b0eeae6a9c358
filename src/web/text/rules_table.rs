//! What the pages about filters and privacy say; the rest is in the other table.

texts! {
    // Filters
    filters => "Filters", "过滤";
    filters_hint => "what is sent and not kept; each filter counts what it holds back under its own name on the Usage page", "已发送但不保留的数据；每个过滤器拦截的数量都以各自的名称显示在用量页面";
    filters_saved => "Filters saved. They take effect within seconds.", "过滤器已保存，几秒内生效。";
    only_admins_filters => "Only administrators and owners of the organization change these settings.", "只有组织的管理员和所有者可以更改这些设置。";
    filters_by_kind => "Known noise", "常见噪声";
    filters_by_list => "Your own lists", "自定义列表";
    one_a_line => "One on each line, at most 100.", "每行一个，最多 100 个。";
    pattern_hint => "* is any text, ? one character, {a,b} one of several; capitals do not matter. The pattern is the whole text.",
        "* 表示任意文本，? 表示一个字符，{a,b} 表示其中之一；不区分大小写，须匹配全文。";
    filter_held(n, days) one "{n} item held back in {days} days" => "{n} items held back in {days} days", "近 {days} 天拦截 {n} 条";
    filter_localhost => "Localhost", "本机";
    filter_localhost_hint => "Pages and users at localhost, 127.0.0.1, ::1 or file:", "来自 localhost、127.0.0.1、::1 或 file: 的页面和用户";
    filter_browser_extensions => "Browser extensions", "浏览器扩展";
    filter_browser_extensions_hint => "Errors in the code of extensions, and what extensions are known to cause", "扩展代码中的错误，以及已知由扩展引起的错误";
    filter_web_crawlers => "Web crawlers", "网络爬虫";
    filter_web_crawlers_hint => "Search engines, previews of links and the like, by their User-Agent", "搜索引擎、链接预览等，按 User-Agent 识别";
    filter_health_checks => "Health checks", "健康检查";
    filter_health_checks_hint => "Transactions such as /healthz, /ready and /ping; errors there are kept", "/healthz、/ready、/ping 等事务；其中的错误仍会保留";
    filter_chunk_load => "Chunk load errors", "代码块加载错误";
    filter_chunk_load_hint => "Parts of a page that are gone after a deployment (ChunkLoadError)", "部署后已不存在的页面代码块（ChunkLoadError）";
    filter_hydration => "React hydration errors", "React 水合错误";
    filter_hydration_hint => "React’s errors 418, 419, 421, 422, 423 and 425 in production", "React 生产环境的 418、419、421、422、423 和 425 号错误";
    filter_legacy_browsers => "Legacy browsers", "旧版浏览器";
    filter_legacy_browsers_hint => "By their User-Agent", "按 User-Agent 识别";
    filter_error_messages => "Error messages", "错误消息";
    filter_error_messages_hint => "Patterns of “Type: value” or of the message", "匹配“Type: value”或消息的模式";
    filter_releases => "Releases", "版本";
    filter_releases_hint => "Patterns of the release", "匹配版本号的模式";
    filter_csp_sources => "CSP sources", "CSP 来源";
    filter_csp_sources_hint => "Reports about these are not kept: https://*.example.com, chrome-extension://*, about", "不保留与这些来源有关的报告，例如 https://*.example.com、chrome-extension://*、about";
    filter_client_ips => "IP addresses", "IP 地址";
    filter_client_ips_hint => "Addresses or networks (10.0.0.0/8) that send; holds back everything from there", "发送方的地址或网段（10.0.0.0/8）；来自那里的数据全部拦截";
    browser_and_older(name, version) => "{name} {version} and older", "{name} {version} 及更早版本";
    browser_exactly(name, version) => "{name} {version}", "{name} {version}";

    // Faults
    fault_too_many(name, most) => "{name}: at most {most} entries.", "{name}：最多 {most} 项。";
    fault_too_long(name, most) => "{name}: an entry may have at most {most} characters.", "{name}：每项最多 {most} 个字符。";
    fault_no_address(name, entry) => "{name}: “{entry}” is no IP address and no network such as 10.0.0.0/8.", "{name}：“{entry}”不是 IP 地址，也不是 10.0.0.0/8 这样的网段。";
    fault_no_name(name, entry) => "{name}: “{entry}” has no letter and no digit.", "{name}：“{entry}”不含字母或数字。";

    // Privacy
    privacy => "Privacy", "隐私";
    privacy_hint => "what is taken out before anything is stored", "存储之前移除的内容";
    privacy_saved => "Privacy settings saved. They take effect within seconds; what is stored already stays as it is.", "隐私设置已保存，几秒内生效；已存储的内容不变。";
    scrub_data => "Take secrets out", "移除机密信息";
    scrub_data_hint => "Replaces their values with [Filtered]. Without it, none of the rules below applies but the one about IP addresses.", "将其值替换为 [Filtered]。关闭后，除 IP 地址一项外，下列规则均不适用。";
    scrub_defaults => "Built-in rules", "内置规则";
    scrub_defaults_hint => "Passwords, tokens, keys, cookies of sessions, numbers of cards and accounts", "密码、令牌、密钥、会话 Cookie、银行卡号和账号";
    scrub_exception_values => "In the values of exceptions, too", "异常的值也包括在内";
    scrub_exception_values_hint => "What an exception says often quotes what was given to it", "异常信息常会引用传入的内容";
    scrub_ip_addresses => "Store no IP addresses", "不存储 IP 地址";
    scrub_ip_addresses_hint => "Those of users are removed, those in texts become [ip]. Users without an id, name or e-mail are then not told apart.", "移除用户的 IP 地址，文本中的替换为 [ip]。此后没有 ID、名称或邮箱的用户将无法区分。";
    sensitive_fields => "Sensitive fields", "敏感字段";
    sensitive_fields_hint => "More names of secrets. A name counts wherever it is part of a field's; capitals, _ and - do not matter. One on each line.", "更多机密字段名。只要是字段名的一部分即算；不区分大小写，忽略 _ 和 -。每行一个。";
    safe_fields => "Safe fields", "安全字段";
    safe_fields_hint => "Fields that stay as they are, whatever else says otherwise. One on each line.", "无论其他规则如何都保持不变的字段。每行一个。";
}
