//! The table: every text of the pages, English and Simplified Chinese side by side.

texts! {
    // Frame
    skip_to_content => "Skip to content", "跳到正文";
    navigation => "Main navigation", "主导航";
    account => "Account", "账号";
    issues => "Issues", "问题";
    projects => "Projects", "项目";
    usage => "Usage", "用量";
    settings => "Settings", "设置";
    sign_out => "Sign out", "退出登录";

    // Signing in
    sign_in => "Sign in", "登录";
    email => "E-mail", "邮箱";
    password => "Password", "密码";
    sign_in_refused => "Unknown e-mail or wrong password.", "邮箱或密码不正确。";
    sign_in_throttled(n) one "Too many attempts. Try again in {n} minute."
        => "Too many attempts. Try again in {n} minutes.", "尝试次数过多，请在 {n} 分钟后重试。";

    // Times and counts
    just_now => "just now", "刚刚";
    minutes_ago(n) => "{n} min ago", "{n} 分钟前";
    hours_ago(n) => "{n} h ago", "{n} 小时前";
    days_ago(n) one "{n} day ago" => "{n} days ago", "{n} 天前";
    months_ago(n) one "{n} month ago" => "{n} months ago", "{n} 个月前";
    years_ago(n) one "{n} year ago" => "{n} years ago", "{n} 年前";
    events(n) one "{n} event" => "{n} events", "{n} 个事件";
    users(n) one "{n} user" => "{n} users", "{n} 位用户";
    chart_summary(n, most) one "{n} event, at most {most} at a time"
        => "{n} events, at most {most} at a time", "共 {n} 个事件，单个时段最多 {most} 个";

    // Small things
    copy => "Copy", "复制";
    copied => "Copied", "已复制";
    none => "none", "无";
    save => "Save", "保存";
    name => "Name", "名称";
    created => "Created", "创建时间";
    state => "State", "状态";

    // Status and level
    status => "Status", "状态";
    unresolved => "Unresolved", "未解决";
    resolved => "Resolved", "已解决";
    ignored => "Ignored", "已忽略";
    all => "All", "全部";
    new_issue => "New", "新";
    regressed => "Regressed", "复发";
    unhandled => "Unhandled", "未捕获";
    resolve => "Resolve", "标为已解决";
    ignore => "Ignore", "忽略";
    reopen => "Reopen", "重新打开";

    level_debug => "Debug", "调试";
    level_info => "Info", "信息";
    level_warning => "Warning", "警告";
    level_error => "Error", "错误";
    level_fatal => "Fatal", "致命";

    // Issue list
    all_projects => "All projects", "所有项目";
    search => "Search", "搜索";
    search_hint => "is:unresolved level:error environment:production words…", "is:unresolved level:error environment:production 关键词…";
    query_too_long(characters, terms) => "The search is too long (at most {characters} characters and {terms} terms).", "搜索条件过长（最多 {characters} 个字符、{terms} 个条件）。";
    query_open_quote => "The search has an opening quotation mark without a closing one.", "搜索条件中的引号没有闭合。";
    query_open_list(key) => "The search has an opening bracket after “{key}” without a closing one.", "搜索条件“{key}”后的方括号没有闭合。";
    query_no_value(key) => "The search term “{key}” needs a value.", "搜索条件“{key}”缺少值。";
    query_bad_value(key, value, known) => "“{value}” is not a value of the search term “{key}”; known are {known}.", "“{value}”不是搜索条件“{key}”的有效值；可用的值有：{known}。";
    query_no_list(key) => "The search term “{key}” takes one value, not a list.", "搜索条件“{key}”只接受单个值，不接受列表。";
    query_unsearchable(key) => "Issues cannot be searched by “{key}”; a tag of that name is searched as “tags[{key}]:…”.", "不能按“{key}”搜索问题；同名的标签请写成“tags[{key}]:…”。";
    issue => "Issue", "问题";
    last_24_hours => "Last 24 h", "近 24 小时";
    events_column => "Events", "事件数";
    users_column => "Users", "用户数";
    last_seen => "Last seen", "最近出现";
    first_seen => "First seen", "首次出现";
    select => "Select", "选择";
    select_all => "Select all on this page", "选择本页全部";
    select_issue(name) => "Select {name}", "选择 {name}";
    merge => "Merge", "合并";
    issues_merged(n) => "{n} issues are one now.", "{n} 个问题已合并为一个。";
    merge_needs_two => "Nothing was merged: tick two issues or more.", "未合并：请至少勾选两个问题。";
    merge_one_project => "Nothing was merged: the issues belong to different projects.", "未合并：所选问题属于不同的项目。";
    merge_busy => "Nothing was merged: one of the issues is still being split. Try again in a minute.", "未合并：其中一个问题仍在拆分，请稍后再试。";
    parts => "Merged from", "合并来源";
    parts_hint => "Events that were grouped by different things. Ticked ones become an issue of their own.", "以下事件的分组依据不同。勾选的部分会成为单独的问题。";
    part_without_event => "No recent event", "近期没有事件";
    split_off => "Split off", "拆分";
    bulk_hint => "applies to the ticked issues", "应用于勾选的问题";
    issues_changed(n) one "{n} issue changed." => "{n} issues changed.", "已更新 {n} 个问题。";
    pages => "Pages", "分页";
    previous_page => "Previous", "上一页";
    next_page => "Next", "下一页";
    key_move => "move", "移动";
    key_open => "open", "打开";
    key_select => "select", "选择";
    key_resolve => "resolve", "标为已解决";
    key_search => "search", "搜索";
    no_issues => "No unresolved issues", "没有未解决的问题";
    no_issues_hint => "Errors that your programs report appear here within seconds.", "您的程序上报的错误会在几秒内显示在这里。";
    nothing_found => "No issue matches", "没有符合条件的问题";
    nothing_found_hint => "Try fewer terms, another status or all projects.", "可以减少搜索词、切换状态，或选择所有项目。";
    clear_search => "Clear the search", "清除搜索";
    set_up_project(name) => "Connect {name}", "接入 {name}";

    // Issue page
    project => "Project", "项目";
    in_release(release) => "in {release}", "版本 {release}";
    last_14_days => "Last 14 days", "近 14 天";
    today => "today", "今天";
    event => "Event", "事件";
    event_navigation => "Events of this issue", "此问题的事件";
    oldest_event => "Oldest event", "最早的事件";
    older_event => "Older event", "较早的事件";
    newer_event => "Newer event", "较新的事件";
    latest_event => "Latest event", "最新的事件";
    raw_json => "JSON", "JSON";
    no_event => "The events of this issue are no longer kept", "此问题的事件均已不再保留";
    no_event_hint => "Its counts and tags remain. The next event will be shown here.", "计数和标签仍会保留，下一个事件到来后将显示在这里。";
    event_missing => "That event is not kept, or it belongs to another issue.", "该事件已不再保留，或属于其他问题。";
    stack_trace => "Stack trace", "堆栈跟踪";
    newest_first => "newest call first", "最近的调用在前";
    frames_elsewhere(n) one "{n} library frame" => "{n} library frames", "{n} 个库代码栈帧";
    frames_omitted(n) one "{n} frame of a deep stack was left out" => "{n} frames of a deep stack were left out", "调用栈很深，省略了 {n} 个栈帧";
    no_frames => "No stack trace was sent with this exception.", "此异常没有附带堆栈跟踪。";
    in_app => "in app", "应用代码";
    unknown_function => "unknown function", "未知函数";
    registers => "Registers", "寄存器";
    locals => "Local variables", "局部变量";
    chained => "caused by", "由以下异常引起";
    group_member => "in the group", "组内异常";
    handled_by(mechanism) => "handled, mechanism {mechanism}", "已捕获，机制：{mechanism}";
    unhandled_by(mechanism) => "unhandled, mechanism {mechanism}", "未捕获，机制：{mechanism}";
    caught_by(mechanism) => "mechanism {mechanism}", "机制：{mechanism}";
    threads => "Threads", "线程";
    thread(name) => "Thread {name}", "线程 {name}";
    crashed => "crashed", "已崩溃";
    current => "current", "当前";
    template => "Template", "模板";
    message => "Message", "消息";
    message_template => "Template", "模板";
    message_parameters => "Parameters", "参数";
    breadcrumbs => "Breadcrumbs", "面包屑";
    breadcrumbs_hint => "what happened before, newest first", "事件发生前的操作，最近的在前";
    this_event => "this event", "当前事件";
    more_breadcrumbs(n) one "{n} older breadcrumb" => "{n} older breadcrumbs", "还有 {n} 条更早的面包屑";
    tags => "Tags", "标签";
    event_tags => "Tags of this event", "此事件的标签";
    no_tags => "No tags.", "没有标签。";
    other_values(n) one "{n} more value" => "{n} more values", "另有 {n} 个值";
    request => "Request", "请求";
    query_string => "Query", "查询参数";
    headers => "Headers", "请求头";
    cookies => "Cookies", "Cookie";
    body => "Body", "请求体";
    environment_variables => "Environment", "环境变量";
    as_curl => "As curl", "curl 命令";
    user => "User", "用户";
    user_name => "User name", "用户名";
    ip_address => "IP address", "IP 地址";
    location => "Location", "位置";
    contexts => "Contexts", "上下文";
    extra => "Additional data", "附加数据";
    modules => "Packages", "依赖包";
    modules_count(n) one "{n} package" => "{n} packages", "{n} 个依赖包";
    sdk => "SDK", "SDK";
    version => "Version", "版本";
    integrations => "Integrations", "集成";
    sdk_packages => "Packages", "软件包";
    images => "Debug images", "调试映像";
    fingerprint => "Fingerprint", "指纹";
    errors_in_processing(n) one "{n} problem while processing this event" => "{n} problems while processing this event", "处理此事件时遇到 {n} 个问题";
    violation => "Policy violation", "违反策略";
    platform => "Platform", "平台";
    logger => "Logger", "日志记录器";
    details => "Details", "详情";

    // Projects
    no_projects => "No projects", "没有项目";
    no_projects_hint => "You are not a member of an organization that has projects.", "您所在的组织中还没有项目。";
    organization => "Organization", "组织";
    first_event => "First event", "首个事件";
    waiting_short => "waiting", "等待中";
    waiting => "Waiting for the first event…", "正在等待首个事件……";
    waiting_hint => "Paste one of the snippets below into your program; this page updates by itself when the event arrives.", "将下面的代码片段粘贴到您的程序中，收到事件后本页会自动更新。";
    receiving => "Receiving events; the first one arrived", "正在接收事件；首个事件：";
    dsn => "DSN", "DSN";
    dsn_hint => "the address your SDK sends to", "SDK 上报的地址";
    no_active_key => "This project has no active key, so nothing can be sent to it.", "该项目没有启用的密钥，因此无法接收事件。";
    connect_program => "Connect a program", "接入程序";
    step_install => "Install", "安装";
    step_configure => "Configure", "配置";
    step_send => "Send a first event", "发送首个事件";
    keys => "Keys", "密钥";
    keys_hint => "each key has its own DSN", "每个密钥对应一个独立的 DSN";
    active => "active", "已启用";
    switched_off => "switched off", "已停用";

    // Limits
    limits => "Limits", "限额";
    limits_hint => "how much may be sent; what is over it is held back by a limit and not kept", "允许发送的数量；超出部分因限额未接收，不会保存";
    no_limits => "No limits", "没有限额";
    no_limits_hint => "Everything that is sent is taken in.", "发送的内容全部接收。";
    only_admins_limit => "Only administrators and owners of the organization set limits.", "只有组织的管理员和所有者可以设置限额。";
    limit_of => "Applies to", "适用范围";
    limit_of_project(name) => "Project {name}", "项目 {name}";
    limit_of_organization(name) => "Organization {name}: all projects together", "组织 {name}（所有项目合计）";
    limit_of_key(name, start) => "Key {name} ({start}…)", "密钥 {name}（{start}…）";
    limit_counts => "Counts", "计数对象";
    limit_counts_errors => "Events", "事件";
    limit_counts_all => "Items of every kind", "所有类型的数据";
    limit_at_most => "At most", "上限";
    limit_in => "In each", "时间窗口";
    limit_unit => "Unit of time", "时间单位";
    limit_used => "Used now", "当前用量";
    limit_use_unknown => "not known", "未知";
    limit_rate(count, span) => "{count} in {span}", "每 {span} {count} 个";
    span_seconds(n) one "{n} second" => "{n} seconds", "{n} 秒";
    span_minutes(n) one "{n} minute" => "{n} minutes", "{n} 分钟";
    span_hours(n) one "{n} hour" => "{n} hours", "{n} 小时";
    span_days(n) one "{n} day" => "{n} days", "{n} 天";
    unit_seconds => "seconds", "秒";
    unit_minutes => "minutes", "分钟";
    unit_hours => "hours", "小时";
    unit_days => "days", "天";
    set_limit => "Set a limit", "设置限额";
    set_limit_hint => "Up to 31 days. It takes effect within seconds, and takes the place of a limit of the same kind.", "最长 31 天。几秒内生效，并取代同类的限额。";
    bad_limit => "The number must be at least 1, and the time from 1 second to 31 days.", "数量至少为 1，时间须在 1 秒到 31 天之间。";
    limit_saved => "Limit set.", "限额已设置。";
    limit_cleared => "Limit switched off.", "限额已停用。";

    // Alerts
    set_up => "Set-up", "接入";
    alerts => "Alerts", "告警";
    alerts_hint => "who is told when something breaks", "出错时通知谁";
    new_alert => "New alert", "新建告警";
    edit_alert => "Edit alert", "编辑告警";
    no_alerts => "No alerts", "没有告警";
    no_alerts_hint => "Nobody is told when something breaks in this project.", "此项目出错时不会通知任何人。";
    too_many_alerts(most) => "A project may have at most {most} alerts.", "每个项目最多 {most} 条告警。";
    only_admins_change => "Only administrators and owners of the organization change alerts and see whole addresses.", "只有组织的管理员和所有者可以修改告警、查看完整地址。";
    when_new => "When an issue is new, or is back after it was resolved", "出现新问题，或已解决的问题复发时";
    when_many(n, minutes) one "When an issue has an event within {minutes} min ({n} is enough)"
        => "When an issue has {n} events within {minutes} min", "同一问题在 {minutes} 分钟内达到 {n} 个事件时";
    edit => "Edit", "编辑";
    switch_off => "Switch off", "停用";
    switch_on => "Switch on", "启用";
    alert_saved => "Alert saved.", "告警已保存。";
    alert_deleted => "Alert deleted.", "告警已删除。";
    alert_switched_on => "Alert switched on.", "告警已启用。";
    alert_switched_off => "Alert switched off: it tells nobody.", "告警已停用，不再发送通知。";
    kind_email => "E-mail", "邮件";
    kind_webhook => "Slack-compatible webhook", "Slack 兼容 Webhook";
    kind_feishu => "Feishu / Lark bot", "飞书 / Lark 机器人";
    kind_dingtalk => "DingTalk bot", "钉钉机器人";
    kind_wecom => "WeCom bot", "企业微信机器人";
    kind_discord => "Discord webhook", "Discord Webhook";
    kind_teams => "Microsoft Teams workflow", "Microsoft Teams 工作流";
    kind_telegram => "Telegram bot", "Telegram 机器人";
    kind_ntfy => "ntfy topic", "ntfy 主题";
    kind_generic => "JSON webhook", "JSON Webhook";
    nobody_told => "Nobody is told: this alert has no recipient.", "没有通知对象，不会通知任何人。";
    members(n) one "{n} member" => "{n} members", "{n} 位成员";
    no_mail => "No mail is sent: EMAIL_URL is not set.", "未设置 EMAIL_URL，不会发送邮件。";
    no_mail_hint => "Give the instance a mail server, such as EMAIL_URL=smtp://user:password@mail.example.com:587, and start it again.", "请为实例配置邮件服务器，例如 EMAIL_URL=smtp://user:password@mail.example.com:587，然后重新启动。";
    is_signed => "signed", "已签名";
    has_token => "with a token", "使用令牌";
    nothing_sent => "nothing sent yet", "尚未发送";
    delivered => "delivered", "已送达";
    delivery_failed => "failed", "发送失败";
    deliveries_wait(n) one "{n} waiting" => "{n} waiting", "{n} 条等待发送";
    test_delivered => "test delivered", "测试消息已送达";
    test_failed => "test failed", "测试消息发送失败";
    test => "Send a test", "发送测试";
    test_sent_to(to) => "The test message to {to} was delivered.", "发往 {to} 的测试消息已送达。";
    test_failed_to(to) => "The test message to {to} was not delivered:", "发往 {to} 的测试消息未能送达：";
    test_waits(to) => "The test message to {to} is on its way; this page updates by itself.", "发往 {to} 的测试消息正在发送，本页会自动更新。";
    test_stuck(to) => "The test message to {to} still waits: the worker or Redis may be away.", "发往 {to} 的测试消息仍在等待，worker 或 Redis 可能不可用。";
    recent_messages => "Recent messages", "最近的通知";
    recent_messages_hint => "newest first", "最新的在前";
    no_messages => "No message has been sent for this project yet.", "此项目尚未发送过通知。";
    time => "Time", "时间";
    recipient => "Recipient", "通知对象";
    message_waiting => "waiting", "等待发送";
    message_sent => "sent", "已发送";
    message_in_digest => "sent in a digest", "已汇总发送";
    message_failed => "failed", "失败";
    message_dropped => "dropped", "已取消";
    why_recipient_removed => "the recipient was removed", "通知对象已被移除";
    why_issue_ignored => "the issue is ignored", "问题已被忽略";
    why_no_mail => "EMAIL_URL is not set", "未设置 EMAIL_URL";
    why_webhook_answered(status) => "the webhook answered {status}", "Webhook 返回 {status}";
    why_webhook_refused(reason) => "the webhook refused it: {reason}", "Webhook 拒绝接收：{reason}";
    why_mail_server(reason) => "the mail server: {reason}", "邮件服务器：{reason}";
    why_mail_server_slow(limit) => "the mail server took more than {limit}", "邮件服务器超过 {limit} 未响应";
    reason_new => "new", "新问题";
    reason_regressed => "back again", "复发";
    reason_frequency => "many events", "频繁";

    // The form of an alert
    alert_name_hint => "To tell alerts apart; may stay empty.", "用于区分告警，可留空。";
    when => "When", "触发条件";
    when_many_choice => "When an issue has many events in a short time", "同一问题在短时间内频繁出现时";
    at_least_events => "Events, at least", "事件数不少于";
    within_minutes => "Within minutes", "时间范围（分钟）";
    who => "Who is told", "通知对象";
    mail_members(organization) => "E-mail to every member of {organization}", "发送邮件给 {organization} 的所有成员";
    webhooks => "Webhooks", "Webhook";
    webhooks_hint => "Paste the address as the service shows it. Slack-compatible addresses work with Slack, Mattermost, Rocket.Chat and others. A JSON webhook with a secret is signed in the header X-Signature.", "粘贴服务提供的地址即可。Slack 兼容地址适用于 Slack、Mattermost、Rocket.Chat 等。设置密钥后，JSON Webhook 会在请求头 X-Signature 中携带签名。";
    kind => "Kind", "类型";
    address => "Address", "地址";
    signing_secret => "Signing secret", "签名密钥";
    access_token => "Access token", "访问令牌";
    secret_kept => "stored; leave empty to keep it", "已保存，留空则保持不变";
    secret_optional => "optional", "可选";
    remove_secret => "Remove the stored secret", "删除已保存的密钥";
    add_webhook => "Add a webhook", "添加 Webhook";
    remove_webhook => "Remove", "移除";
    cancel => "Cancel", "取消";
    delete_alert => "Delete this alert", "删除此告警";
    delete_alert_hint => "What it has not sent yet is not sent. To pause it, switch it off.", "尚未发送的通知将不再发送。如需暂停，请停用此告警。";
    name_too_long(most) => "The name may have at most {most} characters.", "名称最多 {most} 个字符。";
    name_unprintable => "The name may have no line breaks and no control characters.", "名称不能包含换行或控制字符。";
    bad_event_number(least, most) => "The number of events must be from {least} to {most}.", "事件数必须在 {least} 到 {most} 之间。";
    bad_minutes(least, most) => "The minutes must be a number from {least} to {most}.", "分钟数必须在 {least} 到 {most} 之间。";
    too_many_recipients(most) => "An alert may have at most {most} recipients.", "每条告警最多 {most} 个通知对象。";
    address_missing => "This webhook has no address.", "此 Webhook 缺少地址。";
    address_invalid => "The address must begin with http:// or https:// and contain no blanks.", "地址必须以 http:// 或 https:// 开头，且不能包含空格。";
    chat_missing => "A Telegram address ends in ?chat_id= and the chat's number or @name.", "Telegram 地址须以 ?chat_id= 加会话编号或 @名称结尾。";
    topic_missing => "An ntfy address ends in the topic's name: letters, digits, - and _.", "ntfy 地址须以主题名结尾：字母、数字、- 和 _。";
    address_too_long(most) => "The address may have at most {most} bytes.", "地址最多 {most} 字节。";
    address_repeated => "This address is there twice.", "此地址重复。";
    secret_invalid(most) => "The secret may have at most {most} characters and no control characters.", "密钥最多 {most} 个字符，且不能包含控制字符。";
    form_has_a_mistake => "Not saved: something is not right yet.", "尚未保存：请修正下面的错误。";

    // Usage
    period => "Period", "时间范围";
    last_7_days => "Last 7 days", "近 7 天";
    last_30_days => "Last 30 days", "近 30 天";
    ledger_accepted => "Accepted", "已接收";
    ledger_stored => "Stored", "已存储";
    ledger_filtered => "Filtered", "已过滤";
    ledger_rejected => "Rejected", "无法存储";
    ledger_queued => "In the queue", "排队中";
    ledger_rate_limited => "Rate limited", "被限流";
    ledger_discarded => "Discarded by the SDK", "SDK 丢弃";
    in_queue_now(count) => "(queue now: {count})", "（当前队列：{count}）";
    ledger_balances => "The ledger balances.", "账目平衡。";
    ledger_off => "The ledger does not balance.", "账目不平衡。";
    ledger_all_settled => "Everything accepted is stored, filtered or rejected.", "所有已接收的数据都已存储、过滤或判定为无法存储。";
    ledger_on_their_way(n) one "Everything accepted is stored, filtered or rejected, but for {n} item on its way."
        => "Everything accepted is stored, filtered or rejected, but for {n} items on their way.", "除 {n} 条仍在处理途中外，所有已接收的数据都已存储、过滤或判定为无法存储。";
    ledger_ahead(n) one "Everything accepted is settled; the count of the newest {n} item follows within a minute."
        => "Everything accepted is settled; the count of the newest {n} items follows within a minute.", "所有已接收的数据都已处理完毕；最新 {n} 条的接收计数会在一分钟内补上。";
    ledger_missing(n) one "{n} item accepted more than an hour ago is neither settled nor in the queue. It may still be in the spool: look at the log of the web service."
        => "{n} items accepted more than an hour ago are neither settled nor in the queue. They may still be in the spool: look at the log of the web service.", "{n} 条一小时前已接收的数据既未处理完毕，也不在队列中。它们可能仍在 spool 中，请查看 web 服务的日志。";
    ledger_surplus(n) one "{n} item more is settled than was accepted."
        => "{n} items more are settled than were accepted.", "已处理的数据比已接收的多 {n} 条。";
    ledger_queue_silent => "Redis did not say how long the queue is.", "Redis 没有返回队列长度。";
    ledger_uncounted(n) one "{n} older item was stored before acceptance was counted."
        => "{n} older items were stored before acceptance was counted.", "另有 {n} 条较早的数据在开始统计接收数之前就已处理。";
    canary_took(span) => "The latest test item took {span} from the edge to the database.", "最近一次探测数据从入口到数据库用时 {span}。";
    canary_overdue(minutes) => "No test item has arrived for {minutes} minutes.", "超过 {minutes} 分钟没有探测数据到达。";
    canary_never => "No test item has come through from the edge to the database yet. One sets out each minute.", "还没有探测数据从入口到达数据库。系统每分钟会发出一条。";
    ledger_chart(n, most) one "{n} item, at most {most} at a time"
        => "{n} items, at most {most} at a time", "共 {n} 条数据，单个时段最多 {most} 条";
    nothing_sent_in_period => "Nothing was sent in this period.", "此时间段内没有收到数据。";
    categories => "Categories", "类别";
    categories_hint => "what was sent", "数据的类型";
    category => "Category", "类别";
    reason => "Reason", "原因";
    quantity => "Items", "数量";
    other_reasons(n) one "{n} other reason" => "{n} other reasons", "其他 {n} 种原因";
    filtered_hint => "accepted and not kept", "已接收但不保留";
    rejected_hint => "accepted, but it could not be stored", "已接收但无法存储";
    rate_limited_hint => "held back by a limit", "因限额未接收";
    discarded_hint => "dropped before it was sent, as the SDKs report", "SDK 报告在发送前丢弃";
    rejected_items => "Rejected items", "无法存储的数据";
    rejected_items_hint => "newest first", "最新的在前";
    no_rejected_items => "None: whatever was accepted could be stored.", "没有：已接收的数据都能存储。";

    // Settings
    language => "Language", "语言";
    language_of_pages => "Language of the pages", "界面语言";
    as_the_browser_asks => "Same as the browser / 跟随浏览器", "跟随浏览器 / Same as the browser";
    language_saved => "Language saved.", "语言设置已保存。";
    change_password => "Change password", "修改密码";
    current_password => "Current password", "当前密码";
    new_password => "New password", "新密码";
    repeat_password => "New password again", "再次输入新密码";
    password_length(least, most) => "{least} to {most} characters.", "长度为 {least} 到 {most} 个字符。";
    password_hint => "Your other sessions will be signed out.", "您在其他设备上的登录都将退出。";
    passwords_differ => "The two new passwords are not the same.", "两次输入的新密码不一致。";
    wrong_password => "The current password is wrong.", "当前密码不正确。";
    password_changed => "Password changed. Your other sessions are signed out.", "密码已修改，其他登录均已退出。";

    // Failures
    not_found => "There is nothing here", "页面不存在";
    not_found_hint => "The address is wrong, the thing is gone, or you may not see it.", "地址有误、内容已被删除，或者您无权查看。";
    foreign_form => "This form was not accepted", "表单未被接受";
    foreign_form_hint => "It did not come from a page of your current session. Go back, reload the page and send it again. Behind a proxy, CSRF_TRUSTED_ORIGINS must name your address.", "它并非来自您当前会话的页面。请返回并刷新页面后重新提交。若使用了反向代理，请在 CSRF_TRUSTED_ORIGINS 中填写您的访问地址。";
    bad_request => "That request is not valid", "请求无效";
    bad_request_hint => "The address or the form is malformed.", "地址或表单的格式不正确。";
    unavailable => "The database is unavailable", "数据库暂时不可用";
    unavailable_hint => "Events are still being accepted and nothing is lost. Try again in a few seconds.", "事件仍在正常接收，不会丢失。请过几秒再试。";
    broken => "Something broke on our side", "服务器出错了";
    broken_hint => "The details are in the log of the web service.", "详细信息请查看 web 服务的日志。";
    to_issues => "Go to the issues", "前往问题列表";
}
