/** The state of the desk: the session, the mirror of the server, and what the person is doing here. */

import { batch, computed, effect, signal } from '@preact/signals'

import { Problem, api, serverNow } from './api'
import type { HistoryItem, Me, Pop, Wish } from './contract'
import { Drafts } from './drafts'
import { duration, label } from './format'
import { choiceDue, customerOf, digits, front as frontOf, inOrder, seeking, unanswered } from './front'
import type { Digits } from './front'
import { language, suggest, words } from './i18n'
import { focusOf } from './keys'
import { EMPTY } from './mirror'
import type { Mirror } from './mirror'
import { Stream, browser } from './stream'
import type { Link } from './stream'

export type View = 'call' | 'history' | 'team' | 'outbox' | 'reception' | 'flow'
export type Dialog = 'help' | 'pause' | 'decide' | 'promise' | 'withdraw' | 'closure' | 'live'

export const session = signal<'unknown' | 'out' | 'in'>('unknown')
/** The server threw us out, as opposed to: the person left. */
export const ended = signal(false)
const mirror = signal<Mirror>(EMPTY)
export const link = signal<Link>({ state: 'connecting' })
/** The server's time, once a second: every clock on the screen reads this one. */
export const now = signal(serverNow())
export const view = signal<View>('call')
export const dialog = signal<Dialog | null>(null)
/** What went wrong last. `lasts`: no later success takes it back, only time and the person do. */
export const trouble = signal<{ text: string; lasts: boolean } | null>(null)
/** The latest troubles, newest last, for those who did not catch them in time. */
export const troubles = signal<{ at: number; text: string }[]>([])
const TROUBLES_KEPT = 5
/** The whole way through the menu is laid open. */
export const pathOpen = signal(false)
export const picked = signal<string | null>(null)
export const asked = signal<Digits | null>(null)
/** Customers on their way to being chosen, by conversation. */
export const choosing = signal<Record<string, string>>({})
const writing = signal<string | null>(null)
const login = signal<Me | null>(null)

/** For the screen reader: `urgent` interrupts. `about`: the conversation it is about; it goes with that. */
const SILENCE = { text: '', about: '' }
export const said = signal({ calm: SILENCE, urgent: SILENCE })

const entities = computed(() => mirror.value.entities)
export const me = computed<Me | null>(() => {
  const who = login.value
  return who === null ? null : (entities.value.me[who.login] ?? who)
})
/** Who has no phone is not asked to be ready, and never has a call in front. */
export const takesCalls = computed(() => me.value !== null && me.value.interface !== null)
/** What was wished for after the call that goes on; none while nothing else is to come. */
export const afterwards = computed<Exclude<Wish, 'ready'> | null>(() => {
  const who = me.value
  const busy = who?.presence === 'ringing' || who?.presence === 'talking' || who?.presence === 'after_call_work'
  return who === null || !busy || who.wish === 'ready' ? null : who.wish
})
export const supervises = computed(() => me.value !== null && me.value.role !== 'agent')
/** The pages this person has, the first one first. */
export const viewsSeen = computed<View[]>(() => {
  const call: View[] = takesCalls.value ? ['call'] : []
  return supervises.value ? ['team', ...call, 'history', 'reception', 'flow', 'outbox'] : ['call', 'history', 'reception']
})
export const office = computed(() => entities.value.office.office ?? null)
export const queues = computed(() => entities.value.queue)
export const agents = computed(() => Object.values(entities.value.agent))
export const waiting = computed(() => Object.entries(entities.value.waiting))
export const pops = computed(() => inOrder(entities.value.pop))
export const current = computed(() => frontOf(pops.value, picked.value, writing.value))
export const digitsMean = computed(() => digits(current.value, dialog.value, asked.value))
export const ready = computed(() => mirror.value.epoch !== '' || Object.keys(entities.value.me).length > 0)

/** The wrap-up that is due, with its pop as long as there is one. */
export const due = computed(() => me.value?.wrap_up ?? null)

export const drafts = new Drafts(
  (conversation, note, leaving) => api.note(conversation, note, leaving),
  (failure) => failure instanceof Problem && (failure.status === 0 || failure.status >= 500 || failure.status === 429),
  (seconds, run) => {
    const timer = setTimeout(run, seconds * 1000)
    return () => clearTimeout(timer)
  },
)

export const history = signal<{ state: 'idle' | 'loading' | 'ready' | 'failed'; items: HistoryItem[] }>({
  state: 'idle',
  items: [],
})

export function explain(failure: unknown): string {
  const text = words.peek().problem
  if (!(failure instanceof Problem)) throw failure
  if (failure.status === 0) return text.offline
  return failure.message !== '' && !failure.message.startsWith('status ') ? failure.message : text.other(failure.status)
}

