import { describe, expect, it } from 'vitest'

import { calendar, clock, day, duration, label, moment, money, overdue } from '../format'

const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, ' ')
const NOON = Date.UTC(2026, 10, 23, 11, 5) / 1000 // 12:05 in Berlin

describe('times', () => {
  it.each([[-3, '0:00'], [0, '0:00'], [7.9, '0:07'], [754, '12:34'], [3723, '1:02:03']])('%s s is %s', (seconds, text) => {
    expect(duration(seconds)).toBe(text)
  })

  it('are Berlin’s in any language, summer and winter', () => {
    expect(clock(NOON, 'de')).toBe('12:05')
    expect(clock(Date.UTC(2026, 6, 1, 11, 5) / 1000, 'en')).toBe('13:05')
    expect(day(Date.UTC(2026, 10, 23, 23, 30) / 1000)).toBe('2026-11-24')
  })

  it('say as much as is needed', () => {
    expect(moment(NOON - 3600, NOON, 'de')).toBe('11:05')
    expect(plain(moment(NOON - 86400, NOON, 'de'))).toBe('22. Nov.')
    expect(plain(moment(NOON - 86400, NOON, 'en'))).toBe('22 Nov')
    expect(moment(NOON - 400 * 86400, NOON, 'de')).toBe('19.10.2025')
  })

  it('leave a calendar date where it is', () => {
    expect(calendar('2026-11-05', 'de')).toBe('05.11.2026')
    expect(calendar('2026-11-05', 'en')).toBe('05/11/2026')
    expect(calendar('<b>soon</b>', 'de')).toBe('<b>soon</b>')
    expect(calendar('2026-99-99', 'de')).toBe('2026-99-99')
  })
})

describe('money', () => {
  it.each([[12990, 'EUR', 'de', '129,90 €'], [12990, 'EUR', 'en', '€129.90'], [1999, 'JPY', 'en', 'JP¥1,999'], [-5, 'EUR', 'de', '-0,05 €'], [100, 'nonsense', 'de', '1.00 nonsense']] as const)(
    '%s %s in %s is %s',
    (minor, currency, language, text) => expect(plain(money(minor, currency, language))).toBe(text),
  )

  it('is overdue from the day after, and only while unpaid', () => {
    expect(overdue({ due: '2026-11-22', residual_minor: 1 }, NOON)).toBe(true)
    expect(overdue({ due: '2026-11-23', residual_minor: 1 }, NOON)).toBe(false)
    expect(overdue({ due: '2026-11-22', residual_minor: 0 }, NOON)).toBe(false)
    expect(overdue({ due: '', residual_minor: 1 }, NOON)).toBe(false)
  })
})

describe('labels', () => {
  it('fall back rather than vanish', () => {
    expect(label({ de: 'Pause', en: 'Break' }, 'en', 'break')).toBe('Break')
    expect(label({ de: 'Pause' }, 'en', 'break')).toBe('Pause')
    expect(label(undefined, 'en', 'break')).toBe('break')
  })
})
