// What the API's words mean in the reader's language.

import { t } from '../i18n';
import type { Problem, Warning, WebhookTest } from './types';

const pick = (words: object, word: string | null | undefined) => (word ? ((words as Record<string, string>)[word] ?? word) : '');

export const reasonWord = (reason: string | null | undefined) => pick(t.reasons, reason);
export const verdictWord = (verdict: string) => pick(t.activity.verdicts, verdict);
export const stateWord = (state: string) => pick(t.states, state);
export const codeWord = (code: string | null | undefined) => pick(t.activity.codes, code);

/** `*` is every model, `*:free` OpenRouter's free ones. */
export const modelWord = (model: string) => (model === '*' ? t.every : model === '*:free' ? t.free : model);

type Sentences = Record<string, (values: Record<string, unknown>, more: string) => string>;

function sentence(words: unknown, code: string, values: Record<string, unknown>, otherwise: string, more = ''): string {
  const found = (words as Sentences)[code];
  return found ? found(values, more) : otherwise;
}

export const problemText = (it: Problem) => sentence(t.problems, it.code, it.values, it.message);

/** Why the test message did not arrive. */
export const webhookText = ({ code, values, message }: WebhookTest) => sentence(t.settings.webhook.problems, code ?? '', values, message ?? '');

export function warningText({ code, values, count, message }: Warning): string {
  if (code === 'setting') return sentence(t.problems, String(values.problem ?? ''), values, message);
  return sentence(t.warnings, code, { ...values, count: values.count ?? count }, message, reasonWord(String(values.reason ?? '')));
}

/** The reasons for which a provider rejects keys, to filter by. */
export const BLOCK_REASONS = ['invalid', 'expired', 'leaked', 'suspended', 'restricted', 'service_disabled', 'billing', 'permission', 'unauthorized', 'forbidden'];

export const oddityText = (it: { code: string; values: Record<string, unknown>; message: string }) => sentence(t.add.oddities, it.code, it.values, it.message);
export const refusedText = (it: { code: string; values: Record<string, unknown>; message: string }) => sentence(t.add.problems, it.code, it.values, it.message);
