//! Every text of the page, in each language. A text that lacks a language does not compile.

/// Declares a text by its name, in English and in Chinese. `{0}`, `{1}` and so on stand for figures.
macro_rules! texts {
    ($($name:ident: $en:literal / $zh:literal;)*) => {
        /// The texts of one language.
        #[derive(Debug)]
        pub(crate) struct Texts {
            $(pub $name: &'static str,)*
        }

        pub(super) const EN: Texts = Texts { $($name: $en,)* };

        pub(super) const ZH: Texts = Texts { $($name: $zh,)* };

        #[cfg(test)]
        const ALL: &[(&str, &str, &str)] = &[$((stringify!($name), $en, $zh),)*];
    };
}

texts! {
    // Units.
    unit_millisecond: "ms" / "毫秒";
    unit_second: "s" / "秒";
    unit_minute: "min" / "分钟";
    unit_hour: "h" / "小时";
    unit_day: "d" / "天";
    words: "{0}" / "{0}";
    one_figure: "{0}" / "{0}";

    // The frame.
    title: "Replication" / "数据复制";
    skip: "Skip to the content" / "跳到正文";
    language: "Language" / "语言";
    live: "Live" / "实时";
    lost_touch: "Connection lost; trying again" / "连接已断开，正在重试";
    too_many_readers: "Too many readers; reload to see the present" / "读者过多，请刷新页面查看最新状态";
    no_script: "This page shows the moment at which it was loaded. Reload it to see the present." / "本页显示的是加载时的状态，刷新可查看最新状态。";
    all_right: "Is it all right?" / "一切正常吗？";

    // 1. Is it all right?
    no_run: "No run answers yet" / "还没有任务应答";
    no_answer: "The run does not answer" / "任务没有应答";
    no_answer_more: "It last answered at {0}, and this is what it said then" / "最后一次应答在 {0}，以下是当时的状态";
    asks: "The run waits for your answer" / "任务在等待您的回答";
    yes: "Yes" / "是";
    no: "No" / "否";
    connecting: "Connecting to the source and the target" / "正在连接源端和目标端";
    reconnecting: "The connection is broken; reconnecting" / "连接中断，正在重新连接";
    stopped: "The run has stopped" / "任务已停止";
    paused: "Paused by a person, {0} behind" / "已被人工暂停，落后 {0}";
    snapshot_left: "Copying the snapshot: {0}, about {1} left" / "正在复制快照：{0}，约剩 {1}";
    snapshot_share: "Copying the snapshot: {0}" / "正在复制快照：{0}";
    snapshot_keys: "Copying the snapshot: {0} keys so far" / "正在复制快照：已复制 {0} 个键";
    snapshot_rate: "{0} keys so far, {1}" / "已复制 {0} 个键，{1}";
    following: "Following the journal" / "正在跟随日志";
    in_sync: "In sync, {0} behind" / "已同步，落后 {0}";
    in_sync_now: "In sync, less than 0.1 s behind" / "已同步，落后不到 0.1 秒";
    in_sync_spoken: "In sync" / "已同步";
    both_rates: "Records: source {0}, target {1}" / "记录：源端 {0}，目标端 {1}";
    in_sync_but: "In sync, but the last comparison found differences: {0}" / "已同步，但最近一次比对发现差异：{0}";
    nearly_in_sync: "Following the source, {0} behind" / "正在跟随，落后 {0}";
    catching_up: "Catching up, {0} behind" / "正在追赶，落后 {0}";
    far_behind: "The target is {0} behind" / "目标端落后 {0}";
    gains: "{0} records to go, caught up in about {1}" / "还缺 {0} 条记录，约 {1} 后追上";
    loses_ground: "{0} records to go and falling behind: the source writes {1}, the target takes {2}" / "还缺 {0} 条记录且差距在扩大：源端写入 {1}，目标端执行 {2}";
    removing: "Removing keys that the source does not have, {0} behind" / "正在删除源端没有的键，落后 {0}";
    refetching: "Reading {0} keys again from the source, {1} behind" / "正在从源端重新读取 {0} 个键，落后 {1}";
    target_silent: "The target has not answered for {0}" / "目标端已 {0} 没有应答";
    node_not_answering: "The target node {0} has not answered for {1}" / "目标端节点 {0} 已 {1} 没有应答";
    journal_to_disk: "The journal goes to disk; there is room for {0}" / "日志写入磁盘，空间还够 {0}";
    journal_to_disk_bytes: "The journal goes to disk; there is room for {0}" / "日志写入磁盘，还有 {0} 空间";
    journal_waits: "The source has to wait: without a state directory, nothing is kept on disk" / "没有状态目录，磁盘上不保留任何数据，源端在等待";
    snapshot_waits: "The snapshot goes on when the target answers again" / "快照将等到它恢复应答";
    cut_approaching: "Cutting over: waiting until the target is near" / "正在切换：等待目标端追近";
    cut_comparing: "Cutting over: comparing all keys" / "正在切换：正在比对所有键";
    cut_stopping: "Cutting over: stopping writes at the source" / "正在切换：正在停止源端写入";
    cut_draining: "Cutting over: writes are stopped, the target takes the rest" / "正在切换：写入已停止，目标端正在接收剩余数据";
    cut_verifying: "Cutting over: writes are stopped, comparing what changed last" / "正在切换：写入已停止，正在比对最近的变更";
    cut_safe: "Safe to switch: the target has everything, and writes are stopped" / "可以安全切换：目标端数据完整，写入已停止";
    cut_unequal: "Writes are stopped and every record has arrived, but the last comparison found differences: {0}" / "写入已停止，所有记录均已到达，但最近一次比对发现差异：{0}";
    cut_repair: "Compare and repair before you move the applications" / "请先比对并修复，再迁移应用";
    cut_taken_over: "Safe to switch: the target has everything, and the source has shut down" / "可以安全切换：目标端数据完整，源端已关闭";
    cut_copied_again: "Not safe any more: the target or the source has lost what it held, and everything is copied again" / "不再安全：目标端或源端丢失了数据，正在重新复制全部数据";
    cut_withdrawn: "Not safe any more: {0} records have been written to the source since" / "不再安全：此后源端又写入了 {0} 条记录";

    // Source and target.
    source: "Source" / "源端";
    target: "Target" / "目标端";
    one_shard: "1 shard" / "1 个分片";
    shards: "{0} shards" / "{0} 个分片";
    cluster: "cluster" / "集群";
    cluster_of: "cluster, {0} primaries" / "集群，{0} 个主节点";
    single_server: "single server" / "单机";
    task: "Task" / "任务";
    runs_for: "Running for" / "已运行";
    read_so_far: "Read so far" / "已读取";
    release: "df2redis" / "df2redis";

    // 2. How far along is it?
    way: "How far along is it?" / "进行到哪一步？";
    stage_prepare: "Prepare" / "准备";
    stage_snapshot: "Snapshot" / "快照";
    stage_catch_up: "Catch up" / "追赶";
    stage_in_sync: "In sync" / "同步";
    stage_checked: "Checked" / "校验";
    stage_cut_over: "Cut over" / "切换";
    state_done: "done" / "已完成";
    state_now: "now" / "进行中";
    state_to_come: "to come" / "未开始";
    state_skipped: "not needed" / "不需要";
    state_failed: "look at it" / "需要查看";
    resumed: "resumed" / "断点续传";
    keys_compared: "{0} keys" / "{0} 个键";
    keys_differ: "{0} different" / "{0} 个不同";
    times_compared: "{0} passes" / "{0} 遍";
    safe_to_switch: "safe to switch" / "可以切换";
    released: "released" / "已解除";
    withdrawn: "withdrawn" / "已撤回";
    undone: "undone" / "已撤销";

    // 3. How fast, how far behind?
    speed: "How fast, how far behind?" / "多快？落后多少？";
    range: "Period" / "时段";
    five_minutes: "5 min" / "5 分钟";
    one_hour: "1 h" / "1 小时";
    ago_five_minutes: "5 min ago" / "5 分钟前";
    ago_one_hour: "1 h ago" / "1 小时前";
    now: "now" / "现在";
    plot_records: "Records per second" / "每秒记录数";
    plot_keys: "Keys per second" / "每秒键数";
    plot_lag: "Lag" / "延迟";
    plot_latency: "Time for a batch" / "批次耗时";
    source_writes: "Source writes" / "源端写入";
    target_takes: "Target takes" / "目标端执行";
    keys_copied: "Keys copied" / "已复制键";
    target_behind: "Target behind" / "目标端落后";
    half_of_batches: "Half below" / "半数低于";
    slowest_batches: "99% below" / "99% 低于";
    no_data: "Nothing yet" / "暂无数据";
    plot_summary: "{0}: {1} now, axis up to {2}" / "{0}：当前 {1}，坐标轴上限 {2}";

    // 4. Flows.
    flows: "Flows and target nodes" / "数据流与目标端节点";
    flows_table: "Flows" / "数据流";
    nodes_table: "Target nodes" / "目标端节点";
    flow: "Flow" / "流";
    flow_state: "State" / "状态";
    lsn_source: "Source LSN" / "源端 LSN";
    lsn_received: "Received" / "已接收";
    lsn_durable: "Durable" / "已持久";
    behind: "Behind" / "落后";
    rate: "Rate" / "速率";
    in_flight: "In flight" / "在途批次";
    on_disk: "On disk" / "磁盘上";
    flow_follows: "follows" / "跟随中";
    flow_behind: "far behind" / "严重落后";
    flow_catches_up: "catches up" / "追赶中";
    flow_copies: "copies" / "复制中";
    flow_refetches: "reads keys again" / "重新读取键";
    flow_on_disk: "journal on disk" / "日志在磁盘";
    flow_stalled: "target away" / "目标端离线";
    no_flows: "No flow is open" / "没有打开的数据流";
    node: "Target node" / "目标端节点";
    commands_rate: "Commands" / "命令速率";
    commands_in_flight: "In flight" / "在途命令";
    commands_refused: "Refused" / "被拒绝";
    commands_redirected: "Sent again" / "重发";
    node_answers: "answers" / "有应答";
    node_silent: "silent" / "无应答";
    node_away: "not reached" / "无法连接";
    for_time: "for {0}" / "已 {0}";
    no_nodes: "Nothing was written to the target yet" / "尚未向目标端写入数据";

    // 5. What keeps me safe?
    safety: "What keeps it safe?" / "安全保障";
    resume_window: "Resume window" / "续传窗口";
    window_unknown: "This source does not count its backlog in records" / "此源端不按记录数计算积压日志";
    window_note: "{0} of {1} records are left; a source keeps {1} for each shard by default" / "源端默认为每个分片保留 {1} 条记录，还剩 {0} 条";
    window_later: "Known once the run follows the journal" / "进入日志跟随阶段后可知";
    about_time: "about {0}" / "约 {0}";
    records: "{0} records" / "{0} 条记录";
    relay_log: "Relay log" / "中继日志";
    no_relay_log: "none" / "无";
    no_relay_log_note: "A slow target slows the source down. Give a state directory to avoid that" / "目标端变慢会拖慢源端；指定状态目录可以避免";
    empty: "empty" / "空";
    room_for: "Room for {0}: {1} without the target" / "可容纳 {0}：目标端离线时可撑 {1}";
    room_of: "Room for {0}" / "可容纳 {0}";
    checkpoint: "Checkpoint" / "检查点";
    none_yet: "none yet" / "尚无";
    checkpoint_none: "A run that ends during the snapshot starts over" / "快照期间中断将从头开始";
    just_now: "just now" / "刚刚";
    ago: "{0} ago" / "{0} 前";
    checkpoint_note: "Stored on the target; a new run goes on from here" / "目标端保存的位置，新任务从此继续";
    replicas: "Replicas" / "副本";
    replicas_none: "A fail-over of a primary may cost a full synchronisation" / "主节点故障转移可能需要全量同步";
    replicas_note: "acknowledge every write before a checkpoint is stored" / "在保存检查点前确认每次写入";
    per_primary: "{0} per primary" / "每主节点 {0} 个";
    not_known: "not known" / "未知";

    // 6. What was left out, what waits?
    left_out: "What was left out, what waits?" / "遗漏与等待";
    left_out_head: "Left out" / "被遗漏";
    nothing_left_out: "Nothing was left out" / "没有遗漏";
    waits_head: "Waits" / "等待中";
    nothing_waits: "Nothing waits" / "没有等待项";
    mended_head: "Mended" / "已修补";
    nothing_mended: "Nothing had to be mended" / "没有需要修补的";
    lost: "Not held by the target: {0}" / "目标端无法保存：{0}";
    target_refuses: "Refused by the target: {0}" / "被目标端拒绝：{0}";
    evicted: "Keys that the target has evicted" / "被目标端淘汰的键";
    keys_to_refetch: "Keys to be read again" / "待重新读取的键";
    keys_oldest: "{0}, oldest {1}" / "{0}，最久 {1}";
    removes_extra: "Removing keys that the source does not have" / "删除源端没有的键";
    goes_on: "goes on" / "进行中";
    refetched_for: "Read again: {0}" / "重新读取：{0}";
    retried: "Retried: {0}" / "已重试：{0}";
    extra_removed: "Keys removed that the source did not have" / "已删除的源端没有的键";

    // 7. Check.
    check: "Does the target hold what the source does?" / "目标端与源端一致吗？";
    check_short: "Comparison" / "比对";
    check_none: "Not compared yet" / "尚未比对";
    check_begins: "Comparing: counting the keys" / "正在比对：正在统计键数";
    check_runs: "Comparing: {0} of {1} keys" / "正在比对：{0} / {1} 个键";
    differ_so_far: "{0} different so far" / "目前有 {0} 个不同";
    were_repaired: "Keys repaired: {0}" / "已修复 {0} 个键";
    verified_so_far: "Comparing all the time: {0} keys so far" / "持续比对：已比对 {0} 个键";
    check_equal: "{0} keys were compared and are equal" / "已比对 {0} 个键，全部一致";
    check_differs: "{0} of {1} keys differ" / "{1} 个键中有 {0} 个不同";
    check_differs_one: "1 of {0} keys differs" / "{0} 个键中有 1 个不同";
    check_incomplete: "{0} keys are equal, {1} could not be compared" / "{0} 个键一致，{1} 个无法比对";
    check_failed: "The comparison failed: {0}" / "比对失败：{0}";
    check_ended: "Ended at {0}, mode {1}" / "结束于 {0}，模式 {1}";
    verified_more: "Compared all the time: passes {0}, keys repaired {1}" / "持续比对，已完成 {0} 遍；修复 {1} 个键";
    what_differs: "What differs" / "差异内容";
    keys: "Keys" / "键数";
    check_start: "Compare now" / "立即比对";
    check_start_help: "Compares every key in step with the replication, while applications write." / "在复制进行中逐键比对，应用可以继续写入。";
    check_repair: "Compare and repair" / "比对并修复";
    check_repair_help: "Compares every key, and reads those that differ again from the source." / "逐键比对，并从源端重新读取不同的键。";
    check_stop: "Stop comparing" / "停止比对";
    check_show: "Show the keys" / "显示键名";
    check_show_help: "Names of keys are shown with the token alone. Values are never shown." / "键名需要令牌才能显示；值永远不会显示。";
    and_more: "and {0} more" / "以及另外 {0} 个";
    token: "Token" / "令牌";
    token_help: "The content of the run's --control-token-file" / "任务的 --control-token-file 的内容";
    cancel: "Cancel" / "取消";

    // 8. Events.
    events: "Events" / "事件";
    event_began: "The run began" / "任务开始";
    event_snapshot: "The snapshot began" / "快照开始";
    event_in_sync: "The target is in sync" / "目标端已同步";
    event_equal: "A comparison found no difference" / "比对未发现差异";
    event_different: "A comparison found differences: {0}" / "比对发现差异：{0}";
    no_events: "Nothing has happened yet" / "暂无事件";

    // 9. Cut over.
    cut_over: "Cut over" / "切换";
    cut_begin: "Cut over…" / "开始切换…";
    cut_not_yet: "You can cut over once the run follows the journal" / "进入日志跟随阶段后才能切换";
    cut_lead: "Stops writes at the source until the target has everything, and says when it is safe to move the applications." / "停止源端写入，直到目标端数据完整，并提示何时可以迁移应用。";
    cut_doubtful: "The last comparison found differences: {0}. Compare and repair before you cut over." / "最近一次比对发现差异：{0}。请先比对并修复，再进行切换。";
    cut_command: "Without a script, use `df2redis-cli cutover`." / "未启用脚本时，请使用 `df2redis-cli cutover`。";
    step_approach: "Wait until the target is within a second of the source" / "等待目标端与源端相差不到一秒";
    step_stop: "Stop writes at the source (CLIENT PAUSE; reads go on)" / "停止源端写入（CLIENT PAUSE，读取不受影响）";
    step_drain: "Let the target take everything that is on its way" / "让目标端接收所有在途数据";
    step_verify: "Compare the keys that changed last" / "比对最近变更的键";
    step_safe: "Say that it is safe, and hold writes until you let them go on" / "提示可以切换，并保持停写直到您解除";
    cut_doubt: "On any doubt, and after 10 seconds at the most, writes go on at the source, and nothing is lost." / "一有疑问或最长 10 秒后，源端恢复写入，不会丢失数据。";
    cut_what: "What it will do" / "将执行的步骤";
    dry_run: "Try it without stopping anything" / "试运行（不停止任何写入）";
    dry_run_found: "Dry run: the target is {0} records and {1} behind" / "试运行：目标端落后 {0} 条记录、{1}";
    cut_confirm: "Type the address of the target to confirm" / "输入目标端地址以确认";
    cut_now: "Stop writes and cut over" / "停止写入并切换";
    cut_release: "Let writes go on at the source" / "恢复源端写入";
    cut_release_help: "Undoes the cutover. Do it once your applications have moved, or to go back." / "撤销切换。请在应用迁移完成后，或需要回退时执行。";
    cut_safe_now: "It is safe to switch. Move your applications now." / "可以安全切换，请立即迁移应用。";
    cut_undone: "The cutover was undone: writes go on at the source" / "切换已撤销：源端继续写入";
    cut_released_clean: "Writes are not stopped any more; nothing was written to the source since it was safe" / "已解除停写；安全之后源端没有新的写入";
    cut_released: "Writes are not stopped any more; {0} records were written to the source since it was safe, and the target gets them" / "已解除停写；安全之后源端写入了 {0} 条记录，目标端会收到";
    cut_released_copied: "Writes are not stopped any more; one side has lost what it held since it was safe, and everything is copied again" / "已解除停写；安全之后有一侧丢失了数据，正在重新复制全部数据";
    cut_released_early: "Ended before it was safe; writes go on at the source" / "在确认安全之前结束；源端继续写入";
    proof_positions: "The target holds every record of the source" / "目标端拥有源端的每条记录";
    proof_equal: "{0} keys were compared and are equal" / "已比对 {0} 个键，全部一致";
    proof_compared: "{0} keys were compared and are equal, {1} of them behind a repair" / "已比对 {0} 个键，全部一致，其中 {1} 个经过修复";
    proof_not_compared: "Nothing was compared" / "没有比对";
    proof_stopped: "Writes had been stopped for {0}" / "停写时间 {0}";
    unreachable: "The run cannot be reached" / "无法连接到任务";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn places(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(place, _)| place).collect()
    }

    #[test]
    fn each_text_says_the_same_in_each_language() {
        assert!(ALL.len() > 150);
        for (name, en, zh) in ALL {
            assert_eq!(places(en), places(zh), "{name}");
            assert!(!en.is_empty() && !zh.is_empty(), "{name}");
        }
        let is_translated = |(_, _, zh): &&(&str, &str, &str)| zh.chars().any(|c| c > '\u{2e80}');
        let same: Vec<&str> =
            ALL.iter().filter(|text| !is_translated(text)).map(|(name, ..)| *name).collect();
        assert_eq!(same, ["words", "one_figure", "release"], "texts without a Chinese character");
    }
}
