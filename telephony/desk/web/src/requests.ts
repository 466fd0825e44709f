/** What customers ask for, and who may decide on it: pure choices. */

import type { Level, Pop, Request } from './contract'

/** The call that is about this request's customer, if it is in front. */
export const about = (request: Request, pop: Pop | null): Pop | null =>
  pop !== null && pop.customer === request.customer ? pop : null

/** What is proven now: by the caller in front when it is the same customer, else what was proven at the filing. */
export const proven = (request: Request, pop: Pop | null): Level => about(request, pop)?.level ?? request.level

/** Whether an agent has to vouch for the caller first: new bank details are worth stealing. */
export const locked = (request: Request, pop: Pop | null): boolean =>
  request.kind === 'bank_details' && proven(request, pop) !== 'pin'

export const pending = (requests: readonly Request[]): Request[] => requests.filter(({ state }) => state === 'pending')

/** A name from a flow (`parcel_tell`, `identify.known`) as words, when nobody wrote better ones. */
export const readable = (id: string): string => id.slice(id.lastIndexOf('.') + 1).replace(/[_-]+/g, ' ')

export type Move = 'row-next' | 'row-before' | 'list-next' | 'list-before'
type Keyed = { readonly key: string }

/** The row a move leads to, over lists that stand side by side; the first row of all when none is chosen. */
export function moved(lists: readonly (readonly Keyed[])[], from: string | null, move: Move): string | null {
  const full = lists.filter((list) => list.length > 0)
  const column = full.findIndex((list) => list.some(({ key }) => key === from))
  if (column < 0) return full[0]?.[0]?.key ?? null
  if (move === 'list-next' || move === 'list-before') {
    return full[column + (move === 'list-next' ? 1 : -1)]?.[0]?.key ?? from
  }
  const all = full.flat()
  const index = all.findIndex(({ key }) => key === from)
  return all[index + (move === 'row-next' ? 1 : -1)]?.key ?? from
}

/** The row that is chosen once this one is done with: the next of its list, else the one before. */
export function successor(lists: readonly (readonly Keyed[])[], of: string): string | null {
  const list = lists.find((one) => one.some(({ key }) => key === of)) ?? []
  const index = list.findIndex(({ key }) => key === of)
  return list[index + 1]?.key ?? list[index - 1]?.key ?? null
}
