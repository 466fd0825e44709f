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
/** What the caller has proven. */
export type Level = 'none' | 'number' | 'pin'

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
  /** Voice messages nobody has heard: one's own and one's queues'. */
  messages: number
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
  level: Level
  /** Counts up when a request or a message of this caller came in. */
  filed: number
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
  /** Requests of customers that wait for a decision. */
  requests: number
  /** Call-backs that were promised and not kept yet. */
  callbacks: number
  /** The emergency closure, while there is one. */
  closed: { reason: string; by: string; at: number } | null
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

export type Decision = 'approved' | 'rejected'

/** Something a customer asked for in the IVR. Secret fields show their last four characters. */
export interface Request {
  reference: string
  conversation: string
  kind: 'bank_details' | 'return' | 'complaint'
  customer: string
  customer_name: string
  /** What had been proven when it was filed. */
  level: Level
  fields: Record<string, string | number | boolean>
  state: 'pending' | Decision
  filed_at: number
  decided_by: string
  decided_at: number | null
  /** Whether who decided has checked by other means who had called. */
  vouched: boolean
  note: string
}

/** A voice message; its sound is at `/messages/{id}/audio`. */
export interface Message {
  id: string
  conversation: string
  kind: 'greeting' | 'complaint' | 'message'
  /** Empty: for this person alone. */
  for_queue: string
  seconds: number
  number_display: string
  customer: string
  customer_name: string
  left_at: number
  heard_at: number | null
  heard_by: string
}

export interface CallBack {
  id: string
  queue: string
  number_display: string
  customer: string
  customer_name: string
  place_at: number
  expires_at: number
  state: string
  attempts: number
  next_at: number
}

export interface FlowNode {
  node: string
  here: number
  passed: number
  gave_up: number
}

export interface FlowVersion {
  flow: string
  version: number
  published_at: number
  published_by: string
  aliases: string[]
}

export interface LiveFlow {
  flow: string
  /** The live flow in words. */
  shown: string
  nodes: FlowNode[]
  versions: FlowVersion[]
}
