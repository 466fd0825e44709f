/** The HTTP API. Every failure is a `Problem` with words fit for people. */

import type { HistoryItem, Language, Me, OutboxItem, Presence } from './contract'

export class Problem extends Error {
  constructor(
    /** 0: no answer at all. */
    readonly status: number,
    /** The stable id, such as `urn:callfloor:problem:...`; empty when the server did not say. */
    readonly type: string,
    /** In the person's language, from the server; empty when it did not say. */
    readonly detail: string,
  ) {
    super(detail || `status ${status}`)
  }
}

const TIMEOUT_MS = 10_000

/** Server's clock minus ours, in seconds. Clocks that tick on the screen are the server's. */
let skew = 0
let language: Language = 'de'

export const serverNow = (): number => Date.now() / 1000 + skew

export function speak(to: Language): void {
  language = to
}

function learnClock(response: Response): void {
  const stamp = Date.parse(response.headers.get('date') ?? '')
  if (Number.isNaN(stamp)) return
  // The header has whole seconds; less than two is not worth a jump on the screen.
  const difference = (stamp + 500 - Date.now()) / 1000
  skew = Math.abs(difference) < 2 ? 0 : difference
}

async function call<T>(method: string, path: string, body?: unknown, keepalive = false): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json', 'Accept-Language': language }
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  let response: Response
  try {
    response = await fetch(`/api/v1${path}`, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      credentials: 'same-origin',
      keepalive,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
  } catch {
    throw new Problem(0, '', '')
  }
  learnClock(response)
  const text = await response.text().catch(() => '')
  const parsed = parse(text)
  if (!response.ok) {
    const problem = (typeof parsed === 'object' && parsed !== null ? parsed : {}) as Record<string, unknown>
    const words = [problem.detail, problem.title].find((part) => typeof part === 'string' && part !== '')
    throw new Problem(response.status, String(problem.type ?? ''), String(words ?? ''))
  }
  return parsed as T
}

function parse(text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text)
  } catch {
    return null
  }
}

const id = encodeURIComponent

export const api = {
  logIn: (login: string, password: string) => call<Me>('POST', '/session', { login, password }),
  session: () => call<Me>('GET', '/session'),
  logOut: () => call<null>('DELETE', '/session'),
  presence: (presence: Extract<Presence, 'ready' | 'paused' | 'offline'>, reason?: string) =>
    call<Me>('PUT', '/presence', reason === undefined ? { presence } : { presence, reason }),
  wrapUp: (conversation: string, code: string, note: string) =>
    call<{ conversation: string; code: string }>('POST', `/conversations/${id(conversation)}/wrap-up`, { code, note }),
  note: (conversation: string, note: string, leaving = false) =>
    call<null>('PUT', `/conversations/${id(conversation)}/note`, { note }, leaving),
  customer: (conversation: string, customer: string) =>
    call<unknown>('PUT', `/conversations/${id(conversation)}/customer`, { customer }),
  history: (limit: number) => call<{ items: HistoryItem[] }>('GET', `/conversations?limit=${limit}`),
  outbox: () => call<{ items: OutboxItem[] }>('GET', '/outbox'),
  retry: (item: OutboxItem['id']) => call<null>('POST', `/outbox/${id(item)}/retry`),
}
