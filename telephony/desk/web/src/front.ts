/** Which call is in front, and what the digits mean: pure choices over what the stream says. */

import type { Customer, Pop } from './contract'

const RANK: Record<Pop['state'], number> = { talking: 0, ringing: 1, wrap_up: 2 }

/** Talking first, then what rings (newest first), then what waits for its wrap-up. A conversation that is offered to
 * somebody who has it already (a transfer that comes back) is two entities and one call: the first in order stands. */
export function inOrder(pops: Record<string, Pop>): Pop[] {
  const ordered = Object.values(pops).sort(
    (a, b) =>
      RANK[a.state] - RANK[b.state] || b.rang_at - a.rang_at || (a.conversation < b.conversation ? -1 : 1),
  )
  const seen = new Set<string>()
  return ordered.filter((pop) => !seen.has(pop.conversation) && seen.add(pop.conversation))
}

/** The call in front: the one the person picked while it lasts, else the one being talked, else a wrap-up that is
 * being written (nobody's text is pushed aside by a phone that rings), else the first in order. */
export function front(ordered: Pop[], picked: string | null, writing: string | null): Pop | null {
  return (
    ordered.find((pop) => pop.conversation === picked) ??
    ordered.find((pop) => pop.state === 'talking') ??
    ordered.find((pop) => pop.conversation === writing) ??
    ordered[0] ??
    null
  )
}

/** The customer this pop stands for, as far as it is known without the card. */
export function customerOf(pop: Pop): Customer | null {
  if (pop.customer === null) return null
  if (pop.card !== null && pop.card.customer.id === pop.customer) return pop.card.customer
  return pop.candidates.find((candidate) => candidate.id === pop.customer) ?? null
}

/** The CRM is still being asked who this is. */
export const seeking = (pop: Pop): boolean => pop.customer === null && pop.match.reason === 'looking_up'

/** The CRM could not say who this is; the server goes on asking. */
export const unanswered = (pop: Pop): boolean => pop.customer === null && pop.match.reason === 'crm_unavailable'

/** Nothing is opened by itself: a choice is due while several customers share the number and none is chosen. */
export const choiceDue = (pop: Pop): boolean => pop.customer === null && pop.candidates.length > 0

/** Whether there is anything to choose: a choice that is due, or one that could be made differently. */
export const choosable = (pop: Pop): boolean => choiceDue(pop) || pop.candidates.length > 1

export type Digits = 'reasons' | 'candidates' | 'codes' | 'none'

/** What the digits 1 to 9 choose now. `asked`: the list the person asked for by key. */
export function digits(pop: Pop | null, dialog: string | null, asked: Digits | null): Digits {
  if (dialog === 'pause') return 'reasons'
  if (dialog !== null || pop === null) return 'none'
  if (asked === 'candidates' && choosable(pop)) return 'candidates'
  const codes = pop.state !== 'ringing'
  if (asked === 'codes' && codes) return 'codes'
  if (choiceDue(pop) && pop.state !== 'wrap_up') return 'candidates'
  return codes ? 'codes' : 'none'
}
