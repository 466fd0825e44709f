/** The reception's part of the desk: what customers asked for, voice messages, call-backs, the emergency closure. */

import { computed, effect, signal } from '@preact/signals'

import { Problem, api } from './api'
import type { CallBack, Decision, Message, Request } from './contract'
import { complain, current, dialog, explain, me, office, pops, say, session, settled, supervises, view } from './desk'
import { words } from './i18n'
import { focusOf } from './keys'
import { locked, moved, pending, successor } from './requests'
import type { Move } from './requests'

type Loaded<T> = { state: 'loading' | 'ready' | 'failed' } & T

// --- the customer in front ---------------------------------------------------------------------------------------------

const NOBODY: Loaded<{ customer: string | null; items: Request[] }> = { state: 'loading', customer: null, items: [] }
export const ofCustomer = signal(NOBODY)

export async function loadOfCustomer(customer: string): Promise<void> {
  const before = ofCustomer.peek()
  ofCustomer.value = before.customer === customer ? before : { state: 'loading', customer, items: [] }
  try {
    const { items } = await api.requests(customer)
    if (ofCustomer.peek().customer === customer) ofCustomer.value = { state: 'ready', customer, items }
  } catch (failure) {
    if (ofCustomer.peek().customer === customer) ofCustomer.value = { ...ofCustomer.peek(), state: 'failed' }
    if (failure instanceof Problem && failure.status === 401) complain(failure)
  }
}

let question = ''
/** Another customer, or something new of this one: asked for again. */
effect(() => {
  const pop = current.value
  const customer = pop?.customer ?? null
  const asks = customer === null ? '' : `${pop?.conversation} ${customer} ${pop?.filed}`
  if (asks === question) return
  question = asks
  if (customer === null) ofCustomer.value = NOBODY
  else void loadOfCustomer(customer)
})

// --- the three lists ---------------------------------------------------------------------------------------------------

const NOTHING: Loaded<{ messages: Message[]; requests: Request[]; callbacks: CallBack[] }> = {
  state: 'loading', messages: [], requests: [], callbacks: [],
}
export const lists = signal(NOTHING)
const OLD_MESSAGES = 20

/** What nobody has heard first, the oldest at the top; below that the latest that were dealt with. */
const inOrder = (messages: Message[]): Message[] => [
  ...messages.filter((one) => one.heard_at === null).sort((a, b) => a.left_at - b.left_at),
  ...messages.filter((one) => one.heard_at !== null).sort((a, b) => b.left_at - a.left_at).slice(0, OLD_MESSAGES),
]

export async function loadReception(): Promise<void> {
  try {
    const [messages, requests, callbacks] = await Promise.all([api.messages(), api.requests(), api.callbacks()])
    lists.value = { state: 'ready', messages: inOrder(messages.items), requests: requests.items, callbacks: callbacks.items }
  } catch (failure) {
    lists.value = { ...lists.peek(), state: 'failed' }
    complain(failure)
  }
}

export type Row =
  | { key: string; kind: 'message'; item: Message }
  | { key: string; kind: 'request'; item: Request }
  | { key: string; kind: 'callback'; item: CallBack }

export const columns = computed<Row[][]>(() => [
  lists.value.messages.map((item): Row => ({ key: `message-${item.id}`, kind: 'message', item })),
  lists.value.requests.map((item): Row => ({ key: `request-${item.reference}`, kind: 'request', item })),
  lists.value.callbacks.map((item): Row => ({ key: `callback-${item.id}`, kind: 'callback', item })),
])
export const chosen = signal<string | null>(null)
/** The chosen row while it exists: keys never act on another one that took its place. */
export const row = computed<Row | null>(() => columns.value.flat().find(({ key }) => key === chosen.value) ?? null)

export function move(to: Move): boolean {
  if (view.peek() !== 'reception') return false
  const key = moved(columns.peek(), row.peek()?.key ?? null, to)
  if (key === null) return false
  chosen.value = key
  document.getElementById(key)?.focus()
  return true
}

/** What this row stands for is done: the next one is at hand. */
function passOn(key: string): void {
  const next = successor(columns.peek(), key)
  if (chosen.peek() === key) chosen.value = next
  if (next !== null && document.activeElement?.id === key) document.getElementById(next)?.focus()
}

