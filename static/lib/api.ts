// Calls of the admin API (docs/admin-api.md), and what can go wrong with them.

import { t } from '../i18n';
import { setClock } from './time';

const BASE = '/admin/api/';
const READ_MS = 20_000;
const WRITE_MS = 90_000;

/** What the sentences of the API are made of, to say them in another language. */
export type Values = Record<string, unknown>;

/** Why a call failed. `code` is the API's own, or `offline`, `slow` or `strange`. */
export class Failure extends Error {
  constructor(
    readonly code: string,
    readonly status = 0,
    message = '',
    /** The field of the request that is at fault, where the API names one. */
    readonly field = '',
    /** What its sentence is made of. */
    readonly values: Values = {},
  ) {
    super(message);
  }
}

type Parameters = Record<string, string | number | boolean | undefined>;
interface Options {
  query?: Parameters;
  signal?: AbortSignal;
  /** How long to wait, in milliseconds. */
  wait?: number;
}

let signedOut: (why: Failure) => void = () => {};
/** What is to be done when the Worker does not know us any more. */
export function onSignedOut(listener: (why: Failure) => void) {
  signedOut = listener;
}

function withQuery(path: string, query: Parameters = {}) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return BASE + path + (text ? `?${text}` : '');
}

async function send(method: string, path: string, body: unknown, { query, signal, wait }: Options): Promise<Response> {
  const patience = AbortSignal.timeout(wait ?? (method === 'GET' ? READ_MS : WRITE_MS));
  try {
    return await fetch(withQuery(path, query), {
      method,
      cache: 'no-store',
      credentials: 'same-origin',
      redirect: 'error',
      signal: signal ? AbortSignal.any([signal, patience]) : patience,
      // No other site's page can send this header: the Worker asks for it where something changes.
      headers: { accept: 'application/json', 'x-requested-with': 'one-balance', ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      body: body === undefined ? null : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Failure(patience.aborted ? 'slow' : 'offline');
  }
}

async function failureOf(response: Response): Promise<Failure> {
  let error: { code?: string; message?: string; field?: string | null; values?: Values } | undefined;
  try {
    ({ error } = JSON.parse(await response.text()) as { error?: typeof error });
  } catch {
    // An answer that is not the API's own.
  }
  return error?.message
    ? new Failure(error.code ?? 'strange', response.status, error.message, error.field ?? '', error.values ?? {})
    : new Failure('strange', response.status);
}

async function call<T>(method: string, path: string, body?: unknown, options: Options = {}): Promise<T> {
  const response = await send(method, path, body, options);
  setClock(response.headers.get('date'));
  if (!response.ok) {
    const failure = await failureOf(response);
    if (response.status === 401 && !path.startsWith('session')) signedOut(failure);
    throw failure;
  }
  if (response.status === 204) return undefined as T;
  try {
    return (await response.json()) as T;
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Failure('strange', response.status);
  }
}

export const get = <T>(path: string, query?: Parameters, options: Options = {}) => call<T>('GET', path, undefined, { ...options, ...(query ? { query } : {}) });
export const post = <T>(path: string, body: unknown = {}, options?: Options) => call<T>('POST', path, body, options);
export const patch = <T>(path: string, body: unknown, options?: Options) => call<T>('PATCH', path, body, options);
export const remove = <T>(path: string, options?: Options) => call<T>('DELETE', path, undefined, options);

/** A file that the API sends. */
export async function download(method: string, path: string, body?: unknown, options: Options = {}): Promise<Blob> {
  const response = await send(method, path, body, options);
  if (!response.ok) {
    const failure = await failureOf(response);
    if (response.status === 401) signedOut(failure);
    throw failure;
  }
  return response.blob();
}

/** What went wrong, in the reader's words. */
export function inWords(error: unknown): string {
  if (!(error instanceof Failure)) return t.errors.strange(0);
  if (error.code === 'offline') return t.errors.offline;
  if (error.code === 'slow') return t.errors.slow;
  if (error.code === 'strange') return t.errors.strange(error.status);
  const known: Partial<Record<string, (values: Values) => string>> = t.errors.codes;
  return known[error.code]?.(error.values) ?? error.message;
}
