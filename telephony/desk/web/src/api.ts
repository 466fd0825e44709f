/** The HTTP API. Every failure is a `Problem` with words fit for people. */

import type {
  CallBack, Decision, HistoryItem, Language, LiveFlow, Me, Message, OutboxItem, Presence, Request,
} from './contract'

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
  requests: (customer?: string) =>
    call<{ items: Request[] }>('GET', customer === undefined ? '/requests' : `/requests?customer=${id(customer)}`),
  decide: (reference: string, decision: Decision, note: string, vouched: boolean) =>
    call<Request>('POST', `/requests/${id(reference)}/decision`, { decision, note, vouched }),
  messages: () => call<{ items: Message[] }>('GET', '/messages'),
  heard: (message: Message['id']) => call<null>('PUT', `/messages/${id(message)}/heard`),
  audio: (message: Message['id']): string => `/api/v1/messages/${id(message)}/audio`,
  callbacks: () => call<{ items: CallBack[] }>('GET', '/callbacks'),
  promise: (queue: string, number: string, tongue: string) =>
    call<{ promised: boolean; already: boolean }>('POST', '/callbacks', { queue, number, language: tongue }),
  withdraw: (callback: CallBack['id']) => call<null>('DELETE', `/callbacks/${id(callback)}`),
  close: (closed: boolean, reason: string) => call<unknown>('PUT', '/closure', { closed, reason }),
  flow: (days: number) => call<LiveFlow>('GET', `/flow?days=${days}`),
  /** `at` makes each look a picture of its own. */
  drawing: (days: number, at: number): string => `/api/v1/flow/drawing?days=${days}&at=${at}`,
  live: (flow: string, version: number) => call<null>('PUT', '/flow/live', { flow, version }),
  retry: (item: OutboxItem['id']) => call<null>('POST', `/outbox/${id(item)}/retry`),
}