/** Shows what went wrong; a session that is gone leads back to the log-in. */
export function complain(failure: unknown): void {
  if (failure instanceof Problem && failure.status === 401) leave(true)
  else warn(explain(failure))
}

function warn(text: string, lasts = false): void {
  trouble.value = { text, lasts }
  troubles.value = [...troubles.peek(), { at: serverNow(), text }].slice(-TROUBLES_KEPT)
}

/** Something the person wanted has come true: what stood in the way is past. */
export function settled(): void {
  if (trouble.peek()?.lasts === false) trouble.value = null
}

export function say(text: string, urgent = false, about = ''): void {
  const tone = urgent ? 'urgent' : 'calm'
  // The same words twice in a row are still news: an invisible difference makes the reader speak again.
  const again = said.peek()[tone].text === text
  said.value = { ...said.peek(), [tone]: { text: again ? `${text}\u00a0` : text, about } }
}

/** Nobody who reads the page later is to find a call there that is over. */
function hush(about: string): void {
  const { calm, urgent } = said.peek()
  const kept = (one: typeof calm) => (one.about === about ? SILENCE : one)
  said.value = { calm: kept(calm), urgent: kept(urgent) }
}

/** A colleague's name, as far as this person knows the colleague. */
export const nameOf = (login: string): string => entities.value.agent[login]?.name ?? login

/** The words for a pause's reason. */
export const reasonLabel = (code: string): string =>
  label(office.value?.pauses.find((reason) => reason.code === code)?.label, language.value, code)

export const queueLabel = (name: string): string => label(queues.value[name]?.label, language.value, name)

/** Who is on the line, as well as we know it: never more than the match allows. */
export function who(pop: Pop): string {
  const known = customerOf(pop)
  if (known !== null) return known.name || known.company || known.number
  if (pop.caller.withheld) return words.value.certainty.withheld.short
  return pop.caller.display || pop.caller.number || words.value.pop.unknown
}

/** How certain we are, in plain words. */
export function how(pop: Pop): string {
  if (seeking(pop)) return words.value.pop.seeking
  return unanswered(pop) ? words.value.pop.unanswered : words.value.certainty[pop.match.certainty].short
}

let stream: Stream | null = null

export async function begin(): Promise<void> {
  try {
    enter(await api.session())
  } catch (failure) {
    if (failure instanceof Problem && failure.status !== 401) warn(explain(failure))
    session.value = 'out'
  }
}

export function enter(who: Me): void {
  batch(() => {
    login.value = who
    suggest(who.language)
    ended.value = false
    trouble.value = null
    view.value = viewsSeen.value[0] ?? 'call'
    session.value = 'in'
  })
  stream = new Stream(browser(), {
    changed: (state) => {
      mirror.value = state
    },
    link: (state) => {
      if (state.state !== link.peek().state) link.value = state
    },
    refused: () => void stillIn(),
  })
  stream.start()
  void loadHistory()
}

/** The person wants this window after all. */
export const unpark = (): void => stream?.wake()

async function stillIn(): Promise<void> {
  try {
    await api.session()
  } catch (failure) {
    if (failure instanceof Problem && failure.status === 401) leave(true)
  }
}

export function leave(thrownOut: boolean): void {
  stream?.stop()
  stream = null
  batch(() => {
    session.value = 'out'
    ended.value = thrownOut
    mirror.value = EMPTY
    link.value = { state: 'connecting' }
    login.value = null
    picked.value = asked.value = writing.value = dialog.value = null
    choosing.value = {}
    trouble.value = null
    troubles.value = []
    said.value = { calm: SILENCE, urgent: SILENCE }
    history.value = { state: 'idle', items: [] }
  })
  for (const conversation of drafts.known()) drafts.forget(conversation)
  shownAlready.clear()
}

export async function loadHistory(): Promise<void> {
  if (history.peek().state === 'loading') return
  history.value = { ...history.peek(), state: 'loading' }
  try {
    const { items } = await api.history(50)
    history.value = { state: 'ready', items }
  } catch (failure) {
    if (failure instanceof Problem && failure.status === 401) leave(true)
    else history.value = { ...history.peek(), state: 'failed' }
  }
}

/** The person began to write about a conversation: it stays in front of phones that ring. */
export function startWriting(conversation: string | null): void {
  writing.value = conversation
}

/** The text field with the focus keeps the keys and the view. */
const typing = (): boolean => focusOf(document.activeElement) === 'text'

let before: Record<string, Pop> = {}
const shownAlready = new Set<string>()

