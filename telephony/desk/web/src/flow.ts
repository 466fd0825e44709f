/** For supervisors: the live flow, where callers are in it, and which version is live. */

import { computed, signal } from '@preact/signals'

import { api } from './api'
import type { FlowVersion, LiveFlow } from './contract'
import { complain, dialog, explain, me, say, settled, view } from './desk'
import { words } from './i18n'
import { busy, wrong } from './reception'
import { moved } from './requests'
import type { Move } from './requests'

export const DAYS = 7
export const flow = signal<{ state: 'loading' | 'ready' | 'failed'; live: LiveFlow | null }>({ state: 'loading', live: null })
export const chosenVersion = signal<string | null>(null)
export const isLive = (version: FlowVersion): boolean => version.aliases.includes('live')
export const keyOf = (version: FlowVersion): string => `version-${version.flow}-${version.version}`
/** Only administrators make another version live. */
export const publishes = computed(() => me.value?.role === 'admin')

export async function loadFlow(): Promise<void> {
  try {
    flow.value = { state: 'ready', live: await api.flow(DAYS) }
  } catch (failure) {
    flow.value = { ...flow.peek(), state: 'failed' }
    complain(failure)
  }
}

const rows = (): (FlowVersion & { key: string })[] =>
  (flow.peek().live?.versions ?? []).map((version) => ({ ...version, key: keyOf(version) }))

/** The picture in its own size, or as wide as its place. */
export const large = signal(false)
const picture = () => document.getElementById('picture')

export function zoom(): boolean {
  const box = picture()
  if (view.peek() !== 'flow' || box === null) return false
  large.value = !large.peek()
  // The arrow keys go through the picture now.
  box.focus()
  return true
}

export function chooseVersion(to: Move): boolean {
  if (document.activeElement === picture()) return false
  const key = moved([rows()], chosenVersion.peek(), to)
  if (key === null || !publishes.peek()) return false
  chosenVersion.value = key
  document.getElementById(key)?.focus()
  return true
}

export const goingLive = signal<FlowVersion | null>(null)

export function makeLive(): boolean {
  const what = rows().find(({ key }) => key === chosenVersion.peek())
  if (view.peek() !== 'flow' || !publishes.peek() || what === undefined || isLive(what)) return false
  goingLive.value = what
  wrong.value = ''
  dialog.value = 'live'
  return true
}

export function confirmLive(): boolean {
  const what = goingLive.peek()
  if (what === null || busy.peek()) return what !== null
  busy.value = true
  void (async () => {
    try {
      await api.live(what.flow, what.version)
      dialog.value = null
      settled()
      say(words.peek().flow.liveSaid(what.flow, what.version))
    } catch (failure) {
      wrong.value = explain(failure)
    } finally {
      busy.value = false
      await loadFlow()
    }
  })()
  return true
}
