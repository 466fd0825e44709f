/** Times, durations and money as people read them. The office is in Germany: its clock is Berlin's in any language. */

import type { Label, Language } from './contract'

const ZONE = 'Europe/Berlin'
const LOCALE: Record<Language, string> = { de: 'de-DE', en: 'en-GB' }

const made = new Map<string, Intl.DateTimeFormat>()

function dates(language: Language, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = language + JSON.stringify(options)
  let format = made.get(key)
  if (format === undefined) {
    format = new Intl.DateTimeFormat(LOCALE[language], options)
    made.set(key, format)
  }
  return format
}

/** 14:05 */
export const clock = (at: number, language: Language): string =>
  dates(language, { hour: '2-digit', minute: '2-digit', timeZone: ZONE }).format(at * 1000)

/** The calendar day in Berlin, as 2026-11-23. */
export const day = (at: number): string => new Date(at * 1000).toLocaleDateString('sv-SE', { timeZone: ZONE })

/** 14:05 today, 22. Nov. before that, 22.11.2025 in another year. */
export function moment(at: number, now: number, language: Language): string {
  const [then, today] = [day(at), day(now)]
  if (then === today) return clock(at, language)
  if (then.slice(0, 4) === today.slice(0, 4)) {
    return dates(language, { day: 'numeric', month: 'short', timeZone: ZONE }).format(at * 1000)
  }
  return dates(language, { day: '2-digit', month: '2-digit', year: 'numeric', timeZone: ZONE }).format(at * 1000)
}

/** A calendar date (2026-11-23) without a time zone's mischief; the text itself when it is none. */
export function calendar(iso: string, language: Language): string {
  const at = /^\d{4}-\d\d-\d\d$/.test(iso) ? Date.parse(`${iso}T00:00:00Z`) : NaN
  if (Number.isNaN(at)) return iso
  return dates(language, { day: '2-digit', month: '2-digit', year: 'numeric', timeZone: 'UTC' }).format(at)
}

/** 0:07, 12:34, 1:02:03; never negative. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  const two = (n: number) => String(n).padStart(2, '0')
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`
}

/** For <time datetime>: PT1H2M3S. */
export const isoDuration = (seconds: number): string => `PT${Math.max(0, Math.floor(seconds))}S`

/** Minor units as money: (1999, "EUR") is 19,99 €; (1999, "JPY") is 1.999 ¥. */
export function money(minor: number, currency: string, language: Language): string {
  try {
    const format = new Intl.NumberFormat(LOCALE[language], { style: 'currency', currency })
    return format.format(minor / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2))
  } catch {
    // Not a currency code: the CRM's data are not ours to trust. Show the figure as it stands.
    return `${(minor / 100).toFixed(2)} ${currency}`
  }
}

/** Unpaid after its day: due today is not overdue. `now` in Unix seconds. */
export const overdue = (invoice: { due: string; residual_minor: number }, now: number): boolean =>
  invoice.residual_minor > 0 && invoice.due !== '' && invoice.due < day(now)

/** A label in the person's language, or in any other, or the code. */
export const label = (of: Label | undefined, language: Language, otherwise: string): string =>
  of?.[language] || of?.de || of?.en || otherwise