/** What changed on the line since the last look: said aloud, brought to the front, acknowledged. */
effect(() => {
  const after = Object.fromEntries(pops.value.map((pop) => [pop.conversation, pop]))
  const past = before
  before = after
  for (const pop of Object.values(after)) {
    const old = past[pop.conversation]
    // While the person writes here, what comes back is what was typed a moment ago.
    if (writing.peek() !== pop.conversation) drafts.offer(pop.conversation, pop.note)
    const text = words.peek().pop
    const fresh = old === undefined || old.state !== pop.state
    if (fresh) hush(pop.conversation)
    const learned = old !== undefined && (old.customer !== pop.customer || old.match.certainty !== pop.match.certainty)
    if (fresh && pop.state === 'ringing') {
      const waited = duration(pop.joined_at === null ? 0 : serverNow() - pop.joined_at)
      say(text.announce(who(pop), how(pop), queueLabel(pop.queue), waited), true, pop.conversation)
      if (!typing()) view.value = 'call'
    } else if (fresh && pop.state === 'talking') {
      say(text.talkingTo(who(pop)), false, pop.conversation)
      picked.value = null
      if (!typing()) view.value = 'call'
    } else if (fresh && pop.state === 'wrap_up') {
      say(text.wrapUpFor(who(pop)), false, pop.conversation)
      if (!typing()) view.value = 'call'
    } else if (learned) {
      say(`${who(pop)}. ${how(pop)}.`, false, pop.conversation)
    }
    if (old !== undefined && (fresh || old.customer !== pop.customer)) asked.value = null
    if (old?.customer !== pop.customer || !choiceDue(pop)) forgetChoice(pop.conversation)
  }
  for (const old of Object.values(past)) if (after[old.conversation] === undefined) gone(old)
  requestAnimationFrame(() => requestAnimationFrame(acknowledge))
})

function gone(pop: Pop): void {
  shownAlready.delete(pop.conversation)
  hush(pop.conversation)
  forgetChoice(pop.conversation)
  if (picked.peek() === pop.conversation) picked.value = null
  if (writing.peek() === pop.conversation) writing.value = null
  if (pop.state === 'ringing') say(words.peek().pop.gone)
  const finishing = drafts.of(pop.conversation).finishing.peek()
  const limit = me.peek()?.wrap_up?.deadline ?? null
  if (pop.state === 'wrap_up' && finishing === 'no' && limit !== null && serverNow() >= limit - 1) {
    warn(words.peek().wrap.expired, true)
  }
  drafts.flush(pop.conversation)
  // A wrap-up that is still on its way keeps its draft: it may fail.
  if (finishing !== 'sending') drafts.forget(pop.conversation)
  // The record is written when the pop goes; give it a moment.
  setTimeout(() => session.peek() === 'in' && void loadHistory(), 400)
}

export function forgetChoice(conversation: string): void {
  const { [conversation]: done, ...rest } = choosing.peek()
  if (done !== undefined) choosing.value = rest
}

/** Runs after two frames: what is acknowledged has been painted (browsers do not paint hidden tabs). */
function acknowledge(): void {
  for (const pop of pops.peek()) {
    if (shownAlready.has(pop.conversation) || pop.state !== 'ringing') continue
    if (stream?.shown(pop.conversation)) shownAlready.add(pop.conversation)
  }
}

let stood = ''
/** Another state is another situation: what could not be done in the last one is past. A wish that is kept is said. */
effect(() => {
  const wish = afterwards.value
  const stands = `${me.value?.presence} ${me.value?.wish}`
  if (stands === stood) return
  stood = stands
  settled()
  if (wish !== null) say(words.peek().afterwards[wish])
})

let linkBefore: Link['state'] = 'connecting'
effect(() => {
  const state = link.value.state
  if (state === 'lost' && linkBefore !== 'lost') say(words.peek().link.lost, true, 'link')
  if (state === 'live' && linkBefore === 'lost') {
    hush('link')
    say(words.peek().link.back)
    void loadHistory()
  }
  linkBefore = state
})

effect(() => {
  const pop = current.value
  const text = words.value
  const state = pop === null ? '' : `${pop.state === 'ringing' ? '☎ ' : ''}${text.pop[pop.state]}: ${who(pop)} – `
  document.title = session.value === 'in' ? state + text.title : `${text.logIn.heading} – ${text.title}`
})

setInterval(() => {
  now.value = serverNow()
}, 1000)

/** An agent's own list changes with his pops. A supervisor's changes with everybody's: it is asked for again while it is seen. */
const SUPERVISOR_REFRESH = 15_000
setInterval(() => {
  const seen = view.peek() === 'history' || (view.peek() === 'call' && current.peek() === null)
  if (session.peek() === 'in' && supervises.peek() && seen && !document.hidden) void loadHistory()
}, SUPERVISOR_REFRESH)
addEventListener('online', () => stream?.wake())
addEventListener('pageshow', (event) => event.persisted && stream?.wake())
addEventListener('pagehide', () => drafts.flushAll())
