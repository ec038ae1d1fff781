// What the admin API answers: docs/admin-api.md.

export type KeyState = 'ready' | 'cooling' | 'blocked' | 'disabled';
export const STATES: KeyState[] = ['ready', 'cooling', 'blocked', 'disabled'];

export type Upstream = 'gateway' | 'direct';
export interface Gateway { url: string; simulated: boolean }
export interface Problem { code: string; values: Record<string, unknown>; message: string }

export interface Session {
  token: { id: string; expires_at: number | null };
  via: 'cookie' | 'bearer';
  expires_at: number | null;
  version: string;
  upstream: Upstream;
  gateway: Gateway | null;
  problems: string[];
}

export interface Settings {
  version: string;
  upstream: Upstream;
  gateway: Gateway | null;
  webhook: { kind: 'json' | 'telegram' | 'discord' | 'feishu'; min_usable: number } | null;
  placement: { colo: string | null; country: string | null } | null;
  now: number;
  settings: Record<string, unknown>;
  problems: Problem[];
}

export interface WebhookTest { sent: boolean; code: string | null; values: Record<string, unknown>; message: string | null }

export interface Counts { requests: number; successes: number; attempts: number; rate_limited: number; errors: number }
export interface Point extends Counts { at: number }

export interface Provider {
  slug: string; name: string;
  total: number; ready: number; cooling: number; blocked: number; disabled: number; usable: number;
}

export interface ProviderOverview extends Provider {
  today: Counts;
  blocked_reasons: { reason: string; count: number }[];
  exhausted: { model: string; keys: number; until: number }[];
}

export interface Warning {
  code: string; level: 'error' | 'warning' | 'info'; at: number | null; count: number | null;
  values: Record<string, unknown>; message: string;
}

export interface Overview {
  now: number; range: '24h' | '30d'; day_start: number; counted_at: number;
  today: Counts;
  providers: ProviderOverview[];
  series: { bucket: number; from: number; to: number; points: Point[] };
  warnings: Warning[];
}

export interface KnownProvider { slug: string; name: string; key_prefixes: string[]; testable: boolean }
export interface Providers { providers: Provider[]; known: KnownProvider[] }

export interface Cooling {
  model: string; until: number; since: number; source: 'stated' | 'guessed'; reason: string; strikes: number; total_seconds: number;
}

export interface Key {
  id: number; provider: string; hint: string; remark: string; tags: string[]; project: string; priority: number;
  state: KeyState; reason: string | null; certain: boolean;
  coolings: Cooling[]; cooled_seconds: number; requests_today: number; last_used: number | null;
  created_at: number; updated_at: number;
}

export interface KeyPage { keys: Key[]; total: number; page: number; per_page: number; now: number }

export interface Filter { provider?: string; state?: string; reason?: string; model?: string; tag?: string; project?: string; search?: string }

export interface Undo { id: string; until: number }
export interface Changed { matched: number; changed: number; undo: Undo | null }

export interface Event {
  id: number; at: number; key_id: number; hint: string | null; provider: string; model: string;
  status: number; verdict: string; reason: string; message: string; code?: string | null;
}

export interface UsageDay { day: number; attempts: number; successes: number; rate_limited: number; errors: number }
export interface OneKey { key: Key; events: Event[]; usage: UsageDay[] }

export interface Tested {
  id: number; outcome: 'works' | 'limited' | 'rejected' | 'unclear' | 'untestable' | 'missing';
  verdict: string; reason: string | null; status: number; message: string; ms: number;
  changed: 'restored' | 'blocked' | null; state: KeyState;
}

export interface PreviewItem {
  line: number; hint: string; provider?: string | null; status: 'new' | 'existing' | 'repeated' | 'invalid';
  id?: number; state?: KeyState; reason?: string | null; first_line?: number;
  remark?: string; tags?: string[]; project?: string; priority?: number;
  problem?: { code: string; values: Record<string, unknown>; message: string };
  warnings: { code: string; values: Record<string, unknown>; message: string }[];
}

export interface Preview {
  format: string; total: number; offset: number; next: number | null;
  counts: { new: number; existing: number; repeated: number; invalid: number; warned: number };
  items: PreviewItem[];
}

export interface Added {
  added_count: number; duplicate_count: number; invalid_count: number; restored_count: number; next: number | null;
  added: { id: number; hint: string; provider: string }[];
  duplicates: { line: number; hint: string; state: string; id?: number }[];
  invalid: { line: number; hint: string; why: string; code: string; values: Record<string, unknown> }[];
}

export interface Rule { provider: string; models: string[] }
export interface Token {
  id: number; name: string; hint: string; scope: string; rules: Rule[]; expires_at: number | null;
  per_minute: number | null; per_day: number | null; enabled: boolean; created_at: number;
  state: 'active' | 'expired' | 'disabled'; requests_today: number; requests_30d: number; last_used: number | null;
}
export interface AuthKeyToken {
  id: string; entry: number; unrestricted: boolean; scope: string; rules: Rule[]; expires_at: number | null; state: 'active' | 'expired';
}
export interface Tokens { tokens: Token[]; auth_key: AuthKeyToken[] }

export interface Attempt { key_id: number; status: number; verdict: string; reason: string | null; ms: number }
export interface FailedRequest {
  id: string; at: number; provider: string; model: string; method: string; status: number; code: string | null; ms: number;
  token: string; sampled: boolean; attempts: Attempt[];
}