/** Lists that others change, too, are asked for again while they are seen. */
const REFRESH = 15_000
setInterval(() => {
  if (session.peek() === 'in' && view.peek() === 'reception' && !document.hidden) void loadReception()
}, REFRESH)

// --- voice messages ----------------------------------------------------------------------------------------------------

export const playing = signal<{ id: string; at: number } | null>(null)
const sound = new Audio()
sound.addEventListener('timeupdate', () => {
  const what = playing.peek()
  if (what !== null) playing.value = { id: what.id, at: sound.currentTime }
})
sound.addEventListener('ended', () => (playing.value = null))

export function stop(): void {
  sound.pause()
  playing.value = null
}

export function play(): boolean {
  const what = row.peek()
  if (view.peek() !== 'reception' || what?.kind !== 'message') return false
  const again = playing.peek()?.id === what.item.id
  stop()
  if (again) return true
  playing.value = { id: what.item.id, at: 0 }
  sound.src = api.audio(what.item.id)
  sound.play().catch((failure: unknown) => {
    // Stopped before it began: nothing is wrong.
    if (failure instanceof DOMException && failure.name === 'AbortError') return
    playing.value = null
    complain(new Problem(-1, '', words.peek().reception.notPlayed))
  })
  return true
}

/** The headset is needed for the caller. */
effect(() => {
  if (pops.value.some(({ state }) => state !== 'wrap_up')) stop()
})

export function heard(): boolean {
  const what = row.peek()
  if (view.peek() !== 'reception' || what?.kind !== 'message' || what.item.heard_at !== null) return false
  if (playing.peek()?.id === what.item.id) stop()
  void (async () => {
    try {
      await api.heard(what.item.id)
      settled()
      say(words.peek().reception.heardSaid)
      passOn(what.key)
    } catch (failure) {
      complain(failure)
    }
    await loadReception()
  })()
  return true
}

// --- what is asked in a dialog -----------------------------------------------------------------------------------------

export const wrong = signal('')
export const busy = signal(false)

function open(name: NonNullable<typeof dialog.value>): true {
  wrong.value = ''
  dialog.value = name
  return true
}

/** Sends what a dialog is about; a failure is told inside it, `past` ends it: what is asked is not to be had any more. */
async function send(act: () => Promise<string>, past: (problem: Problem) => boolean = () => false): Promise<boolean> {
  if (busy.peek()) return false
  busy.value = true
  wrong.value = ''
  try {
    const text = await act()
    dialog.value = null
    settled()
    say(text)
    return true
  } catch (failure) {
    const over = failure instanceof Problem && (failure.status === 401 || past(failure))
    if (over) {
      dialog.value = null
      complain(failure)
    } else wrong.value = explain(failure)
    return over
  } finally {
    busy.value = false
  }
}

const ends = (id: string) => (problem: Problem) => problem.type.endsWith(`:${id}`)

export const deciding = signal<Request | null>(null)
export const decisionNote = signal('')
/** The agent says that she has checked who it is. */
export const vouched = signal(false)

/** The requests a decision may go on to: the customer's in front, or everybody's. */
export const decidable = computed<Request[]>(() =>
  view.value === 'reception' ? lists.value.requests : pending(ofCustomer.value.items),
)

export function decide(request?: Request): boolean {
  const selected = row.peek()
  const seen = view.peek() === 'reception' ? (selected?.kind === 'request' ? selected.item : undefined)
    : view.peek() === 'call' && current.peek() !== null ? decidable.peek()[0] : undefined
  const what = request ?? seen
  if (what === undefined) {
    if (view.peek() !== 'call' || ofCustomer.peek().state !== 'failed') return false
    void loadOfCustomer(ofCustomer.peek().customer ?? '')
    return true
  }
  deciding.value = what
  decisionNote.value = ''
  vouched.value = false
  return open('decide')
}

export function decideNext(step: 1 | -1): boolean {
  const list = decidable.peek()
  const index = list.findIndex(({ reference }) => reference === deciding.peek()?.reference)
  const next = list[index + step]
  if (index < 0 || next === undefined) return false
  return decide(next)
}

