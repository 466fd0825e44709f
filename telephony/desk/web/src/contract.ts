/** What the desk's server says and hears: the shapes of the stream and of the HTTP API (docs: /api/v1/openapi.json).
 *
 * Times are Unix seconds (UTC). Money is integer minor units. Every text in here that people or networks typed is
 * hostile: it is only ever rendered as text.
 */

export type Language = 'de' | 'en'
export type Label = Partial<Record<Language, string>>
export type Role = 'agent' | 'supervisor' | 'admin'
export type Presence = 'offline' | 'ready' | 'ringing' | 'talking' | 'after_call_work' | 'paused'
/** What a person asked for: it holds once the call and its wrap-up are done. */
export type Wish = 'ready' | 'paused' | 'offline'
export type Certainty = 'certain' | 'likely' | 'shared' | 'none' | 'withheld'
export type PopState = 'ringing' | 'talking' | 'wrap_up'
export type CardState = 'none' | 'loading' | 'ready' | 'failed'

export interface WrapUpDue {
  conversation: string
  queue: string
  required: boolean
  deadline: number | null
}

export interface Me {
  login: string
  name: string
  role: Role
  language: Language
  /** None: this person takes no calls. */
  interface: string | null
  presence: Presence
  wish: Wish
  reason: string
  since: number
  queues: string[]
  wrap_up: WrapUpDue | null
}

export interface Agent {
  login: string
  name: string
  presence: Presence
  wish: Wish
  reason: string
  since: number
  conversation: string | null
  /** Who is talked to or written up, and in which queue; empty otherwise, and for a caller who withheld the number. */
  caller: string
  queue: string
  queues: string[]
}

export interface Choice {
  code: string
  label: Label
}

export interface Queue {
  name: string
  label: Label
  waiting: number
  longest_since: number | null
  ready: number
  talking: number
  wrap_up: 'required' | 'optional' | 'none'
  codes: Choice[]
}

export interface Customer {
  id: string
  number: string
  name: string
  company: string
  language?: string
}

export interface Order {
  number: string
  status: string
  placed_at: number
  total_minor: number
  currency: string
  tracking: string
}

export interface Invoice {
  number: string
  status: string
  issued: string
  due: string
  total_minor: number
  residual_minor: number
  currency: string
}

export interface Activity {
  at: number
  kind: string
  text: string
  agent: string
}

export interface Card {
  customer: Customer
  email: string
  phones: string[]
  blocked: boolean
  orders: Order[]
  invoices: Invoice[]
  activities: Activity[]
  source: string
  fetched_at: number
}

export interface Pop {
  conversation: string
  state: PopState
  queue: string
  caller: { number: string; display: string; name: string; withheld: boolean }
  match: { certainty: Certainty; reason: string; source: string }
  candidates: Customer[]
  customer: string | null
  card: Card | null
  card_state: CardState
  language: string
  path: string[]
  joined_at: number | null
  rang_at: number
  answered_at: number | null
  ended_at: number | null
  held: boolean
  note: string
}

export interface Waiting {
  queue: string
  joined_at: number
  name: string
  display: string
  certainty: Certainty
}

export interface Office {
  pbx: 'in_sync' | 'syncing' | 'down'
  crm: 'up' | 'down'
  outbox_waiting: number
  outbox_dead: number
  pauses: Choice[]
}

/** kind -> id -> value. */
export interface Entities {
  me: Record<string, Me>
  agent: Record<string, Agent>
  queue: Record<string, Queue>
  pop: Record<string, Pop>
  waiting: Record<string, Waiting>
  office: Record<string, Office>
}

export type Kind = keyof Entities

export type Frame =
  | { type: 'hello'; epoch: string; seq: number; resumed: boolean }
  | { type: 'snapshot'; epoch: string; seq: number; entities: Partial<Entities> }
  | { type: 'put'; seq: number; kind: string; id: string; value: unknown }
  | { type: 'drop'; seq: number; kind: string; id: string }

export interface HistoryItem {
  conversation: string
  started_at: number
  answered_at: number | null
  ended_at: number | null
  talked: number
  queue: string
  agent: string
  number_display: string
  customer_name: string
  certainty: Certainty
  /** Empty: no wrap-up (yet). */
  code: string
  note: string
  /** `waiting`, `delivered`, `dead`, or empty when there is nothing to write. */
  crm_state: string
  crm_reference: string
}

/** A write to the CRM that has not arrived. */
export interface OutboxItem {
  id: string
  conversation: string
  agent: string
  code: string
  created_at: number
  attempts: number
  /** `null` for a dead letter: nobody tries it again by itself. */
  next_at: number | null
  dead: boolean
  error: string
}
