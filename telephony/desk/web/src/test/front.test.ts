import { describe, expect, it } from 'vitest'

import type { Customer, Pop } from '../contract'
import { choosable, customerOf, digits, front, inOrder, seeking } from '../front'

const erika: Customer = { id: 'e', number: '1', name: 'Erika', company: '' }
const mira: Customer = { id: 'm', number: '2', name: 'Mira', company: '' }

const pop = (conversation: string, state: Pop['state'], rang_at: number, more: Partial<Pop> = {}): Pop => ({
  conversation, state, rang_at, queue: 'service', caller: { number: '', display: '', name: '', withheld: false },
  match: { certainty: 'none', reason: 'number_unknown', source: '' }, candidates: [], customer: null, card: null, card_state: 'none', level: 'none', filed: 0,
  language: 'de', path: [], joined_at: null, answered_at: null, ended_at: null, held: false, note: '', ...more,
})
const ids = (list: Pop[]) => list.map((one) => one.conversation)

describe('the call in front', () => {
  const ringing = pop('new', 'ringing', 30)
  const older = pop('old', 'ringing', 20)
  const talking = pop('talk', 'talking', 10)
  const written = pop('wrap', 'wrap_up', 5)
  const all = inOrder({ wrap: written, old: older, talk: talking, new: ringing })

  it('is the one being talked; newest ringing next', () => {
    expect(ids(all)).toEqual(['talk', 'new', 'old', 'wrap'])
    expect(front(all, null, null)).toBe(talking)
    expect(front([], null, null)).toBeNull()
  })

  it('follows the person’s own choice as long as that call lasts', () => {
    expect(front(all, 'old', null)).toBe(older)
    expect(front(all, 'gone', null)).toBe(talking)
  })

  it('does not push a note aside when the phone rings', () => {
    const waiting = inOrder({ wrap: written, new: ringing })
    expect(front(waiting, null, 'wrap')).toBe(written)
    expect(front(waiting, null, null)).toBe(ringing)
    expect(front(all, null, 'wrap')).toBe(talking)
  })

  it('counts a conversation once, however often it is offered', () => {
    expect(ids(inOrder({ 'c': pop('c', 'talking', 1), 'c~2': pop('c', 'ringing', 9) }))).toEqual(['c'])
  })
})

describe('digits', () => {
  const shared = { candidates: [erika, mira] }

  it.each<[string, Pop | null, Parameters<typeof digits>[1], Parameters<typeof digits>[2], string]>([
    ['no call', null, null, null, 'none'],
    ['pause dialog', pop('a', 'talking', 1), 'pause', null, 'reasons'],
    ['help', pop('a', 'talking', 1), 'help', null, 'none'],
    ['ringing', pop('a', 'ringing', 1), null, null, 'none'],
    ['ringing, shared', pop('a', 'ringing', 1, shared), null, null, 'candidates'],
    ['talking, shared', pop('a', 'talking', 1, shared), null, null, 'candidates'],
    ['talking, shared, codes asked', pop('a', 'talking', 1, shared), null, 'codes', 'codes'],
    ['talking, chosen', pop('a', 'talking', 1, { ...shared, customer: 'e' }), null, null, 'codes'],
    ['talking, choose again', pop('a', 'talking', 1, { ...shared, customer: 'e' }), null, 'candidates', 'candidates'],
    ['one candidate is no choice', pop('a', 'talking', 1, { candidates: [erika], customer: 'e' }), null, 'candidates', 'codes'],
    ['wrap-up comes before the choice', pop('a', 'wrap_up', 1, shared), null, null, 'codes'],
    ['wrap-up, choice asked', pop('a', 'wrap_up', 1, shared), null, 'candidates', 'candidates'],
    ['ringing, codes asked', pop('a', 'ringing', 1), null, 'codes', 'none'],
  ])('%s', (_, call, dialog, asked, expected) => {
    expect(digits(call, dialog, asked)).toBe(expected)
  })
})

describe('who it is', () => {
  it('is nobody before the choice, whatever the candidates', () => {
    expect(customerOf(pop('a', 'ringing', 1, { candidates: [erika, mira] }))).toBeNull()
    expect(customerOf(pop('a', 'ringing', 1, { candidates: [erika, mira], customer: 'm' }))).toBe(mira)
  })

  it('is never taken from another customer’s card', () => {
    const card = { customer: erika } as Pop['card']
    expect(customerOf(pop('a', 'ringing', 1, { customer: 'm', card }))).toBeNull()
  })

  it('is being looked up until the server says otherwise', () => {
    const looking = { match: { certainty: 'none' as const, reason: 'looking_up', source: '' } }
    expect(seeking(pop('a', 'ringing', 1, looking))).toBe(true)
    expect(seeking(pop('a', 'ringing', 1))).toBe(false)
    expect(choosable(pop('a', 'ringing', 1, { candidates: [erika] }))).toBe(true)
  })
})
