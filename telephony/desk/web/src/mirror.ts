/** The browser's copy of the server's entities: a pure function of the frames that came in.
 *
 * `apply` is idempotent and refuses to go backwards: a frame whose number is not above the last one is dropped, so
 * that a replay after a reconnect can overlap with what is already here. It never changes its argument.
 */

import type { Entities, Frame, Kind } from './contract'

export interface Mirror {
  /** Empty until the first snapshot. */
  readonly epoch: string
  readonly seq: number
  readonly entities: Entities
}

export const KINDS: readonly Kind[] = ['me', 'agent', 'queue', 'pop', 'waiting', 'office']

// Ids come from the wire: a null prototype keeps an id such as `__proto__` an ordinary key.
const bare = <T>(from: Record<string, T> = {}): Record<string, T> => Object.assign(Object.create(null), from)

function fill(from: Partial<Entities>): Entities {
  return Object.fromEntries(KINDS.map((kind) => [kind, bare(from[kind] as Record<string, unknown>)])) as unknown as Entities
}

export const EMPTY: Mirror = { epoch: '', seq: -1, entities: fill({}) }

/** A frame that does not belong to the state at hand: the caller must ask for a fresh snapshot. */
export class OutOfStep extends Error {}

/** The state after `frame`. Throws `OutOfStep` when only a snapshot can help. */
export function apply(state: Mirror, frame: Frame): Mirror {
  switch (frame.type) {
    case 'snapshot':
      return { epoch: frame.epoch, seq: frame.seq, entities: fill(frame.entities) }
    case 'hello':
      // The missed frames follow, numbered from where we stopped.
      if (!frame.resumed || frame.epoch !== state.epoch) throw new OutOfStep(`resumed in epoch ${frame.epoch}`)
      return state
    case 'put':
    case 'drop': {
      if (state.epoch === '') throw new OutOfStep(`${frame.type} before any snapshot`)
      if (frame.seq <= state.seq) return state
      const kind = KINDS.find((known) => known === frame.kind)
      // A newer server may speak of things these pages do not know yet.
      if (kind === undefined) return { ...state, seq: frame.seq }
      const values = bare(state.entities[kind] as Record<string, unknown>)
      if (frame.type === 'put') values[frame.id] = frame.value
      else delete values[frame.id]
      return { epoch: state.epoch, seq: frame.seq, entities: { ...state.entities, [kind]: values } }
    }
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Reads one frame; `null` for a type we do not know. Throws `OutOfStep` for text that is no frame at all. */
export function read(text: string): Frame | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new OutOfStep('not JSON')
  }
  if (!isObject(value) || typeof value.type !== 'string') throw new OutOfStep('not a frame')
  const seq = Number.isInteger(value.seq)
  const fits: Record<string, boolean> = {
    hello: seq && typeof value.epoch === 'string' && typeof value.resumed === 'boolean',
    snapshot: seq && typeof value.epoch === 'string' && isObject(value.entities),
    put: seq && typeof value.kind === 'string' && typeof value.id === 'string' && isObject(value.value),
    drop: seq && typeof value.kind === 'string' && typeof value.id === 'string',
  }
  const known = Object.hasOwn(fits, value.type)
  if (!known) return null
  if (!fits[value.type]) throw new OutOfStep(`a malformed ${value.type}`)
  return value as unknown as Frame
}
