/** What a key or a button does. Every action is here once, whoever calls it. */

import { signal } from '@preact/signals'

import { Problem, api } from './api'
import type { Pop, Presence } from './contract'
import {
  asked, choosing, complain, current, dialog, digitsMean, drafts, due, explain, forgetChoice, leave, loadHistory, office,
  pathOpen, picked, pops, queues, say, session, settled, startWriting, takesCalls, trouble, view, viewsSeen,
} from './desk'
import type { View } from './desk'
import { label } from './format'
import { choosable } from './front'
import { language, toggleLanguage, words } from './i18n'
import { focusOf, resolve } from './keys'
import type { Action } from './keys'
import { chooseVersion, confirmLive, makeLive, zoom } from './flow'
import {
  closure, conclude, decide, decideNext, heard, leaveField, loadReception, move, play, promise, submit, vouch, withdraw,
} from './reception'

export const presenceBusy = signal(false)

export async function setPresence(to: Extract<Presence, 'ready' | 'paused' | 'offline'>, reason?: string): Promise<void> {
  if (presenceBusy.peek()) return
  presenceBusy.value = true
  dialog.value = null
  try {
    await api.presence(to, reason)
    settled()
  } catch (failure) {
    complain(failure)
  } finally {
    presenceBusy.value = false
  }
}

export async function choose(pop: Pop, customer: string): Promise<void> {
  if (choosing.peek()[pop.conversation] !== undefined) return
  asked.value = null
  if (pop.customer === customer) return
  choosing.value = { ...choosing.peek(), [pop.conversation]: customer }
  try {
    await api.customer(pop.conversation, customer)
    settled()
  } catch (failure) {
    complain(failure)
  } finally {
    forgetChoice(pop.conversation)
  }
}

/** The codes of the conversation's queue; the queue of the wrap-up that is due, when its pop is gone. */
export const codesOf = (queue: string) => queues.value[queue]?.codes ?? []

export async function finish(conversation: string, queue: string): Promise<void> {
  const draft = drafts.of(conversation)
  const text = words.peek().wrap
  const code = draft.code.peek()
  if (draft.finishing.peek() !== 'no') return
  if (code === null) {
    draft.error.value = text.pickFirst
    say(text.pickFirst, true, conversation)
    return
  }
  draft.finishing.value = 'sending'
  draft.error.value = ''
  drafts.hold(conversation)
  try {
    await api.wrapUp(conversation, code, draft.note.peek())
    startWriting(null)
    settled()
    const choice = codesOf(queue).find((known) => known.code === code)
    say(text.done(label(choice?.label, language.peek(), code)))
    draft.finishing.value = 'done'
    if (!onScreen(conversation)) drafts.forget(conversation)
    if (focusOf(document.activeElement) !== 'elsewhere') focusMain()
  } catch (failure) {
    draft.finishing.value = 'no'
    drafts.release(conversation)
    if (!onScreen(conversation) || (failure instanceof Problem && failure.status === 401)) complain(failure)
    else draft.error.value = `${text.failed} ${explain(failure)}`
  }
}

const onScreen = (conversation: string): boolean =>
  due.peek()?.conversation === conversation || pops.peek().some((pop) => pop.conversation === conversation)

export async function logOut(): Promise<void> {
  try {
    await api.logOut()
    leave(false)
  } catch (failure) {
    complain(failure)
  }
}

/** The wrap-up the finish key is about: the call in front, or the one that is due. */
export function wrapUpTarget(): { conversation: string; queue: string } | null {
  const pop = current.value
  if (pop?.state === 'wrap_up') return { conversation: pop.conversation, queue: pop.queue }
  return pop === null ? due.value : null
}

const byId = (id: string) => document.getElementById(id)

export function focusMain(): void {
  byId('main')?.focus()
}

function go(to: View): boolean {
  if (!viewsSeen.peek().includes(to)) return false
  view.value = to
  if (to === 'history') void loadHistory()
  if (to === 'reception') void loadReception()
  focusMain()
  return true
}

function nextCall(): boolean {
  const list = pops.peek()
  if (list.length === 0) return false
  const index = list.findIndex((pop) => pop.conversation === current.peek()?.conversation)
  picked.value = list[(index + 1) % list.length]?.conversation ?? null
  view.value = 'call'
  byId('call')?.focus()
  return true
}

/** What the digits of a decision mean, in the order of its buttons. */
const DECIDING = [() => conclude('approved'), () => conclude('rejected'), vouch]

function digit(index: number): boolean {
  if (dialog.peek() === 'decide') return DECIDING[index]?.() ?? false
  const pop = current.peek()
  switch (digitsMean.peek()) {
    case 'reasons': {
      const reason = office.peek()?.pauses[index]
      if (reason !== undefined) void setPresence('paused', reason.code)
      return reason !== undefined
    }
    case 'candidates': {
      const candidate = pop?.candidates[index]
      if (pop === null || candidate === undefined) return false
      void choose(pop, candidate.id)
      return true
    }
    case 'codes':
      return pop !== null && pickCode(pop.conversation, pop.queue, index)
    case 'none': {
      const wrap = wrapUpTarget()
      return dialog.peek() === null && wrap !== null && pickCode(wrap.conversation, wrap.queue, index)
    }
  }
}

