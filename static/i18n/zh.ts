// 简体中文。

import { dateTime, number as n } from '../lib/format';
import type { Words } from './en';

const keys = (count: number) => `${n(count)} 个密钥`;
const text = (value: unknown) => String(value ?? '');
const num = (value: unknown) => n(Number(value));

export const zh: Words = {
  otherLanguage: 'English',
  language: '语言', theme: '主题',
  themes: { system: '跟随系统', light: '浅色', dark: '深色' },
  skip: '跳到内容', main: '主导航', more: '更多',
  loading: '加载中…', tryAgain: '重试', close: '关闭', cancel: '取消', save: '保存', copy: '复制', copied: '已复制。',
  copyFailed: '浏览器不允许此页面复制，请选中文本手动复制。',
  undo: '撤销', undone: (count) => `已撤销对 ${keys(count)}的操作。`, saved: '已保存。', refresh: '刷新', edit: '编辑', all: '全部', search: '搜索', apply: '应用',
  any: '任意', done: '完成', clear: '清除', 
  updated: (when) => `${when}更新`,
  utc: '按 UTC 日期统计。',
  every: '所有模型', free: '免费模型', 

  nav: { overview: '概览', keys: '密钥', tokens: '令牌', connect: '接入', activity: '动态', settings: '设置', signOut: '退出登录' },

  time: { d: '天', h: '小时', min: '分', s: '秒', ms: '毫秒', gap: ' ', justNow: '刚刚', over: '已结束', until: (when) => `至 ${when}` },

  states: { ready: '就绪', cooling: '冷却', blocked: '已封禁', disabled: '已停用', deleted: '已删除', active: '有效', expired: '已过期', twice: '在文本中重复' },
  reasons: {
    rate_limit: '触发速率限制', day_quota: '当日配额用尽', month_quota: '当月配额用尽', capacity: '并发过高',
    billing: '余额不足或未计费', spend_limit: '达到消费上限', model_access: '无权使用该模型', permission: '缺少权限',
    invalid: '密钥无效', expired: '已过期', leaked: '已泄露', suspended: '被提供商停用',
    restricted: '用途受限', service_disabled: '未启用该 API', unauthorized: '被拒绝（401）', forbidden: '被拒绝（403）',
    administrator: '管理员操作', overloaded: '提供商过载', server_error: '服务器错误', unreachable: '无法连接', timeout: '超时未响应', location: '因地区被拒绝',
  },
  uncertain: '不确定，密钥可能仍然可用',
  sources: { stated: '提供商告知', guessed: '估计' },

  signIn: {
    title: '登录', lead: '请使用 AUTH_KEY 中没有任何限制的令牌。', token: '令牌', button: '登录', missing: '请输入令牌。',
    kept: '令牌不会被保存。登录状态保持 12 小时，退出登录即失效。',
    signedOut: '已退出登录。', ended: '登录已过期，请重新登录。', show: '显示输入内容', hide: '隐藏输入内容',
  },

  overview: {
    title: '概览', success: '成功率', usable: '可用密钥', 
    ofKeys: (count) => `共 ${n(count)}`, requestsToday: '今日请求', successToday: '今日成功率',
    failedOf: (count) => (count === 0 ? '没有失败' : `${n(count)} 次失败`), noneYet: '还没有请求', rateLimited: (count) => `其间遇到 ${n(count)} 次 429`,
    exhaustedNow: '无密钥可用的模型', exhaustedNone: '所有模型都有密钥可用', nextRelief: '最早恢复',
    providers: '提供商', provider: '提供商', keys: '密钥', exhausted: '已耗尽的模型', addKeys: '添加密钥',
    chart: '请求结果', range: '时间范围', day: '24 小时', month: '30 天', allProviders: '所有提供商',
    chartOf: (what) => `图表：${what}`, chartSum: (total, ok, bad) => `共 ${n(total)} 次请求：${n(ok)} 次成功，${n(bad)} 次失败。`, local: '小时按你的时区显示。',
    succeeded: '成功', failed: '失败', limited: '被限速的尝试',
    attention: '需要处理', allWell: '一切正常', allWellText: '没有警告。', showAll: (count) => `再显示 ${n(count)} 条`, showFewer: '收起',
    noRequests: '这段时间没有请求。', countedAt: (when) => `密钥数统计于${when}`, keysOf: (name) => `${name} 的密钥`, moreModels: (count) => `还有 ${n(count)} 个`,
    blockedBecause: (list) => `封禁原因：${list}`,
    first: {
      title: '欢迎！三步得到第一个回答', lead: '密钥池是空的，请求没有密钥可用。',
      add: '添加密钥', addText: '粘贴某个提供商的 API 密钥，一行或几千行都可以。',
      token: '创建令牌', tokenText: '为每个客户端创建单独的令牌，限定模型和用量；也可以直接用 AUTH_KEY 中的令牌。',
      connect: '接入客户端', connectText: '复制 SDK 和应用的现成配置，并在此发送一个请求试试。',
    },
  },

  warnings: {
    no_keys_at_all: () => '密钥池里还没有密钥。',
    no_usable_key: (v) => `${text(v.provider)} 没有可用的密钥：全部已封禁、已停用或在冷却。`,
    exhausted: (v) => `${v.model === '*' ? `${text(v.provider)} 的所有模型` : `${text(v.model)}（${text(v.provider)}）`}在 ${dateTime(Number(v.until))} 之前没有可用的密钥。`,
    blocked_since_yesterday: (v, reason) => `${text(v.provider)} 从昨天起有 ${keys(Number(v.count))}被封禁：${reason}。`,
    egress_refused: (v) => `${text(v.provider)} 不接受从当前地区发出的请求（${num(v.count)} 次），与密钥无关。`,
    gateway_error: (v) => `AI Gateway 拒绝了发往 ${text(v.provider)} 的请求，代码 ${text(v.gateway_code)}（${num(v.count)} 次），请检查网关设置。`,
    store_trouble: (v) => `D1 最近有 ${num(v.count)} 次没有响应，请求暂时依靠内存中的数据处理。`,
    locked_keys: (v) => `${keys(Number(v.count))}无法读取：ENCRYPTION_KEY 缺失或不一致。`,
  },

  problems: {
    not_a_number: (v) => `${text(v.name)} 不是整数，改用 ${text(v.used)}。`,
    custom_header: (v) => `CUSTOM_HEADERS 的第 ${text(v.entry)} 项被忽略。正确的写法如 custom-acme=x-api-key 或 custom-acme=authorization: Token。`,
    not_on_or_off: (v) => `${text(v.name)} 必须是 "on" 或 "off"，现按 "off" 处理。`,
    not_one_of_two: (v) => `${text(v.name)} 必须是 "${text(v.used)}" 或 "${text(v.other)}"，现按 "${text(v.used)}" 处理。`,
    not_an_affinity: () => 'AFFINITY 必须是 "off"、"explicit" 或 "auto"，现按 "explicit" 处理。',
    gateway: () => 'AI Gateway 的地址未知。请设置 CLOUDFLARE_ACCOUNT_ID（网关不叫 one-balance 时还要设置 AI_GATEWAY），或绑定 AI。',
    gateway_url: () => 'GATEWAY_URL 必须是以 https:// 开头、不带查询参数的地址（http:// 仅限本机）。',
    gateway_name: () => 'AI_GATEWAY 必须是网关的名称，只能含字母、数字、- 和 _。',
    account_id: () => 'CLOUDFLARE_ACCOUNT_ID 必须是账户 ID：32 位十六进制数，可在控制台的网址中找到。',
    encryption_key: () => 'ENCRYPTION_KEY 或 ENCRYPTION_KEY_OLD 不是 32 个随机字节的 base64。密钥无法加密，所以在改正之前不能添加密钥。',
    webhook_url: () => 'WEBHOOK_URL 必须是以 https:// 开头的地址（http:// 仅限本机）。',
    webhook_kind: () => 'WEBHOOK_KIND 必须是 json、telegram、discord 或 feishu。',
    webhook_chat: () => '发送到 Telegram 还需要设置 WEBHOOK_CHAT_ID。',
    webhook_telegram: () => '发送到 Telegram 时，WEBHOOK_URL 必须是 https://api.telegram.org/bot<token>/sendMessage。',
    token_ignored: (v) => `AUTH_KEY 的第 ${text(v.entry)} 项无法识别，已忽略。`,
    token_short: (v) => `AUTH_KEY 的第 ${text(v.entry)} 项太短，容易被猜到，请换成长的随机令牌。`,
    token_scope_unknown: (v) => `AUTH_KEY 第 ${text(v.entry)} 项的范围中有未知的提供商。`,
    token_scope_compat: (v) => `AUTH_KEY 第 ${text(v.entry)} 项的范围写了 compat，它没有密钥，请写具体的提供商。`,
    token_expiry_milliseconds: (v) => `AUTH_KEY 第 ${text(v.entry)} 项的过期时间像是毫秒，应为秒。`,
    token_repeated: (v) => `AUTH_KEY 的第 ${text(v.entry)} 项重复。`,
  },

  keys: {
    title: '密钥', of: (name) => `${name} 的密钥`, allProviders: '所有提供商', choose: '提供商',
    add: '添加密钥', searchHint: '备注、首尾字符或完整密钥', filters: '筛选', state: '状态', anyState: '全部状态', reason: '原因', anyReason: '全部原因',
    model: '冷却中的模型', modelHint: '如 gemini-2.5-pro', tag: '标签', project: '项目', clearFilters: '清除筛选', moreFilters: '更多筛选',
    key: '密钥', provider: '提供商', remark: '备注', stateColumn: '状态', coolings: '冷却剩余', today: '今日', lastUsed: '最近使用', age: '添加时间', tags: '标签', priority: '优先级',
    sort: '排序', sortBy: (what) => `按${what}排序`, 
    sorts: { created: '添加时间', updated: '修改时间', remark: '备注', state: '状态', cooled: '累计冷却', priority: '优先级', requests_today: '今日请求', last_used: '最近使用' },
    count: (total) => keys(total), range: (from, to, total) => `第 ${n(from)}–${n(to)} 个，共 ${n(total)} 个`,
    perPage: '每页', pages: '分页', nextPage: '下一页', previousPage: '上一页',
    pick: (hint) => `选择 ${hint}`, pickPage: '选择本页全部', selected: (count) => `已选 ${n(count)} 个`,
    selectAll: (count) => `选择全部 ${n(count)} 个`, unselect: '取消选择', bulk: '已选密钥',
    open: (hint) => `${hint} 的详情`, actionsOf: (hint) => `${hint} 的操作`,
    emptyTitle: '这里还没有密钥', emptyText: '粘贴或拖入文件，添加第一批密钥。', noMatch: '没有符合条件的密钥', noMatchText: '请修改搜索或筛选条件。',
    moreCoolings: (count) => `还有 ${n(count)} 个`, usedToday: '今天',
    actions: {
      test: '测试', restore: '恢复', disable: '停用', enable: '启用', clear_coolings: '清除冷却', delete: '删除',
      set_remark: '设置备注', set_priority: '设置优先级', set_project: '设置项目', add_tags: '添加标签', remove_tags: '移除标签', export: '导出',
    },
    will: {
      delete: (count, where) => `将删除${where} ${keys(count)}，请求不再使用它们。一分钟内可以撤销，之后无法找回。`,
      disable: (count, where) => `将停用${where} ${keys(count)}，在重新启用之前请求不会使用它们。一分钟内可以撤销。`,
      restore: (count, where) => `${where} ${keys(count)}将变为就绪并结束冷却，请求会立即重新使用它们，包括曾被提供商拒绝的。一分钟内可以撤销。`,
      clear_coolings: (count, where) => `将结束${where} ${keys(count)}的冷却，即使配额仍未恢复，请求也会立即重新使用它们。一分钟内可以撤销。`,
    },
    ofProvider: (name) => ` ${name} 的`,
    ask: { delete: (count) => `删除 ${keys(count)}？`, disable: (count) => `停用 ${keys(count)}？`, restore: (count) => `恢复 ${keys(count)}？`, clear_coolings: (count) => `清除 ${keys(count)}的冷却？` },
    did: {
      delete: (count) => `已删除 ${keys(count)}。`, disable: (count) => `已停用 ${keys(count)}。`, enable: (count) => `已启用 ${keys(count)}。`, restore: (count) => `已恢复 ${keys(count)}。`,
      clear_coolings: (count) => `已清除 ${keys(count)}的冷却。`, set_remark: (count) => `已设置 ${keys(count)}的备注。`, set_priority: (count) => `已设置 ${keys(count)}的优先级。`,
      set_project: (count) => `已设置 ${keys(count)}的项目。`, add_tags: (count) => `已为 ${keys(count)}添加标签。`, remove_tags: (count) => `已移除 ${keys(count)}的标签。`, set_tags: (count) => `已设置 ${keys(count)}的标签。`,
    },
    forKeys: (count) => `应用于 ${keys(count)}。`, tagsHint: '用逗号分隔。', priorityHint: '数值高的密钥优先使用：-1000 到 1000。', projectHint: '同一项目的密钥共享配额：一个冷却，全部冷却。Azure 填资源名，Vertex AI 填项目 ID：密钥只用于发往该处的请求。',
    helpText: '/ 搜索，j、k 或方向键移动，x 选择，Enter 打开，Esc 关闭',
    exportTitle: (count) => `导出 ${keys(count)}`, exportText: '文件中包含明文密钥，请妥善保管。每次导出都会记录。', exportFormat: '格式', exportJson: 'JSON，含备注和标签', exportText2: '文本，每行一个密钥', exportNone: 'JSON，不含密钥本身', exported: (count) => `已导出 ${keys(count)}。`,
    testTitle: (count) => `测试 ${keys(count)}`, testText: () => '用不产生费用的请求逐个询问提供商。确定失效的密钥会被封禁，能用的已封禁密钥会恢复就绪。', testStart: '开始', testStop: '停止', testProgress: (done, all) => `已测试 ${n(done)} / ${n(all)}`, testStopped: '已停止。',
  },

  drawer: {
    title: '密钥', reveal: '显示', hide: '隐藏', revealTitle: '显示此密钥？', revealText: '完整密钥会显示在屏幕上，此操作会被记录。', copyKey: '复制密钥', copiedKey: '已复制密钥，此操作已记录。',
    test: '立即测试', testing: '正在询问提供商…', id: '编号', project: '项目', priority: '优先级', tags: '标签', remark: '备注', added: '添加时间', changed: '修改时间', cooledFor: '累计冷却', lastUsed: '最近使用', requestsToday: '今日请求',
    coolings: '冷却', noCoolings: '从未冷却过。', model: '模型', ends: '结束', source: '依据', strikes: '连续', total: '累计', past: '已结束', clearCoolings: '清除冷却',
    usage: '30 天的尝试', noUsage: '最近 30 天没有使用。', events: '历史记录', noEvents: '暂无记录。', succeeded: '成功', 
    gone: '没有这个密钥，可能已被删除。', noRemark: '无', editTitle: '编辑密钥', previousKey: '上一个密钥', nextKey: '下一个密钥',
  },
  outcomes: { works: '可用', limited: '有效，但配额用尽', rejected: '被拒绝', unclear: '无法判断', untestable: '无法免费测试', missing: '已不存在' },
  outcomeChanged: { restored: '已恢复就绪。', blocked: '已封禁。' },
  tested: (word, ms) => `测试：${word}（${ms}）`,

  add: {
    title: '添加密钥', provider: '提供商', custom: '自定义提供商…', customSlug: '在网关中的名称', customHint: 'custom-<slug>，与 AI Gateway 中设置的一致。', text: '密钥', textHint: '每行一个，或用逗号分隔；也支持 CSV、JSON、.env、旧版 One Balance 和 gpt-load 的导出。',
    file: '选择文件', drop: '松开以读取文件', dropHint: '或拖入文件', dropped: (name, size) => `${name}（${size}）`, pasted: '粘贴的文本', linesOf: (lines, size) => `${n(lines)} 行，${size}`, takeOut: '移除', tooBig: (most) => `文本超过 ${most}，请分几次添加。`, notText: '这个文件不是文本。',
    preview: '预览', previewing: (done, total) => `正在读取：${n(done)} / ${n(total)}`, again: '修改文本', details: '统一设置', add: (count) => `添加 ${keys(count)}`, nothingToAdd: '没有可添加的密钥',
    remark: '备注', tags: '标签', priority: '优先级', project: '项目', restore: (count) => `恢复其中 ${n(count)} 个已封禁或已停用的密钥`, testAfter: '添加后逐个测试', testHint: '使用不产生费用的请求。',
    empty: '请粘贴密钥或选择文件。', autoProvider: '按文本内容识别',
    status: { new: '新密钥', existing: '已存在', repeated: '文本中重复', invalid: '无法识别', warned: '看起来异常' }, statusAll: '全部',
    line: '行', key: '密钥', what: '说明', leaveOut: (hint) => `包含 ${hint}`, include: '添加', leftOut: (count) => `已排除 ${n(count)} 个`,
    formats: { lines: '逐行文本', csv: 'CSV', json: 'JSON', env: '.env', sql: 'SQL', export: '导出文件' }, readAs: (format, count) => `按${format}读取：${n(count)} 项。`,
    isThere: (state) => `已存在，${state}`, firstLine: (line) => `与第 ${n(line)} 行相同`, willAdd: '新密钥',
    problems: {
      blank_inside: () => '中间有空格。', odd_character: (v) => `含有密钥中不会出现的字符：${text(v.character)}。`, too_short: (v) => `不足 ${num(v.least)} 个字符，请复制完整的密钥。`, too_long: (v) => `超过 ${num(v.most)} 个字符。`,
      no_provider: () => '没有说明属于哪个提供商，请选择。', unknown_provider: (v) => `未知的提供商 ${text(v.provider)}。`, sealed: () => '它是用另一个 ENCRYPTION_KEY 加密的。',
      broken_service_account: () => '看起来是服务账号文件，但不是有效的 JSON。请按原样粘贴整个文件，从 { 到 }。',
    },
    oddities: {
      other_provider: (v) => `看起来是 ${text(v.provider)} 的密钥。`, unusual_prefix: (v) => `该提供商的密钥通常以 ${Array.isArray(v.prefixes) ? v.prefixes.join(' 或 ') : text(v.prefixes)} 开头。`, trimmed: () => '已去掉两端的引号或不可见字符。',
    },
    adding: (done, total) => `正在添加：${n(done)} / ${n(total)}`, result: '结果', added: (count) => `已添加 ${keys(count)}`, restored: (count) => `已恢复 ${keys(count)}`, skipped: (count) => `${keys(count)}已存在`, refused: (count) => `${n(count)} 项未添加`,
    stopped: '已停止，此前添加的密钥已保留。', testResult: '测试', stop: '停止', show: '查看密钥', more: '继续添加', moreRows: (count) => `还有 ${n(count)} 项未显示。`, leaveTitle: '不添加就离开？', leaveText: '粘贴的内容不会保留。', leave: '离开',
  },

  tokens: {
    title: '令牌', lead: '客户端用它代替提供商的密钥。令牌只能调用 API，不能登录此页面。', make: '新建令牌', name: '名称', nameHint: '谁在用，例如“手机上的 Cherry Studio”。', scope: '可用范围', everything: '全部', scopeHint: '不选提供商表示不限；模型名末尾可用 * 匹配任意后缀。', provider: '提供商', models: '模型', modelsHint: '全部，或 gemini-2.5-*, gpt-5', addRule: '添加提供商', removeRule: '移除提供商', anyProvider: '所有提供商',
    expires: '过期时间', never: '永不过期', expiry: '有效期', inDays: (days) => `${n(days)} 天后`, atDate: '指定日期…', perMinute: '每分钟请求数', perDay: '每天请求数', noLimit: '不限', limits: '限额', perMinuteShort: (count) => `${n(count)}/分钟`, perDayShort: (count) => `${n(count)}/天`, enabled: '启用', today: '今日', month: '30 天', lastUsed: '最近使用', status: '状态', token: '令牌',
    emptyTitle: '还没有令牌', emptyText: '为每个客户端建一个，就能看到谁用了多少，也可以单独吊销。',
    once: '请立即复制，只显示这一次', onceText: '只保存它的摘要。如果丢失，请新建一个。', isCopied: '我已复制', connect: '如何接入',
    edit: '编辑令牌', revoke: '吊销', revokeTitle: (name) => `吊销“${name}”？`, revokeText: '使用它的客户端从现在起被拒绝，半分钟内全部生效。此操作无法撤销。', revoked: (name) => `已吊销“${name}”。`, disable: '停用', enable: '启用', actionsOf: (name) => `${name} 的操作`,
    authKey: 'AUTH_KEY 中的令牌', authKeyText: '此处只读，请修改机密 AUTH_KEY。', administrator: '管理员', entry: (entry) => `第 ${n(entry)} 项`, nameMissing: '请填写名称。', badDate: '请选择将来的时间。',
  },

  connect: {
    title: '接入', lead: '能连接提供商 API 的程序都能连接此地址，在需要 API 密钥的地方填你的令牌。', provider: '提供商', model: '模型', format: '应用', yourToken: 'YOUR_TOKEN', tokenHint: '换成你的令牌，可在“令牌”页新建。', 
    fields: { provider: '提供商类型', name: '名称', key: 'API 密钥', host: 'API 地址', model: '模型', address: 'API base URL', file: '文件', run: '运行' },
    cherry: '设置 → 模型服务 → 添加，按下表填写：', cherryNote: '地址末尾不要加“/v1”，Cherry Studio 会自动补上版本。', openwebui: '管理员面板 → 设置 → 外部连接 → OpenAI API → 添加：', shell: '在终端中', python: 'Python', js: 'JavaScript',
    claudeNote: 'Claude Code 使用 Anthropic 格式，需要 anthropic 的密钥。', geminiNote: 'Gemini CLI 使用 Gemini 格式，需要 google-ai-studio 的密钥。', unsupported: '此应用的格式与该提供商不同，请在上方选择其他提供商。',
    try: '试一试', tryText: '用你的登录状态发送一个小的流式请求，会用到池中的一个密钥并计数。', prompt: '提示词', promptDefault: '用五个字打个招呼。', send: '发送', stop: '停止', answer: '回答', waiting: '等待第一个字…', usedKey: '密钥', attempts: '尝试次数', first: '首字延迟', total: '总耗时', status: '状态', noText: '回答中没有文字。', stopped: '已停止。', failed: (status) => `HTTP ${status}`, needModel: '请输入模型。',
    apps: { curl: 'curl', openai: 'OpenAI SDK', gemini: 'Gemini SDK', anthropic: 'Anthropic SDK', cherry: 'Cherry Studio', claude: 'Claude Code', geminicli: 'Gemini CLI', openwebui: 'Open WebUI' },
  },

  activity: {
    title: '动态', events: '事件', requests: '失败的请求', eventsLead: '密钥状态的变化和原因。', requestsLead: '客户端失败的请求和每次尝试，仅为抽样，不会全部保留。', auto: '自动刷新', provider: '提供商', anyProvider: '所有提供商', verdict: '事件', anyVerdict: '所有事件', reason: '原因', anyReason: '所有原因', status: '状态码', model: '模型', anyStatus: '所有状态码', 
    time: '时间', key: '密钥', what: '事件', message: '提供商的原话', noEvents: '还没有事件', noEventsText: '密钥冷却、被封禁或被手动修改时会记录在这里。', noRequests: '没有失败的请求', noRequestsText: '最近失败的请求会显示在这里。', older: '更早', newest: '最新', code: '原因', attempts: '尝试', took: '耗时', token: '令牌', attempt: (count) => `${n(count)} 次尝试`, trail: '此请求的各次尝试', noAttempts: '没有用到任何密钥。', goneKey: '已删除的密钥', paused: '查看更早的记录时暂停刷新。', show: '详情',
    verdicts: { cool: '进入冷却', reject: '被封禁', restore: '已恢复', delete: '已删除', disable: '已停用', undo: '已撤销', reveal: '已查看明文', export: '已导出', egress: '因地区被拒绝', gateway: '网关错误', success: '成功', caller: '请求本身有误', transient: '提供商故障', add: '已添加', enable: '已启用', home: '已识别项目' },
    sentences: { put_back_for_a_try: '放回密钥池试用一次。', cannot_be_sent: '含有无法放入请求头的字符。' },
    codes: {
      keys_exhausted: '密钥全部耗尽', no_keys: '没有密钥', bad_request: '请求有误', token_out_of_scope: '超出令牌范围', token_missing: '没有令牌', token_unknown: '未知令牌', token_expired: '令牌已过期', token_disabled: '令牌已停用', token_limited: '达到令牌限额',
      not_found: '没有此地址', model_not_found: '未知模型', method_not_allowed: '请求方法不对', request_too_large: '请求体过大', not_configured: '未设置 AUTH_KEY', upstream_unreachable: '无法连接提供商', gateway_misconfigured: '网关设置有误', gateway_limited: '网关限制', store_unavailable: 'D1 没有响应', internal_error: '内部错误',
    },
  },

  settings: {
    title: '设置', problems: '问题', noProblems: '设置没有发现问题。', gateway: 'AI Gateway', gatewayUnknown: '地址未知，请设置 CLOUDFLARE_ACCOUNT_ID 或 GATEWAY_URL。', simulated: '模拟：不会请求真实的提供商', version: '版本', placement: '响应位置', worker: '此 Worker', valuesText: '在 wrangler.toml 中设置，此处只读。', on: '开', off: '关', session: '你的登录', sessionEnds: '到期', tokenId: '令牌',
    direct: '请求直接发到提供商自己的地址', directText: 'UPSTREAM=direct：没有 AI Gateway 提供的功能（自定义提供商、日志、缓存和限额）。Workers AI 还需要 CLOUDFLARE_ACCOUNT_ID。',
    webhook: {
      title: '消息通知', test: '发送测试消息', sent: '已发送，请查看是否收到。',
      kinds: { json: '你自己的地址', telegram: 'Telegram', discord: 'Discord', feishu: '飞书' },
      goes: (to, least) => `有密钥被封禁${least > 0 ? `，或某个提供商的可用密钥少于 ${n(least)} 个` : ''}时，One Balance 会发消息到${/^\w/.test(to) ? ` ${to}` : to}。`,
      none: '密钥不足或被封禁时，One Balance 可以通过 Telegram、Discord、飞书或你自己的地址通知你。请设置接收地址：',
      problems: {
        webhook_not_set: () => '未设置 WEBHOOK_URL，或格式不对。', webhook_unreachable: () => '无法连接接收地址。', webhook_slow: (v) => `接收地址在 ${num(v.seconds)} 秒内没有响应。`,
        webhook_refused: (v) => `消息被拒绝，HTTP ${text(v.status)}${v.answer ? `：${text(v.answer)}` : '。'}`,
      },
    },
    export: '导出', exportText: '整个密钥池的副本，用于备份或迁移，添加密钥时可以读回。', exportAll: '导出全部密钥', appearance: '外观', api: '管理 API', apiText: '此页面能做的一切都可以用脚本完成。',
    names: { max_attempts: '每个请求最多尝试的密钥数', consecutive_429_threshold: '连续几次无说明的 429 视为当日用尽', check_streams: '检查流式响应', retry_empty: '空回答时重试' },
  },

  errors: {
    offline: 'One Balance 没有响应，请检查网络连接。', slow: 'One Balance 没有及时响应。',
    strange: (status) => (status ? `One Balance 返回了 HTTP ${status}，没有说明原因。` : '此页面出了问题。'),
    crashed: '此视图出错了。', crashedText: '请刷新页面。如果再次出现，请反馈。', reload: '刷新页面',
    codes: {
      token_missing: () => '请输入令牌。', token_unknown: () => '令牌不正确：它不在 AUTH_KEY 中。', token_expired: () => '令牌已过期。', session_expired: () => '登录已过期，请重新登录。',
      not_administrator: () => '此令牌有使用限制，不能管理密钥池，请使用没有限制的令牌。', not_configured: () => '尚未设置 AUTH_KEY，所有请求都会被拒绝。请运行 npx wrangler secret put AUTH_KEY 设置。',
      too_many_wrong_tokens: (v) => `错误的令牌太多，请在 ${num(v.seconds)} 秒后重试。`, csrf: () => '浏览器没有说明请求来自此页面，请刷新后重试。',
      required: () => '此项必填。', out_of_range: (v) => `必须是 ${num(v.least)} 到 ${num(v.most)} 之间的数字。`, too_long: (v) => `最多 ${num(v.most)} 个字符。`, bad_tag: () => '标签为 1 到 40 个字符，不能含逗号。', too_many_tags: (v) => `最多 ${num(v.most)} 个标签。`, bad_scope: (v) => `“${text(v.part)}”不是有效的范围。`, in_the_past: () => '请选择将来的时间。', unknown_provider: (v) => `没有名为“${text(v.provider)}”的提供商。${v.meant ? `是否指 ${text(v.meant)}？` : ''}`,
      no_keys_in_paste: () => '文本中没有密钥。', no_such_key: () => '没有这个密钥，可能已被删除。', locked: () => '此密钥是用另一个 ENCRYPTION_KEY 加密的。请把那一个设为 ENCRYPTION_KEY_OLD 才能读取。', no_such_token: () => '没有这个令牌，可能已被吊销。', undo_expired: () => '已超过撤销时限。', selection_changed: (v) => `符合条件的密钥已从 ${num(v.expected)} 个变为 ${num(v.found)} 个，未执行任何操作，请重新查看。`, too_many: (v) => `共 ${num(v.count)} 个，一次最多 ${num(v.most)} 个。`, request_too_large: () => '内容太多，请分几次提交。',
      not_sealed: () => '这里的密钥没有加密：未设置 ENCRYPTION_KEY。', gateway_misconfigured: () => '无法连接 AI Gateway：设置有误或缺失，请查看“设置”。',
      bad_body: () => 'One Balance 无法读取此页面发送的内容，请刷新页面后重试。', bad_request: () => 'One Balance 无法理解这个请求，请刷新页面后重试。', not_found: () => 'One Balance 没有这个地址。页面版本可能不一致，请刷新。', method_not_allowed: () => 'One Balance 不支持此操作。页面版本可能不一致，请刷新。',
      unknown_field: () => 'One Balance 不认识其中的某个字段。页面版本可能不一致，请刷新。', wrong_type: () => '内容的类型不对。', not_one_of: (v) => `必须是以下之一：${Array.isArray(v.allowed) ? v.allowed.join('、') : text(v.allowed)}。`,
      store_unavailable: () => '数据库（D1）没有响应，请稍后重试。', internal_error: () => 'One Balance 内部出错，原因见日志，请重试。',
    },
  },
};