export function vouch(): boolean {
  const what = deciding.peek()
  if (what === null || !locked(what, current.peek())) return false
  vouched.value = !vouched.peek()
  wrong.value = ''
  return true
}

export function conclude(decision: Decision): boolean {
  const what = deciding.peek()
  if (what === null) return false
  const text = words.peek().request
  const needs = locked(what, current.peek())
  if (needs && !vouched.peek()) {
    wrong.value = text.vouchFirst
    return true
  }
  // A PIN typed in the call in front proves it as well as a look at the papers.
  const known = vouched.peek() || (!needs && what.kind === 'bank_details')
  void (async () => {
    const over = await send(async () => {
      await api.decide(what.reference, decision, decisionNote.peek().trim(), known)
      return text.decided[decision](what.reference)
    }, (problem) => ends('request-decided')(problem) || ends('request-unknown')(problem))
    if (!over) return
    passOn(`request-${what.reference}`)
    const customer = ofCustomer.peek().customer
    if (customer !== null) void loadOfCustomer(customer)
    if (view.peek() === 'reception') void loadReception()
  })()
  return true
}

export const promised = signal({ number: '', queue: '' })

export function promise(): boolean {
  if (view.peek() !== 'reception') return false
  const caller = current.peek()?.caller
  promised.value = {
    number: caller === undefined || caller.withheld ? '' : caller.display,
    queue: current.peek()?.queue ?? me.peek()?.queues[0] ?? '',
  }
  return open('promise')
}

export function keepPromise(): void {
  const { queue, number } = promised.peek()
  const text = words.peek().reception
  if (number.trim() === '' || queue === '') {
    wrong.value = text.promiseEmpty
    return
  }
  const tongue = current.peek()?.language ?? ''
  void send(async () => {
    const { already } = await api.promise(queue, number.trim(), tongue === 'de' || tongue === 'en' ? tongue : '')
    void loadReception()
    return already ? text.promisedAlready : text.promisedSaid
  })
}

export const withdrawing = signal<CallBack | null>(null)

export function withdraw(): boolean {
  const what = row.peek()
  if (view.peek() !== 'reception' || what?.kind !== 'callback') return false
  withdrawing.value = what.item
  return open('withdraw')
}

export function confirmWithdrawal(): void {
  const what = withdrawing.peek()
  if (what === null) return
  void send(async () => {
    await api.withdraw(what.id)
    return words.peek().reception.withdrawnSaid
  }, ends('callback-unknown')).then((over) => {
    if (over) passOn(`callback-${what.id}`)
    return loadReception()
  })
}

export const closureReason = signal('')

export function closure(): boolean {
  if (!supervises.peek()) return false
  closureReason.value = ''
  return open('closure')
}

export function confirmClosure(): void {
  const closed = office.peek()?.closed !== null
  void send(async () => {
    await api.close(!closed, closed ? '' : closureReason.peek().trim())
    return closed ? words.peek().closure.reopenedSaid : words.peek().closure.closedSaid
  })
}

let closedBefore: boolean | null = null
/** Everybody hears of a closure when it comes, not only who looks at the bar. */
effect(() => {
  const state = office.value
  if (state === null) return
  const closed = (state.closed ?? null) !== null
  if (closed !== closedBefore && (closed || closedBefore !== null)) {
    const text = words.peek().closure
    say(closed ? `${text.banner} ${state.closed?.reason ?? ''}` : text.over, closed)
  }
  closedBefore = closed
})

/** The key that sends a dialog. */
export function submit(): boolean {
  switch (dialog.peek()) {
    case 'promise':
      keepPromise()
      return true
    case 'withdraw':
      confirmWithdrawal()
      return true
    case 'closure':
      confirmClosure()
      return true
    default:
      return false
  }
}

/** Esc in a dialog's note leaves the note first. */
export function leaveField(): boolean {
  if (dialog.peek() !== 'decide' || focusOf(document.activeElement) !== 'text') return false
  document.getElementById('decide-title')?.focus()
  return true
}

effect(() => {
  if (session.value !== 'out') return
  stop()
  question = ''
  closedBefore = null
  ofCustomer.value = NOBODY
  lists.value = NOTHING
  chosen.value = deciding.value = withdrawing.value = null
})