function pickCode(conversation: string, queue: string, index: number): boolean {
  const code = codesOf(queue)[index]
  if (code === undefined || view.peek() !== 'call') return false
  const draft = drafts.of(conversation)
  draft.code.value = code.code
  draft.error.value = ''
  // What is typed next is the note, and digits in it are text: they choose again only back in the list.
  return toNote()
}

function close(): boolean {
  if (leaveField()) return true
  if (dialog.peek() !== null) dialog.value = null
  else if (pathOpen.peek()) pathOpen.value = false
  else if (trouble.peek() !== null) trouble.value = null
  else if (focusOf(document.activeElement) === 'text') byId('call') ? byId('call')?.focus() : focusMain()
  else return false
  return true
}

/** The focus is on its way to a text field that is not painted yet; what is typed meanwhile is text, not keys. */
let onTheWay = false

export function toNote(): boolean {
  if (wrapUpTarget() === null && current.peek() === null) return false
  // At once where it can be: the next letter may already be part of the note.
  byId('note')?.focus()
  if (view.peek() === 'call') return true
  view.value = 'call'
  onTheWay = true
  requestAnimationFrame(() => {
    onTheWay = false
    byId('note')?.focus()
  })
  return true
}

/** Keys that mean something of their own in the dialog that is open; null: nothing there. */
function ofDialog(action: Action): boolean | null {
  if (action === 'finish') return dialog.peek() === 'live' ? confirmLive() : submit()
  if (dialog.peek() !== 'decide') return null
  switch (action) {
    case 'note':
      byId('decide-note')?.focus()
      return true
    case 'row-next': return decideNext(1)
    case 'row-before': return decideNext(-1)
    default: return null
  }
}

/** Carries out an action; false when it means nothing now, so that the browser keeps the key. */
export function run(action: Action): boolean {
  if (session.peek() !== 'in') {
    if (action !== 'language') return false
    toggleLanguage()
    return true
  }
  const open = dialog.peek()
  if (open !== null) {
    const handled = ofDialog(action)
    if (handled !== null) return handled
  }
  const inDialog = action === 'close' || ((open === 'help' || open === 'pause') && action === open) || action.startsWith('digit-')
  if (open !== null && !inDialog) return false
  if (action.startsWith('digit-')) return digit(Number(action.slice(6)) - 1)
  if ((action === 'ready' || action === 'pause' || action === 'offline') && !takesCalls.peek()) return false
  switch (action) {
    case 'ready':
      void setPresence('ready')
      return true
    case 'offline':
      void setPresence('offline')
      return true
    case 'pause':
    case 'help':
      dialog.value = open === action ? null : action
      return true
    case 'close':
      return close()
    case 'next-call':
      return nextCall()
    case 'candidates': {
      const pop = current.peek()
      if (pop === null || !choosable(pop)) return false
      asked.value = asked.peek() === 'candidates' ? null : 'candidates'
      byId('candidates')?.focus()
      return true
    }
    case 'codes':
      asked.value = 'codes'
      byId('codes')?.focus()
      return true
    case 'note':
      return toNote()
    case 'finish': {
      const wrap = wrapUpTarget()
      if (wrap === null || view.peek() !== 'call') return false
      void finish(wrap.conversation, wrap.queue)
      return true
    }
    case 'decide': return decide()
    case 'play': return play()
    case 'heard': return heard()
    case 'withdraw': return withdraw()
    case 'promise': return promise()
    case 'closure': return closure()
    case 'make-live': return makeLive()
    case 'zoom': return zoom()
    case 'row-next':
    case 'row-before': return view.peek() === 'flow' ? chooseVersion(action) : move(action)
    case 'list-next':
    case 'list-before': return move(action)
    case 'view-reception': return go('reception')
    case 'view-flow': return go('flow')
    case 'view-call': return go('call')
    case 'view-history': return go('history')
    case 'view-team': return go('team')
    case 'view-outbox': return go('outbox')
    case 'language':
      toggleLanguage()
      return true
    case 'log-out':
      void logOut()
      return true
    default:
      return false
  }
}

const STORED = 'callfloor.single-keys'

function storedSingle(): boolean {
  try {
    return localStorage.getItem(STORED) !== 'off'
  } catch {
    return true
  }
}

/** Whether letters and digits are keys. */
export const singleKeys = signal(storedSingle())

export function toggleSingleKeys(): void {
  singleKeys.value = !singleKeys.value
  try {
    localStorage.setItem(STORED, singleKeys.value ? 'on' : 'off')
  } catch {
    // Kept until the page is closed, at least.
  }
}

/** The one listener. */
export function listen(): void {
  addEventListener('keydown', (event) => {
    if (event.defaultPrevented || onTheWay) return
    const action = resolve(event, focusOf(event.target as Element | null), singleKeys.peek())
    if (action !== null && run(action)) event.preventDefault()
  })
}
