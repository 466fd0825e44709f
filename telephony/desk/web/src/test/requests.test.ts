import { describe, expect, it } from 'vitest'

import type { Level, Pop, Request } from '../contract'
import { locked, moved, pending, proven, readable, successor } from '../requests'

const request = (more: Partial<Request> = {}): Request => ({
  reference: '1', conversation: 'c', kind: 'bank_details', customer: 'erika', customer_name: '', level: 'pin', fields: {}, state: 'pending',
  filed_at: 0, decided_by: '', decided_at: null, vouched: false, note: '', ...more,
})
const pop = (customer: string | null, level: Level) => ({ customer, level }) as Pop

describe('who may decide', () => {
  it.each<[string, Request, Pop | null, Level, boolean]>([
    ['filed with the PIN, nobody on the line', request(), null, 'pin', false],
    ['filed with the number, nobody on the line', request({ level: 'number' }), null, 'number', true],
    ['filed with the PIN, the customer calls without', request(), pop('erika', 'number'), 'number', true],
    ['filed with the number, the customer calls with the PIN', request({ level: 'number' }), pop('erika', 'pin'), 'pin', false],
    ['somebody else calls with the PIN', request({ level: 'none' }), pop('mira', 'pin'), 'none', true],
    ['nobody knows who calls', request({ level: 'none' }), pop(null, 'pin'), 'none', true],
    ['a return is not worth stealing', request({ kind: 'return', level: 'none' }), null, 'none', false],
  ])('%s', (_, what, call, level, shut) => {
    expect(proven(what, call)).toBe(level)
    expect(locked(what, call)).toBe(shut)
  })

  it('is asked of pending requests only', () => {
    const open = request()
    expect(pending([request({ state: 'approved' }), open, request({ state: 'rejected' })])).toEqual([open])
  })
})

describe('names from a flow', () => {
  it('can be read', () => {
    expect(readable('ask_customer-number')).toBe('ask customer number')
    expect(readable('parcel_who.number')).toBe('number')
  })
})

describe('rows', () => {
  const lists = [['a', 'b'], [], ['c', 'd']].map((keys) => keys.map((key) => ({ key })))

  it.each<[string | null, Parameters<typeof moved>[2], string | null]>([
    [null, 'row-next', 'a'],
    ['gone', 'row-before', 'a'],
    ['a', 'row-next', 'b'],
    ['b', 'row-next', 'c'],
    ['d', 'row-next', 'd'],
    ['a', 'row-before', 'a'],
    ['c', 'row-before', 'b'],
    ['b', 'list-next', 'c'],
    ['d', 'list-before', 'a'],
    ['c', 'list-next', 'c'],
    ['a', 'list-before', 'a'],
  ])('%s, %s: %s', (from, to, expected) => {
    expect(moved(lists, from, to)).toBe(expected)
  })

  it('are none where there are none', () => {
    expect(moved([[], []], null, 'row-next')).toBeNull()
  })

  it('hand over to the next of the list, else to the one before', () => {
    expect(successor(lists, 'a')).toBe('b')
    expect(successor(lists, 'd')).toBe('c')
    expect(successor([[{ key: 'a' }]], 'a')).toBeNull()
    expect(successor(lists, 'gone')).toBeNull()
  })
})
