//! The words of a report in the languages people read.

use super::model::Outcome;
use crate::channels::Language;
use crate::task::Trigger;

/// Everything a card says in one language.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) title: &'static str,
    pub(super) trial: &'static str,
    pub(super) environment: &'static str,
    pub(super) time: &'static str,
    pub(super) mode: &'static str,
    pub(super) took: &'static str,
    pub(super) state: &'static str,
    pub(super) reason: &'static str,
    pub(super) version: &'static str,
    pub(super) before: &'static str,
    pub(super) after: &'static str,
    pub(super) system: &'static str,
    pub(super) memory: &'static str,
    pub(super) swap: &'static str,
    pub(super) disk: &'static str,
    pub(super) free: &'static str,
    pub(super) load: &'static str,
    pub(super) pressure: &'static str,
    pub(super) damaged: &'static str,
    pub(super) connections: &'static str,
    pub(super) open_files: &'static str,
    pub(super) database: &'static str,
    pub(super) queue: &'static str,
    pub(super) dead: &'static str,
    pub(super) actions: &'static str,
    pub(super) requests: &'static str,
    pub(super) served: &'static str,
    pub(super) failed: &'static str,
    pub(super) longest: &'static str,
    pub(super) backup: &'static str,
    pub(super) warnings: &'static str,
    pub(super) lines: &'static str,
    pub(super) nothing_done: &'static str,
    outcomes: [&'static str; 4],
    triggers: [&'static str; 2],
}

const ENGLISH: Words = Words {
    title: "glitchbox restart report",
    trial: "glitchbox test message: reports will arrive here",
    environment: "Environment",
    time: "Time",
    mode: "Mode",
    took: "Took",
    state: "Result",
    reason: "Reason",
    version: "Version",
    before: "Checks before the restart",
    after: "Checks after the restart",
    system: "System",
    memory: "Memory",
    swap: "Swap",
    disk: "Disk",
    free: "free",
    load: "Load",
    pressure: "Waited for",
    damaged: "damaged pages",
    connections: "Connections",
    open_files: "Open files",
    database: "Database",
    queue: "Queue",
    dead: "dead letters",
    actions: "Restarts",
    requests: "Requests meanwhile",
    served: "served",
    failed: "failed",
    longest: "longest",
    backup: "Backup",
    warnings: "Warnings",
    lines: "Last lines of the log",
    nothing_done: "nothing was restarted",
    outcomes: ["ok", "degraded", "failed", "skipped"],
    triggers: ["scheduled", "by hand"],
};

const CHINESE: Words = Words {
    title: "glitchbox 重启报告",
    trial: "glitchbox 测试消息：报告将发送到这里",
    environment: "环境",
    time: "执行时间",
    mode: "模式",
    took: "总耗时",
    state: "状态",
    reason: "原因",
    version: "版本",
    before: "重启前健康检查",
    after: "重启后健康检查",
    system: "系统资源信息",
    memory: "内存使用",
    swap: "交换空间",
    disk: "磁盘使用",
    free: "可用",
    load: "系统负载",
    pressure: "等待占比",
    damaged: "损坏页",
    connections: "网络连接",
    open_files: "打开文件数",
    database: "数据库",
    queue: "队列",
    dead: "死信",
    actions: "重启操作详情",
    requests: "期间请求",
    served: "成功处理",
    failed: "失败",
    longest: "最长耗时",
    backup: "备份",
    warnings: "警告",
    lines: "最近执行日志",
    nothing_done: "未执行重启",
    outcomes: ["成功", "降级", "失败", "已跳过"],
    triggers: ["定时重启", "手动重启"],
};

/// The words of a language.
pub(super) fn words(language: Language) -> &'static Words {
    match language {
        Language::English => &ENGLISH,
        Language::Chinese => &CHINESE,
    }
}

impl Words {
    pub(super) fn outcome(&self, outcome: Outcome) -> &'static str {
        let [ok, degraded, failed, skipped] = self.outcomes;
        match outcome {
            Outcome::Ok => ok,
            Outcome::Degraded => degraded,
            Outcome::Failed => failed,
            Outcome::Skipped => skipped,
        }
    }

    pub(super) fn trigger(&self, trigger: Trigger) -> &'static str {
        let [schedule, manual] = self.triggers;
        match trigger {
            Trigger::Schedule => schedule,
            Trigger::Manual => manual,
        }
    }
}
